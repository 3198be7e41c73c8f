/// What one string of `mounts[].options` asks for, whatever the file system (config.md, "Linux mount options").
public enum MountOption: Sendable, Hashable {
  /// `defaults`, and words that change nothing on Linux.
  case nothing
  /// Attributes of the mount, with `recursive` also of every mount below it (AT_RECURSIVE). Add them up in the order of
  /// the options with ``MountAttributeChange/add(set:clear:)``, the recursive ones apart from the others.
  case attribute(set: MountAttributes, clear: MountAttributes, recursive: Bool)
  case propagation(Propagation, recursive: Bool)
  /// `bind`, `rbind`: the source is a file or directory and the type is not looked at.
  case bind(recursive: Bool)
  /// `remount`: what is mounted at the destination is changed.
  case remount
  /// The last one of a flag wins.
  case superblockFlag(SuperblockFlag, isSet: Bool)
  /// `idmap`, `ridmap`: the mount gets the id mappings of its own entry or of the user namespace; after a `=` those that
  /// ``mapping`` describes.
  case idMapped(recursive: Bool, mapping: String?)
  case `extension`(MountExtension)

  /// The meaning of `option`; nil if it is one for the file system itself (`size=64k`).
  public static func parse(_ option: String) -> MountOption? {
    if let plain = parsePlain(option) { return plain }
    if let special = parseSpecial(option) { return special }
    if let (propagation, recursive) = Propagation.parse(option) {
      return .propagation(propagation, recursive: recursive)
    }
    // The recursive ones have an `r` in front of the plain ones.
    var rest = option.utf8[...]
    guard rest.popFirst() == 0x72 else { return nil }
    switch parsePlain(String(Substring(rest))) {
    case .attribute(let set, let clear, _):
      return .attribute(set: set, clear: clear, recursive: true)
    case .superblockFlag(let flag, let isSet):
      // crun has them for these three. A superblock has no mounts below it: they are the same as the plain ones.
      switch flag {
      case .synchronous, .mandatoryLocks: return .superblockFlag(flag, isSet: isSet)
      case .synchronousDirectories: return .superblockFlag(flag, isSet: isSet)
      default: return nil
      }
    default: return nil
    }
  }

  /// The options that have, or could have, a recursive form.
  private static func parsePlain(_ option: String) -> MountOption? {
    switch option {
    case "ro": attribute(set: .readOnly)
    case "rw": attribute(clear: .readOnly)
    case "nosuid": attribute(set: .noSetUserID)
    case "suid": attribute(clear: .noSetUserID)
    case "nodev": attribute(set: .noDevices)
    case "dev": attribute(clear: .noDevices)
    case "noexec": attribute(set: .noExecute)
    case "exec": attribute(clear: .noExecute)
    case "noatime": attribute(set: .noAccessTime)
    case "atime": attribute(clear: .noAccessTime)
    case "strictatime": attribute(set: .strictAccessTime)
    case "nostrictatime": attribute(clear: .strictAccessTime)
    case "relatime": attribute(clear: .accessTimeField)
    // Relatime is what a mount has that has neither of the other two, so there is nothing to take away.
    case "norelatime": attribute()
    case "nodiratime": attribute(set: .noDirectoryAccessTime)
    case "diratime": attribute(clear: .noDirectoryAccessTime)
    case "nosymfollow": attribute(set: .noSymlinkFollow)
    case "symfollow": attribute(clear: .noSymlinkFollow)
    case "sync": .superblockFlag(.synchronous, isSet: true)
    case "async": .superblockFlag(.synchronous, isSet: false)
    case "dirsync": .superblockFlag(.synchronousDirectories, isSet: true)
    case "lazytime": .superblockFlag(.lazyTime, isSet: true)
    case "nolazytime": .superblockFlag(.lazyTime, isSet: false)
    case "mand": .superblockFlag(.mandatoryLocks, isSet: true)
    case "nomand": .superblockFlag(.mandatoryLocks, isSet: false)
    case "iversion": .superblockFlag(.inodeVersion, isSet: true)
    case "noiversion": .superblockFlag(.inodeVersion, isSet: false)
    case "silent": .superblockFlag(.silent, isSet: true)
    case "loud": .superblockFlag(.silent, isSet: false)
    case "acl": .superblockFlag(.posixACL, isSet: true)
    case "noacl": .superblockFlag(.posixACL, isSet: false)
    default: nil
    }
  }

  private static func parseSpecial(_ option: String) -> MountOption? {
    switch option {
    case "defaults": return .nothing
    case "bind": return .bind(recursive: false)
    case "rbind": return .bind(recursive: true)
    case "remount": return .remount
    case "idmap": return .idMapped(recursive: false, mapping: nil)
    case "ridmap": return .idMapped(recursive: true, mapping: nil)
    case "tmpcopyup": return .extension(.copyUp)
    case "copy-symlink": return .extension(.copySymlink)
    case "src-nofollow": return .extension(.sourceNoFollow)
    case "dest-nofollow": return .extension(.destinationNoFollow)
    default: break
    }
    if let mapping = value(of: option, after: "idmap=") {
      return .idMapped(recursive: false, mapping: mapping)
    }
    if let mapping = value(of: option, after: "ridmap=") {
      return .idMapped(recursive: true, mapping: mapping)
    }
    return nil
  }

  private static func attribute(set: MountAttributes = [], clear: MountAttributes = []) -> MountOption {
    .attribute(set: set, clear: clear, recursive: false)
  }

  private static func value(of option: String, after prefix: StaticString) -> String? {
    var rest = option.utf8[...]
    for offset in 0..<prefix.utf8CodeUnitCount {
      guard rest.popFirst() == prefix.utf8Start[offset] else { return nil }
    }
    return String(Substring(rest))
  }

  /// Every name that ``parse(_:)`` knows, sorted: `mountOptions` of the features document.
  public static var allNames: [String] {
    [
      "acl", "async", "atime", "bind", "copy-symlink", "defaults", "dest-nofollow", "dev", "diratime",
      "dirsync",
      "exec", "idmap", "iversion", "lazytime", "loud", "mand", "noacl", "noatime", "nodev", "nodiratime",
      "noexec",
      "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime", "nosuid", "nosymfollow", "private",
      "rasync", "ratime", "rbind", "rdev", "rdiratime", "rdirsync", "relatime", "remount", "rexec", "ridmap",
      "rmand", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnomand", "rnorelatime", "rnostrictatime",
      "rnosuid", "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave",
      "rstrictatime", "rsuid", "rsymfollow", "rsync", "runbindable", "rw", "shared", "silent", "slave",
      "src-nofollow", "strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable",
    ]
  }
}

/// Options that the runtime itself carries out.
public enum MountExtension: UInt8, Sendable, Hashable, CaseIterable {
  /// `tmpcopyup`: what the root file system has at the destination is copied into the new tmpfs.
  case copyUp = 0
  /// `copy-symlink`: a source that is a symbolic link is made again at the destination, not mounted.
  case copySymlink = 1
  /// `src-nofollow`: a source that is a symbolic link is bound itself, not what it leads to.
  case sourceNoFollow = 2
  /// `dest-nofollow`: a destination that is a symbolic link is covered itself.
  case destinationNoFollow = 3
}
