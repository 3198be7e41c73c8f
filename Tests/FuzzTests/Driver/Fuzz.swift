import FuzzSupport
import Glibc

/// libFuzzer over the target that APUS_FUZZ_TARGET names; all arguments are libFuzzer's. Without a target it writes the inputs
/// that the program makes itself: into a folder for each target below the first argument, from the configurations behind it.
@main struct Fuzz {
  static let target: FuzzTarget? = {
    guard let name = getenv("APUS_FUZZ_TARGET") else { return nil }
    return FuzzTarget.all.first { $0.name == String(cString: name) }
  }()

  static func main() {
    if target == nil { return writeSeeds(Array(CommandLine.arguments.dropFirst())) }
    _ = apus_run_fuzzer(CommandLine.argc, CommandLine.unsafeArgv) { bytes, count in
      let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
      do {
        try Fuzz.target?.run(input)
      } catch {
        // A trap, so that libFuzzer keeps the input.
        fatalError("broken rule: \(error)")
      }
      return 0
    }
  }

  private static func writeSeeds(_ arguments: [String]) {
    guard let folder = arguments.first else { fatalError("APUS_FUZZ_TARGET names no target") }
    var seeds = Seeds.messages()
    for file in arguments.dropFirst() { seeds += Seeds.derived(from: read(file)) }
    for (number, seed) in seeds.enumerated() { write("\(folder)/\(seed.target)/made-\(number)", seed.bytes) }
  }

  private static func read(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { fatalError("cannot read \(path)") }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0, count < bytes.count else { fatalError("cannot read \(path) as a whole") }
    return Array(bytes[..<count])
  }

  private static func write(_ path: String, _ bytes: [UInt8]) {
    guard let file = fopen(path, "w"), fwrite(bytes, 1, bytes.count, file) == bytes.count, fclose(file) == 0 else {
      fatalError("cannot write \(path)")
    }
  }
}
