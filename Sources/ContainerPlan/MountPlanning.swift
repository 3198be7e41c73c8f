import Diagnostics
import LinuxABI
import OCISpec

extension Planner {
  mutating func readMounts() {
    for (index, mount) in (config.mounts ?? []).enumerated() { mounts.append(MountEntry(index, mount)) }
  }

  mutating func planMounts() throws(RuntimeError) -> [MountStep] {
    var steps: [MountStep] = []
    steps.reserveCapacity(mounts.count)
    for entry in mounts {
      do {
        steps.append(try planMount(entry))
      } catch {
        try findings.add(Rule.mountMappings, error)
      }
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

  private func planMount(_ entry: MountEntry) throws(RuntimeError) -> MountStep {
    let options = entry.options
    let idMap = try planIDMap(entry)
    var step = MountStep(
      index: UInt32(entry.index), destination: relative(entry.mount.destination), source: planSource(entry),
      set: options.own.set.rawValue, clear: options.own.clear.rawValue,
      clearByName: options.own.clear.rawValue,
      setRecursively: options.all.set.rawValue, clearRecursively: options.all.clear.rawValue,
      propagation: options.propagation, traits: options.traits, idMap: idMap)
    // The queues of the host are not for the container to label.
    let ownsQueues = entry.kind == .fileSystem("mqueue") && hasNamespace(.ipc)
    if entry.kind == .cgroup || ownsQueues { step.label = linux.mountLabel ?? "" }
    if step.copiesAttributes && !options.own.isEmpty {
      // As runc and `mount --bind -o`: who names one flag gets the flags that are named and no others, whatever the
      // source's mount had. Who names none gets those of the source.
      let others = MountAttributes.exclusive.subtracting(options.own.set)
      step.clear = options.own.clear.union(others).rawValue
    }
    return step
  }

  private func planSource(_ entry: MountEntry) -> MountSource {
    let options = entry.options
    let source = entry.mount.source ?? ""
    switch entry.kind {
    case .remount(let attributesOnly):
      return .remount(attributesOnly: attributesOnly, parameters: options.allParameters)
    case .bind(let recursive):
      // A relative source is one of the bundle (config.md, "Mounts").
      let path = source.utf8.first == 0x2F ? source : "\(input.bundle)/\(source)"
      return .bind(path: path, recursive: recursive)
    case .cgroup:
      return .cgroup
    case .fileSystem(let type):
      var parameters = options.allParameters
      if let label = linux.mountLabel, !label.isEmpty, !Planner.unlabelledTypes.contains(type),
        !parameters.contains(where: { $0.key == "context" })
      {
        parameters.append(MountParameter(key: "context", value: label))
      }
      // A disk that cannot be written, or that somebody else writes to, must not be opened for writing either; mount(2) has
      // one flag for both. File systems of the kernel's own have nothing behind them, and some are shared.
      if options.own.set.contains(.readOnly) && !Planner.virtualTypes.contains(type) {
        parameters.append(MountParameter(key: "ro", value: nil))
      }
      if source.utf8.count > MountParameter.lengthLimit || parameters.contains(where: { $0.isTooLong }) {
        return .legacyFileSystem(type: type, source: source, data: legacyData(parameters))
      }
      return .fileSystem(type: type, source: source, parameters: parameters)
    }
  }

  /// The kernel labels the files of the first two by itself. The third is made together with the ipc namespace, and then no context
  /// can be given to it any more: its directory is labelled afterwards.
  private static let unlabelledTypes = ["proc", "sysfs", "mqueue"]

  private static let virtualTypes = [
    "binfmt_misc", "bpf", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue",
    "overlay", "proc", "pstore", "ramfs", "securityfs", "selinuxfs", "sysfs", "tmpfs", "tracefs",
  ]

  /// The data of mount(2). What a file system need not know cannot be tried there, and is left out.
  private func legacyData(_ parameters: [MountParameter]) -> String {
    parameters.filter { !$0.mayBeUnknown }.map { parameter in
      // A comma in a label would end it.
      parameter.key == "context" ? "context=\"\(parameter.value ?? "")\"" : parameter.text
    }.joined(separator: ",")
  }

  private func planIDMap(_ entry: MountEntry) throws(RuntimeError) -> MountIDMap? {
    let option = entry.options.idMap
    if let option, !option.mapping.isEmpty {
      return try IDMapText(namespaces).parse(
        option.mapping, recursive: option.recursive, "\(entry.field)/options")
    }
    if option == nil && !entry.hasUIDs { return nil }
    return MountIDMap(
      recursive: option?.recursive ?? false,
      uids: try IDMappingCheck.ranges(entry.mount.uidMappings ?? [], "\(entry.field)/uidMappings"),
      gids: try IDMappingCheck.ranges(entry.mount.gidMappings ?? [], "\(entry.field)/gidMappings"))
  }
}

extension MountStep {
  var becomesReadonlyLast: Bool {
    switch source {
    case .fileSystem(let type, _, _), .legacyFileSystem(let type, _, _):
      MountAttributes(rawValue: set & ~clearRecursively).contains(.readOnly)
        && (type == "tmpfs" || destination == "dev")
    default: false
    }
  }

  /// Whether what was mounted at `other` before is out of sight behind this mount, or changed by it.
  func replaces(_ other: String) -> Bool {
    if case .remount = source { return destination == other }
    return destination == "." || destination == other || other.utf8.starts(with: "\(destination)/".utf8)
  }

  /// A mount that begins with the attributes of another one.
  var copiesAttributes: Bool {
    switch source {
    case .bind, .remount: true
    default: false
    }
  }

  /// The same mount without `ro`.
  var writable: MountStep {
    var copy = self
    copy.set = MountAttributes(rawValue: set).subtracting(.readOnly).rawValue
    return copy
  }
}

extension MountAttributes {
  /// The attributes that a bind mount has only when they are asked for. Those of the access time are inherited, as by a
  /// remount with mount(2), and the newest (nosymfollow, Linux 5.14) cannot be cleared everywhere.
  static var exclusive: MountAttributes {
    [.readOnly, .noSetUserID, .noDevices, .noExecute]
  }
}

extension MountParameter {
  /// The longest text that fsconfig(2) takes, in bytes.
  static var lengthLimit: Int { 255 }

  var isTooLong: Bool {
    key.utf8.count > MountParameter.lengthLimit || (value?.utf8.count ?? 0) > MountParameter.lengthLimit
  }

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
  var traits: MountTraits = []
  var remounts = false
  /// The mapping is empty for that of the entry or of the container.
  var idMap: (recursive: Bool, mapping: String)?
  /// The place of a second option with mappings.
  var repeatedIDMap: Int?

  /// The parameters, then the words for what belongs to the file system as a whole.
  var allParameters: [MountParameter] {
    var all = parameters
    for flag in superblock {
      if let name = flag.flag.parameter(isSet: flag.isSet) {
        all.append(MountParameter(key: name, value: nil, mayBeUnknown: flag.flag.mayBeUnknown))
      }
    }
    return all
  }

  init(_ options: [String]) {
    for (index, option) in options.enumerated() { add(option, index) }
  }

  private mutating func add(_ option: String, _ index: Int) {
    guard let known = MountOption.parse(option) else {
      for part in MountOptions.split(option) { parameters.append(MountOptions.parameter(part)) }
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
    case .remount:
      remounts = true
    case .idMapped(let recursive, let mapping):
      if let idMap, !idMap.mapping.isEmpty, mapping != nil { repeatedIDMap = index }
      idMap = ((idMap?.recursive ?? false) || recursive, mapping ?? idMap?.mapping ?? "")
    case .extension(.copyUp):
      traits.formUnion(.copiesUp)
    case .extension(.copySymlink):
      traits.formUnion(.copiesSymlink)
    case .extension(.sourceNoFollow):
      traits.formUnion(.sourceNoFollow)
    case .extension(.destinationNoFollow):
      traits.formUnion(.destinationNoFollow)
    }
  }

  /// The parts of `size=1m,mode=700`, which mount(2) would take as one text. A comma behind a backslash or between
  /// quotes is no end. An empty part is passed over, as the kernel does in such a text; podman 5 writes an empty option.
  private static func split(_ option: String) -> [String] {
    if !option.isEmpty && !option.utf8.contains(0x2C) { return [option] }
    var parts: [String] = []
    var part: [UInt8] = []
    var isQuoted = false
    var isEscaped = false
    for byte in option.utf8 {
      if byte == 0x2C && !isQuoted && !isEscaped {
        if !part.isEmpty { parts.append(String(decoding: part, as: UTF8.self)) }
        part.removeAll()
        continue
      }
      if byte == 0x22 && !isEscaped { isQuoted.toggle() }
      isEscaped = byte == 0x5C && !isEscaped
      part.append(byte)
    }
    if !part.isEmpty { parts.append(String(decoding: part, as: UTF8.self)) }
    return parts
  }

  private static func parameter(_ option: String) -> MountParameter {
    let bytes = option.utf8
    guard let equals = bytes.firstIndex(of: 0x3D) else { return MountParameter(key: option, value: nil) }
    let key = String(decoding: bytes[..<equals], as: UTF8.self)
    var value = bytes[bytes.index(after: equals)...]
    // The quotes around a label are for those who split at commas.
    if key == "context" || key == "fscontext" || key == "defcontext" || key == "rootcontext", value.count > 1,
      value.first == 0x22, value.last == 0x22
    {
      value = value.dropFirst().dropLast()
    }
    return MountParameter(key: key, value: String(decoding: value, as: UTF8.self))
  }
}
