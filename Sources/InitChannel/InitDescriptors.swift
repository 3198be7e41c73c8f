public import Diagnostics
import Linux

/// The descriptors that the init stage is started with, by number: its own ones from 3 on, then those that the caller of
/// the runtime wants to pass to the agent command. The numbers from 3 on belong to these, so the own ones make room first.
public struct InitDescriptors: Sendable, Equatable {
  /// The number of the channel; the others follow.
  public private(set) var channel: Int32 = 3
  private let hasConsoleSocket: Bool
  private let cgroupFiles: Int32

  /// Where the payload is, before anything of it is known.
  public static var payload: Int32 { 4 }

  public init(_ payload: InitPayload) {
    hasConsoleSocket = payload.hasConsoleSocket
    cgroupFiles = Int32(payload.taskFiles) + (payload.hasCgroupDirectory ? 1 : 0)
  }

  public var startSocket: Int32 { channel + 2 }
  /// -1 without a terminal.
  public var consoleSocket: Int32 { hasConsoleSocket ? channel + 3 : -1 }
  /// The first `tasks` file; then the others, then the cgroup v2 directory.
  public var firstCgroup: Int32 { channel + 3 + (hasConsoleSocket ? 1 : 0) }
  /// One behind the last own descriptor.
  private var end: Int32 { firstCgroup + cgroupFiles }

  /// Copies the own descriptors to numbers above those of all that were given. Until it has succeeded the old ones hold.
  public mutating func makeRoom(_ passed: UInt32) throws(SystemError) {
    let above = end + Int32(passed)
    // The payload has been read and closed.
    for offset in 0..<(end - channel) where channel + offset != InitDescriptors.payload {
      try Programs.replaceDescriptor(above + offset, by: channel + offset, closesOnExec: true)
    }
    channel = above
  }

  /// Puts the descriptors of the caller in their places, where they outlive execve(2), and closes what was left there.
  public func placePassed(_ passed: UInt32) throws(SystemError) {
    let first = channel - Int32(passed)
    for offset in 0..<Int32(passed) {
      try Programs.replaceDescriptor(3 + offset, by: first + offset, closesOnExec: false)
    }
    try Programs.closeRange(from: UInt32(3 + passed), upTo: UInt32(channel - 1))
  }
}

/// The descriptors that a mount helper is started with, by number.
public enum HelperDescriptors {
  /// The runtime's end of the channel.
  public static var channel: Int32 { 3 }
  public static var payload: Int32 { 4 }
  /// Where requests come from.
  public static var requests: Int32 { 5 }
  /// The pidfd of stage 2.
  public static var process: Int32 { 6 }
}
