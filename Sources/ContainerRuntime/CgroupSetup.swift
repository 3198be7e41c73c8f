import Cgroups
import ContainerPlan
import Diagnostics
import InitChannel
import Linux
public import OCISpec

struct CgroupRecord { 
  func encode(to writer: inout WireWriter) {}
  init(from reader: inout WireReader) throws(WireError) {}
  init() {}
}
struct CgroupSetup: ~Copyable {
  var record: CgroupRecord { CgroupRecord() }
  var files: [Int32] { [] }
  var taskFileCount: UInt32 { 0 }
  var hasDirectory: Bool { false }
  var mounts: [CgroupMountSource] { [] }
  init(_ plan: CgroupPlan, id: String, log: LogSink) throws(RuntimeError) {}
  mutating func make() throws(RuntimeError) {}
  func explain(_ e: RuntimeError) -> RuntimeError { e }
  func remove() -> RuntimeError? { nil }
  static func isFrozen(_ r: CgroupRecord) -> Bool { false }
  static func thaw(_ r: CgroupRecord) {}
  static func signalAll(_ r: CgroupRecord, _ s: Int32) throws(RuntimeError) -> Bool { false }
  static func endAll(_ r: CgroupRecord) throws(RuntimeError) {}
}
