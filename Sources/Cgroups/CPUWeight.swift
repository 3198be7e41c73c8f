/// The conversion of cpu shares of v1 into the weight of v2.
package enum CPUWeight {
  /// The weight, 1 to 10000, for shares of 2 to 262144; nil for 0, which means unset.
  ///
  /// The curve goes through the least, the default (1024 is 100) and the largest value: ten to the power of
  /// (l - 1)(l + 126) / 612, where l is the binary logarithm of the shares, rounded up. runc and crun left the linear
  /// formula of the specification's time for it, because that gave the default shares a weight of 39.
  package static func weight(shares: UInt64) -> UInt64? {
    if shares == 0 { return nil }
    if shares <= 2 { return 1 }
    if shares >= 262_144 { return 10_000 }
    let logarithm = binaryLogarithm(shares)
    let exponent = (logarithm - 1) * (logarithm + 126) / 612
    let value = powerOfTwo(exponent * 3.321928094887362)
    // Where the curve meets a whole number, the last bit of the calculation must not round it up to the next one.
    let lowered = value - 1e-9
    let whole = UInt64(lowered)
    return Double(whole) < lowered ? whole + 1 : whole
  }

  private static let naturalLogarithmOf2 = 0.6931471805599453

  private static func binaryLogarithm(_ value: UInt64) -> Double {
    let exponent = 63 - value.leadingZeroBitCount
    let mantissa = Double(value) / Double(UInt64(1) << UInt64(exponent))
    // ln m = 2 (s + s^3/3 + s^5/5 + …) with s = (m - 1) / (m + 1), at most 1/3.
    let s = (mantissa - 1) / (mantissa + 1)
    var power = s
    var sum = 0.0
    var divisor = 1.0
    while divisor < 41 {
      sum += power / divisor
      power *= s * s
      divisor += 2
    }
    return Double(exponent) + 2 * sum / naturalLogarithmOf2
  }

  private static func powerOfTwo(_ exponent: Double) -> Double {
    let whole = UInt64(exponent)
    let x = (exponent - Double(whole)) * naturalLogarithmOf2
    var term = 1.0
    var sum = 1.0
    var n = 1.0
    while n < 24 {
      term *= x / n
      sum += term
      n += 1
    }
    return sum * Double(UInt64(1) << whole)
  }
}
