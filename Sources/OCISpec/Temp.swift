public struct SeccompProfile: Sendable {}
public struct Resources: Sendable {}
public struct DeviceRule: Sendable {}
public struct NamedValue<T: Sendable>: Sendable { public var name: String; public var value: T }
