import Testing

/// One option of config.md, "Linux mount options", or of a peer, with what it does to a mount.
struct MountOptionRow: Sendable {
  enum Effect: Sendable {
    /// Words of ``MountState``: what the mount has before, and with the option.
    case attribute(before: [String], after: [String])
    /// Words of the file system in mountinfo, which a bind mount cannot change.
    case superblock(before: [String], after: [String])
    /// The optional fields of mountinfo without their numbers, for a bind mount of a shared mount of the host and for a
    /// new file system.
    case propagation(bound: [String], new: [String])
    /// Accepted, and nothing is different.
    case nothing
    /// Something that only its own check can see.
    case special
  }

  let option: String
  let effect: Effect
  /// True where the mounts below are changed too.
  let isRecursive: Bool

  init(_ option: String, _ effect: Effect, isRecursive: Bool = false) {
    self.option = option
    self.effect = effect
    self.isRecursive = isRecursive
  }

  static let all: [MountOptionRow] =
    attributes.map { MountOptionRow($0, .attribute(before: $1, after: $2)) }
    + attributes.map { MountOptionRow("r" + $0, .attribute(before: $1, after: $2), isRecursive: true) }
    + superblock + propagation + nothing
    + [
      "bind", "rbind", "remount", "idmap", "ridmap", "tmpcopyup", "copy-symlink", "src-nofollow",
      "dest-nofollow",
    ].map { MountOptionRow($0, .special) }

  /// Each of them has a recursive form.
  private static let attributes: [(String, [String], [String])] = [
    ("ro", [], ["ro"]), ("rw", ["ro"], []),
    ("nosuid", [], ["nosuid"]), ("suid", ["nosuid"], []),
    ("nodev", [], ["nodev"]), ("dev", ["nodev"], []),
    ("noexec", [], ["noexec"]), ("exec", ["noexec"], []),
    ("nosymfollow", [], ["nosymfollow"]), ("symfollow", ["nosymfollow"], []),
    ("noatime", [], ["noatime"]), ("atime", ["noatime"], []),
    ("strictatime", [], ["strictatime"]), ("nostrictatime", ["strictatime"], []),
    // Relatime is what a mount has that has neither of the other two.
    ("relatime", ["noatime"], []), ("norelatime", [], []),
    ("nodiratime", [], ["nodiratime"]), ("diratime", ["nodiratime"], []),
  ]

  private static let superblock: [MountOptionRow] = [
    MountOptionRow("sync", .superblock(before: [], after: ["sync"])),
    MountOptionRow("rsync", .superblock(before: [], after: ["sync"])),
    MountOptionRow("async", .superblock(before: ["sync"], after: [])),
    MountOptionRow("rasync", .superblock(before: ["sync"], after: [])),
    MountOptionRow("dirsync", .superblock(before: [], after: ["dirsync"])),
    MountOptionRow("rdirsync", .superblock(before: [], after: ["dirsync"])),
    MountOptionRow("mand", .superblock(before: [], after: ["mand"])),
    MountOptionRow("rmand", .superblock(before: [], after: ["mand"])),
    MountOptionRow("nomand", .superblock(before: ["mand"], after: [])),
    MountOptionRow("rnomand", .superblock(before: ["mand"], after: [])),
    MountOptionRow("lazytime", .superblock(before: [], after: ["lazytime"])),
    MountOptionRow("nolazytime", .superblock(before: ["lazytime"], after: [])),
  ]

  private static let propagation: [MountOptionRow] = [
    ("private", [], []), ("slave", ["master"], []), ("shared", ["master", "shared"], ["shared"]),
    ("unbindable", ["unbindable"], ["unbindable"]),
  ].flatMap { (name: String, bound: [String], new: [String]) in
    [
      MountOptionRow(name, .propagation(bound: bound, new: new)),
      MountOptionRow("r" + name, .propagation(bound: bound, new: new), isRecursive: true),
    ]
  }

  /// The kernel shows nothing of these: today's file systems always count changes, and always have access lists where
  /// they have them at all.
  private static let nothing = [
    "defaults", "iversion", "noiversion", "silent", "loud", "acl", "noacl",
  ].map { MountOptionRow($0, .nothing) }
}

/// What a mount can be.
enum MountKind: String, Sendable, CaseIterable {
  case tmpfs
  case boundFolder = "bound folder"
  case boundFile = "bound file"
  case boundTree = "bound tree with a mount below"
}

/// One option on one kind of mount.
struct MountOptionCase: Sendable, CustomTestStringConvertible {
  let row: MountOptionRow
  let kind: MountKind

  var testDescription: String { "\(row.option) on a \(kind.rawValue)" }

  static let all: [MountOptionCase] = MountOptionRow.all.flatMap { row in
    if case .special = row.effect { return [MountOptionCase]() }
    return MountKind.allCases.map { MountOptionCase(row: row, kind: $0) }
  }

  /// Why a runtime does otherwise.
  var differences: [String: String] {
    let found = MountOptionDifference.all.filter { $0.options.contains(row.option) && $0.kinds.contains(kind) }
    return Dictionary(found.map { ($0.runtime, $0.reason) }, uniquingKeysWith: { first, _ in first })
  }
}
