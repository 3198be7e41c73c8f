import Diagnostics
import Linux

@testable import Cgroups

/// A mountinfo, and behind `---` the own cgroups.
func fuzzMountinfo(_ input: [UInt8]) throws(BrokenRule) {
  let parts = sections(input)
  let lines = parts[0].split(separator: 0x0A).count
  let entries = MountTable.parse(parts[0])
  try hold(entries.count <= lines, "\(entries.count) mounts in \(lines) lines")
  try hold(entries == MountTable.parse(parts[0]), "two readings of one text differ")
  for entry in entries { try hold(!entry.type.isEmpty && !entry.path.isEmpty, "a mount without a path or a type") }
  if let path = ResctrlGroup.mountPoint(in: parts[0]) {
    try hold(!path.utf8.contains(0x0A) || parts[0].contains(0x5C), "the mount point `\(path)` is of two lines")
  }

  let text = parts.count > 1 ? parts[1] : Array("0::/\n".utf8)
  guard case .success(let own) = outcome({ () throws(RuntimeError) in try OwnCgroup.entries(text) }) else { return }
  for entry in own { _ = entry.directoryName }
  switch outcome({ () throws(RuntimeError) in try CgroupLayout(mountinfo: parts[0], own: own) }) {
  case .failure(let error): try hold(error.code == .cgroup, "`\(error.code.name)` is not about cgroups")
  case .success(let layout):
    _ = layout.kind
    try hold(!layout.joined.isEmpty, "a layout in which a container has no cgroup")
    for hierarchy in layout.joined {
      try hold(own.contains { $0.path == hierarchy.ownPath }, "`\(hierarchy.ownPath)` is no cgroup of this process")
      _ = hierarchy.ownRelativePath
    }
  }
}
