public struct OpenFlags: OptionSet, Sendable {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }
  public static let readOnly: OpenFlags = []
  public static let writeOnly = OpenFlags(rawValue: 1)
  public static let readWrite = OpenFlags(rawValue: 2)
  public static let create = OpenFlags(rawValue: 0o100)
  public static let exclusive = OpenFlags(rawValue: 0o200)
  public static let truncate = OpenFlags(rawValue: 0o1000)
  public static let append = OpenFlags(rawValue: 0o2000)
  public static let nonBlocking = OpenFlags(rawValue: 0o4000)
  public static let directory = OpenFlags(rawValue: 0o200000)
  public static let noFollow = OpenFlags(rawValue: 0o400000)
  public static let closeOnExec = OpenFlags(rawValue: 0o2000000)
  public static let path = OpenFlags(rawValue: 0o10000000)
}
public struct CloneFlags: OptionSet, Sendable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static let pidfd = CloneFlags(rawValue: 0x1000)
  public static let parent = CloneFlags(rawValue: 0x8000)
  public static let intoCgroup = CloneFlags(rawValue: 0x2_0000_0000)
  public static let newTime = CloneFlags(rawValue: 0x80)
  public static let newMount = CloneFlags(rawValue: 0x20000)
  public static let newCgroup = CloneFlags(rawValue: 0x0200_0000)
  public static let newUser = CloneFlags(rawValue: 0x1000_0000)
}
public struct Capability { public let name: String; public init?(number: Int) { return nil } }
