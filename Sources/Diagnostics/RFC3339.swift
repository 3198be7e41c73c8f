/// Dates as RFC 3339 wants them, always in UTC.
public enum RFC3339 {
  /// `2026-11-21T04:00:00Z`, with nine digits of a second where `nanoseconds` is given.
  public static func text(seconds: Int64, nanoseconds: Int64? = nil) -> String {
    let (year, month, day) = date(daysSince1970: floorDivide(seconds, 86400))
    // Not by the day times its length, which may be before all time.
    let rest = seconds % 86400
    let ofDay = rest < 0 ? rest + 86400 : rest
    var text = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T"
    text += "\(padded(ofDay / 3600, 2)):\(padded(ofDay / 60 % 60, 2)):\(padded(ofDay % 60, 2))"
    if let nanoseconds { text += ".\(padded(nanoseconds, 9))" }
    return text + "Z"
  }

  /// The civil date, counted in years that begin on the first of March, so that the leap day is the last.
  private static func date(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let days = daysSince1970 + 719468
    let era = floorDivide(days, 146097)
    let ofEra = days - era * 146097
    let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36524 - ofEra / 146096) / 365
    let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * ofYear + 2) / 153
    let day = ofYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    value / divisor - (value % divisor < 0 ? 1 : 0)
  }

  private static func padded(_ value: Int64, _ digits: Int) -> String {
    var text = "\(value)"
    while text.utf8.count < digits { text = "0" + text }
    return text
  }
}
