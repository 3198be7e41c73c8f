/// An error as the user sees it. The same value crosses the socket from the init stage to the runtime, so nothing of
/// it is flattened into text before it is printed.
public struct RuntimeError: Error, Equatable, Sendable {
  /// Behind a reference: an error travels through hundreds of functions, and each would copy and destroy six texts.
  private var storage: Storage

  private struct Content: Equatable, Sendable {
    var code: ErrorCode
    var message: String
    var trail: [String]
    var field: String
    var cause: SystemError?
    var hint: String
  }

  private final class Storage: Sendable {
    let content: Content

    init(_ content: Content) {
      self.content = content
    }
  }

  // Errors are rare and their places many: a call each, not a copy each.
  @inline(never)
  public init(
    _ code: ErrorCode, _ message: String, field: String = "", cause: SystemError? = nil, hint: String = ""
  ) {
    storage = Storage(
      Content(code: code, message: message, trail: [], field: field, cause: cause, hint: hint))
  }

  private func with(_ change: (inout Content) -> Void) -> Storage {
    var content = storage.content
    change(&content)
    return Storage(content)
  }

  public var code: ErrorCode {
    get { storage.content.code }
    set { storage = with { $0.code = newValue } }
  }

  /// What happened, in lower case, values in back-quotes, no full stop.
  public var message: String { storage.content.message }

  /// The context phrases, outermost first: what was being done.
  public var trail: [String] {
    get { storage.content.trail }
    set { storage = with { $0.trail = newValue } }
  }

  /// Where the cause stands: a JSON pointer (`/mounts/3/options/1`) or a flag (`--bundle`); empty if nowhere.
  public var field: String {
    get { storage.content.field }
    set { storage = with { $0.field = newValue } }
  }

  /// The system call that failed, where one did.
  public var cause: SystemError? { storage.content.cause }

  /// What the user can do about it; empty if the message says it.
  public var hint: String {
    get { storage.content.hint }
    set { storage = with { $0.hint = newValue } }
  }

  public static func == (left: RuntimeError, right: RuntimeError) -> Bool {
    left.storage.content == right.storage.content
  }

  /// The same error, with what was being done in front of it.
  @inline(never)
  public func during(_ phrase: String) -> RuntimeError {
    var copy = self
    copy.trail.insert(phrase, at: 0)
    return copy
  }

  /// The one-line text that goes to stderr and to the log: trail, message, system call and errno, field.
  public var text: String {
    var line = ""
    for phrase in trail {
      line += phrase
      line += ": "
    }
    line += message
    if let cause {
      line += ": "
      line += cause.text
    }
    if !field.isEmpty {
      line += " (at `\(field)`)"
    }
    if !hint.isEmpty {
      line += "; "
      line += hint
    }
    return line
  }
}

extension SystemError {
  /// This failure as a ``RuntimeError``, with the reason for which the call was made.
  @inline(never)
  public func because(
    _ code: ErrorCode, _ message: String, field: String = "", hint: String = ""
  ) -> RuntimeError {
    RuntimeError(code, message, field: field, cause: self, hint: hint)
  }
}

/// Runs `body` and adds what was being done to any error that leaves it.
public func during<T: ~Copyable>(
  _ phrase: @autoclosure () -> String, _ body: () throws(RuntimeError) -> T
) throws(RuntimeError) -> T {
  do {
    return try body()
  } catch {
    throw error.during(phrase())
  }
}

/// Runs a call and says why it was made if it fails.
public func describe<T: ~Copyable>(
  _ code: ErrorCode, _ message: @autoclosure () -> String, field: @autoclosure () -> String = "",
  _ body: () throws(SystemError) -> T
) throws(RuntimeError) -> T {
  do {
    return try body()
  } catch {
    throw error.because(code, message(), field: field())
  }
}
