public import Diagnostics
package import JSON

/// A Landlock ruleset, the value of the annotation ``annotation`` (spec/landlock.md). The properties are those that
/// opencontainers/runtime-spec#1241 proposes for `process.landlock`, and those of later kernels in the same manner.
public struct LandlockConfig: Equatable, Sendable {
  /// What is forbidden where no rule allows it.
  public var ruleset: LandlockRulesetConfig
  /// What is allowed all the same.
  public var rules: LandlockRulesConfig
  /// Names such as `log_new_exec_on`.
  public var flags: [String]
  /// What the kernel does not know is an error, not left out.
  public var disableBestEffort: Bool

  public init(
    ruleset: LandlockRulesetConfig = LandlockRulesetConfig(), rules: LandlockRulesConfig = LandlockRulesConfig(),
    flags: [String] = [], disableBestEffort: Bool = false
  ) {
    self.ruleset = ruleset
    self.rules = rules
    self.flags = flags
    self.disableBestEffort = disableBestEffort
  }

  /// The name of the annotation.
  public static var annotation: String { "org.apus.landlock" }

  /// The place of a value in the document: the JSON pointer of the annotation, `#`, and that in its text.
  public static func field(_ pointer: String) -> String { "/annotations/\(annotation)#\(pointer)" }

  /// Reads the value of the annotation. Unlike in config.json, a property that is not known is an error: what is
  /// misspelt would not be forbidden.
  public static func decode(_ text: String) throws(RuntimeError) -> LandlockConfig {
    do {
      return try JSONReader.decode([UInt8](text.utf8), file: annotation)
    } catch {
      var error = error
      error.field = field(error.field)
      throw error
    }
  }
}

/// What a ruleset handles. Names are those of landlock(7) in lower case, without their common beginning.
public struct LandlockRulesetConfig: Equatable, Sendable {
  /// Rights on files, such as `read_file`.
  public var handledAccessFS: [String] = []
  /// Rights on the network, such as `bind_tcp`.
  public var handledAccessNet: [String] = []
  /// What reaches only processes of the container, such as `signal`.
  public var scoped: [String] = []

  public init() {}
}

/// The rules of a ruleset.
public struct LandlockRulesConfig: Equatable, Sendable {
  /// Rules for files and directories.
  public var pathBeneath: [LandlockPathConfig] = []
  /// Rules for ports of TCP.
  public var netPort: [LandlockPortConfig] = []

  public init() {}
}

/// Rights on files, and on directories with all that is in them.
public struct LandlockPathConfig: Equatable, Sendable {
  /// Rights, or groups of them.
  public var allowedAccess: [String] = []
  /// Absolute, in the container.
  public var paths: [String] = []
  /// A path that is not there is left out.
  public var ifExists = false
  /// The rights are given to whatever symbolic links lead the paths to, wherever that is.
  public var followLinks = false

  public init() {}
}

/// Rights on ports of TCP.
public struct LandlockPortConfig: Equatable, Sendable {
  /// Rights, or groups of them.
  public var allowedAccess: [String] = []
  /// From 0 to 65535.
  public var ports: [UInt16] = []

  public init() {}
}

extension JSONReader {
  fileprivate mutating func unknown(_ key: JSONKey) -> RuntimeError {
    failure("property `\(key.string)` is not known")
  }
}

extension LandlockConfig: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "ruleset": ruleset = try reader.value()
      case "rules": rules = try reader.value()
      case "flags": flags = try reader.value()
      case "disableBestEffort": disableBestEffort = try reader.value()
      default: throw reader.unknown(key)
      }
    }
  }
}

extension LandlockRulesetConfig: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "handledAccessFS": handledAccessFS = try reader.value()
      case "handledAccessNet": handledAccessNet = try reader.value()
      case "scoped": scoped = try reader.value()
      default: throw reader.unknown(key)
      }
    }
  }
}

extension LandlockRulesConfig: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "pathBeneath": pathBeneath = try reader.value()
      case "netPort": netPort = try reader.value()
      default: throw reader.unknown(key)
      }
    }
  }
}

extension LandlockPathConfig: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "allowedAccess": allowedAccess = try reader.value()
      case "paths": paths = try reader.value()
      case "ifExists": ifExists = try reader.value()
      case "followLinks": followLinks = try reader.value()
      default: throw reader.unknown(key)
      }
    }
  }
}

extension LandlockPortConfig: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "allowedAccess": allowedAccess = try reader.value()
      case "ports": ports = try reader.value()
      default: throw reader.unknown(key)
      }
    }
  }
}
