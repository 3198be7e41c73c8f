package import Diagnostics

/// A mount of the image, as CRIU keeps it in `mountpoints-N.img` (its `images/mnt.proto`).
package struct ImageMount: Equatable, Sendable {
  package var id: UInt64 = 0
  package var parent: UInt64 = 0
  package var device: UInt64 = 0
  /// MS_* flags of mount(2), those of the mount itself.
  package var flags: UInt64 = 0
  /// The directory of the file system that is the root of the mount.
  package var root = ""
  /// Where it is in the container.
  package var path = ""
  /// The name of what comes from outside; nil where CRIU makes the mount by itself.
  package var key: String?
  /// What CRIU calls the kind of file system.
  package var type: UInt64 = 0

  package init() {}
}

/// The mounts of one mount namespace in an image.
package struct ImageMounts: Sendable {
  package let mounts: [ImageMount]

  package static var prefix: String { "mountpoints-" }
  package static var suffix: String { ".img" }
  package static var sizeLimit: Int { 16 << 20 }
  /// They are held against each other.
  package static var countLimit: Int { 4096 }
  private static var magics: [UInt32] { [0x5456_4319, 0x5556_3928] }

  package init(_ mounts: [ImageMount]) {
    self.mounts = mounts
  }

  /// Reads the file: two numbers that say what it is, then messages, each behind its length.
  package static func decode(_ bytes: [UInt8], file: String) throws(RuntimeError) -> ImageMounts {
    var rest = bytes[...]
    var mounts: [ImageMount] = []
    do throws(ProtobufError) {
      for magic in magics {
        guard try number(&rest) == magic else { throw .malformed }
      }
      while !rest.isEmpty {
        let length = Int(try number(&rest))
        guard length <= rest.count else { throw .truncated }
        mounts.append(try ImageMount(ProtobufReader(rest.prefix(length))))
        rest = rest.dropFirst(length)
        guard mounts.count <= countLimit else { throw .malformed }
      }
    } catch {
      let what = error == .truncated ? "it ends in the middle of one" : "what it says of one makes no sense"
      throw RuntimeError(
        .checkpointImage, "`\(file)` is damaged, or not a list of mounts of CRIU: \(what)", field: "--image-path")
    }
    return ImageMounts(mounts)
  }

  private static func number(_ bytes: inout ArraySlice<UInt8>) throws(ProtobufError) -> UInt32 {
    guard bytes.count >= 4 else { throw .truncated }
    defer { bytes = bytes.dropFirst(4) }
    return bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }
}

extension ImageMount {
  init(_ message: ProtobufReader) throws(ProtobufError) {
    var reader = message
    while let (field, value) = try reader.next() {
      switch field {
      case 1: type = try value.uint32
      case 2: id = try value.uint32
      case 3: device = try value.uint32
      case 4: parent = try value.uint32
      case 5: flags = try value.uint32
      case 6: root = try value.string
      case 7: path = try value.string
      // A plugin's, a key in place of the root, and a file system that is found by its name: nothing that is asked for.
      case 12, 13, 14: throw .malformed
      case 18: key = try value.string
      default: continue
      }
    }
    guard path.utf8.first == 0x2F else { throw .malformed }
  }

  /// The type of a file system that CRIU makes without a file of the host; nil for all others.
  var kernelType: String? {
    switch type {
    case 1: "proc"
    case 2: "sysfs"
    case 4: "binfmt_misc"
    case 5: "tmpfs"
    case 6: "devpts"
    case 8: "pstore"
    case 9: "securityfs"
    case 10: "fusectl"
    case 11: "debugfs"
    case 12: "cgroup"
    case 14: "mqueue"
    case 19: "tracefs"
    case 23: "cgroup2"
    default: nil
    }
  }

  /// MOUNT_ATTR_* of mount_setattr(2) for those flags that take something away.
  package var restrictions: UInt64 { flags & 0xF | (flags & 0x100 != 0 ? 0x20_0000 : 0) }
}

/// A place on which CRIU mounts: it goes there by path.
package struct ImagePlace: Equatable, Sendable {
  /// In the root file system, or with a key in what comes from outside by that name.
  package var base: String?
  /// Absolute in that base; no link may be on the way.
  package var path: String
  /// What is mounted there comes from outside by this name.
  package var key: String?
  /// It is made where it is missing.
  package var isMade: Bool
}

