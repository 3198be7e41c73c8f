public import ContainerPlan
import LinuxABI

/// Everything the init stage needs, in one sealed file. It parses nothing else.
public struct InitPayload: Sendable, Equatable {
  public var namespaces: NamespacePlan
  public var steps: [InitStep]
  public var agent: AgentPlan?
  /// The seccomp program, 8 bytes for each instruction; empty for none.
  public var filter: [UInt8]
  public var filterFlags: UInt32
  public var landlock: LandlockPlan?
  /// Where the cgroup of the container appears below a mount of type cgroup.
  public var cgroupMounts: [CgroupMountSource]
  /// How many of the descriptors that stage 1 got are `tasks` files of cgroup v1.
  public var taskFiles: UInt32
  /// Whether the last of them is the cgroup v2 directory that stage 2 is born in.
  public var hasCgroupDirectory: Bool
  /// Whether there is a socket to send the master of the terminal to.
  public var hasConsoleSocket: Bool
  /// How many descriptors of the caller the agent command gets as 3, 4, ….
  public var passedDescriptors: UInt32
  public var hooks: InitHooks
  /// For `exec`: the container is there already.
  public var exec: ExecJoin?

  public init(
    namespaces: NamespacePlan, steps: [InitStep], agent: AgentPlan?, filter: [UInt8], filterFlags: UInt32,
    landlock: LandlockPlan? = nil, cgroupMounts: [CgroupMountSource], taskFiles: UInt32, hasCgroupDirectory: Bool,
    hasConsoleSocket: Bool = false,
    passedDescriptors: UInt32 = 0, hooks: InitHooks = InitHooks(), exec: ExecJoin? = nil
  ) {
    self.namespaces = namespaces
    self.steps = steps
    self.agent = agent
    self.filter = filter
    self.filterFlags = filterFlags
    self.landlock = landlock
    self.cgroupMounts = cgroupMounts
    self.taskFiles = taskFiles
    self.hasCgroupDirectory = hasCgroupDirectory
    self.hasConsoleSocket = hasConsoleSocket
    self.passedDescriptors = passedDescriptors
    self.hooks = hooks
    self.exec = exec
  }

  /// argv[0] of an init stage. Together with the sealed payload it tells the role; started by hand it refuses.
  public static let argument0 = "apus-init"

  /// argv[0] of a mount helper, which gets the runtime's end of the channel, the same payload, the socket that it takes
  /// requests from, and the pidfd of stage 2.
  public static let helperArgument0 = "apus-mount"

  /// The name of the waiting process 1. Whatever dies under it has never become the agent command.
  public static let processName = "apus:[init]"
}

/// One directory of the container's cgroup, and its name below the mount; the name is empty for cgroup v2.
public struct CgroupMountSource: Sendable, Equatable {
  public var name: String
  /// Absolute on the host.
  public var path: String
  /// A name that is only a link to another one (`cpu` to `cpu,cpuacct`); then `path` is the target.
  public var isLink: Bool

  public init(name: String, path: String, isLink: Bool = false) {
    self.name = name
    self.path = path
    self.isLink = isLink
  }
}

extension InitPayload {
  private static var magic: UInt32 { 0x3149_5041 }  // "API1"

  public func encode() -> [UInt8] {
    var writer = WireWriter()
    writer.put(InitPayload.magic)
    namespaces.encode(to: &writer)
    writer.put(list: steps) { $1.encode(to: &$0) }
    writer.put(agent != nil)
    agent?.encode(to: &writer)
    writer.put(filter)
    writer.put(filterFlags)
    writer.put(landlock)
    writer.put(list: cgroupMounts) {
      $0.put($1.name)
      $0.put($1.path)
      $0.put($1.isLink)
    }
    writer.put(taskFiles)
    writer.put(hasCgroupDirectory)
    writer.put(hasConsoleSocket)
    writer.put(passedDescriptors)
    hooks.encode(to: &writer)
    writer.put(exec != nil)
    exec?.encode(to: &writer)
    return writer.bytes
  }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = WireReader(bytes)
    guard try reader.uint32() == InitPayload.magic else { throw .malformed }
    namespaces = try NamespacePlan(from: &reader)
    steps = try reader.list { (reader) throws(WireError) in try InitStep(from: &reader) }
    agent = try reader.bool() ? try AgentPlan(from: &reader) : nil
    filter = try reader.blob()
    filterFlags = try reader.uint32()
    landlock = try reader.landlock()
    cgroupMounts = try reader.list { (reader) throws(WireError) in
      let name = try reader.string()
      let path = try reader.string()
      return CgroupMountSource(name: name, path: path, isLink: try reader.bool())
    }
    taskFiles = try reader.uint32()
    hasCgroupDirectory = try reader.bool()
    hasConsoleSocket = try reader.bool()
    passedDescriptors = try reader.uint32()
    hooks = try InitHooks(from: &reader)
    exec = try reader.bool() ? try ExecJoin(from: &reader) : nil
    guard reader.isAtEnd else { throw .malformed }
  }
}

