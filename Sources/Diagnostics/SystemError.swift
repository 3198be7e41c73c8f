/// A system call that failed: which one, on what, and the kernel's answer. Thrown by the `Linux` module only; the
/// caller turns it into a ``RuntimeError`` where it is known why the call was made.
public struct SystemError: Error, Equatable, Sendable {
  /// Behind a reference, as in ``RuntimeError``.
  private let storage: Storage

  private final class Storage: Sendable {
    let call: String
    let errno: Errno
    let subject: String

    init(_ call: String, _ errno: Errno, _ subject: String) {
      self.call = call
      self.errno = errno
      self.subject = subject
    }
  }

  @inline(never)
  public init(_ call: String, _ errno: Errno, _ subject: String = "") {
    storage = Storage(call, errno, subject)
  }

  /// The name of the call, as in section 2 of the manual: `openat2`.
  public var call: String { storage.call }

  public var errno: Errno { storage.errno }

  /// What the call was about (a path, a name, a process); empty if there is nothing to name.
  public var subject: String { storage.subject }

  /// `openat2 proc/self: no such file or directory`
  public var text: String {
    subject.isEmpty ? "\(call): \(errno.text)" : "\(call) \(subject): \(errno.text)"
  }

  public static func == (left: SystemError, right: SystemError) -> Bool {
    left.errno == right.errno && left.call == right.call && left.subject == right.subject
  }
}
