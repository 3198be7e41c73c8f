import ContainerRuntime
import Diagnostics
import OCISpec

/// `update`: other limits for a container.
struct UpdateCommand: Equatable, Sendable {
  var id: String
  var resourcesFile: String?
  var resources = Resources()
  var cacheSchema: String?
  var bandwidthSchema: String?
  /// Flags that are taken and have no effect.
  var ignored: [String] = []

  static var specification: CommandSpecification {
    CommandSpecification(
      "update", "change the limits of a container",
      operands: "<container-id>", operandCount: 1...1, flags: flags,
      description: """
        The container is created, running or paused. What is not given stays as it is. If one value is refused,
        those before it are put back: all of it holds, or nothing has changed. With --resources the flags for
        single limits are ignored. Bytes may have a unit: `512k`, `1.5GiB`; all units are powers of 1024.
        """)
  }

  private static var flags: [FlagSpecification] {
    [
      FlagSpecification(
        .resources, "resources", short: "r", value: "FILE",
        "a document like `linux.resources`; `-` for standard input"),
      FlagSpecification(.memory, "memory", value: "BYTES", "the memory limit, -1 for none"),
      FlagSpecification(.memoryReservation, "memory-reservation", value: "BYTES", "the soft limit"),
      FlagSpecification(
        .memorySwap, "memory-swap", value: "BYTES", "the limit of memory and swap together, -1 for none"),
      FlagSpecification(.cpuShare, "cpu-share", value: "N", "the share of CPU time, 2 to 262144"),
      FlagSpecification(.cpuShares, "cpu-shares", value: "N", "the same"),
      FlagSpecification(.cpuQuota, "cpu-quota", value: "USEC", "CPU time in one period, -1 for no limit"),
      FlagSpecification(.cpuPeriod, "cpu-period", value: "USEC", "the length of a period"),
      FlagSpecification(.cpuBurst, "cpu-burst", value: "USEC", "CPU time that may be saved up"),
      FlagSpecification(.cpuIdle, "cpu-idle", value: "0|1", "1 for SCHED_IDLE"),
      FlagSpecification(.cpuRtRuntime, "cpu-rt-runtime", value: "USEC", "real-time CPU time, cgroup v1 only"),
      FlagSpecification(.cpuRtPeriod, "cpu-rt-period", value: "USEC", "the period of that, cgroup v1 only"),
      FlagSpecification(.cpusetCpus, "cpuset-cpus", value: "LIST", "the CPUs: `0-3,7`"),
      FlagSpecification(.cpusetMems, "cpuset-mems", value: "LIST", "the memory nodes"),
      FlagSpecification(.pidsLimit, "pids-limit", value: "N", "the number of tasks, -1 for no limit"),
      FlagSpecification(.blkioWeight, "blkio-weight", value: "N", "the weight on block devices, 10 to 1000"),
      FlagSpecification(.l3CacheSchema, "l3-cache-schema", value: "LINE", "the line of resctrl for the L3 cache"),
      FlagSpecification(
        .memBwSchema, "mem-bw-schema", value: "LINE", "the line of resctrl for the memory bandwidth"),
      FlagSpecification(.kernelMemory, "kernel-memory", value: "BYTES", "without effect"),
      FlagSpecification(.kernelMemoryTcp, "kernel-memory-tcp", value: "BYTES", "without effect"),
    ]
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    resourcesFile = scanned.text(.resources)
    cacheSchema = scanned.text(.l3CacheSchema)
    bandwidthSchema = scanned.text(.memBwSchema)
    if resourcesFile != nil { return }
    if scanned.text(.kernelMemory) != nil { ignored.append("--kernel-memory") }
    if scanned.text(.kernelMemoryTcp) != nil { ignored.append("--kernel-memory-tcp") }
    resources.memory = try UpdateCommand.memory(scanned)
    resources.cpu = try UpdateCommand.cpu(scanned)
    if let limit: Int64 = try UpdateCommand.number(scanned, .pidsLimit) { resources.pids = PidsResources(limit: limit) }
    if let weight: UInt16 = try UpdateCommand.number(scanned, .blkioWeight) {
      resources.blockIO = BlockIOResources(weight: weight)
    }
  }

  private static func memory(_ scanned: ScannedArguments) throws(RuntimeError) -> MemoryResources {
    func bytes(_ flag: Flag) throws(RuntimeError) -> Int64? {
      guard let text = scanned.text(flag), !text.isEmpty else { return nil }
      if text == "-1" { return -1 }
      if let bytes = ByteSize.parse(text) { return bytes }
      throw RuntimeError(
        .usage, "invalid value `\(text)`, expected bytes such as `512m`, or -1 for no limit", field: name(flag))
    }
    var memory = MemoryResources()
    memory.limit = try bytes(.memory)
    memory.reservation = try bytes(.memoryReservation)
    memory.swap = try bytes(.memorySwap)
    return memory
  }

