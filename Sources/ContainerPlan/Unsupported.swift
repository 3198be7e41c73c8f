import Diagnostics
import OCISpec

/// Properties of the specification that are decoded and not applied yet. Each is refused by name: a container that
/// silently lacks what it was told to have is worse than none. The list only ever gets shorter.
enum Unsupported {
  static func refuse(_ config: Config) throws(RuntimeError) {
    for (isUsed, field) in used(config) where isUsed {
      throw RuntimeError(
        .configUnsupported, "this property is not supported yet", field: field,
        hint: "remove it, or use another runtime for this container")
    }
  }

  private static func used(_ config: Config) -> [(Bool, String)] {
    var list: [(Bool, String)] = []
    if let process = config.process {
      list += [
        (!(process.apparmorProfile ?? "").isEmpty, "/process/apparmorProfile"),
        (!(process.selinuxLabel ?? "").isEmpty, "/process/selinuxLabel"),
      ]
    }
    return list
  }
}
