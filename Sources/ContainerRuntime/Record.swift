import Cgroups
import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import OCISpec

/// What is kept of a container between two commands: spec/state-format.md. The status is not in it; it is worked out
/// from the process, the start socket and the freezer each time.
struct ContainerRecord {
  var id: String
  var ociVersion: String
  var bundle: String
  var rootfs: String
  /// The moment of `create`.
  var created: TimeValue
  /// The name of the user who created it.
  var owner: String
  var annotations: [NamedValue<String>]
  /// Process 1 of the container as the host numbers it; 0 until it exists.
  var pid: Int32
  /// With the pid this names one process for ever (proc(5), stat, field 22).
  var startTime: UInt64
  /// The inode of its pidfd. Since Linux 6.9 no other process ever has it; before, all have the same. The start time
  /// alone counts in hundredths of a second, in which a pid can be used twice.
  var processInode: UInt64
  /// Whether the container has a pid namespace of its own, so that all of it ends with process 1.
  var hasPidNamespace: Bool
  var cgroup: CgroupRecord
  /// The hooks of `start` and `delete`: config.json may have changed or gone by then.
  var poststart: [HookPlan]
  var poststop: [HookPlan]
  /// process.execCPUAffinity: the CPUs of the processes of `exec` that name none themselves.
  var execCPUAffinity: ExecCPUAffinity
  /// The directories of resctrl that go with the container, the innermost first.
  var resctrl: [String] = []
  /// Those that its processes are in, the class first; also where they stay for others.
  var joinedResctrl: [String] = []
  /// What `update` may only change, and needs to know to go back.
  var devices = DeviceState()
  /// Who answers for system calls of its processes, those of `exec` too; nil for nobody.
  var listener: SeccompListener?
  /// What the kernel does of its Landlock ruleset; nil without one.
  var landlock: LandlockState?
}

extension ContainerRecord {
  /// Whether both are about one process, and not only about one id.
  func isSameProcess(as other: ContainerRecord) -> Bool {
    pid == other.pid && startTime == other.startTime && processInode == other.processInode
  }

  private static var magic: UInt32 { 0x4152_5041 }  // "APRA"
  static var sizeLimit: Int { 16 << 20 }

  func encode() -> [UInt8] {
    var writer = WireWriter()
    writer.put(ContainerRecord.magic)
    for text in [id, ociVersion, bundle, rootfs, owner] { writer.put(text) }
    writer.put(created.seconds)
    writer.put(created.nanoseconds)
    writer.put(list: annotations) {
      $0.put($1.name)
      $0.put($1.value)
    }
    writer.put(pid)
    writer.put(startTime)
    writer.put(processInode)
    writer.put(hasPidNamespace)
    cgroup.encode(to: &writer)
    for hooks in [poststart, poststop] { writer.put(list: hooks) { $1.encode(to: &$0) } }
    writer.put(execCPUAffinity.initial ?? "")
    writer.put(execCPUAffinity.final ?? "")
    devices.encode(to: &writer)
    writer.put(resctrl)
    writer.put(joinedResctrl)
    writer.put(listener?.path ?? "")
    writer.put(listener?.metadata ?? "")
    writer.put(listener?.closing.rawValue ?? 0)
    writer.put(listener?.refusesSending ?? false)
    writer.put(landlock?.abi ?? 0)
    writer.put(landlock?.leftOut ?? [])
    return writer.bytes
  }

  init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = WireReader(bytes)
    guard try reader.uint32() == ContainerRecord.magic else { throw .malformed }
    id = try reader.string()
    ociVersion = try reader.string()
    bundle = try reader.string()
    rootfs = try reader.string()
    owner = try reader.string()
    let seconds = try reader.int64()
    created = TimeValue(seconds: seconds, nanoseconds: try reader.int64())
    annotations = try reader.list { (reader) throws(WireError) in
      let name = try reader.string()
      return NamedValue(name, try reader.string())
    }
    pid = try reader.int32()
    startTime = try reader.uint64()
    processInode = try reader.uint64()
    hasPidNamespace = try reader.bool()
    cgroup = try CgroupRecord(from: &reader)
    poststart = try reader.list { (reader) throws(WireError) in try HookPlan(from: &reader) }
    poststop = try reader.list { (reader) throws(WireError) in try HookPlan(from: &reader) }
    let initial = try reader.string()
    execCPUAffinity = ExecCPUAffinity(initial: initial, final: try reader.string())
    devices = try DeviceState(from: &reader)
    resctrl = try reader.strings()
    joinedResctrl = try reader.strings()
    let path = try reader.string()
    let metadata = try reader.string()
    guard let closing = ListenerTerms.Closing(rawValue: try reader.byte()) else { throw .malformed }
    let refusesSending = try reader.bool()
    listener =
      path.isEmpty
      ? nil : SeccompListener(path: path, metadata: metadata, closing: closing, refusesSending: refusesSending)
    let abi = try reader.int32()
    let leftOut = try reader.strings()
    guard abi != 0 || leftOut.isEmpty else { throw .malformed }
    landlock = abi == 0 ? nil : LandlockState(abi: abi, leftOut: leftOut)
    guard reader.isAtEnd else { throw .malformed }
  }
}
