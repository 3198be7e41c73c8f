import Checkpoint
import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// What stands beside the images, held against the configuration that the container is to have now. Nothing of it is trusted:
/// the sources of mounts are those of the configuration.
struct RestoredImage {
  let description: CheckpointDescription
  /// For CRIU.
  let externals: [String]
  private let binds: [(key: String, bind: CheckpointPlanning.Bind)]
  private let mounts: ImageMounts
  private let places: [ImagePlace]

  static func open(
    _ folders: borrowing CriuFolders, _ plan: ContainerPlan
  ) throws(RuntimeError) -> RestoredImage {
    let name = CheckpointDescription.fileName
    let bytes: [UInt8]
    do throws(SystemError) {
      let file = try folders.images.open(name, [.readOnly, .noFollow, .nonBlocking])
      guard try file.status().isRegularFile else { throw SystemError("open", .invalid, name) }
      bytes = try file.readAll(limit: CheckpointDescription.sizeLimit)
    } catch {
      throw error.because(
        .checkpointImage, "cannot read `\(name)` in the folder of the images", field: "--image-path",
        hint: error.errno == .noEntry ? "there is no checkpoint, or another runtime has made it" : "")
    }
    let description = try CheckpointDescription.decode(bytes, path: name)
    try compareNamespaces(description, plan)
    return try RestoredImage(description, plan, try ImageFiles.mounts(folders.images))
  }

  private static func compareNamespaces(
    _ description: CheckpointDescription, _ plan: ContainerPlan
  ) throws(RuntimeError) {
    let joined = plan.namespaces.joined.map { CheckpointPlanning.name($0.kind) }
    for kind in ["net", "pid"] where joined.contains(kind) != description.joined.contains(kind) {
      throw RuntimeError(
        .checkpointImage, "the image and the configuration differ in whether a `\(kind)` namespace is joined",
        field: "/linux/namespaces")
    }
  }

  private init(
    _ description: CheckpointDescription, _ plan: ContainerPlan, _ mounts: ImageMounts
  ) throws(RuntimeError) {
    self.description = description
    self.mounts = mounts
    places = try mounts.places(description.keys)
    let planned = CheckpointPlanning.binds(plan)
    var externals: [String] = []
    var binds: [(key: String, bind: CheckpointPlanning.Bind)] = []
    for mount in description.mounts {
      guard var bind = planned.first(where: { $0.destination == mount.destination }) else {
        throw RuntimeError(
          .checkpointImage,
          "the image has a bind mount at `\(mount.destination)`, and the configuration has none there",
          field: "/mounts")
      }
      bind.source = try RestoredImage.source(bind)
      externals.append("mnt[\(mount.key)]:\(bind.source)")
      binds.append((mount.key, bind))
    }
    if !description.masks.isEmpty { externals.append("mnt[\(CheckpointDescription.maskKey)]:/dev/null") }
    self.externals = externals
    self.binds = binds
  }

  /// The container's own cgroups, which have been made.
  func cgroups(_ sources: [CgroupMountSource]) throws(RuntimeError) -> [String] {
    var externals: [String] = []
    for mount in description.cgroups {
      guard let source = sources.first(where: { "/\($0.name)" == mount.destination && !$0.isLink }) else {
        throw RuntimeError(.checkpointImage, "the image has a cgroup at `\(mount.path)` that this host has not")
      }
      externals.append("mnt[\(mount.key)]:\(source.path)")
    }
    return externals
  }

  /// Without symbolic links: CRIU looks it up a moment later.
  private static func source(_ bind: CheckpointPlanning.Bind) throws(RuntimeError) -> String {
    do {
      return try FileDescriptor.open(bind.source, .path).hostPath()
    } catch {
      throw error.because(.mount, "cannot open the source of a bind mount", field: "/mounts/\(bind.index)/source")
    }
  }

  /// Makes the places on which CRIU mounts, where they are missing, and looks whether each is where its name says.
  func makePlaces(_ plan: ContainerPlan) throws(RuntimeError) {
    for place in places {
      let base = place.base.flatMap { key in binds.first { $0.key == key }?.bind.source } ?? plan.rootPath
      // A file of the host over a mask, and mounts below it: there is no such thing.
      if let key = place.base, !binds.contains(where: { $0.key == key }) {
        throw RuntimeError(.checkpointImage, "the image has a mount below a file at `\(place.path)`")
      }
      let root = try describe(.rootfsInvalid, "cannot open `\(base)`") { () throws(SystemError) -> RootDirectory in
        RootDirectory(try FileDescriptor.open(base, [.path, .directory]))
      }
      if place.isMade { try make(place, in: root) }
      do {
        _ = try root.openWithoutLinks(place.path, .path)
      } catch {
        guard error.errno == .symbolicLinkLoop else {
          throw error.because(.mount, "cannot open `\(place.path)` of the container")
        }
        throw RuntimeError(
          .checkpointImage,
          "there is a symbolic link on the way to `\(place.path)` of the container, which CRIU would follow")
      }
    }
  }

  private func make(_ place: ImagePlace, in root: borrowing RootDirectory) throws(RuntimeError) {
    do {
      if try isFile(place) {
        _ = try root.makeFile(place.path, mode: 0o755, directoryMode: 0o755)
      } else {
        _ = try root.makeDirectories(place.path, mode: 0o755)
      }
    } catch {
      throw error.because(.mount, "cannot make `\(place.path)` of the container")
    }
  }

