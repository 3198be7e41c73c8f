import Diagnostics
import OCISpec

/// Rules about `hooks`.
enum HookRules {
  static func paths(_ planner: inout Planner) throws(RuntimeError) {
    guard let hooks = planner.config.hooks else { return }
    for kind in HookKind.allCases {
      for (index, hook) in (hooks.list(kind) ?? []).enumerated() where hook.path.utf8.first != 0x2F {
        try planner.report("`\(hook.path)` must be an absolute path", "/hooks/\(kind.name)/\(index)/path")
      }
    }
  }

  static func timeouts(_ planner: inout Planner) throws(RuntimeError) {
    guard let hooks = planner.config.hooks else { return }
    for kind in HookKind.allCases {
      for (index, hook) in (hooks.list(kind) ?? []).enumerated() {
        guard let timeout = hook.timeout, timeout <= 0 else { continue }
        try planner.report(
          "a timeout of \(timeout) s: it must be greater than zero", "/hooks/\(kind.name)/\(index)/timeout")
      }
    }
  }
}

extension Hooks {
  func list(_ kind: HookKind) -> [Hook]? {
    switch kind {
    case .prestart: prestart
    case .createRuntime: createRuntime
    case .createContainer: createContainer
    case .startContainer: startContainer
    case .poststart: poststart
    case .poststop: poststop
    }
  }
}
