public import ContainerPlan

/// What the init stage needs for the hooks that it runs, besides those that are steps.
public struct InitHooks: Sendable, Equatable {
  /// The hooks that run when `start` has been ordered.
  public var startContainer: [HookPlan]
  /// The state document without `pid`, which only the init stage knows as the hooks see it: for `createContainer`, and
  /// for `startContainer`.
  public var creatingState: [UInt8]
  public var createdState: [UInt8]
  /// The environment of `createContainer` hooks that name none.
  public var environment: [String]

  public init(
    startContainer: [HookPlan] = [], creatingState: [UInt8] = [], createdState: [UInt8] = [],
    environment: [String] = []
  ) {
    self.startContainer = startContainer
    self.creatingState = creatingState
    self.createdState = createdState
    self.environment = environment
  }

  /// A state document with the pid put in. The order of members means nothing in JSON.
  public static func document(_ state: [UInt8], pid: Int32) -> [UInt8] {
    [0x7B] + Array("\"pid\":\(pid),".utf8) + state.dropFirst()
  }
}

extension InitHooks {
  func encode(to writer: inout WireWriter) {
    writer.put(list: startContainer) { $1.encode(to: &$0) }
    writer.put(creatingState)
    writer.put(createdState)
    writer.put(environment)
  }

  init(from reader: inout WireReader) throws(WireError) {
    startContainer = try reader.list { (reader) throws(WireError) in try HookPlan(from: &reader) }
    creatingState = try reader.blob()
    createdState = try reader.blob()
    environment = try reader.strings()
  }
}

extension HookPlan {
  public func encode(to writer: inout WireWriter) {
    writer.put(kind.rawValue)
    writer.put(index)
    writer.put(path)
    writer.put(arguments)
    writer.put(environment)
    writer.put(timeout)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    guard let kind = HookKind(rawValue: try reader.byte()) else { throw .malformed }
    let index = try reader.uint32()
    let path = try reader.string()
    let arguments = try reader.strings()
    let environment = try reader.strings()
    self.init(
      kind: kind, index: index, path: path, arguments: arguments, environment: environment,
      timeout: try reader.uint32())
  }
}