extension ImageMounts {
  /// The places in files that others can change between the checkpoint and the restore, or while it runs.
  ///
  /// CRIU finds by path what it mounts, and where. What lies in the root file system or in what comes from outside may be a
  /// symbolic link by then, out of the container (CVE-2026-119614): a mount whose source is found in these is refused, unless it
  /// is one over its own place.
  ///
  /// - Parameter keys: the names of what comes from outside.
  package func places(_ keys: [String]) throws(RuntimeError) -> [ImagePlace] {
    let root = try rootMount()
    let outside = mounts.filter { $0.key != nil }
    var places: [ImagePlace] = []
    for mount in mounts where mount.id != root.id {
      try MountName.check(mount.path, "a mount of the container")
      if let key = mount.key {
        guard keys.contains(key) else {
          throw RuntimeError(
            .checkpointImage, "the image has a mount from outside at `\(mount.path)` that nobody has named")
        }
        // CRIU gives the name to whatever is mounted in the place.
        if key != CheckpointDescription.maskKey && outside.contains(where: { $0.key == key && $0.id != mount.id }) {
          throw RuntimeError(
            .checkpointUnsupported,
            "`\(mount.path)` is mounted twice, and both would come back as what is from outside",
            hint: "unmount the upper one before the checkpoint")
        }
      } else if mount.device == root.device || outside.contains(where: { $0.device == mount.device }) {
        guard isOverItself(mount, root) else {
          throw RuntimeError(
            .checkpointUnsupported,
            "`\(mount.path)` shows a part of the container's files in another place, which CRIU would look for by name",
            hint: "unmount it before the checkpoint")
        }
        places.append(ImagePlace(base: nil, path: mount.path, key: nil, isMade: false))
        continue
      } else if mount.kernelType == nil {
        throw RuntimeError(
          .checkpointUnsupported, "`\(mount.path)` is a mount that CRIU would make of files of the host",
          hint: "unmount it before the checkpoint")
      }
      if let place = place(of: mount, root) { places.append(place) }
    }
    return places
  }

  /// The one above which there is none.
  private func rootMount() throws(RuntimeError) -> ImageMount {
    let tops = mounts.filter { mount in !mounts.contains { $0.id == mount.parent } || mount.id == mount.parent }
    guard tops.count == 1, let top = tops.first, top.path == "/", top.key == nil,
      !mounts.contains(where: { $0.path == "/" && $0.id != top.id })
    else {
      throw RuntimeError(.checkpointUnsupported, "the mounts of the image have not one root")
    }
    return top
  }

  private func isOverItself(_ mount: ImageMount, _ root: ImageMount) -> Bool {
    let own = root.root == "/" ? mount.path : root.root + mount.path
    return mount.device == root.device && mount.root == own
  }

  private func place(of mount: ImageMount, _ root: ImageMount) -> ImagePlace? {
    guard let parent = mounts.first(where: { $0.id == mount.parent }) else { return nil }
    if parent.id == root.id || (parent.key == nil && isOverItself(parent, root)) {
      return ImagePlace(base: nil, path: mount.path, key: mount.key, isMade: true)
    }
    guard let base = parent.key else { return nil }
    let below = mount.path.utf8.dropFirst(parent.path.utf8.count)
    guard mount.path.utf8.starts(with: parent.path.utf8), below.first == 0x2F else { return nil }
    return ImagePlace(base: base, path: String(decoding: below, as: UTF8.self), key: mount.key, isMade: true)
  }
}

/// What has to be mounted when the container is back.
package struct ExpectedMount: Equatable, Sendable {
  package var path: String
  /// Of the file system; nil where that may be another one now, because it comes from outside or is the root's.
  package var type: String?

  package init(path: String, type: String?) {
    self.path = path
    self.type = type
  }
}

extension ImageMounts {
  /// All of the image, and what its description says besides.
  package func expected(_ description: CheckpointDescription) -> [ExpectedMount] {
    let rootDevice = mounts.first { $0.path == "/" }?.device
    var list = mounts.map { mount in
      let isMadeAnew = mount.key == nil && mount.device != rootDevice
      return ExpectedMount(path: mount.path, type: isMadeAnew ? mount.kernelType : nil)
    }
    let masks = description.masks.map { (key: CheckpointDescription.maskKey, path: $0) }
    for (key, path) in (description.mounts + description.cgroups).map({ (key: $0.key, path: $0.path) }) + masks
    where !mounts.contains(where: { $0.key == key && $0.path == path }) {
      list.append(ExpectedMount(path: path, type: nil))
    }
    return list
  }

  /// Whether its path leads to it: there is no other mount over it, nor over one that it is in.
  package func isReached(_ mount: ImageMount) -> Bool {
    var current = mount
    var below: ImageMount?
    // More steps than mounts would be a circle.
    for _ in mounts {
      let limit = below?.path.utf8.count ?? Int.max
      let isCovered = mounts.contains {
        $0.parent == current.id && $0.id != current.id && $0.id != below?.id && $0.path.utf8.count <= limit
          && $0.isOver(mount.path)
      }
      if isCovered { return false }
      guard let parent = mounts.first(where: { $0.id == current.parent }), parent.id != current.id else { return true }
      below = current
      current = parent
    }
    return false
  }
}

extension ImageMount {
  /// Whether the way to this path leads through its own.
  fileprivate func isOver(_ other: String) -> Bool {
    guard other.utf8.starts(with: path.utf8) else { return false }
    let rest = other.utf8.dropFirst(path.utf8.count)
    return rest.isEmpty || rest.first == 0x2F || path == "/"
  }
}
