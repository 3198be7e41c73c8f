/// Every flag of the command line. The parser stores values under these, so that a misspelt name does not compile.
enum Flag: UInt8, Sendable {
  case help
  // Global
  case version
  case root
  case log
  case logFormat
  case debug
  case systemdCgroup
  case rootless
  case cgroupManager
  // Of commands
  case bundle
  case consoleSocket
  case pidFile
  case pidfdSocket
  case noPivot
  case noNewKeyring
  case preserveFds
  case detach
  case keep
  case noSubreaper
  case all
  case force
  case format
  case quiet
  case process
  case environment
  case workingDirectory
  case terminal
  case user
  case additionalGroups
  case capability
  case noNewPrivileges
  case processLabel
  case appArmor
  case cgroup
  case ignorePaused
  case interval
  case stats
  case resources
  case memory
  case memoryReservation
  case memorySwap
  case cpuShare
  case cpuShares
  case cpuQuota
  case cpuPeriod
  case cpuBurst
  case cpuIdle
  case cpuRtRuntime
  case cpuRtPeriod
  case cpusetCpus
  case cpusetMems
  case pidsLimit
  case blkioWeight
  case l3CacheSchema
  case memBwSchema
  case kernelMemory
  case kernelMemoryTcp
  case imagePath
  case workPath
  case parentPath
  case leaveRunning
  case tcpEstablished
  case tcpSkipInFlight
  case linkRemap
  case extUnixSk
  case shellJob
  case lazyPages
  case statusFd
  case pageServer
  case fileLocks
  case preDump
  case manageCgroupsMode
  case emptyNs
  case autoDedup
  case lsmProfile
  case lsmMountContext
}

/// A row of the table from which flags are parsed and `--help` is printed.
struct FlagSpecification: Sendable {
  let flag: Flag
  /// The long name, without dashes.
  let name: String
  /// The one-letter name, without the dash; empty if there is none.
  let short: String
  /// What the value is, as the help names it; empty for a switch.
  let value: String
  let summary: String

  var isSwitch: Bool { value.isEmpty }

  init(_ flag: Flag, _ name: String, short: String = "", value: String = "", _ summary: String) {
    self.flag = flag
    self.name = name
    self.short = short
    self.value = value
    self.summary = summary
  }

  /// Stands in every table.
  static let help = FlagSpecification(.help, "help", short: "h", "print this help")
}

/// Where flags may stand between the operands of a command.
enum FlagPlacement: Sendable {
  /// Anywhere, up to `--`.
  case anywhere
  /// The operand of this number (the first is 1) and all behind it are operands: what follows the command that `exec`
  /// runs belongs to that command.
  case beforeOperand(Int)
}

/// A row of the table of commands.
struct CommandSpecification: Sendable {
  let name: String
  let summary: String
  /// The operands as the help names them: `<container-id> [signal]`.
  let operands: String
  let operandCount: ClosedRange<Int>
  let placement: FlagPlacement
  let flags: [FlagSpecification]
  /// Whole lines, for the help of the command.
  let description: String

  init(
    _ name: String, _ summary: String, operands: String, operandCount: ClosedRange<Int>,
    placement: FlagPlacement = .anywhere, flags: [FlagSpecification], description: String
  ) {
    self.name = name
    self.summary = summary
    self.operands = operands
    self.operandCount = operandCount
    self.placement = placement
    self.flags = flags
    self.description = description
  }
}