  private static func cpu(_ scanned: ScannedArguments) throws(RuntimeError) -> CPUResources {
    var cpu = CPUResources()
    cpu.shares = try number(scanned, scanned.has(.cpuShare) ? .cpuShare : .cpuShares)
    cpu.quota = try number(scanned, .cpuQuota)
    cpu.burst = try number(scanned, .cpuBurst)
    cpu.period = try number(scanned, .cpuPeriod)
    cpu.realtimeRuntime = try number(scanned, .cpuRtRuntime)
    cpu.realtimePeriod = try number(scanned, .cpuRtPeriod)
    cpu.idle = try number(scanned, .cpuIdle)
    cpu.cpus = scanned.text(.cpusetCpus)
    cpu.mems = scanned.text(.cpusetMems)
    return cpu
  }

  private static func number<T: FixedWidthInteger>(
    _ scanned: ScannedArguments, _ flag: Flag
  ) throws(RuntimeError) -> T? {
    // An empty value is none, as in runc.
    guard let text = scanned.text(flag), !text.isEmpty else { return nil }
    if let number = T(text) { return number }
    throw RuntimeError(
      .usage, "invalid value `\(text)`, expected a number from \(T.min) to \(T.max)", field: name(flag))
  }

  private static func name(_ flag: Flag) -> String {
    "--" + (flags.first { $0.flag == flag }?.name ?? "")
  }

  func run(_ session: Session) throws(RuntimeError) {
    var options = UpdateOptions()
    options.resourcesFile = resourcesFile
    options.resources = resources
    options.cacheSchema = cacheSchema
    options.bandwidthSchema = bandwidthSchema
    do {
      try session.runtime().update(id, options)
    } catch {
      var error = error
      if resourcesFile == nil, let flag = UpdateCommand.flag(error.field) { error.field = UpdateCommand.name(flag) }
      throw error
    }
    for name in ignored { session.log.sink.warning("`\(name)` is ignored: the kernel has no such limit any more") }
  }

  /// The flag of a property.
  private static func flag(_ pointer: String) -> Flag? {
    switch pointer {
    case "/memory/limit": .memory
    case "/memory/reservation": .memoryReservation
    case "/memory/swap": .memorySwap
    case "/cpu/shares": .cpuShare
    case "/cpu/quota": .cpuQuota
    case "/cpu/period": .cpuPeriod
    case "/cpu/burst": .cpuBurst
    case "/cpu/idle": .cpuIdle
    case "/cpu/realtimeRuntime": .cpuRtRuntime
    case "/cpu/realtimePeriod": .cpuRtPeriod
    case "/cpu/cpus": .cpusetCpus
    case "/cpu/mems": .cpusetMems
    case "/pids/limit": .pidsLimit
    case "/blockIO/weight": .blkioWeight
    default: nil
    }
  }
}

/// A number of bytes as Docker's tools write them: `1048576`, `512k`, `1.5GiB`, `64 MB`. Every unit is a power of 1024.
enum ByteSize {
  static func parse(_ text: String) -> Int64? {
    var rest = [UInt8](text.utf8)[...]
    guard let whole = digits(&rest) else { return nil }
    var fraction = 0.0
    if rest.first == 0x2E /* . */ {
      rest.removeFirst()
      let start = rest
      guard digits(&rest) != nil else { return nil }
      var place = 0.1
      for digit in start.prefix(start.count - rest.count) {
        fraction += Double(digit - 0x30) * place
        place /= 10
      }
    }
    guard let shift = shift(rest) else { return nil }
    let unit = Int64(1) << shift
    let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
    let (sum, carry) = product.addingReportingOverflow(Int64(fraction * Double(unit)))
    return overflow || carry ? nil : sum
  }

  /// At least one digit; nil also for more than fit into 64 bits.
  private static func digits(_ rest: inout ArraySlice<UInt8>) -> Int64? {
    var value: Int64?
    while let digit = rest.first, digit >= 0x30 && digit <= 0x39 {
      let (product, overflow) = (value ?? 0).multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int64(digit - 0x30))
      if overflow || carry { return nil }
      value = sum
      rest.removeFirst()
    }
    return value
  }

  /// The power of 2 of a unit; nil for one that there is not.
  private static func shift(_ text: ArraySlice<UInt8>) -> Int64? {
    var unit = text.map { $0 >= 0x41 && $0 <= 0x5A ? $0 + 0x20 : $0 }[...]
    if unit.first == 0x20 { unit.removeFirst() }
    guard let letter = unit.first else { return 0 }
    var power: Int64 = 0
    switch letter {
    case 0x6B /* k */: power = 1
    case 0x6D /* m */: power = 2
    case 0x67 /* g */: power = 3
    case 0x74 /* t */: power = 4
    case 0x70 /* p */: power = 5
    default: break
    }
    if power > 0 { unit.removeFirst() }
    if power > 0 && unit.first == 0x69 /* i */ { unit.removeFirst() }
    if unit.first == 0x62 /* b */ { unit.removeFirst() }
    return unit.isEmpty ? power * 10 : nil
  }
}
