import CLinux
public import Diagnostics
import LinuxABI

/// What a mount is no longer to allow.
public struct MountRestriction: Equatable, Sendable {
  /// Absolute in its mount namespace, without links.
  public var path: String
  /// MOUNT_ATTR_* of mount_setattr(2).
  public var attributes: UInt64

  public init(path: String, attributes: UInt64) {
    self.path = path
    self.attributes = attributes
  }

  /// Sets all of them in the mount namespace of a process.
  public static func apply(_ list: [MountRestriction], to process: Int32) throws(SystemError) {
    let mounts = try FileDescriptor.open("/proc/\(process)/ns/mnt", .readOnly)
    let paths = CStringList(list.map { $0.path })
    var restrictions: [apus_restriction] = []
    for (index, restriction) in list.enumerated() {
      restrictions.append(
        apus_restriction(path: UnsafePointer(paths.pointers[index]), attributes: restriction.attributes))
    }
    let result = restrictions.withUnsafeBufferPointer {
      apus_restrict_mounts(mounts.number, $0.baseAddress, Int32($0.count))
    }
    try check("mount_setattr", result, "mounts of process \(process)")
  }
}

extension Namespaces {
  /// Sets the interface of that name of the network namespace of a process up.
  public static func setInterfaceUp(_ name: String, in process: Int32) throws(SystemError) {
    let network = try FileDescriptor.open("/proc/\(process)/ns/net", .readOnly)
    try check("ioctl", name.withCString { apus_interface_up(network.number, $0) }, name)
  }
}
