import Diagnostics
import Foundation
import Testing

@Suite struct DiagnosticsTests {
  @Test func datesAgreeWithFoundation() throws {
    let formatter = ISO8601DateFormatter()
    for seconds: Int64 in [
      0, 1, 951_782_399, 951_782_400, 1_709_164_800, 1_795_235_040, 4_107_542_400, -1, -86_401,
    ] {
      let expected = formatter.string(from: Date(timeIntervalSince1970: Double(seconds)))
      #expect(RFC3339.text(seconds: seconds) == expected)
    }
    #expect(RFC3339.text(seconds: 0, nanoseconds: 42) == "1970-01-01T00:00:00.000000042Z")
  }

  /// A record that is damaged says any time.
  @Test func timesFarFromNowAreDatesToo() {
    #expect(RFC3339.text(seconds: .max) == "292277026596-12-04T15:30:07Z")
    #expect(RFC3339.text(seconds: .min) == "-292277022657-01-27T08:29:52Z")
    #expect(RFC3339.text(seconds: -86_400) == "1969-12-31T00:00:00Z")
  }

  @Test func errnoTextsAreThoseOfTheCLibraryInLowerCase() {
    for number: Int32 in 1...40 {
      let expected = String(cString: strerror(number)).lowercased()
      #expect(Errno(number).text == expected)
    }
  }

  @Test func errorCodesHaveDifferentNames() {
    #expect(Set(ErrorCode.allCases.map { $0.name }).count == ErrorCode.allCases.count)
  }
}
