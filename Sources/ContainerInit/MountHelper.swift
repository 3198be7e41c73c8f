import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// A process beside the runtime that opens for stage 2 what the root of a user namespace may not reach: a source below a
/// directory of mode 0700, or an id-mapped mount of a file system of the host. It keeps the runtime's rights over files,
/// and goes into the container's mount namespace before it opens anything: a mount that is copied there keeps the flags
/// that the kernel has locked, which a copy from the host's namespace would not.
public enum MountHelper {
  public static var argument0: String { InitPayload.helperArgument0 }

  public static func main() -> Never {
    do {
      try Processes.becomeNotDumpable()
      try Programs.closeRange(from: 3, onExec: true)
    } catch {
      Processes.exit(1)
    }
    let payloadFile = FileDescriptor(owning: HelperDescriptors.payload)
    guard payloadFile.isSealed(), let payload = InitStage.read(payloadFile) else { InitStage.refuse() }
    let channel = HelperChannel(FileDescriptor(owning: HelperDescriptors.channel))
    let requests = FileDescriptor(owning: HelperDescriptors.requests)
    let process = FileDescriptor(owning: HelperDescriptors.process)
    do throws(SystemError) {
      var helper = try Helper(payload: payload)
      while true {
        let packet = try requests.receive()
        // The runtime has closed its end: it needs no more, or is gone.
        if packet.bytes.isEmpty { Processes.exit(0) }
        let request: HelpRequest
        do throws(WireError) {
          request = try HelpRequest(decoding: packet.bytes)
        } catch {
          Processes.exit(1)
        }
        do throws(RuntimeError) {
          let given = try helper.open(request, process)
          try describe(.initProtocol, "cannot hand the mount over") { () throws(SystemError) in
            try channel.give(given)
          }
        } catch {
          try channel.refuse(error)
        }
        // Only now does the runtime go on listening to stage 2; it would see the end of this process otherwise.
        try requests.send([0])
      }
    } catch {
      Processes.exit(1)
    }
  }
}

private struct Helper: ~Copyable {
  let payload: InitPayload
  /// The mount namespace of the runtime, its root directory, and its /proc.
  private let home: FileDescriptor
  private let homeRoot: FileDescriptor
  private let proc: ProcFileSystem
  /// The root directory of the container's mount namespace as it was first entered; number -1 until then. Later another
  /// root may lie on it, the image's: nothing of the host must be looked for there.
  private var containerRoot = FileDescriptor(owning: -1)
  private var isInContainer = false
  private let isUnprivileged = Processes.effectiveUser() != 0

  init(payload: InitPayload) throws(SystemError) {
    let proc = try ProcFileSystem.mounted()
    let home = try proc.openOwnLink("ns", "mnt", .readOnly)
    let homeRoot = try FileDescriptor.open("/", [.path, .directory])
    self.payload = payload
    self.proc = proc
    self.home = home
    self.homeRoot = homeRoot
  }

  mutating func open(
    _ request: HelpRequest, _ process: borrowing FileDescriptor
  ) throws(RuntimeError) -> FileDescriptor {
    if request.mount == MountHelp.rootIndex { return try openRoot(request, process) }
    guard let mount = findMount(request.mount) else {
      throw RuntimeError(.initProtocol, "there is no mount \(request.mount) to help with")
    }
    switch request.help {
    case .userNamespace:
      guard let idMap = mount.idMap else {
        throw RuntimeError(.initProtocol, "mount \(request.mount) is not id-mapped")
      }
      return try userNamespace(idMap, request)
    case .tree:
      return try openSource(mount, request, process)
    }
  }

  private func findMount(_ index: UInt32) -> MountStep? {
    for step in payload.steps {
      if case .mount(let mount) = step, mount.index == index { return mount }
    }
    return nil
  }

  private mutating func openRoot(
    _ request: HelpRequest, _ process: borrowing FileDescriptor
  ) throws(RuntimeError) -> FileDescriptor {
    if !isUnprivileged { try enter(process) }
    for step in payload.steps {
      guard case .openRoot(let path, _) = step else { continue }
      if isUnprivileged { throw explainWithoutRoot(path, "/root/path", request.refused, recursive: true) }
      return try describe(.rootfsInvalid, "cannot open the root file system", field: "/root/path") {
        () throws(SystemError) in
        try Mounts.clone(try FileDescriptor.open(path, [.path, .directory, .noFollow]), recursive: true)
      }
    }
    throw RuntimeError(.initProtocol, "the plan has no root file system")
  }

  private mutating func openSource(
    _ mount: MountStep, _ request: HelpRequest, _ process: borrowing FileDescriptor
  ) throws(RuntimeError) -> FileDescriptor {
    guard case .bind(let path, let recursive) = mount.source else {
      throw RuntimeError(.initProtocol, "mount \(mount.index) has no source to open")
    }
    if isUnprivileged {
      guard mount.idMap != nil else {
        throw explainWithoutRoot(path, "/mounts/\(mount.index)/source", request.refused, recursive: recursive)
      }
      throw RuntimeError(
        .idMapping, "without root a mount of the host cannot be id-mapped", field: "/mounts/\(mount.index)/options")
    }
    guard let idMap = mount.idMap else { return try clone(mount, path, recursive, request, process) }
    let namespace = try userNamespace(idMap, request)
    let tree = try clone(mount, path, recursive, request, process)
    do {
      try Mounts.mapIDs(tree, by: namespace, recursive: idMap.recursive)
    } catch {
      throw error.cannotMapIDs(field: "/mounts/\(mount.index)/options")
    }
    return tree
  }

