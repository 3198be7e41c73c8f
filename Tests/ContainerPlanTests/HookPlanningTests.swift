import ContainerPlan
import Diagnostics
import OCISpec
import Testing

private func plan(_ change: (inout Config) -> Void) throws(RuntimeError) -> ContainerPlan {
  var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
  config.root.readonly = true
  config.linux = LinuxConfig()
  config.linux?.namespaces = ["pid", "mount"].map { Namespace(type: $0) }
  config.linux?.readonlyPaths = ["/proc/sys"]
  config.linux?.maskedPaths = ["/proc/kcore"]
  config.mounts = [
    Mount(destination: "/proc", type: "proc", source: "proc"),
    Mount(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["ro"]),
  ]
  change(&config)
  return try Planner.plan(
    PlanInput(config: config, bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0)))
}

@Suite struct HookPlanningTests {
  @Test func everyFieldOfAHookIsPlanned() throws {
    let hook = Hook(path: "/bin/hook", args: ["hook", "-x"], env: ["A=1"], timeout: 7)
    let planned = HookPlan(
      kind: .poststop, index: 1, path: "/bin/hook", arguments: ["hook", "-x"], environment: ["A=1"], timeout: 7)
    let made = try plan { $0.hooks = Hooks(poststop: [Hook(path: "/first"), hook]) }
    #expect(made.hooks.poststop.last == planned)
    #expect(planned.field == "/hooks/poststop/1")
  }

  @Test func hooksOfEveryKindAreKeptApart() throws {
    let made = try plan {
      $0.hooks = Hooks(
        prestart: [Hook(path: "/0")], createRuntime: [Hook(path: "/1")], createContainer: [Hook(path: "/2")],
        startContainer: [Hook(path: "/3")], poststart: [Hook(path: "/4")], poststop: [Hook(path: "/5")])
    }
    let hooks = made.hooks
    let lists = [
      hooks.prestart, hooks.createRuntime, hooks.createContainer, hooks.startContainer, hooks.poststart,
      hooks.poststop,
    ]
    for (index, list) in lists.enumerated() {
      #expect(list.map(\.path) == ["/\(index)"])
      #expect(list.map(\.kind) == [HookKind.allCases[index]])
    }
  }

  @Test func withoutArgumentsTheyAreThePath() throws {
    for args in [nil, []] as [[String]?] {
      let made = try plan { $0.hooks = Hooks(prestart: [Hook(path: "/bin/hook", args: args)]) }
      #expect(made.hooks.prestart.first?.arguments == ["/bin/hook"])
    }
  }

  @Test func hooksRunBetweenTheMountsAndWhatMakesThemReadonly() throws {
    let made = try plan { $0.hooks = Hooks(createContainer: [Hook(path: "/x")]) }
    let hook = HookPlan(kind: .createContainer, index: 0, path: "/x", arguments: ["/x"])
    let places = [
      made.steps.lastIndex { if case .mount = $0 { true } else { false } },
      made.steps.firstIndex(of: .deviceLinks), made.steps.firstIndex(of: .mountsMade),
      made.steps.firstIndex(of: .hooks([hook])), made.steps.firstIndex(of: .readonlyMount("dev")),
      made.steps.firstIndex(of: .readonlyPaths(["proc/sys"])),
      made.steps.firstIndex(of: .maskPaths(["proc/kcore"], label: "")), made.steps.firstIndex(of: .readonlyRoot),
      made.steps.firstIndex(of: .pivotRoot),
    ].map { $0 ?? -1 }
    #expect(places == places.sorted() && !places.contains(-1), "\(places)")
  }

  @Test func hooksRunBeforeTheRootIsChangedWithoutAMountNamespace() throws {
    let made = try plan {
      $0.hooks = Hooks(createRuntime: [Hook(path: "/x")])
      $0.linux = LinuxConfig()
      $0.mounts = nil
      $0.root.readonly = nil
    }
    let place = try #require(made.steps.firstIndex(of: .mountsMade))
    #expect(place < (made.steps.firstIndex(of: .changeRoot) ?? -1))
  }

  @Test func nobodyWaitsForHooksThatAreNotThere() throws {
    let made = try plan {
      $0.hooks = Hooks(
        prestart: [], startContainer: [Hook(path: "/x")], poststart: [Hook(path: "/x")],
        poststop: [Hook(path: "/x")])
    }
    #expect(!made.steps.contains(.mountsMade))
  }

  @Test func mistakesInHooksAreNamedWithTheirPlace() {
    let table: [(Hook, String, String)] = [
      (Hook(path: "bin/x"), "path", "absolute"), (Hook(path: ""), "path", "absolute"),
      (Hook(path: "/x", timeout: 0), "timeout", "greater than zero"),
      (Hook(path: "/x", timeout: -1), "timeout", "greater than zero"),
      (Hook(path: "/x\0y"), "path", "NUL"), (Hook(path: "/x", args: ["x", "\0"]), "args/1", "NUL"),
      (Hook(path: "/x", env: ["A=\0"]), "env/0", "NUL"),
    ]
    for (hook, field, text) in table {
      do throws(RuntimeError) {
        _ = try plan { $0.hooks = Hooks(startContainer: [Hook(path: "/fine"), hook]) }
        Issue.record("no error for \(hook)")
      } catch {
        #expect(error.field == "/hooks/startContainer/1/\(field)")
        #expect(error.message.contains(text), "\(error.text)")
        #expect(error.code == .configInvalid)
      }
    }
  }

  @Test func aTimeoutBeyondEveryClockIsKept() throws {
    let made = try plan { $0.hooks = Hooks(prestart: [Hook(path: "/x", timeout: .max)]) }
    #expect(made.hooks.prestart.first?.timeout == .max)
  }

  @Test func thePrintedPlanHasEveryHookInItsPlace() throws {
    let made = try plan {
      $0.hooks = Hooks(
        prestart: [Hook(path: "/0")], createRuntime: [Hook(path: "/1")],
        createContainer: [Hook(path: "/2", timeout: 3)], startContainer: [Hook(path: "/3")],
        poststart: [Hook(path: "/4")], poststop: [Hook(path: "/5")])
      $0.process = OCISpec.Process(user: User(uid: 0, gid: 0), cwd: "/")
      $0.process?.args = ["x"]
    }
    let text = made.lines.filter {
      $0.action.contains("hook") || ["pivot root", "wait for start", "execute"].contains($0.action)
    }.map { "\($0.runner): \($0.action) \($0.detail)" }
    #expect(
      text == [
        "init stage 2: wait for hooks ", "runtime: run prestart hook /0", "runtime: run createRuntime hook /1",
        "init stage 2: run createContainer hook /2, 3 s at most", "init stage 2: pivot root ",
        "init stage 2: wait for start ", "init stage 2: run startContainer hook /3", "init stage 2: execute x",
        "runtime: run poststart hook /4", "runtime: run poststop hook /5",
      ])
  }
}