extension NamespacePlan {
  func encode(to writer: inout WireWriter) {
    writer.put(UInt64(created.rawValue))
    writer.put(list: joined) {
      $0.put($1.kind.rawValue)
      $0.put($1.path)
      $0.put($1.index)
      $0.put($1.changedBy)
    }
    writer.put(ranges: uidMap)
    writer.put(ranges: gidMap)
    writer.put(timeOffsets)
    writer.put(takesNetDevices)
  }

  init(from reader: inout WireReader) throws(WireError) {
    let created = CloneFlags(rawValue: try reader.uint64())
    let joined = try reader.list { (reader) throws(WireError) in
      let kind = CloneFlags(rawValue: try reader.uint64())
      let path = try reader.string()
      let index = try reader.uint32()
      return JoinedNamespace(kind: kind, path: path, index: index, changedBy: try reader.string())
    }
    let uidMap = try reader.ranges()
    let gidMap = try reader.ranges()
    self.init(
      created: created, joined: joined, uidMap: uidMap, gidMap: gidMap, timeOffsets: try reader.string())
    takesNetDevices = try reader.bool()
  }
}

extension AgentPlan {
  func encode(to writer: inout WireWriter) {
    writer.put(arguments)
    writer.put(environment)
    writer.put(workingDirectory)
    writer.put(uid)
    writer.put(gid)
    writer.put(additionalGids)
    writer.put(umask)
    let sets = capabilities
    for mask in [sets.bounding, sets.effective, sets.permitted, sets.inheritable, sets.ambient] {
      writer.put(mask)
    }
    writer.put(noNewPrivileges)
    writer.put(list: limits) {
      $0.put($1.resource)
      $0.put($1.soft)
      $0.put($1.hard)
    }
    writer.put(looksUpHome)
    attributes.encode(to: &writer)
    writer.put(labels.appArmorProfile)
    writer.put(labels.selinuxLabel)
  }

  init(from reader: inout WireReader) throws(WireError) {
    let arguments = try reader.strings()
    let environment = try reader.strings()
    let workingDirectory = try reader.string()
    let uid = try reader.uint32()
    let gid = try reader.uint32()
    let additionalGids = try reader.numbers()
    let umask = try reader.uint32()
    var masks: [UInt64] = []
    for _ in 0..<5 { masks.append(try reader.uint64()) }
    let noNewPrivileges = try reader.bool()
    let limits = try reader.list { (reader) throws(WireError) in
      let resource = try reader.int32()
      let soft = try reader.uint64()
      return LimitPlan(resource: resource, soft: soft, hard: try reader.uint64())
    }
    let looksUpHome = try reader.bool()
    let attributes = try ProcessAttributes(from: &reader)
    let appArmorProfile = try reader.string()
    self.init(
      arguments: arguments, environment: environment, workingDirectory: workingDirectory, uid: uid, gid: gid,
      additionalGids: additionalGids, umask: umask,
      capabilities: CapabilityPlan(
        bounding: masks[0], effective: masks[1], permitted: masks[2], inheritable: masks[3], ambient: masks[4]
      ),
      noNewPrivileges: noNewPrivileges, limits: limits, looksUpHome: looksUpHome, attributes: attributes,
      labels: ProcessLabels(appArmorProfile: appArmorProfile, selinuxLabel: try reader.string()))
  }
}
