import Diagnostics
import OCISpec

/// Properties of the specification that are decoded and not applied yet. Each is refused by name: a container that
/// silently lacks what it was told to have is worse than none. The list only ever gets shorter.
package enum Unsupported {
  private static let properties: [(field: String, isUsed: @Sendable (Process) -> Bool)] = [
    ("/process/apparmorProfile", { !($0.apparmorProfile ?? "").isEmpty }),
    ("/process/selinuxLabel", { !($0.selinuxLabel ?? "").isEmpty }),
  ]

  /// Whether the property at this JSON pointer is refused.
  package static func contains(_ field: String) -> Bool { properties.contains { $0.field == field } }

  static func refuse(_ config: Config) throws(RuntimeError) {
    guard let process = config.process else { return }
    for property in properties where property.isUsed(process) {
      throw RuntimeError(
        .configUnsupported, "this property is not supported yet", field: property.field,
        hint: "remove it, or use another runtime for this container")
    }
  }
}
