/// Options that a runtime lacks or understands otherwise; should it do as the table says after all, the run fails.
struct MountOptionDifference: Sendable {
  let runtime: String
  let options: Set<String>
  let kinds: Set<MountKind>
  let reason: String

  static let all = runc + crun

  private static let bound: Set<MountKind> = [.boundFolder, .boundFile, .boundTree]
  private static let every = Set(MountKind.allCases)

  /// 1.1.5
  private static let runc: [MountOptionDifference] = [
    MountOptionDifference(
      runtime: "runc", options: ["rw", "suid", "dev", "exec", "symfollow", "atime", "nostrictatime", "diratime"],
      kinds: bound, reason: "a flag of the source is cleared only where another one is set"),
    MountOptionDifference(
      runtime: "runc", options: ["ratime", "rnostrictatime"], kinds: bound,
      reason: "clears a part of the access time field, which the kernel refuses"),
    MountOptionDifference(
      runtime: "runc",
      options: [
        "rro", "rrw", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnosymfollow", "rsymfollow",
        "rnoatime", "ratime", "rstrictatime", "rnostrictatime", "rrelatime", "rnodiratime", "rdiratime",
      ], kinds: [.tmpfs], reason: "applies the recursive options to bind mounts only"),
    MountOptionDifference(
      runtime: "runc", options: ["relatime"], kinds: [.tmpfs], reason: "noatime before it stays"),
    MountOptionDifference(
      runtime: "runc", options: ["rsync", "rasync", "rdirsync", "rmand", "rnomand", "defaults"], kinds: [.tmpfs],
      reason: "gives it to the file system, which refuses it"),
  ]

  /// 1.8.1
  private static let crun: [MountOptionDifference] = [
    MountOptionDifference(
      runtime: "crun", options: ["rw", "suid", "dev", "exec", "rrw", "async", "nomand"], kinds: [.tmpfs],
      reason: "does not take back what stands before it"),
    MountOptionDifference(
      runtime: "crun", options: ["relatime", "rrelatime"], kinds: [.tmpfs], reason: "noatime before it stays"),
    MountOptionDifference(
      runtime: "crun", options: ["atime", "nostrictatime", "diratime"], kinds: every,
      reason: "leaves the time of access as it is"),
    MountOptionDifference(
      runtime: "crun",
      options: [
        "nosymfollow", "symfollow", "rnosymfollow", "rsymfollow", "iversion", "noiversion", "silent", "loud",
        "acl", "noacl",
      ], kinds: [.tmpfs], reason: "gives it to the file system, which refuses it"),
    MountOptionDifference(
      runtime: "crun", options: ["nosymfollow", "rnosymfollow"], kinds: [.boundFolder, .boundTree],
      reason: "does not know it, and passes over it"),
    MountOptionDifference(
      runtime: "crun", options: ["nosymfollow"], kinds: [.boundFile],
      reason: "does not know it, and passes over it"),
    MountOptionDifference(
      runtime: "crun", options: ["rsymfollow"], kinds: [.boundTree], reason: "does not know it, and passes over it"),
    MountOptionDifference(
      runtime: "crun",
      options: [
        "rnoatime", "ratime", "rstrictatime", "rnostrictatime", "rnodiratime", "rdiratime", "rsync", "rasync",
        "rmand", "rnomand",
      ], kinds: [.tmpfs, .boundFolder, .boundTree],
      reason: "gives mount_setattr(2) the flags of mount(2), which it refuses"),
    MountOptionDifference(
      runtime: "crun", options: ["rrelatime", "rdirsync"], kinds: every,
      reason: "gives mount_setattr(2) the flags of mount(2), which mean something else there"),
    MountOptionDifference(
      runtime: "crun",
      options: [
        "rro", "rrw", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnosymfollow", "rnoatime", "ratime",
        "rstrictatime", "rnostrictatime", "rnorelatime", "rnodiratime", "rdiratime", "rsync", "rasync", "rmand",
        "rnomand",
      ], kinds: [.boundFile], reason: "opens the target as a folder"),
    MountOptionDifference(
      runtime: "crun", options: ["shared", "rshared", "unbindable", "runbindable"], kinds: every,
      reason: "makes all mounts private at the end"),
    MountOptionDifference(
      runtime: "crun", options: ["slave", "rslave"], kinds: bound, reason: "makes all mounts private at the end"),
    MountOptionDifference(
      runtime: "crun", options: ["private"], kinds: [.boundTree], reason: "makes all mounts private at the end"),
  ]
}
