package import Diagnostics
package import JSON

/// What stands beside the images of CRIU and only this program knows: ``CheckpointDescription/fileName`` in their folder. An
/// image may come from elsewhere, so it is read strictly, and nothing in this file names a file of the host.
package struct CheckpointDescription: Sendable, Equatable {
  /// A mount that CRIU does not save, because it comes from outside of the container.
  package struct Mount: Sendable, Equatable {
    /// The name under which CRIU knows it: chosen here, never by the container or its configuration.
    package var key: String
    /// `mounts[].destination` as the configuration had it; by it `restore` finds the source in its own configuration.
    package var destination: String
    /// Where that was in the container, with all links worked out.
    package var path: String

    package init(key: String, destination: String, path: String) {
      self.key = key
      self.destination = destination
      self.path = path
    }
  }

  package var mounts: [Mount] = []
  /// The cgroups that are bound into a container without a cgroup namespace; the destination is the name of the hierarchy
  /// behind a slash.
  package var cgroups: [Mount] = []
  /// The mounts over masked paths, by where they were.
  package var masks: [String] = []
  /// What standard input, output and error led to, as /proc/PID/fd says; only pipes can be replaced.
  package var streams: [String] = []
  /// The kinds of the namespaces that the container had joined, as the configuration calls them.
  package var joined: [String] = []

  package init() {}

  package static var fileName: String { "apus.json" }
  package static var sizeLimit: Int { 1 << 20 }
  private static var form: UInt32 { 1 }

  /// The key of every mount of /dev/null over a masked path.
  package static var maskKey: String { "apus-mask" }

  package static func key(_ number: Int) -> String { "apus-mount-\(number)" }

  package static func key(ofCgroup number: Int) -> String { "apus-cgroup-\(number)" }

  /// The name of a joined namespace for CRIU: of its kind, as CRIU's names of namespaces are.
  package static func key(ofNamespace kind: String) -> String { "apus-\(kind)" }

  /// All names of what comes from outside.
  package var keys: [String] { mounts.map { $0.key } + cgroups.map { $0.key } + [CheckpointDescription.maskKey] }

  package static func decode(_ bytes: [UInt8], path: String) throws(RuntimeError) -> CheckpointDescription {
    let description: CheckpointDescription = try JSONReader.decode(bytes, file: path, code: .checkpointImage)
    var keys: [String] = []
    for (index, mount) in description.mounts.enumerated() {
      guard mount.key == key(index), !keys.contains(mount.key) else {
        throw RuntimeError(
          .checkpointImage, "`\(path)`: key `\(mount.key)` is not one of ours", field: "/mounts/\(index)/key")
      }
      keys.append(mount.key)
      try MountName.check(mount.destination, "\(path)", field: "/mounts/\(index)/destination")
      try MountName.check(mount.path, "\(path)", field: "/mounts/\(index)/path")
    }
    for (index, mount) in description.cgroups.enumerated() {
      guard mount.key == key(ofCgroup: index) else {
        throw RuntimeError(
          .checkpointImage, "`\(path)`: key `\(mount.key)` is not one of ours", field: "/cgroups/\(index)/key")
      }
      try MountName.check(mount.destination, "\(path)", field: "/cgroups/\(index)/destination")
      try MountName.check(mount.path, "\(path)", field: "/cgroups/\(index)/path")
    }
    for (index, mask) in description.masks.enumerated() {
      try MountName.check(mask, "\(path)", field: "/masks/\(index)")
    }
    guard description.streams.count <= 3, description.streams.allSatisfy({ $0.utf8.count <= 4096 }) else {
      throw RuntimeError(.checkpointImage, "`\(path)`: expected three standard streams", field: "/streams")
    }
    return description
  }
}

/// The names that CRIU is told of. In its options a mount is `mnt[NAME]:KEY`: a name with these letters would be read as
/// another name and another key (CVE-2026-115520, CVE-2026-119101).
package enum MountName {
  package static func isPlain(_ path: String) -> Bool {
    path.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != 0x5B && $0 != 0x5D && $0 != 0x5C }
  }

  package static func check(_ path: String, _ whose: String, field: String = "") throws(RuntimeError) {
    guard path.utf8.first == 0x2F, path.utf8.count < 4096, isPlain(path) else {
      throw RuntimeError(
        .checkpointImage, "\(whose): the path `\(path)` cannot be given to CRIU", field: field,
        hint:
          "a mount that is to be checkpointed has an absolute path without control characters, `[`, `]` and backslashes"
      )
    }
  }
}

extension CheckpointDescription: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("form", CheckpointDescription.form)
    writer.member("mounts", mounts)
    writer.member("cgroups", cgroups)
    writer.member("masks", masks)
    writer.member("streams", streams)
    writer.member("joined", joined)
    writer.endObject()
  }
}

extension CheckpointDescription.Mount: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("key", key)
    writer.member("destination", destination)
    writer.member("path", path)
    writer.endObject()
  }
}

extension CheckpointDescription: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    var form: UInt32 = 0
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "form": form = try reader.value()
      case "mounts": mounts = try reader.value()
      case "cgroups": cgroups = try reader.value()
      case "masks": masks = try reader.value()
      case "streams": streams = try reader.value()
      case "joined": joined = try reader.value()
      default: throw reader.failure("property `\(key.string)` is not known")
      }
    }
    guard form == CheckpointDescription.form else {
      throw reader.failure("expected form \(CheckpointDescription.form)")
    }
  }
}

extension CheckpointDescription.Mount: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init(key: "", destination: "", path: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "key": self.key = try reader.value()
      case "destination": destination = try reader.value()
      case "path": path = try reader.value()
      default: throw reader.failure("property `\(key.string)` is not known")
      }
    }
  }
}
