import Diagnostics

/// A property name. It borrows the document's bytes: use it before the reader goes on to the next property, and
/// take ``string`` to keep it.
package struct JSONKey {
  let raw: UnsafeBufferPointer<UInt8>
  /// The bytes where the name is written with escapes, which no ordinary document does.
  let decoded: [UInt8]?

  package var string: String {
    if let decoded {
      return String(decoding: decoded, as: UTF8.self)
    }
    return String(decoding: raw, as: UTF8.self)
  }

  /// Lets a decoder `switch` over names without making a text of each.
  package static func ~= (name: StaticString, key: JSONKey) -> Bool {
    let count = name.utf8CodeUnitCount
    if let decoded = key.decoded {
      return decoded.elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: count))
    }
    guard key.raw.count == count else { return false }
    for index in 0..<count where key.raw[index] != name.utf8Start[index] {
      return false
    }
    return true
  }

  /// FNV-1a. It only saves comparisons; equal hashes are still compared byte by byte.
  var hash: UInt32 {
    var hash: UInt32 = 2_166_136_261
    if let decoded {
      for byte in decoded {
        hash = (hash ^ UInt32(byte)) &* 16_777_619
      }
    } else {
      for byte in raw {
        hash = (hash ^ UInt32(byte)) &* 16_777_619
      }
    }
    return hash
  }
}

extension JSONReader {
  func makeKey(_ text: ScannedString) -> JSONKey {
    let raw = UnsafeBufferPointer(rebasing: bytes[text.start..<text.end])
    return JSONKey(raw: raw, decoded: text.hasEscape ? Self.unescape(raw) : nil)
  }

  /// Puts the name on the stack, and refuses it where it stands twice in its object.
  mutating func note(_ text: ScannedString, _ key: JSONKey) throws(RuntimeError) {
    let entry = SeenKey(
      hash: key.hash, length: Int32(truncatingIfNeeded: text.end - text.start), start: text.start,
      hasEscape: text.hasEscape)
    let base = frames[frames.count - 1].keyBase
    let count = keys.count
    keys.append(entry)
    if count - base >= Self.comparedKeys { return }
    for index in base..<count where keys[index].hash == entry.hash {
      if Self.order(keys[index], entry, in: bytes) == 0 {
        throw repeatedKey(entry)
      }
    }
  }

  /// Looks for equal names among those of a large object, from `base` to the top of the stack.
  mutating func refuseRepeatedKeys(from base: Int) throws(RuntimeError) {
    let document = bytes
    var sorted = Array(keys[base...])
    sorted.sort { left, right in
      let order = Self.order(left, right, in: document)
      return order == 0 ? left.start < right.start : order < 0
    }
    var repeated: SeenKey?
    for index in 1..<sorted.count where Self.order(sorted[index - 1], sorted[index], in: document) == 0 {
      if repeated.map({ sorted[index].start < $0.start }) ?? true {
        repeated = sorted[index]
      }
    }
    if let repeated {
      throw repeatedKey(repeated)
    }
  }

  func name(of key: SeenKey) -> String {
    let raw = UnsafeBufferPointer(rebasing: bytes[key.start..<key.start + Int(key.length)])
    return String(decoding: key.hasEscape ? Self.unescape(raw) : Array(raw), as: UTF8.self)
  }

  /// Below, at or above zero, as the left name comes before, is or comes after the right one in an order of our own.
  static func order(_ left: SeenKey, _ right: SeenKey, in document: UnsafeBufferPointer<UInt8>) -> Int {
    if left.hash != right.hash {
      return left.hash < right.hash ? -1 : 1
    }
    let leftRaw = UnsafeBufferPointer(rebasing: document[left.start..<left.start + Int(left.length)])
    let rightRaw = UnsafeBufferPointer(rebasing: document[right.start..<right.start + Int(right.length)])
    if left.hasEscape || right.hasEscape {
      let leftName = left.hasEscape ? unescape(leftRaw) : Array(leftRaw)
      let rightName = right.hasEscape ? unescape(rightRaw) : Array(rightRaw)
      return leftName.withUnsafeBufferPointer { leftBytes in
        rightName.withUnsafeBufferPointer { rightBytes in compare(leftBytes, rightBytes) }
      }
    }
    return compare(leftRaw, rightRaw)
  }

  static func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
    if left.count != right.count {
      return left.count - right.count
    }
    for index in 0..<left.count where left[index] != right[index] {
      return Int(left[index]) - Int(right[index])
    }
    return 0
  }
}
