internal import LinuxABI

/// What the file of a cached program holds: magic, flags, the length of the key, key, instructions, and a checksum of it
/// all. Numbers stand in the byte order of the machine, as instructions do.
enum SeccompRecord {
  private static var magic: UInt64 { 0x3246_5042_7375_7061 }  // apusBPF2
  private static var headerSize: Int { 16 }
  private static var checksumSize: Int { 8 }

  /// The largest file of this key.
  static func maximumSize(_ key: SeccompKey) -> Int {
    headerSize + key.text.count + 8 * SeccompCompiler.maximumInstructionCount + checksumSize
  }

  static func encode(_ program: SeccompProgram, _ key: SeccompKey) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(maximumSize(key))
    put(magic, &bytes)
    put(UInt64(program.flags.rawValue) | UInt64(key.text.count) << 32, &bytes)
    bytes += key.text
    bytes += program.instructions
    put(SeccompChecksum.of(bytes, upTo: bytes.count), &bytes)
    return bytes
  }

  /// The program; nil if anything is not as ``encode(_:_:)`` writes it.
  static func decode(_ bytes: [UInt8], _ key: SeccompKey) -> SeccompProgram? {
    let start = headerSize + key.text.count
    let end = bytes.count - checksumSize
    guard end > start && (end - start) % 8 == 0 && bytes.count <= maximumSize(key) else { return nil }
    guard word(bytes, 0) == magic && word(bytes, 8) >> 32 == UInt64(key.text.count) else { return nil }
    guard SeccompChecksum.of(bytes, upTo: end) == word(bytes, end) && holds(bytes, key.text) else { return nil }
    let flags = SeccompFilterFlags(rawValue: UInt32(truncatingIfNeeded: word(bytes, 8)))
    return SeccompProgram(instructions: [UInt8](bytes[start..<end]), flags: flags)
  }

  /// Whether the key stands behind the header.
  private static func holds(_ bytes: [UInt8], _ text: [UInt8]) -> Bool {
    var at = 0
    while at + 8 <= text.count {
      if word(bytes, headerSize + at) != word(text, at) { return false }
      at += 8
    }
    while at < text.count {
      if bytes[headerSize + at] != text[at] { return false }
      at += 1
    }
    return true
  }

  private static func word(_ bytes: [UInt8], _ at: Int) -> UInt64 {
    bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
  }

  private static func put(_ number: UInt64, _ bytes: inout [UInt8]) {
    withUnsafeBytes(of: number) { bytes += $0 }
  }
}
