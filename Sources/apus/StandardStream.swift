import Diagnostics
import Linux

/// The output of the program. Every write is checked: a result that nobody got is a failure.
enum StandardStream {
  static func print(_ bytes: [UInt8]) throws(RuntimeError) {
    do {
      try write(1, bytes)
    } catch {
      throw error.because(.output, "cannot write the result to the standard output")
    }
  }

  static func print(_ text: String) throws(RuntimeError) {
    try print([UInt8](text.utf8))
  }

  /// A document and the line break behind it.
  static func print(document: [UInt8]) throws(RuntimeError) {
    try print(document + [0x0A])
  }

  static func write(_ number: Int32, _ bytes: [UInt8]) throws(SystemError) {
    let stream = FileDescriptor(owning: number)
    do {
      try stream.write(bytes)
    } catch {
      _ = stream.release()
      throw error
    }
    // 1 and 2 belong to the process, not to this call.
    _ = stream.release()
  }
}
