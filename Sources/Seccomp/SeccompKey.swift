internal import OCISpec

/// Stands for everything that a program depends on.
struct SeccompKey: Equatable {
  /// To be raised with every change of what is made of the same profile: programs of before must not be found again.
  static var version: String { "apus-seccomp-4" }

  /// All of it, so that one profile cannot be made to look like another.
  let text: [UInt8]

  /// The name of the file: a checksum of the text, in hexadecimal. Whether it is this text the file itself tells.
  var name: String {
    let checksum = SeccompChecksum.of(text, upTo: text.count)
    var digits: [UInt8] = []
    for shift in stride(from: 60, through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: checksum >> UInt64(shift)) & 0xF
      digits.append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
    }
    return String(decoding: digits, as: UTF8.self)
  }
}

extension SeccompProfile {
  /// The key of the program that this version of libseccomp makes of the profile on `architecture`, its token of the native
  /// one.
  ///
  /// Of the profile as it is read, not of the filter: one that has a program has been found right before. Who listens is
  /// another one for each container; that somebody does is a condition of the profile being right.
  func key(library: (major: UInt32, minor: UInt32, micro: UInt32), architecture: UInt32) -> SeccompKey {
    func put(into writer: inout KeyWriter) {
      writer.put(SeccompKey.version)
      writer.put(UInt64(library.major))
      writer.put(UInt64(library.minor))
      writer.put(UInt64(library.micro))
      writer.put(UInt64(architecture))
      putProfile(into: &writer)
    }
    // Once to see how much it is.
    var measure = KeyWriter(start: nil)
    put(into: &measure)
    return SeccompKey(
      text: [UInt8](unsafeUninitializedCapacity: measure.count) { buffer, count in
        var writer = KeyWriter(start: UnsafeMutableRawPointer(buffer.baseAddress))
        put(into: &writer)
        count = writer.count
      })
  }

  private func putProfile(into writer: inout KeyWriter) {
    writer.put(defaultAction)
    writer.put(optional: defaultErrnoRet)
    writer.put(architectures ?? [])
    // Absent and empty are different things.
    writer.put(flags != nil)
    writer.put(flags ?? [])
    writer.put(!(listenerPath ?? "").isEmpty)
    writer.put(!(listenerMetadata ?? "").isEmpty)
    let rules = syscalls ?? []
    writer.put(UInt64(rules.count))
    for rule in rules {
      writer.put(rule.names)
      writer.put(rule.action)
      writer.put(optional: rule.errnoRet)
      let arguments = rule.args ?? []
      writer.put(UInt64(arguments.count))
      for argument in arguments {
        writer.put(UInt64(argument.index))
        writer.put(argument.op)
        writer.put(argument.value)
        writer.put(argument.valueTwo ?? 0)
      }
    }
  }
}

/// Puts values one after the other, or only counts their bytes. Every text and list has its length in front of it, so no two
/// profiles have the same bytes.
private struct KeyWriter {
  private let start: UnsafeMutableRawPointer?
  private(set) var count = 0

  init(start: UnsafeMutableRawPointer?) {
    self.start = start
  }

  mutating func put(_ number: UInt64) {
    // Not aligned: texts stand in between.
    if let start { (start + count).storeBytes(of: number, as: UInt64.self) }
    count += 8
  }

  mutating func put(optional number: UInt?) {
    put(number != nil)
    put(UInt64(number ?? 0))
  }

  mutating func put(_ fact: Bool) { put(UInt64(fact ? 1 : 0)) }

  mutating func put(_ text: String) {
    let length = text.utf8.count
    put(UInt64(length))
    if let start {
      var text = text
      text.withUTF8 { utf8 in
        if let first = utf8.baseAddress { (start + count).copyMemory(from: first, byteCount: length) }
      }
    }
    count += length
  }

  mutating func put(_ texts: [String]) {
    put(UInt64(texts.count))
    for text in texts { put(text) }
  }
}

/// Finds damage, and nothing that is done on purpose: nobody but the owner can write what it is used for.
enum SeccompChecksum {
  /// Of the first `count` bytes. Every step is a permutation, so two texts that differ in one place have different ones.
  static func of(_ bytes: [UInt8], upTo count: Int) -> UInt64 {
    bytes.withUnsafeBytes { bytes in
      var checksum = 0x9E37_79B9_7F4A_7C15 ^ UInt64(count)
      func mix(_ word: UInt64) {
        checksum = (checksum ^ word) &* 0xFF51_AFD7_ED55_8CCD
        checksum ^= checksum >> 32
      }
      var at = 0
      while at + 8 <= count {
        mix(bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        at += 8
      }
      var rest: UInt64 = 0
      while at < count {
        rest = rest << 8 | UInt64(bytes[at])
        at += 1
      }
      mix(rest)
      return checksum
    }
  }
}
