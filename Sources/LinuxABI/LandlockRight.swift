/// What a Landlock ruleset is made of, landlock(7): sets of bits, each with names of its own.
public enum LandlockSet: UInt8, Sendable, Hashable, CaseIterable {
  /// LANDLOCK_ACCESS_FS_*
  case files = 0
  /// LANDLOCK_ACCESS_NET_*
  case network = 1
  /// LANDLOCK_SCOPE_*
  case scopes = 2
  /// LANDLOCK_RESTRICT_SELF_* of landlock_restrict_self(2)
  case flags = 3

  /// The newest version of Landlock's ABI that the tables below know all of.
  public static var newestABI: Int32 { 7 }

  /// The names of the bits from 0 on: those of the kernel without the part that they share, in lower case.
  public var names: [String] {
    // Texts and not lists: the release compiler numbers the constant lists of a function anew in every module that it is
    // copied to, and the linker then takes one for the other.
    let text =
      switch self {
      case .files:
        "execute write_file read_file read_dir remove_dir remove_file make_char make_dir make_reg make_sock make_fifo "
          + "make_block make_sym refer truncate ioctl_dev"
      case .network: "bind_tcp connect_tcp"
      case .scopes: "abstract_unix_socket signal"
      case .flags: "log_same_exec_off log_new_exec_on log_subdomains_off"
      }
    return text.utf8.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The bits that a kernel with this version of the ABI knows.
  public func known(toABI version: Int32) -> UInt64 {
    switch self {
    case .files:
      switch version {
      case ..<1: 0
      case 1: 0x1FFF
      case 2: 0x3FFF
      case 3, 4: 0x7FFF
      default: 0xFFFF
      }
    case .network: version < 4 ? 0 : 0b11
    case .scopes: version < 6 ? 0 : 0b11
    case .flags: version < 7 ? 0 : 0b111
    }
  }

  /// Several names at once, for documents that are written by hand. What they stand for never changes; a right of a later
  /// kernel has to be named.
  public func group(_ name: String) -> UInt64? {
    switch (self, name) {
    case (.files, "read"): LandlockSet.readFile | LandlockSet.readDirectory
    // Everything that changes the tree or what is in a file; not `ioctl_dev`, which is about devices.
    case (.files, "write"): 0x7FF2
    case (.files, "all"): 0xFFFF
    case (.network, "all"), (.scopes, "all"): 0b11
    default: nil
    }
  }

  /// The bit of a name.
  public func bit(_ name: String) -> UInt64? {
    names.firstIndex(of: name).map { 1 << UInt64($0) }
  }

  /// The names of the bits that are set, in the order of the kernel.
  public func names(of bits: UInt64) -> [String] {
    names.enumerated().filter { bits & (1 << UInt64($0.offset)) != 0 }.map { $0.element }
  }

  /// LANDLOCK_ACCESS_FS_EXECUTE
  public static var execute: UInt64 { 1 << 0 }
  /// LANDLOCK_ACCESS_FS_READ_FILE
  public static var readFile: UInt64 { 1 << 2 }
  /// LANDLOCK_ACCESS_FS_READ_DIR
  public static var readDirectory: UInt64 { 1 << 3 }
  /// LANDLOCK_ACCESS_FS_REFER
  public static var refer: UInt64 { 1 << 13 }
  /// The rights that something else than a directory can have: execute, write_file, read_file, truncate, ioctl_dev. The kernel
  /// answers EINVAL to any other in a rule for it.
  public static var rightsOfFiles: UInt64 { 0xC007 }
}
