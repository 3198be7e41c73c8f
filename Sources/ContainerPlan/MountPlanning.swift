import Diagnostics
import LinuxABI
import OCISpec

extension Planner {
  func planMounts() throws(RuntimeError) -> [MountStep] {
    var steps: [MountStep] = []
    for (index, mount) in (config.mounts ?? []).enumerated() {
      steps.append(try planMount(mount, index))
    }
    if let folder = input.notifyFolder { steps.append(notifyMount(folder, index: steps.count)) }
    return steps
  }

  /// Where runc has it too.
  static var notifyDestination: String { "run/notify" }

  private func notifyMount(_ folder: String, index: Int) -> MountStep {
    let flags: MountAttributes = [.readOnly, .noSetUserID, .noDevices, .noExecute]
    return MountStep(
      index: UInt32(index), destination: Planner.notifyDestination,
      source: .bind(path: folder, recursive: false), set: flags.rawValue,
      propagation: [PropagationChange(kind: 1 << 18, recursive: false)])
  }

  private func planMount(_ mount: Mount, _ index: Int) throws(RuntimeError) -> MountStep {
    let field = "/mounts/\(index)"
    guard !mount.destination.isEmpty else {
      throw RuntimeError(.configInvalid, "the destination is empty", field: "\(field)/destination")
    }
    let options = try MountOptions(mount.options ?? [], "\(field)/options")
    let destination = relative(mount.destination)
    if destination == "." {
      throw RuntimeError(
        .configInvalid, "a mount on `/` would hide the root file system", field: "\(field)/destination")
    }
    let source = try planSource(mount, options, field)
    return MountStep(
      index: UInt32(index), destination: destination, source: source,
      set: options.own.set.rawValue, clear: options.own.clear.rawValue,
      setRecursively: options.all.set.rawValue, clearRecursively: options.all.clear.rawValue,
      propagation: options.propagation, copiesUp: options.copiesUp)
  }

  private func planSource(
    _ mount: Mount, _ options: MountOptions, _ field: String
  ) throws(RuntimeError) -> MountSource {
    let type = mount.type ?? ""
    if let recursive = options.bindRecursively ?? (type == "bind" ? false : nil) {
      return try planBind(mount, options, recursive: recursive, field)
    }
    switch type {
    case "":
      throw RuntimeError(
        .configInvalid, "a mount needs a type, or the option `bind` or `rbind`", field: "\(field)/type")
    case "cgroup", "cgroup2":
      return .cgroup
    default:
      if options.copiesUp && type != "tmpfs" {
        throw RuntimeError(.configInvalid, "`tmpcopyup` is for tmpfs only", field: "\(field)/options")
      }
      var parameters = options.parameters
      for flag in options.superblock {
        if let name = flag.flag.parameter(isSet: flag.isSet) {
          parameters.append(
            MountParameter(key: name, value: nil, mayBeUnknown: flag.flag.mayBeUnknown))
        }
      }
      return .fileSystem(type: type, source: mount.source ?? "", parameters: parameters)
    }
  }

  private func planBind(
    _ mount: Mount, _ options: MountOptions, recursive: Bool, _ field: String
  ) throws(RuntimeError) -> MountSource {
    guard let source = mount.source, !source.isEmpty else {
      throw RuntimeError(.configInvalid, "a bind mount needs a source", field: "\(field)/source")
    }
    // runc's rule: what a bind mount shows is mounted already, so there is nobody to give the data to.
    if let parameter = options.parameters.first {
      throw RuntimeError(
        .configInvalid,
        "bind mounts cannot have any filesystem-specific options applied: `\(parameter.text)`",
        field: "\(field)/options")
    }
    if options.copiesUp {
      throw RuntimeError(.configInvalid, "`tmpcopyup` is for tmpfs only", field: "\(field)/options")
    }
    // A relative source is one of the bundle (config.md, "Mounts").
    let path = source.utf8.first == 0x2F ? source : "\(input.bundle)/\(source)"
    return .bind(path: path, recursive: recursive)
  }
}

extension MountStep {
  var isReadonlyFileSystem: Bool {
    guard case .fileSystem = source else { return false }
    return MountAttributes(rawValue: set).contains(.readOnly)
  }

  /// The same mount without `ro`.
  var writable: MountStep {
    var copy = self
    copy.set = MountAttributes(rawValue: set).subtracting(.readOnly).rawValue
    return copy
  }
}

extension MountParameter {
  var text: String {
    guard let value else { return key }
    return "\(key)=\(value)"
  }
}

/// The options of one mount, sorted by what carries them out.
struct MountOptions {
  /// What changes this mount alone, and this one and all below it.
  var own = MountAttributeChange()
  var all = MountAttributeChange()
  var propagation: [PropagationChange] = []
  /// nil where neither `bind` nor `rbind` stands.
  var bindRecursively: Bool?
  var superblock: [(flag: SuperblockFlag, isSet: Bool)] = []
  var parameters: [MountParameter] = []
  var copiesUp = false

  init(_ options: [String], _ field: String) throws(RuntimeError) {
    for (index, option) in options.enumerated() {
      try add(option, "\(field)/\(index)")
    }
  }

  private mutating func add(_ option: String, _ field: String) throws(RuntimeError) {
    guard let known = MountOption.parse(option) else {
      parameters.append(MountOptions.parameter(option))
      return
    }
    switch known {
    case .nothing: break
    case .attribute(let set, let clear, let recursive):
      if recursive { all.add(set: set, clear: clear) } else { own.add(set: set, clear: clear) }
    case .propagation(let kind, let recursive):
      propagation.append(PropagationChange(kind: kind.flag.rawValue, recursive: recursive))
    case .bind(let recursive):
      bindRecursively = (bindRecursively ?? false) || recursive
    case .superblockFlag(let flag, let isSet):
      superblock.removeAll { $0.flag == flag }
      superblock.append((flag, isSet))
    case .extension(.copyUp):
      copiesUp = true
    case .remount, .idMapped, .extension:
      throw RuntimeError(
        .configUnsupported, "the mount option `\(option)` is not supported yet", field: field)
    }
  }

  private static func parameter(_ option: String) -> MountParameter {
    let bytes = option.utf8
    guard let equals = bytes.firstIndex(of: 0x3D) else { return MountParameter(key: option, value: nil) }
    return MountParameter(
      key: String(decoding: bytes[..<equals], as: UTF8.self),
      value: String(decoding: bytes[bytes.index(after: equals)...], as: UTF8.self))
  }
}
