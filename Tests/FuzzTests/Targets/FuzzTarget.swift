import Diagnostics

/// Something that has to hold for any bytes and does not.
struct BrokenRule: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A function that takes any bytes: it must not trap, end in time, and keep the rules that it checks itself.
struct FuzzTarget: Sendable {
  let name: String
  let run: @Sendable ([UInt8]) throws(BrokenRule) -> Void

  /// In the order of Tests/FuzzTests/modules.txt, which says which sources each of them is about.
  static let all = [
    FuzzTarget(name: "json", run: fuzzJSON),
    FuzzTarget(name: "config", run: fuzzConfig),
    FuzzTarget(name: "process", run: fuzzProcess),
    FuzzTarget(name: "resources", run: fuzzResources),
    FuzzTarget(name: "state", run: fuzzState),
    FuzzTarget(name: "wire", run: fuzzWire),
    FuzzTarget(name: "mountinfo", run: fuzzMountinfo),
    FuzzTarget(name: "cgroup", run: fuzzCgroup),
    FuzzTarget(name: "seccomp", run: fuzzSeccomp),
    FuzzTarget(name: "dbus", run: fuzzDBus),
    FuzzTarget(name: "checkpoint", run: fuzzCheckpoint),
  ]
}

func hold(_ condition: Bool, _ rule: @autoclosure () -> String) throws(BrokenRule) {
  if !condition { throw BrokenRule(rule()) }
}

/// What an error about a document has to say.
func checkError(_ error: RuntimeError, in document: [UInt8]) throws(BrokenRule) {
  try hold(!error.message.isEmpty, "the error says nothing")
  try hold(error.field.isEmpty || error.field.utf8.first == 0x2F, "`\(error.field)` is no pointer")
  let words = error.message.utf8.split(separator: 0x20, maxSplits: 5).map { String(decoding: $0, as: UTF8.self) }
  guard words.count == 6, words[1] == "line", words[3] == "column" else { return }
  let lines = document.split(separator: 0x0A, omittingEmptySubsequences: false)
  guard let line = Int(words[2]), let column = Int(words[4].dropLast()), line >= 1, line <= lines.count else {
    throw BrokenRule("the error is in no line of the document: \(error.message)")
  }
  // The end of the file is the column behind the last one.
  try hold(column >= 1 && column <= lines[line - 1].count + 1, "the error is in no column: \(error.message)")
}

/// The value or the error of a function, for comparison.
func outcome<T>(_ body: () throws(RuntimeError) -> T) -> Result<T, RuntimeError> {
  do {
    return .success(try body())
  } catch {
    return .failure(error)
  }
}

/// The parts of an input that stand between lines of `---`.
func sections(_ input: [UInt8]) -> [[UInt8]] {
  var parts: [[UInt8]] = [[]]
  for line in input.split(separator: 0x0A, omittingEmptySubsequences: false) {
    if line.elementsEqual("---".utf8) {
      parts.append([])
    } else {
      parts[parts.count - 1] += line
      parts[parts.count - 1].append(0x0A)
    }
  }
  return parts
}
