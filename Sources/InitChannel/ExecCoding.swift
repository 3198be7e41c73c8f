public import ContainerPlan
public import LinuxABI

/// How the init stage of `exec` gets into a container that is there already.
public struct ExecJoin: Sendable, Equatable {
  /// The CLONE_NEW* flags of the namespaces that are not the runtime's own; they are joined through the pidfd of the
  /// container's first process, which stands in the place of the start socket (``InitDescriptors``).
  public var kinds: CloneFlags
  /// That process, as the runtime numbers it: its root is entered where the mount namespace is the runtime's own.
  public var pid: Int32
  /// The CPUs of the command; empty leaves what the cgroup allows.
  public var finalCPUs: [UInt32]
  /// LISTEN_PID has to be set to the number that the process has for itself, which only it knows.
  public var setsListenPID: Bool

  public init(kinds: CloneFlags, pid: Int32, finalCPUs: [UInt32], setsListenPID: Bool = false) {
    self.kinds = kinds
    self.pid = pid
    self.finalCPUs = finalCPUs
    self.setsListenPID = setsListenPID
  }

  func encode(to writer: inout WireWriter) {
    writer.put(kinds.rawValue)
    writer.put(pid)
    writer.put(finalCPUs)
    writer.put(setsListenPID)
  }

  init(from reader: inout WireReader) throws(WireError) {
    kinds = CloneFlags(rawValue: try reader.uint64())
    pid = try reader.int32()
    finalCPUs = try reader.numbers()
    setsListenPID = try reader.bool()
  }
}

/// What `exec` needs of a container and no other command does; a file of its own in the state directory
/// (spec/state-format.md). config.json may have changed or gone since.
public struct ExecTemplate: Sendable, Equatable {
  /// The namespaces that the container has and the runtime has not, and the id mappings of a new user namespace.
  public var namespaces: NamespacePlan
  /// The process of the container; nil where the configuration has none.
  public var agent: AgentPlan?
  /// The seccomp program of the container and the flags to install it with.
  public var filter: [UInt8]
  public var filterFlags: UInt32
  /// The Landlock ruleset of the container; nil for none.
  public var landlock: LandlockPlan?
  /// The name of the session keyring; empty for none of the container's own.
  public var keyring: String

  public init(
    namespaces: NamespacePlan, agent: AgentPlan?, filter: [UInt8], filterFlags: UInt32,
    landlock: LandlockPlan? = nil, keyring: String
  ) {
    self.namespaces = namespaces
    self.agent = agent
    self.filter = filter
    self.filterFlags = filterFlags
    self.landlock = landlock
    self.keyring = keyring
  }

  private static var magic: UInt32 { 0x3345_5041 }  // "APE3"

  public func encode() -> [UInt8] {
    var writer = WireWriter()
    writer.put(ExecTemplate.magic)
    namespaces.encode(to: &writer)
    writer.put(agent != nil)
    agent?.encode(to: &writer)
    writer.put(filter)
    writer.put(filterFlags)
    writer.put(landlock)
    writer.put(keyring)
    return writer.bytes
  }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = WireReader(bytes)
    guard try reader.uint32() == ExecTemplate.magic else { throw .malformed }
    namespaces = try NamespacePlan(from: &reader)
    agent = try reader.bool() ? try AgentPlan(from: &reader) : nil
    filter = try reader.blob()
    filterFlags = try reader.uint32()
    landlock = try reader.landlock()
    keyring = try reader.string()
    guard reader.isAtEnd else { throw .malformed }
  }
}
