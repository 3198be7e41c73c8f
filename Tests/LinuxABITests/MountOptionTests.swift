import LinuxABI
import Testing

/// The table of config.md, "Linux mount options", with what each option means to the kernel.
private let table: [(String, MountOption)] = [
  ("async", .superblockFlag(.synchronous, isSet: false)),
  ("atime", attribute(clear: .noAccessTime)),
  ("bind", .bind(recursive: false)),
  ("defaults", .nothing),
  ("dev", attribute(clear: .noDevices)),
  ("diratime", attribute(clear: .noDirectoryAccessTime)),
  ("dirsync", .superblockFlag(.synchronousDirectories, isSet: true)),
  ("exec", attribute(clear: .noExecute)),
  ("iversion", .superblockFlag(.inodeVersion, isSet: true)),
  ("lazytime", .superblockFlag(.lazyTime, isSet: true)),
  ("loud", .superblockFlag(.silent, isSet: false)),
  ("mand", .superblockFlag(.mandatoryLocks, isSet: true)),
  ("noatime", attribute(set: .noAccessTime)),
  ("nodev", attribute(set: .noDevices)),
  ("nodiratime", attribute(set: .noDirectoryAccessTime)),
  ("noexec", attribute(set: .noExecute)),
  ("noiversion", .superblockFlag(.inodeVersion, isSet: false)),
  ("nolazytime", .superblockFlag(.lazyTime, isSet: false)),
  ("nomand", .superblockFlag(.mandatoryLocks, isSet: false)),
  ("norelatime", attribute()),
  ("nostrictatime", attribute(clear: .strictAccessTime)),
  ("nosuid", attribute(set: .noSetUserID)),
  ("nosymfollow", attribute(set: .noSymlinkFollow)),
  ("private", .propagation(.private, recursive: false)),
  ("ratime", attribute(clear: .noAccessTime, recursive: true)),
  ("rbind", .bind(recursive: true)),
  ("rdev", attribute(clear: .noDevices, recursive: true)),
  ("rdiratime", attribute(clear: .noDirectoryAccessTime, recursive: true)),
  ("relatime", attribute(clear: .accessTimeField)),
  ("remount", .remount),
  ("rexec", attribute(clear: .noExecute, recursive: true)),
  ("rnoatime", attribute(set: .noAccessTime, recursive: true)),
  ("rnodev", attribute(set: .noDevices, recursive: true)),
  ("rnodiratime", attribute(set: .noDirectoryAccessTime, recursive: true)),
  ("rnoexec", attribute(set: .noExecute, recursive: true)),
  ("rnorelatime", attribute(recursive: true)),
  ("rnostrictatime", attribute(clear: .strictAccessTime, recursive: true)),
  ("rnosuid", attribute(set: .noSetUserID, recursive: true)),
  ("rnosymfollow", attribute(set: .noSymlinkFollow, recursive: true)),
  ("ro", attribute(set: .readOnly)),
  ("rprivate", .propagation(.private, recursive: true)),
  ("rrelatime", attribute(clear: .accessTimeField, recursive: true)),
  ("rro", attribute(set: .readOnly, recursive: true)),
  ("rrw", attribute(clear: .readOnly, recursive: true)),
  ("rshared", .propagation(.shared, recursive: true)),
  ("rslave", .propagation(.slave, recursive: true)),
  ("rstrictatime", attribute(set: .strictAccessTime, recursive: true)),
  ("rsuid", attribute(clear: .noSetUserID, recursive: true)),
  ("rsymfollow", attribute(clear: .noSymlinkFollow, recursive: true)),
  ("runbindable", .propagation(.unbindable, recursive: true)),
  ("rw", attribute(clear: .readOnly)),
  ("shared", .propagation(.shared, recursive: false)),
  ("silent", .superblockFlag(.silent, isSet: true)),
  ("slave", .propagation(.slave, recursive: false)),
  ("strictatime", attribute(set: .strictAccessTime)),
  ("suid", attribute(clear: .noSetUserID)),
  ("symfollow", attribute(clear: .noSymlinkFollow)),
  ("sync", .superblockFlag(.synchronous, isSet: true)),
  ("tmpcopyup", .extension(.copyUp)),
  ("unbindable", .propagation(.unbindable, recursive: false)),
  ("idmap", .idMapped(recursive: false, mapping: nil)),
  ("ridmap", .idMapped(recursive: true, mapping: nil)),
]

/// What the specification does not list and a peer knows.
private let more: [(String, MountOption)] = [
  ("acl", .superblockFlag(.posixACL, isSet: true)),
  ("noacl", .superblockFlag(.posixACL, isSet: false)),
  ("copy-symlink", .extension(.copySymlink)),
  ("src-nofollow", .extension(.sourceNoFollow)),
  ("dest-nofollow", .extension(.destinationNoFollow)),
  ("rsync", .superblockFlag(.synchronous, isSet: true)),
  ("rasync", .superblockFlag(.synchronous, isSet: false)),
  ("rdirsync", .superblockFlag(.synchronousDirectories, isSet: true)),
  ("rmand", .superblockFlag(.mandatoryLocks, isSet: true)),
  ("rnomand", .superblockFlag(.mandatoryLocks, isSet: false)),
]

