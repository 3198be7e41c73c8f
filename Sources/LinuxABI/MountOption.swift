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

  /// The options that change attributes. Each has a recursive form with an `r` in front.
  private static let attributes: [(name: String, set: MountAttributes, clear: MountAttributes)] = [
    ("ro", .readOnly, []), ("rw", [], .readOnly),
    ("nosuid", .noSetUserID, []), ("suid", [], .noSetUserID),
    ("nodev", .noDevices, []), ("dev", [], .noDevices),
    ("noexec", .noExecute, []), ("exec", [], .noExecute),
    ("noatime", .noAccessTime, []), ("atime", [], .noAccessTime),
    ("strictatime", .strictAccessTime, []), ("nostrictatime", [], .strictAccessTime),
    // Relatime is what a mount has that has neither of the other two, so there is nothing to take away.
    ("relatime", [], .accessTimeField), ("norelatime", [], []),
    ("nodiratime", .noDirectoryAccessTime, []), ("diratime", [], .noDirectoryAccessTime),
    ("nosymfollow", .noSymlinkFollow, []), ("symfollow", [], .noSymlinkFollow),
  ]

  /// The options for the file system as a whole. A superblock has no mounts below it; crun still has a recursive form of
  /// some, which is the same as the plain one.
  private static let superblockFlags: [(name: String, flag: SuperblockFlag, isSet: Bool, isRecursive: Bool)] = [
    ("sync", .synchronous, true, true), ("async", .synchronous, false, true),
    ("dirsync", .synchronousDirectories, true, true),
    ("mand", .mandatoryLocks, true, true), ("nomand", .mandatoryLocks, false, true),
    ("lazytime", .lazyTime, true, false), ("nolazytime", .lazyTime, false, false),
    ("iversion", .inodeVersion, true, false), ("noiversion", .inodeVersion, false, false),
    ("silent", .silent, true, false), ("loud", .silent, false, false),
    ("acl", .posixACL, true, false), ("noacl", .posixACL, false, false),
  ]

  private static let others: [(name: String, meaning: MountOption)] = [
    ("defaults", .nothing), ("remount", .remount),
    ("bind", .bind(recursive: false)), ("rbind", .bind(recursive: true)),
    ("idmap", .idMapped(recursive: false, mapping: nil)), ("ridmap", .idMapped(recursive: true, mapping: nil)),
    ("tmpcopyup", .extension(.copyUp)), ("copy-symlink", .extension(.copySymlink)),
    ("src-nofollow", .extension(.sourceNoFollow)), ("dest-nofollow", .extension(.destinationNoFollow)),
  ]

  /// Every name that ``parse(_:)`` knows, once: `mountOptions` of the features document.
  public static var allNames: [String] {
    var names: [String] = []
    for row in attributes { names += [row.name, "r" + row.name] }
    for row in superblockFlags {
      names.append(row.name)
      if row.isRecursive { names.append("r" + row.name) }
    }
    for kind in Propagation.allCases { names += [kind.ociName, "r" + kind.ociName] }
    for row in others { names.append(row.name) }
    return names
  }

  /// The meaning of `option`; nil if it is one for the file system itself (`size=64k`).
  public static func parse(_ option: String) -> MountOption? {
    if let known = find(option, recursive: false) { return known }
    for row in others where row.name == option { return row.meaning }
    if let (propagation, recursive) = Propagation.parse(option) {
      return .propagation(propagation, recursive: recursive)
    }
    if let mapping = value(of: option, after: "idmap=") {
      return .idMapped(recursive: false, mapping: mapping)
    }
    if let mapping = value(of: option, after: "ridmap=") {
      return .idMapped(recursive: true, mapping: mapping)
    }
    guard let rest = value(of: option, after: "r") else { return nil }
    return find(rest, recursive: true)
  }

  private static func find(_ name: String, recursive: Bool) -> MountOption? {
    for row in attributes where row.name == name {
      return .attribute(set: row.set, clear: row.clear, recursive: recursive)
    }
    for row in superblockFlags where row.name == name && (row.isRecursive || !recursive) {
      return .superblockFlag(row.flag, isSet: row.isSet)
    }
    return nil
  }

  private static func value(of option: String, after prefix: StaticString) -> String? {
    var rest = option.utf8[...]
    for offset in 0..<prefix.utf8CodeUnitCount {
      guard rest.popFirst() == prefix.utf8Start[offset] else { return nil }
    }
    return String(Substring(rest))
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
