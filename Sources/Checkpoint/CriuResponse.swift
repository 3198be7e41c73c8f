/// A message of `criu swrk`: the answer to a request, or a question of its own.
package struct CriuResponse: Sendable, Equatable {
  package var kind: UInt64 = 0
  package var isSuccess = false
  /// The process that was restored, or that a notification is about.
  package var process: Int32 = 0
  /// What is about to be done, or has been: criu(8), `--action-script`.
  package var script = ""
  package var errno: Int32 = 0
  package var message = ""
  package var features = CriuFeatures()
  /// As in `31701` for 3.17.1; 0 where it was not asked for.
  package var version: Int32 = 0

  package init(decoding bytes: [UInt8]) throws(ProtobufError) {
    var reader = ProtobufReader(bytes[...])
    var seen: (kind: Bool, success: Bool) = (false, false)
    while let (field, value) = try reader.next() {
      switch field {
      case 1:
        kind = try value.uint64
        seen.kind = true
      case 2:
        isSuccess = try value.bool
        seen.success = true
      case 4: try readRestored(value.message)
      case 5: try readNotification(value.message)
      case 7: errno = try value.int32
      case 8: try readFeatures(value.message)
      case 9: message = try value.string
      case 10: try readVersion(value.message)
      default: continue
      }
    }
    // Both are required.
    guard seen.kind, seen.success else { throw .malformed }
  }

  private mutating func readRestored(_ message: ProtobufReader) throws(ProtobufError) {
    var reader = message
    while let (field, value) = try reader.next() {
      if field == 1 { process = try value.int32 }
    }
  }

  private mutating func readNotification(_ message: ProtobufReader) throws(ProtobufError) {
    var reader = message
    while let (field, value) = try reader.next() {
      switch field {
      case 1: script = try value.string
      case 2: process = try value.int32
      default: continue
      }
    }
  }

  private mutating func readFeatures(_ message: ProtobufReader) throws(ProtobufError) {
    var reader = message
    while let (field, value) = try reader.next() {
      switch field {
      case 1: features.memoryTracking = try value.bool
      case 2: features.lazyPages = try value.bool
      default: continue
      }
    }
  }

  private mutating func readVersion(_ message: ProtobufReader) throws(ProtobufError) {
    var reader = message
    var parts: (major: Int32, minor: Int32, sublevel: Int32) = (0, 0, 0)
    while let (field, value) = try reader.next() {
      switch field {
      case 1: parts.major = try value.int32
      case 2: parts.minor = try value.int32
      case 4: parts.sublevel = try value.int32
      default: continue
      }
    }
    for part in [parts.major, parts.minor, parts.sublevel] {
      guard part >= 0, part < 10_000 else { throw .malformed }
    }
    version = parts.major * 10_000 + parts.minor * 100 + parts.sublevel
  }
}