private func attribute(
  set: MountAttributes = [], clear: MountAttributes = [], recursive: Bool = false
) -> MountOption {
  .attribute(set: set, clear: clear, recursive: recursive)
}

/// What options given one after the other ask for.
private func change(_ options: String...) -> MountAttributeChange {
  var change = MountAttributeChange()
  for option in options {
    guard case .attribute(let set, let clear, _) = MountOption.parse(option) else {
      Issue.record("`\(option)` is no attribute")
      continue
    }
    change.add(set: set, clear: clear)
  }
  return change
}

@Suite struct MountOptionTests {
  @Test func everyOptionOfTheSpecificationIsKnown() {
    #expect(table.count == 62)
    for (name, meaning) in table + more {
      #expect(MountOption.parse(name) == meaning, "\(name)")
    }
  }

  @Test func theListForFeaturesIsWhatIsKnown() {
    #expect(MountOption.allNames.sorted() == (table + more).map(\.0).sorted())
  }

  @Test func crunsMappingsComeAlong() {
    #expect(
      MountOption.parse("idmap=uids=0-1-10#10-11-10;gids=0-100-10")
        == .idMapped(recursive: false, mapping: "uids=0-1-10#10-11-10;gids=0-100-10"))
    #expect(MountOption.parse("ridmap=uids=@0-1-10") == .idMapped(recursive: true, mapping: "uids=@0-1-10"))
  }

  @Test(arguments: [
    "", "r", "size=64k", "mode=755", "rdefaults", "rremount", "rrbind", "rlazytime", "rsilent", "rtmpcopyup",
    "rrro", "RO",
    "ro ", "rootcontext=x", "rrprivate", "idmapped", "ridmapx", "nr_inodes=1", "rnoacl", "bind=1",
  ])
  func everythingElseIsForTheFileSystem(_ option: String) {
    #expect(MountOption.parse(option) == nil)
  }

  @Test func theLaterAttributeWins() {
    #expect(change("ro", "rw").set == [])
    #expect(change("ro", "rw").clear == .readOnly)
    #expect(change("rw", "ro").set == .readOnly)
    #expect(change("rw", "ro").clear == [])
    #expect(change("nosuid", "nodev", "suid").set == .noDevices)
  }

  @Test func theAccessTimeFieldIsAlwaysClearedWhole() {
    for option in ["noatime", "atime", "strictatime", "nostrictatime", "relatime"] {
      #expect(change(option).clear == .accessTimeField, "\(option)")
    }
    #expect(change("norelatime").isEmpty)
    #expect(change("nodiratime").clear == [])
    #expect(change("noatime").set == .noAccessTime)
    #expect(change("strictatime").set == .strictAccessTime)
    #expect(change("noatime", "strictatime").set == .strictAccessTime)
    #expect(change("strictatime", "noatime").set == .noAccessTime)
    #expect(change("noatime", "relatime").set == [])
    #expect(change("noatime", "atime").set == [])
    #expect(change("strictatime", "atime").set == .strictAccessTime)
    #expect(change("noatime", "nostrictatime").set == .noAccessTime)
    #expect(change("noatime", "ro").clear == .accessTimeField)
    #expect(change("ro", "noatime").set == [.readOnly, .noAccessTime])
  }

  @Test func aChangeAppliesToWhatAMountHas() {
    let before: MountAttributes = [.readOnly, .noSetUserID, .noAccessTime]
    #expect(change("rw", "strictatime").applied(to: before) == [.noSetUserID, .strictAccessTime])
    #expect(MountAttributeChange().applied(to: before) == before)
  }

  @Test func theNumbersAreThoseOfTheKernel() {
    #expect(Propagation.shared.flag.rawValue == 0x10_0000)
    #expect(Propagation.slave.flag.rawValue == 0x8_0000)
    #expect(Propagation.private.flag.rawValue == 0x4_0000)
    #expect(Propagation.unbindable.flag.rawValue == 0x2_0000)
    for propagation in Propagation.allCases {
      #expect(Propagation.parse(propagation.ociName)! == (propagation, false))
      #expect(Propagation.parse("r" + propagation.ociName)! == (propagation, true))
    }
    #expect(Propagation.parse("rw") == nil)
    #expect(SuperblockFlag.lazyTime.mountFlag.rawValue == 1 << 25)
    #expect(SuperblockFlag.inodeVersion.mountFlag.rawValue == 1 << 23)
    #expect(SuperblockFlag.synchronous.parameter(isSet: true) == "sync")
    #expect(SuperblockFlag.synchronous.parameter(isSet: false) == "async")
    #expect(SuperblockFlag.silent.parameter(isSet: true) == nil)
    #expect(SuperblockFlag.inodeVersion.mayBeUnknown && !SuperblockFlag.synchronous.mayBeUnknown)
  }
}
