/// SHA-256, FIPS 180-4.
struct SHA256 {
  private var state: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (
    0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19
  )

  /// The 32 bytes of the digest of `bytes`.
  static func digest(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    var schedule = [UInt32](repeating: 0, count: 64)
    let whole = bytes.count / 64 * 64
    // What does not fill a block, one bit, zeros, and the length in bits.
    var tail = [UInt8](bytes[whole...])
    tail.append(0x80)
    while tail.count % 64 != 56 { tail.append(0) }
    let length = UInt64(bytes.count) * 8
    for byte in 0..<8 { tail.append(UInt8(truncatingIfNeeded: length >> UInt64(56 - 8 * byte))) }
    hash.update(bytes, upTo: whole, &schedule)
    hash.update(tail, upTo: tail.count, &schedule)
    return hash.bytes()
  }

  private mutating func update(_ bytes: [UInt8], upTo end: Int, _ schedule: inout [UInt32]) {
    bytes.withUnsafeBufferPointer { source in
      schedule.withUnsafeMutableBufferPointer { words in
        constants.withUnsafeBufferPointer { constants in
          var at = 0
          while at < end {
            for word in 0..<16 {
              words[word] = SHA256.word(source, at + 4 * word)
            }
            compress(words, constants)
            at += 64
          }
        }
      }
    }
  }

  private static func word(_ bytes: UnsafeBufferPointer<UInt8>, _ at: Int) -> UInt32 {
    let upper = UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16
    return upper | UInt32(bytes[at + 2]) << 8 | UInt32(bytes[at + 3])
  }

  private mutating func compress(
    _ words: UnsafeMutableBufferPointer<UInt32>, _ constants: UnsafeBufferPointer<UInt32>
  ) {
    for index in 16..<64 {
      let (early, late) = (words[index - 15], words[index - 2])
      let first = rotate(early, 7) ^ rotate(early, 18) ^ (early >> 3)
      let second = rotate(late, 17) ^ rotate(late, 19) ^ (late >> 10)
      words[index] = words[index - 16] &+ first &+ words[index - 7] &+ second
    }
    var (a, b, c, d, e, f, g, h) = state
    for index in 0..<64 {
      let high = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
      let first = h &+ high &+ ((e & f) ^ (~e & g)) &+ constants[index] &+ words[index]
      let low = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
      let second = low &+ ((a & b) ^ (a & c) ^ (b & c))
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ second)
    }
    state = (
      state.0 &+ a, state.1 &+ b, state.2 &+ c, state.3 &+ d, state.4 &+ e, state.5 &+ f, state.6 &+ g,
      state.7 &+ h
    )
  }

  @inline(__always) private func rotate(_ value: UInt32, _ by: UInt32) -> UInt32 {
    value >> by | value << (32 - by)
  }

  private func bytes() -> [UInt8] {
    var bytes: [UInt8] = []
    let (a, b, c, d, e, f, g, h) = state
    for word in [a, b, c, d, e, f, g, h] {
      for byte: UInt32 in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: word >> (24 - 8 * byte))) }
    }
    return bytes
  }
}

/// The first 32 bits of the fractions of the cube roots of the first 64 primes.
private let constants: [UInt32] = [
  0x428A_2F98, 0x7137_4491, 0xB5C0_FBCF, 0xE9B5_DBA5, 0x3956_C25B, 0x59F1_11F1, 0x923F_82A4, 0xAB1C_5ED5,
  0xD807_AA98, 0x1283_5B01, 0x2431_85BE, 0x550C_7DC3, 0x72BE_5D74, 0x80DE_B1FE, 0x9BDC_06A7, 0xC19B_F174,
  0xE49B_69C1, 0xEFBE_4786, 0x0FC1_9DC6, 0x240C_A1CC, 0x2DE9_2C6F, 0x4A74_84AA, 0x5CB0_A9DC, 0x76F9_88DA,
  0x983E_5152, 0xA831_C66D, 0xB003_27C8, 0xBF59_7FC7, 0xC6E0_0BF3, 0xD5A7_9147, 0x06CA_6351, 0x1429_2967,
  0x27B7_0A85, 0x2E1B_2138, 0x4D2C_6DFC, 0x5338_0D13, 0x650A_7354, 0x766A_0ABB, 0x81C2_C92E, 0x9272_2C85,
  0xA2BF_E8A1, 0xA81A_664B, 0xC24B_8B70, 0xC76C_51A3, 0xD192_E819, 0xD699_0624, 0xF40E_3585, 0x106A_A070,
  0x19A4_C116, 0x1E37_6C08, 0x2748_774C, 0x34B0_BCB5, 0x391C_0CB3, 0x4ED8_AA4A, 0x5B9C_CA4F, 0x682E_6FF3,
  0x748F_82EE, 0x78A5_636F, 0x84C8_7814, 0x8CC7_0208, 0x90BE_FFFA, 0xA450_6CEB, 0xBEF9_A3F7, 0xC671_78F2,
]
