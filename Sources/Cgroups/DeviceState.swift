/// The rules of the device controller that `create` or `update` has set last, for the next `update`: the kernel does not
/// show all of them.
package struct DeviceState: Equatable, Sendable {
  package enum Force: UInt8, Sendable {
    /// None were set, or a change was cut off.
    case unknown = 0
    case inForce = 1
    /// The caller was not allowed to set them, and the container does without.
    case refused = 2
  }

  package var force: Force
  package var permissions: DevicePermissions

  package init(_ force: Force = .unknown, _ permissions: DevicePermissions = DevicePermissions(checked: [])) {
    self.force = force
    self.permissions = permissions
  }

  /// Whether these rules allow the very same, so that there is nothing to do. What was refused is so for those who may
  /// do without.
  package func isSame(as other: DevicePermissions, mayBeLeftOut: Bool) -> Bool {
    if force == .unknown || (force == .refused && !mayBeLeftOut) { return false }
    return DeviceProgram(permissions) == DeviceProgram(other)
  }
}
