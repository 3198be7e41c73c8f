import ContainerRuntime
import Diagnostics
import OCISpec

/// `events`: what a container uses, and when it met its memory limit.
struct EventsCommand: Equatable, Sendable {
  var id: String
  var isOnce: Bool
  /// Milliseconds.
  var interval: Int64

  static var specification: CommandSpecification {
    CommandSpecification(
      "events", "print what a container uses, and when it runs out of memory",
      operands: "<container-id>", operandCount: 1...1,
      flags: [
        FlagSpecification(.interval, "interval", value: "TIME", "how often, such as `500ms` or `1m30s` (default 5s)"),
        FlagSpecification(.stats, "stats", "print the numbers once and end"),
      ],
      description: """
        Each event is one line of JSON: `stats` with the numbers of the cgroup, `oom` when a process met the
        memory limit. Ends when no process of the container is left.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    isOnce = scanned.isOn(.stats)
    interval = 5000
    guard let text = scanned.text(.interval) else { return }
    guard let nanoseconds = TimeSpan.parse(text) else {
      throw RuntimeError(
        .usage, "invalid value `\(text)`, expected a time such as `500ms` or `1m30s`", field: "--interval")
    }
    guard nanoseconds > 0 else {
      throw RuntimeError(.usage, "duration interval must be greater than 0", field: "--interval")
    }
    interval = nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0)
  }

  func run(_ session: Session) throws(RuntimeError) {
    let runtime = try session.runtime()
    if isOnce {
      try EventsCommand.print(.statistics(try runtime.statistics(id)), id)
      return
    }
    try runtime.events(id, interval: interval) { event throws(RuntimeError) in try EventsCommand.print(event, id) }
  }

  private static func print(_ event: ContainerEvent, _ id: String) throws(RuntimeError) {
    try StandardStream.print(document: event.document(id: id))
  }
}

/// A time as Go writes it (time.ParseDuration): `300ms`, `-1.5h`, `2h45m`; 0 needs no unit.
enum TimeSpan {
  /// In nanoseconds; nil for a text of another form and for more than fits into 64 bits.
  static func parse(_ text: String) -> Int64? {
    var rest = [UInt8](text.utf8)[...]
    let isNegative = rest.first == 0x2D
    if isNegative || rest.first == 0x2B { rest.removeFirst() }
    if rest == [0x30] { return 0 }
    if rest.isEmpty { return nil }
    var sum: Int64 = 0
    while !rest.isEmpty {
      guard let part = part(&rest) else { return nil }
      let (total, overflow) = sum.addingReportingOverflow(part)
      if overflow { return nil }
      sum = total
    }
    return isNegative ? -sum : sum
  }

  /// A number, with a point or without, and its unit.
  private static func part(_ rest: inout ArraySlice<UInt8>) -> Int64? {
    func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    var fraction: ArraySlice<UInt8> = []
    if rest.first == 0x2E {
      rest.removeFirst()
      fraction = rest.prefix(while: isDigit)
      rest = rest.dropFirst(fraction.count)
    }
    if whole.isEmpty && fraction.isEmpty { return nil }
    let name = rest.prefix { !isDigit($0) && $0 != 0x2E }
    rest = rest.dropFirst(name.count)
    guard var unit = unit(String(decoding: name, as: UTF8.self)) else { return nil }
    var value: Int64 = 0
    for digit in whole {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int64(digit - 0x30))
      if overflow || carry { return nil }
      value = sum
    }
    var (total, overflow) = value.multipliedReportingOverflow(by: unit)
    for digit in fraction where !overflow {
      unit /= 10
      (total, overflow) = total.addingReportingOverflow(unit * Int64(digit - 0x30))
    }
    return overflow ? nil : total
  }

  private static func unit(_ name: String) -> Int64? {
    switch name {
    case "ns": 1
    case "us", "µs", "μs": 1000
    case "ms": 1_000_000
    case "s": 1_000_000_000
    case "m": 60_000_000_000
    case "h": 3_600_000_000_000
    default: nil
    }
  }
}
