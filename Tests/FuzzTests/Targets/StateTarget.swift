import Diagnostics
import JSON
import Linux
import OCISpec

@testable import Cgroups
@testable import ContainerRuntime
@testable import InitChannel

private struct Skipped: JSONDecodable {
  init(from reader: inout JSONReader) throws(RuntimeError) { try reader.skipValue() }
}

func checkDocument(_ bytes: [UInt8]) throws(BrokenRule) {
  if case .failure(let error) = outcome({ () throws(RuntimeError) in try JSONReader.decode(bytes, file: "s") as Skipped
  }) {
    throw BrokenRule("a state is no document: \(error.message)")
  }
}

/// What a decoder makes of bytes; nil where it refuses them. Every text of what is read is valid UTF-8, so what is written is
/// read as itself, byte for byte.
func checkCoding<T>(
  _ input: [UInt8], _ decode: ([UInt8]) throws(WireError) -> T, _ encode: (T) -> [UInt8]
) throws(BrokenRule) -> T? {
  let value: T
  do {
    value = try decode(input)
  } catch {
    return nil
  }
  let written = encode(value)
  do throws(WireError) {
    let again = encode(try decode(written))
    if again != written { throw .malformed }
  } catch {
    throw BrokenRule("what was written is not what is read: \(T.self)")
  }
  return value
}

func fuzzState(_ input: [UInt8]) throws(BrokenRule) {
  let record = try checkCoding(
    input, { (bytes) throws(WireError) in try ContainerRecord(decoding: bytes) }, { $0.encode() })
  if let record {
    try hold(record.isSameProcess(as: record), "a process is not itself")
    // What is told of it: to hooks, to the listener of a seccomp filter, to who asks.
    let state = State(
      ociVersion: record.ociVersion, id: record.id, status: "created", pid: record.pid, bundle: record.bundle,
      annotations: record.annotations)
    try checkDocument(state.document())
    try checkDocument(
      ContainerProcessState(fds: ["seccompFd"], pid: record.pid, metadata: record.owner, state: state).encoded(.compact)
    )
    var whole = ContainerState(
      ociVersion: record.ociVersion, id: record.id, pid: record.pid, status: "stopped", bundle: record.bundle,
      rootfs: record.rootfs,
      created: RFC3339.text(seconds: record.created.seconds, nanoseconds: record.created.nanoseconds),
      annotations: record.annotations,
      owner: record.owner, systemdScope: record.cgroup.unit?.name)
    whole.limitEvents = LimitEvents(
      oomKills: record.cgroup.countsBefore.oomKills, isMemoryLimitMet: record.hasPidNamespace,
      pidsLimitHits: record.cgroup.countsBefore.pidsLimitHits)
    whole.exit = .signal(record.pid)
    whole.landlock = record.landlock
    try checkDocument(whole.document())
    try checkDocument(ContainerState.document(of: [whole, whole], .spaces))
    if let events = whole.limitEvents { _ = LimitReport.lines(record.id, events) }
    for path in record.cgroup.directories { _ = path.isMade }
    _ = record.cgroup.directory(of: "memory")
  }
  _ = try checkCoding(input, { (bytes) throws(WireError) in try ExecTemplate(decoding: bytes) }, { $0.encode() })
  // The maps of a user namespace that was joined.
  let ranges = IDMapReader.parse(input)
  try hold(ranges.count <= input.count, "more ranges than bytes")
}