  private func isFile(_ place: ImagePlace) throws(SystemError) -> Bool {
    guard let key = place.key else { return false }
    guard let bind = binds.first(where: { $0.key == key }) else { return key == CheckpointDescription.maskKey }
    return try !FileDescriptor.open(bind.bind.source, .path).status().isDirectory
  }

  /// What the mounts from outside may not allow: what they did not before, and what the configuration takes away. CRIU forgets
  /// it where two of them are of one file system.
  func restrictions(_ plan: ContainerPlan) -> [MountRestriction] {
    var list: [MountRestriction] = []
    for mount in mounts.mounts {
      guard let key = mount.key else { continue }
      var attributes = mount.restrictions
      if let index = binds.first(where: { $0.key == key })?.bind.index {
        for step in plan.steps {
          if case .mount(let step) = step, step.index == index { attributes |= step.set & 0x20_000F }
        }
      } else if key == CheckpointDescription.maskKey {
        // Read-only, no set-user-ID, no execution: as `create` makes them.
        attributes |= 0x1 | 0x2 | 0x8
      }
      list.append(MountRestriction(path: mount.path, attributes: attributes))
    }
    return list
  }
}

extension RestoredImage {
  /// Whether all that was mounted is mounted again, and what comes from outside is what the configuration names. CRIU says
  /// nothing of a mount that it leaves out, and a path without its mount leads to whatever is below.
  func checkMounts(of pid: Int32) throws(RuntimeError) {
    let table: [MountTableEntry]
    let root: RootDirectory
    do throws(SystemError) {
      table = try MountTable.read(of: pid)
      root = RootDirectory(try FileDescriptor.open("/proc/\(pid)/root", [.path, .directory]))
    } catch {
      throw error.because(.mount, "cannot look at the mounts of the restored process")
    }
    if let missing = RestoredImage.missing(mounts.expected(description), in: table) {
      let type = missing.type.map { " of type `\($0)`" } ?? ""
      throw RuntimeError(.mount, "there is no mount\(type) at `\(destination(missing.path))` after the restore")
    }
    for mount in mounts.mounts where mounts.isReached(mount) {
      guard let key = mount.key else { continue }
      let bind = binds.first { $0.key == key }?.bind
      guard bind != nil || key == CheckpointDescription.maskKey else { continue }
      do throws(SystemError) {
        let file = try root.openWithoutLinks(mount.path, .path).status()
        let expected = if let bind { try bind.status() } else { try FileDescriptor.open("/dev/null", .path).status() }
        if file.isMountRoot && file.device == expected.device && file.inode == expected.inode { continue }
      } catch {
        throw error.because(.mount, "cannot look at the restored mount at `\(destination(mount.path))`")
      }
      throw RuntimeError(
        .mount,
        "the mount at `\(destination(mount.path))` shows something else than `\(bind?.source ?? "/dev/null")` after the restore",
        field: bind.map { "/mounts/\($0.index)" } ?? "")
    }
  }

  /// As the configuration names it, where it does.
  private func destination(_ path: String) -> String {
    description.mounts.first { $0.path == path }?.destination ?? path
  }

  /// The first that is not there. Those of a type come first: what is left may be anything.
  static func missing(_ expected: [ExpectedMount], in table: [MountTableEntry]) -> ExpectedMount? {
    var rest = table
    for isTyped in [true, false] {
      for mount in expected where (mount.type != nil) == isTyped {
        let type = mount.type ?? ""
        let index = rest.firstIndex { $0.path == mount.path && (!isTyped || $0.type == type) }
        guard let index else { return mount }
        rest.remove(at: index)
      }
    }
    return nil
  }
}

/// The files of CRIU that are read here.
enum ImageFiles {
  /// The names of the lists of mounts, one for each mount namespace.
  static func mountFiles(_ folder: borrowing FileDescriptor) throws(RuntimeError) -> [String] {
    do {
      return try folder.entries().map { $0.name }.filter {
        $0.utf8.starts(with: ImageMounts.prefix.utf8)
          && $0.utf8.reversed().starts(with: ImageMounts.suffix.utf8.reversed())
      }
    } catch {
      throw error.because(.checkpointImage, "cannot read the folder of the images", field: "--image-path")
    }
  }

  /// The mounts of the container.
  static func mounts(_ folder: borrowing FileDescriptor) throws(RuntimeError) -> ImageMounts {
    let names = try mountFiles(folder)
    if names.count > 1 {
      throw RuntimeError(.checkpointUnsupported, "processes of the container have mount namespaces of their own")
    }
    let bytes: [UInt8]
    do throws(SystemError) {
      guard let name = names.first else {
        throw SystemError("open", .noEntry, ImageMounts.prefix + "*" + ImageMounts.suffix)
      }
      bytes = try folder.open(name, [.readOnly, .noFollow, .nonBlocking]).readAll(limit: ImageMounts.sizeLimit)
    } catch {
      throw error.because(.checkpointImage, "cannot read the mounts of the image", field: "--image-path")
    }
    return try ImageMounts.decode(bytes, file: names[0])
  }
}