  private mutating func clone(
    _ mount: MountStep, _ path: String, _ recursive: Bool, _ request: HelpRequest,
    _ process: borrowing FileDescriptor
  ) throws(RuntimeError) -> FileDescriptor {
    try enter(process)
    let flags: OpenFlags = mount.traits.contains(.sourceNoFollow) ? [.path, .noFollow] : .path
    do {
      return try Mounts.clone(try FileDescriptor.open(path, flags), recursive: recursive)
    } catch {
      let field = "/mounts/\(mount.index)/source"
      // The mounts below are locked to it. In a namespace that is joined the path need not be the runtime's.
      guard error.errno == .invalid && !recursive && !payload.namespaces.joins(.newMount) else {
        throw error.because(.mount, "cannot bind `\(path)`", field: field)
      }
      try leave()
      return try LockedCopy.make(path, flags, for: try containerUsers(request), field: field)
    }
  }

  /// Without root the helper has no other rights than stage 2; it can only tell what the caller may not do.
  private func explainWithoutRoot(
    _ path: String, _ field: String, _ refused: Errno, recursive: Bool
  ) -> RuntimeError {
    do {
      _ = try FileDescriptor.open(path, .path)
    } catch {
      return error.because(.mount, "cannot bind `\(path)`", field: field)
    }
    // The caller may go there, and the ids that the container has on the host may not.
    let hint =
      refused == .accessDenied
      ? "the ids of the container need the right to search the folders above it"
      : recursive ? "" : "mounts that are below it have to come along there: use `rbind`"
    return SystemError(refused == .accessDenied ? "open" : "open_tree", refused, path).because(
      .mount, "cannot bind `\(path)` without root", field: field, hint: hint)
  }

  private mutating func leave() throws(RuntimeError) {
    if !isInContainer { return }
    try describe(.namespace, "cannot go back to the mount namespace of the runtime") { () throws(SystemError) in
      try Namespaces.join(home, .newMount)
      try Mounts.changeRoot(to: homeRoot)
    }
    isInContainer = false
  }

  private mutating func enter(_ process: borrowing FileDescriptor) throws(RuntimeError) {
    if isInContainer { return }
    try describe(.namespace, "cannot join the mount namespace of the container") { () throws(SystemError) in
      try Namespaces.join(process, .newMount)
      if containerRoot.number >= 0 { try Mounts.changeRoot(to: containerRoot) }
    }
    if containerRoot.number < 0 {
      containerRoot = try describe(.namespace, "cannot open the root directory of the container's namespace") {
        () throws(SystemError) in
        try FileDescriptor.open("/", [.path, .directory])
      }
    }
    isInContainer = true
  }

  // MARK: User namespaces

  private func userNamespace(
    _ idMap: MountIDMap, _ request: HelpRequest
  ) throws(RuntimeError) -> FileDescriptor {
    idMap.uids.isEmpty ? try containerUsers(request) : try make(idMap, "/mounts/\(request.mount)")
  }

  private func containerUsers(_ request: HelpRequest) throws(RuntimeError) -> FileDescriptor {
    try describe(.namespace, "cannot open the user namespace of the container") { () throws(SystemError) in
      try proc.open("\(request.pid)/ns", [.path, .directory]).open("user", .readOnly)
    }
  }

  /// A user namespace lives as long as somebody holds it: a child that does nothing, until this process has opened it.
  private func make(_ idMap: MountIDMap, _ field: String) throws(RuntimeError) -> FileDescriptor {
    let pair = try describe(.namespace, "cannot make a socket pair") { () throws(SystemError) in
      try Socket.pair()
    }
    let result = try describe(.namespace, "cannot make the user namespace of the mappings") {
      () throws(SystemError) in
      try Clone.fork(.newUser, cgroup: -1, exitSignal: 17)
    }
    switch consume result {
    case .child:
      Helper.waitForEnd(pair)
    case .parent(let child):
      return try opened(child, idMap, field)
    }
  }

  /// Ends with the helper: only the helper has the other end.
  private static func waitForEnd(_ pair: consuming SocketPair) -> Never {
    let own = pair.takeFirst()
    do {
      _ = try own.receive()
    } catch {
      Processes.exit(1)
    }
    Processes.exit(0)
  }

  private func opened(
    _ child: borrowing SpawnedProcess, _ idMap: MountIDMap, _ field: String
  ) throws(RuntimeError) -> FileDescriptor {
    let namespace: FileDescriptor
    do {
      namespace = try mapped(child.pid, idMap, field)
    } catch {
      try end(child)
      throw error
    }
    try end(child)
    return namespace
  }

  private func mapped(_ pid: Int32, _ idMap: MountIDMap, _ field: String) throws(RuntimeError) -> FileDescriptor {
    let maps = [(idMap.uids, "uid_map", "uidMappings"), (idMap.gids, "gid_map", "gidMappings")]
    for (ranges, file, property) in maps {
      var text = ""
      for range in ranges { text += "\(range.inside) \(range.outside) \(range.count)\n" }
      do {
        try proc.write("\(pid)/\(file)", text)
      } catch {
        let hint =
          error.errno == .invalid ? "ranges must not overlap or be empty, and at most 340 are allowed" : ""
        throw error.because(
          .idMapping, "cannot write the id map of the mount", field: "\(field)/\(property)", hint: hint)
      }
    }
    return try describe(.namespace, "cannot open the user namespace of the mappings") { () throws(SystemError) in
      try proc.open("\(pid)/ns", [.path, .directory]).open("user", .readOnly)
    }
  }

  private func end(_ child: borrowing SpawnedProcess) throws(RuntimeError) {
    try describe(.namespace, "cannot end the holder of the user namespace") { () throws(SystemError) in
      try child.descriptor.sendSignal(9)
      _ = try Processes.wait(child.pid)
    }
  }
}
