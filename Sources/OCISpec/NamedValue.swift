/// One property of a JSON object whose names are free: an annotation, a sysctl, a clock. Such objects are kept as
/// arrays in the order of the document, so that no plan depends on the order of a hash table.
public struct NamedValue<Value: Equatable & Sendable>: Equatable, Sendable {
  /// The name of the property.
  public var name: String
  /// Its value.
  public var value: Value

  public init(_ name: String, _ value: Value) {
    self.name = name
    self.value = value
  }
}

extension Array {
  /// The value under `name`, or nothing. The decoder refuses a name that stands twice.
  public func value<Value>(named name: String) -> Value? where Element == NamedValue<Value> {
    for entry in self where entry.name == name {
      return entry.value
    }
    return nil
  }
}
