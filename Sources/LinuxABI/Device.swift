/// The kinds of files that `linux.devices[].type` and `linux.resources.devices[].type` name (config-linux.md,
/// "Devices").
public enum DeviceType: UInt8, Sendable, Hashable, CaseIterable {
  /// `c`, or `u` for one without a buffer: Linux makes no difference.
  case character = 0
  /// `b`
  case block = 1
  /// `p`
  case fifo = 2

  /// The type a device to be made has; nil for any other letter, `a` among them.
  public init?(ociName: String) {
    switch ociName {
    case "c", "u": self = .character
    case "b": self = .block
    case "p": self = .fifo
    default: return nil
    }
  }

  /// The letter in config.json.
  public var ociName: String {
    switch self {
    case .character: "c"
    case .block: "b"
    case .fifo: "p"
    }
  }

  /// What stat(2) says about such a file.
  public var fileKind: FileKind {
    switch self {
    case .character: .characterDevice
    case .block: .blockDevice
    case .fifo: .fifo
    }
  }
}

/// The number of a device, makedev(3).
public struct DeviceNumber: Sendable, Hashable {
  public var major: UInt32
  public var minor: UInt32

  public init(major: UInt32, minor: UInt32) {
    self.major = major
    self.minor = minor
  }

  /// The number in the form of `dev_t`: the low bits of both in the lower half, where old programs look for them.
  public init(rawValue: UInt64) {
    major = UInt32(truncatingIfNeeded: (rawValue >> 8) & 0xFFF | (rawValue >> 32) & 0xFFFF_F000)
    minor = UInt32(truncatingIfNeeded: rawValue & 0xFF | (rawValue >> 12) & 0xFFFF_FF00)
  }

  /// The number as mknod(2) wants it and stat(2) gives it.
  public var rawValue: UInt64 {
    let major = UInt64(major)
    let minor = UInt64(minor)
    return minor & 0xFF | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32
  }

  /// Whether the kernel can have a device of this number: it keeps 12 bits of the major and 20 bits of the minor.
  public var isValid: Bool {
    major < 1 << 12 && minor < 1 << 20
  }
}
