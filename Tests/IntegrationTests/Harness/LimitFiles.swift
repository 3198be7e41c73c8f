import Foundation
import Testing

/// The limits of a cgroup of v2, under the names and in the units of v1: one test for both.
enum LimitFiles {
  static func value(_ name: String, in folder: String) throws -> String {
    func words(_ file: String) throws -> [String] {
      try Files.read("\(folder)/\(file)").split(whereSeparator: \.isWhitespace).map(String.init)
    }
    func first(_ file: String) throws -> String { try words(file).first ?? "" }
    // Endless is a large number on v1.
    func bytes(_ file: String) throws -> Int { Int(try first(file)) ?? Int.max / 2 }
    switch name {
    case "memory.limit_in_bytes": return "\(try bytes("memory.max"))"
    case "memory.soft_limit_in_bytes": return "\(try bytes("memory.low"))"
    case "memory.memsw.limit_in_bytes": return "\(try bytes("memory.max") + bytes("memory.swap.max"))"
    case "memory.max_usage_in_bytes": return "\(try bytes("memory.peak"))"
    case "cpu.shares": return shares(weight: Int(try first("cpu.weight")) ?? 0)
    case "cpu.cfs_quota_us": return try first("cpu.max").replacingOccurrences(of: "max", with: "-1")
    case "cpu.cfs_period_us": return try words("cpu.max").last ?? ""
    case "cpu.cfs_burst_us": return try first("cpu.max.burst")
    case "cpuset.cpus", "cpuset.mems":
      let own = try first(name)
      return own.isEmpty ? try first(name + ".effective") : own
    case "blkio.bfq.weight":
      if Files.exists("\(folder)/io.bfq.weight") { return try words("io.bfq.weight").last ?? "" }
      // From the scale of 1 to 10000.
      let weight = Double(try words("io.weight").last ?? "") ?? 0
      return "\(Int((10 + (weight - 1) * 990 / 9999).rounded()))"
    default: return try first(name)
    }
  }

  /// The smallest shares that become this weight. Below 1024 each has one of its own or nearly so; see `CPUWeight`.
  private static func shares(weight: Int) -> String {
    for shares in [10, 300, 400, 512, 700, 1024] where self.weight(shares: shares) == weight { return "\(shares)" }
    return "weight \(weight)"
  }

  private static func weight(shares: Int) -> Int {
    let l = log2(Double(shares))
    return Int((pow(10, (l * l + 125 * l) / 612 - 7.0 / 34) - 1e-9).rounded(.up))
  }
}

/// A piece of `linux.resources`, and what the kernel's files say when it is applied.
struct LimitRow: CustomTestStringConvertible, Sendable {
  let resources: JSONValue
  let files: [String: String]
  /// Why a peer of Debian does otherwise.
  var reasons: [String: String] = [:]
  var testDescription: String { resources.text }

  init(_ resources: JSONValue, _ files: [String: String], _ reasons: [String: String] = [:]) {
    self.resources = resources
    self.files = files
    self.reasons = reasons
  }
}

/// A disk of the machine, whose requests the kernel can count.
struct Disk {
  let major: Int
  let minor: Int

  static func first() throws -> Disk? {
    for name in Files.names(in: "/sys/block") where !name.hasPrefix("loop") && !name.hasPrefix("zram") {
      guard let text = try Files.readIfThere("/sys/block/\(name)/dev") else { continue }
      let numbers = text.split { $0 == ":" || $0 == "\n" }.compactMap { Int($0) }
      if numbers.count == 2 { return Disk(major: numbers[0], minor: numbers[1]) }
    }
    return nil
  }

  /// The list of one entry for `linux.resources.blockIO`.
  func entry(_ name: String, _ value: Int) -> JSONValue {
    [["major": .number(major), "minor": .number(minor), name: .number(value)]]
  }
}
