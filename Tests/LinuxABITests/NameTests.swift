import Foundation
import LinuxABI
import Testing

@Suite struct NameTests {
  @Test func everyCapabilityHasItsNameAndNumber() {
    #expect(Capability.allCases.count == 41)
    for capability in Capability.allCases {
      #expect(capability.name.hasPrefix("CAP_"))
      #expect(Capability(name: capability.name) == capability)
      #expect(Capability(number: Int(capability.rawValue)) == capability)
    }
    let samples: [(String, UInt8)] = [
      ("CAP_CHOWN", 0), ("CAP_KILL", 5), ("CAP_SETPCAP", 8), ("CAP_NET_RAW", 13), ("CAP_SYS_ADMIN", 21),
      ("CAP_MKNOD", 27), ("CAP_SETFCAP", 31), ("CAP_SYSLOG", 34), ("CAP_AUDIT_READ", 37),
      ("CAP_CHECKPOINT_RESTORE", 40),
    ]
    for (name, number) in samples { #expect(Capability(name: name)?.rawValue == number) }
    #expect(Capability(name: "CAP_NONE") == nil)
    #expect(Capability(name: "cap_chown") == nil)
    #expect(Capability(name: "CHOWN") == nil)
    #expect(Capability(number: 41) == nil)
    #expect(Capability(number: -1) == nil)
    #expect(Capability(number: 256) == nil)
  }

  /// The numbers of linux/landlock.h.
  @Test func landlockNamesStandForTheBitsOfTheKernel() {
    let samples: [(LandlockSet, String, UInt64)] = [
      (.files, "execute", 1), (.files, "write_file", 2), (.files, "read_file", 4), (.files, "read_dir", 8),
      (.files, "remove_dir", 0x10), (.files, "remove_file", 0x20), (.files, "make_char", 0x40),
      (.files, "make_dir", 0x80), (.files, "make_reg", 0x100), (.files, "make_sock", 0x200),
      (.files, "make_fifo", 0x400), (.files, "make_block", 0x800), (.files, "make_sym", 0x1000),
      (.files, "refer", 0x2000), (.files, "truncate", 0x4000), (.files, "ioctl_dev", 0x8000),
      (.network, "bind_tcp", 1), (.network, "connect_tcp", 2), (.scopes, "abstract_unix_socket", 1),
      (.scopes, "signal", 2), (.flags, "log_same_exec_off", 1), (.flags, "log_new_exec_on", 2),
      (.flags, "log_subdomains_off", 4),
    ]
    for (set, name, bit) in samples {
      #expect(set.bit(name) == bit, "\(name)")
      #expect(set.names(of: bit) == [name])
    }
    #expect(LandlockSet.allCases.map(\.names.count).reduce(0, +) == samples.count)
    for set in LandlockSet.allCases { #expect(set.known(toABI: 7) == 1 << UInt64(set.names.count) - 1) }
    let rights = LandlockSet.files.names(of: LandlockSet.rightsOfFiles)
    #expect(rights == ["execute", "write_file", "read_file", "truncate", "ioctl_dev"])
    #expect(LandlockSet.files.group("read") == 0b1100 && LandlockSet.files.bit("read") == nil)
    let all = LandlockSet.files.names(of: LandlockSet.files.group("write") ?? 0)
    #expect(!all.contains { ["execute", "read_file", "read_dir", "ioctl_dev"].contains($0) } && all.count == 12)
  }

  @Test func capabilitySetsAreMasks() {
    var set = CapabilitySet([.changeOwner, .checkpointRestore])
    #expect(set.rawValue == 1 | 1 << 40)
    set.insert(.kill)
    set.remove(.changeOwner)
    #expect(set.capabilities == [.kill, .checkpointRestore])
    #expect(set.contains(.kill) && !set.contains(.changeOwner))
    #expect(CapabilitySet.all.rawValue == (1 << 41) - 1)
    #expect(CapabilitySet(Capability.systemAdmin).rawValue == 1 << 21)
  }

  @Test func everyResourceHasItsNameAndNumber() {
    let names = [
      "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS",
      "SIGPENDING",
      "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
    ]
    #expect(Resource.allCases.map(\.name) == names.map { "RLIMIT_" + $0 })
    for (number, name) in names.enumerated() {
      #expect(Resource(name: "RLIMIT_" + name)?.rawValue == UInt8(number))
    }
    #expect(Resource(name: "NOFILE") == nil)
  }

  @Test func everySignalHasItsNameAndNumber() {
    let names = [
      "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
      "ALRM",
      "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM",
      "PROF",
      "WINCH", "IO", "PWR", "SYS",
    ]
    for (index, name) in names.enumerated() {
      let number = Int32(index + 1)
      #expect(SignalName.parse(name) == number)
      #expect(SignalName.parse("SIG" + name) == number)
      #expect(SignalName.parse(name.lowercased()) == number)
      #expect(SignalName.parse("sig" + name.lowercased()) == number)
      #expect(SignalName.parse("\(number)") == number)
      #expect(SignalName.name(of: number) == "SIG" + name)
    }
    for number in SignalName.realtimeMinimum...SignalName.realtimeMaximum {
      #expect(SignalName.name(of: number).flatMap(SignalName.parse) == number)
    }
    #expect(SignalName.name(of: 37) == "SIGRTMIN+3")
    #expect(SignalName.name(of: 62) == "SIGRTMAX-2")
    for number in [Int32(-1), 0, 32, 33, 65] { #expect(SignalName.name(of: number) == nil) }
  }

  @Test(arguments: [
    ("0", 0), ("64", 64), ("CLD", 17), ("POLL", 29), ("IOT", 6), ("UNUSED", 31), ("RTMIN", 34),
    ("SIGRTMIN+30", 64),
    ("rtmax", 64), ("RTMAX-30", 34), ("SIGRTMAX-1", 63),
  ])
  func otherSpellingsOfSignals(_ text: String, _ number: Int32) {
    #expect(SignalName.parse(text) == number)
  }

  @Test(arguments: [
    "", "SIG", "FOO", "65", "-1", "+9", "9x", "0x9", " 9", "1000", "SIGSIGTERM", "RTMIN-1", "RTMAX+1",
    "RTMIN+", "RTMIN+31",
    "RTMIN3", "RTM", "RTMINX", "SIGRTMIN+300", "SIGTERM\n", "99999999999999999999",
  ])
  func whatIsNoSignalIsRefused(_ text: String) {
    #expect(SignalName.parse(text) == nil)
  }

  @Test func everyNamespaceHasItsNamesAndFlag() {
    let expected: [(NamespaceKind, String, String, UInt64)] = [
      (.pid, "pid", "pid", 0x2000_0000), (.network, "network", "net", 0x4000_0000),
      (.mount, "mount", "mnt", 0x20000),
      (.ipc, "ipc", "ipc", 0x800_0000), (.uts, "uts", "uts", 0x400_0000),
      (.user, "user", "user", 0x1000_0000),
      (.cgroup, "cgroup", "cgroup", 0x200_0000), (.time, "time", "time", 0x80),
    ]
    #expect(NamespaceKind.allCases.count == expected.count)
    for (kind, oci, proc, flag) in expected {
      #expect(kind.ociName == oci)
      #expect(NamespaceKind(ociName: oci) == kind)
      #expect(kind.procName == proc)
      #expect(kind.cloneFlag.rawValue == flag)
      #expect(FileManager.default.fileExists(atPath: "/proc/self/ns/" + kind.procName))
      #expect(FileManager.default.fileExists(atPath: "/proc/self/ns/" + kind.procNameForChildren))
    }
    #expect(NamespaceKind(ociName: "net") == nil)
  }

  @Test(
    arguments: [
      (1, 3, 0x103), (5, 1, 0x501), (136, 0, 0x8800), (0xFFF, 0xFFFFF, 0xFFFF_FFFF), (8, 256, 0x100800),
      (0x12345, 0xABCDE, 0x1_2000_ABC3_45DE),
    ] as [(UInt32, UInt32, UInt64)])
  func deviceNumbersAreThoseOfMakedev(_ major: UInt32, _ minor: UInt32, _ raw: UInt64) {
    let number = DeviceNumber(major: major, minor: minor)
    #expect(number.rawValue == raw)
    #expect(DeviceNumber(rawValue: raw) == number)
  }

  @Test func devicesOfTheMachineHaveTheNumbersTheyShould() throws {
    let attributes = try FileManager.default.attributesOfItem(atPath: "/dev/null")
    let identifier = try #require(attributes[.deviceIdentifier] as? NSNumber)
    #expect(DeviceNumber(rawValue: identifier.uint64Value) == DeviceNumber(major: 1, minor: 3))
    #expect(DeviceNumber(major: 4096, minor: 0).isValid == false)
    #expect(DeviceNumber(major: 4095, minor: 0xFFFFF).isValid)
    #expect(DeviceNumber(major: 0, minor: 0x100000).isValid == false)
  }

  @Test func deviceTypesHaveTheirLetters() {
    #expect(DeviceType(ociName: "c") == .character)
    #expect(DeviceType(ociName: "u") == .character)
    #expect(DeviceType(ociName: "b") == .block)
    #expect(DeviceType(ociName: "p") == .fifo)
    #expect(DeviceType(ociName: "a") == nil)
    for type in DeviceType.allCases { #expect(DeviceType(ociName: type.ociName) == type) }
    #expect(FileKind(mode: 0o020666) == .characterDevice)
    #expect(FileKind(mode: 0o100644) == .regular)
    #expect(FileKind(mode: 0) == nil)
  }
}
