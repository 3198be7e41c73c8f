public import Diagnostics
public import LinuxABI
import OCISpec

/// The Landlock ruleset of a container, as the kernel of this host knows it. It stays with the state: every process of
/// `exec` gets the same.
public struct LandlockPlan: Sendable, Equatable {
  /// What is forbidden where no rule allows it, bits of ``LandlockSet``.
  public var files: UInt64
  public var network: UInt64
  public var scopes: UInt64
  /// LANDLOCK_RESTRICT_SELF_*
  public var flags: UInt32
  public var paths: [LandlockPath]
  public var ports: [LandlockPort]

  public init(
    files: UInt64 = 0, network: UInt64 = 0, scopes: UInt64 = 0, flags: UInt32 = 0, paths: [LandlockPath] = [],
    ports: [LandlockPort] = []
  ) {
    self.files = files
    self.network = network
    self.scopes = scopes
    self.flags = flags
    self.paths = paths
    self.ports = ports
  }

  /// The bits of one set.
  public subscript(set: LandlockSet) -> UInt64 {
    get {
      switch set {
      case .files: files
      case .network: network
      case .scopes: scopes
      case .flags: UInt64(flags)
      }
    }
    set(bits) {
      switch set {
      case .files: files = bits
      case .network: network = bits
      case .scopes: scopes = bits
      case .flags: flags = UInt32(truncatingIfNeeded: bits)
      }
    }
  }

  /// The place of a value in the annotation.
  public static func field(_ pointer: String) -> String { LandlockConfig.field(pointer) }

  /// Whether it forbids anything at all.
  var restricts: Bool { files | network | scopes != 0 }

  /// Leaves out what a kernel of this version does not know; the bits of each set that were.
  mutating func reduce(toABI version: Int32) -> [(set: LandlockSet, bits: UInt64)] {
    var left: [(set: LandlockSet, bits: UInt64)] = []
    for set in LandlockSet.allCases {
      let known = self[set] & set.known(toABI: version)
      if known != self[set] { left.append((set, self[set] & ~known)) }
      self[set] = known
    }
    for index in paths.indices { paths[index].access &= files }
    for index in ports.indices { ports[index].access &= network }
    // The kernel takes no rule that allows nothing (ENOMSG); what it was about is not handled any more.
    paths.removeAll { $0.access == 0 }
    ports.removeAll { $0.access == 0 }
    return left
  }
}

/// A rule for a file, or a directory and all that is in it.
public struct LandlockPath: Sendable, Equatable {
  /// Absolute in the container.
  public var path: String
  /// Bits of ``LandlockSet/files``.
  public var access: UInt64
  /// A path that is not there is left out.
  public var ifExists: Bool
  /// Whatever links the path leads over, the rule is about what is behind them.
  public var followLinks: Bool
  /// The places in `rules.pathBeneath` and its `paths`.
  public var rule: UInt32
  public var index: UInt32
  /// What was found there when the container was created; nil as long as it has not been looked up. For the processes of
  /// `exec` the rule is about that and nothing else: the container may have changed what its paths lead to.
  public var place: LandlockPlace?

  public init(
    path: String, access: UInt64, ifExists: Bool, followLinks: Bool = false, rule: UInt32, index: UInt32,
    place: LandlockPlace? = nil
  ) {
    self.path = path
    self.access = access
    self.ifExists = ifExists
    self.followLinks = followLinks
    self.rule = rule
    self.index = index
    self.place = place
  }

  /// The JSON pointer of it.
  public var field: String { LandlockConfig.field("/rules/pathBeneath/\(rule)/paths/\(index)") }
}

/// A file or directory, whatever it is called. As long as a process has a rule for it the kernel keeps it, and the number is
/// no other's.
public struct LandlockPlace: Sendable, Equatable {
  /// The number of the device, the major one in the upper half.
  public var device: UInt64
  /// 0 where there was nothing, or nothing that the rule gave a right to.
  public var inode: UInt64
  /// Where it was found, without symbolic links; empty where that is the path of the rule.
  public var path: String

  public init(device: UInt64, inode: UInt64, path: String = "") {
    self.device = device
    self.inode = inode
    self.path = path
  }

  public static var nowhere: LandlockPlace { LandlockPlace(device: 0, inode: 0) }

  /// Whether both are one file, wherever it is.
  public func isSameFile(as other: LandlockPlace) -> Bool { device == other.device && inode == other.inode }
}

/// A rule for a port of TCP.
public struct LandlockPort: Sendable, Equatable {
  public var port: UInt16
  /// Bits of ``LandlockSet/network``.
  public var access: UInt64

  public init(port: UInt16, access: UInt64) {
    self.port = port
    self.access = access
  }
}

/// What a host has of Landlock.
public enum LandlockSupport: Sendable, Equatable {
  /// The version of its ABI.
  case version(Int32)
  /// Why it has none: ENOSYS where it is not built in, EOPNOTSUPP where it is not enabled.
  case missing(Errno)

  /// The version; 0 where there is none.
  public var abi: Int32 {
    if case .version(let version) = self { version } else { 0 }
  }
}
