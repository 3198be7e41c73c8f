package import Diagnostics

/// Turns what a shim returned into a value or a ``SystemError``. The subject is put together only on failure.
@inline(__always)
@discardableResult
package func check(
  _ call: StaticString, _ result: Int64, _ subject: @autoclosure () -> String = ""
) throws(SystemError) -> Int64 {
  if result >= 0 { return result }
  throw SystemError("\(call)", Errno(Int32(truncatingIfNeeded: -result)), subject())
}

/// The same for calls that a signal may interrupt before they did anything.
@inline(__always)
@discardableResult
package func checkRetrying(
  _ call: StaticString, _ subject: @autoclosure () -> String = "", _ body: () -> Int64
) throws(SystemError) -> Int64 {
  while true {
    let result = body()
    if result == -4 { continue }
    return try check(call, result, subject())
  }
}
