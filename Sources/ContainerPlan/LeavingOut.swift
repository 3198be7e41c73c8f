#if APUS_MUTANTS
  import LinuxABI
  import OCISpec

  // Only in the test build of `hack/mutants --steps`, never in what users run: leaves every step of one kind out of a
  // plan, to see which test misses it. The plan is data, so nothing that carries it out knows of this. The kinds bear the
  // names of the types and their properties; `hack/mutants.d/steps.tsv` has a row for each, and `hack/lint` compares.

  extension ContainerPlan {
    /// False where there is no kind of this name.
    public mutating func leaveOut(_ kind: String) -> Bool {
      if let change = ContainerPlan.parts[kind] {
        change(&self)
      } else if let change = NamespacePlan.parts[kind] {
        change(&namespaces)
      } else if let change = AgentPlan.parts[kind] {
        if var plan = agent {
          change(&plan)
          agent = plan
        }
      } else if let change = MountStep.parts[kind] {
        changeMounts(change)
      } else if let change = HookPlan.parts[kind] {
        changeHooks(change)
      } else if let change = Resources.parts[kind] {
        if var resources = cgroup.resources {
          change(&resources)
          cgroup.resources = resources
        }
      } else if !leaveOutOfNamespaces(kind) {
        return leaveOutOfSteps(kind)
      }
      return true
    }

    private static var parts: [String: (inout ContainerPlan) -> Void] {
      [
        "ContainerPlan.seccomp": { $0.seccomp = nil },
        "ContainerPlan.landlock": { $0.landlock = nil },
        "ContainerPlan.landlockState": { $0.landlockState = nil },
        "LandlockPlan.files": { $0.landlock?.files = 0 },
        "LandlockPlan.network": { $0.landlock?.network = 0 },
        "LandlockPlan.scopes": { $0.landlock?.scopes = 0 },
        "LandlockPlan.paths": { $0.landlock?.paths = [] },
        "LandlockPlan.ports": { $0.landlock?.ports = [] },
        "LandlockPath.ifExists": { $0.changePaths { $0.ifExists = false } },
        "LandlockPath.followLinks": { $0.changePaths { $0.followLinks = false } },
        "LandlockPath.rule": { $0.changePaths { $0.rule = 0 } },
        "LandlockPath.index": { $0.changePaths { $0.index = 0 } },
        "ContainerPlan.netDevices": { $0.netDevices = [] },
        "ContainerPlan.intelRdt": { $0.intelRdt = nil },
        "ContainerPlan.agent": { $0.agent = nil },
        "ContainerPlan.annotations": { $0.annotations = [] },
        "ContainerPlan.warnings": { $0.warnings = [] },
        "CgroupPlan.path": { $0.cgroup.path = nil },
        "CgroupPlan.resources": { $0.cgroup.resources = nil },
        "CgroupPlan.deviceRules": {
          $0.cgroup.deviceRules = [
            DeviceRule(allow: true, type: "a", major: nil, minor: nil, access: "rwm")
          ]
        },
        "CgroupPlan.deviceRules.default": { $0.cgroup.deviceRules = $0.cgroup.resources?.devices ?? [] },
        "CgroupPlan.owner": { $0.cgroup.owner = nil },
        "NetDevicePlan.newName": { plan in
          for index in plan.netDevices.indices { plan.netDevices[index].newName = plan.netDevices[index].name }
        },
        "HookPlans.prestart": { $0.hooks.prestart = [] },
        "HookPlans.createRuntime": { $0.hooks.createRuntime = [] },
        "HookPlans.createContainer": {
          $0.hooks.createContainer = []
          $0.steps.removeAll { $0.kind == "InitStep.hooks" }
        },
        "HookPlans.startContainer": { $0.hooks.startContainer = [] },
        "HookPlans.poststart": { $0.hooks.poststart = [] },
        "HookPlans.poststop": { $0.hooks.poststop = [] },
      ]
    }

    /// `NamespacePlan.created.pid`, `NamespacePlan.joined.pid`, ….
    private mutating func leaveOutOfNamespaces(_ kind: String) -> Bool {
      for namespace in NamespaceKind.allCases {
        if kind == "NamespacePlan.created.\(namespace.ociName)" {
          namespaces.created.subtract(namespace.cloneFlag)
          return true
        }
        if kind == "NamespacePlan.joined.\(namespace.ociName)" {
          namespaces.joined.removeAll { $0.kind == namespace.cloneFlag }
          return true
        }
      }
      return false
    }

    private mutating func changeMounts(_ change: (inout MountStep) -> Void) {
      for index in steps.indices {
        guard case .mount(var mount) = steps[index] else { continue }
        change(&mount)
        steps[index] = .mount(mount)
      }
    }

    private mutating func changePaths(_ change: (inout LandlockPath) -> Void) {
      guard var plan = landlock else { return }
      for index in plan.paths.indices { change(&plan.paths[index]) }
      landlock = plan
    }

    private mutating func changeHooks(_ change: (inout HookPlan) -> Void) {
      func changed(_ plans: [HookPlan]) -> [HookPlan] {
        plans.map {
          var plan = $0
          change(&plan)
          return plan
        }
      }
      hooks.prestart = changed(hooks.prestart)
      hooks.createRuntime = changed(hooks.createRuntime)
      hooks.createContainer = changed(hooks.createContainer)
      hooks.startContainer = changed(hooks.startContainer)
      hooks.poststart = changed(hooks.poststart)
      hooks.poststop = changed(hooks.poststop)
      for index in steps.indices {
        if case .hooks(let plans) = steps[index] { steps[index] = .hooks(changed(plans)) }
      }
    }

    private mutating func leaveOutOfSteps(_ kind: String) -> Bool {
      if kind.hasPrefix("MountSource.") {
        steps.removeAll { if case .mount(let mount) = $0 { mount.source.kind == kind } else { false } }
        return MountSource.kinds.contains(kind)
      }
      if let change = InitStep.parts[kind] {
        steps = steps.map(change)
        return true
      }
      steps.removeAll { $0.kind == kind }
      return kind.hasPrefix("InitStep.")
    }
  }

  extension NamespacePlan {
    fileprivate static var parts: [String: (inout NamespacePlan) -> Void] {
      [
        "NamespacePlan.uidMap": { $0.uidMap = [] },
        "NamespacePlan.gidMap": { $0.gidMap = [] },
        "NamespacePlan.timeOffsets": { $0.timeOffsets = "" },
        "NamespacePlan.takesNetDevices": { $0.takesNetDevices = false },
        "JoinedNamespace.changedBy": { plan in
          for index in plan.joined.indices { plan.joined[index].changedBy = "" }
        },
      ]
    }
  }

  extension AgentPlan {
    /// Every capability there may ever be: what is not limited.
    private static var everything: UInt64 { UInt64.max }

    fileprivate static var parts: [String: (inout AgentPlan) -> Void] {
      [
        "AgentPlan.arguments": { $0.arguments = Array($0.arguments.prefix(1)) },
        "AgentPlan.environment": { $0.environment = [] },
        "AgentPlan.workingDirectory": { $0.workingDirectory = "/" },
        "AgentPlan.uid": { $0.uid = 0 },
        "AgentPlan.gid": { $0.gid = 0 },
        "AgentPlan.additionalGids": { $0.additionalGids = [] },
        // That of the set-up stays.
        "AgentPlan.umask": { $0.umask = 0 },
        "AgentPlan.noNewPrivileges": { $0.noNewPrivileges = false },
        "AgentPlan.limits": { $0.limits = [] },
        "AgentPlan.looksUpHome": { $0.looksUpHome = false },
        "CapabilityPlan.bounding": { $0.capabilities.bounding = everything },
        "CapabilityPlan.effective": { $0.capabilities.effective = 0 },
        "CapabilityPlan.effective.limit": { $0.capabilities.effective = everything },
        "CapabilityPlan.permitted": { $0.capabilities.permitted = 0 },
        "CapabilityPlan.permitted.limit": { $0.capabilities.permitted = everything },
        "CapabilityPlan.inheritable": { $0.capabilities.inheritable = 0 },
        "CapabilityPlan.ambient": { $0.capabilities.ambient = 0 },
        "ProcessAttributes.oomScoreAdjustment": { $0.attributes.oomScoreAdjustment = nil },
        "ProcessLabels.appArmorProfile": { $0.labels.appArmorProfile = "" },
        "ProcessLabels.selinuxLabel": { $0.labels.selinuxLabel = "" },
        "ProcessAttributes.scheduler": { $0.attributes.scheduler = nil },
        "ProcessAttributes.ioPriority": { $0.attributes.ioPriority = nil },
        "ProcessAttributes.personality": { $0.attributes.personality = nil },
        "ProcessAttributes.memoryPolicy": { $0.attributes.memoryPolicy = nil },
        "SchedulerPlan.flags": { $0.attributes.scheduler?.flags = 0 },
        "SchedulerPlan.nice": { $0.attributes.scheduler?.nice = 0 },
        "SchedulerPlan.priority": { $0.attributes.scheduler?.priority = 1 },
        "SchedulerPlan.runtime": { $0.attributes.scheduler?.runtime = 0 },
        "SchedulerPlan.deadline": { $0.attributes.scheduler?.deadline = 0 },
        "SchedulerPlan.period": { $0.attributes.scheduler?.period = 0 },
        "MemoryPolicyPlan.nodes": { $0.attributes.memoryPolicy?.nodes = [] },
      ]
    }
  }

  extension ExecPlan {
    /// `exec.TYPE.NAME` for the parts that it shares with the plan of a container; false where there is no kind of this
    /// name.
    public mutating func leaveOut(_ kind: String) -> Bool {
      if let change = ExecPlan.parts[kind] {
        change(&self)
        return true
      }
      guard kind.hasPrefix("exec.") else { return false }
      let part = String(kind.dropFirst("exec.".count))
      if let change = AgentPlan.parts[part] {
        change(&agent)
      } else if let change = InitStep.parts[part], part.hasPrefix("ConsoleStep.") {
        if let console, case .console(let changed) = change(.console(console)) { self.console = changed }
      } else {
        return false
      }
      return true
    }

    /// Whether it is a kind of this plan, which a container then knows nothing of.
    public static func knows(_ kind: String) -> Bool {
      var plan = ExecPlan(
        agent: AgentPlan(
          arguments: [], environment: [], workingDirectory: "", uid: 0, gid: 0, additionalGids: [], umask: 0,
          capabilities: CapabilityPlan(), noNewPrivileges: false, limits: [], looksUpHome: false),
        console: nil, initialCPUs: [], finalCPUs: [], warnings: [])
      return plan.leaveOut(kind)
    }

    private static var parts: [String: (inout ExecPlan) -> Void] {
      [
        "ExecPlan.console": { $0.console = nil },
        "ExecPlan.initialCPUs": { $0.initialCPUs = [] },
        "ExecPlan.finalCPUs": { $0.finalCPUs = [] },
        "ExecPlan.warnings": { $0.warnings = [] },
      ]
    }
  }

  extension MountStep {
    fileprivate static var parts: [String: (inout MountStep) -> Void] {
      [
        "MountStep.set": { $0.set = 0 },
        "MountStep.clear": { $0.clear = 0 },
        "MountStep.clearByName": { $0.clearByName = 0 },
        "MountStep.setRecursively": { $0.setRecursively = 0 },
        "MountStep.clearRecursively": { $0.clearRecursively = 0 },
        "MountStep.propagation": { $0.propagation = [] },
        "MountStep.label": { $0.label = "" },
        "MountStep.idMap": { $0.idMap = nil },
        "MountIDMap.recursive": { $0.idMap?.recursive = false },
        "MountIDMap.uids": { $0.idMap?.uids = [] },
        "MountIDMap.gids": { $0.idMap?.gids = [] },
        "PropagationChange.recursive": { mount in
          for index in mount.propagation.indices { mount.propagation[index].recursive = false }
        },
        "MountTraits.copiesUp": { $0.traits.subtract(.copiesUp) },
        "MountTraits.copiesSymlink": { $0.traits.subtract(.copiesSymlink) },
        "MountTraits.sourceNoFollow": { $0.traits.subtract(.sourceNoFollow) },
        "MountTraits.destinationNoFollow": { $0.traits.subtract(.destinationNoFollow) },
        "MountSource.bind.recursive": {
          if case .bind(let path, _) = $0.source { $0.source = .bind(path: path, recursive: false) }
        },
        "MountSource.fileSystem.parameters": {
          if case .fileSystem(let type, let source, _) = $0.source {
            $0.source = .fileSystem(type: type, source: source, parameters: [])
          }
        },
        "MountSource.remount.parameters": {
          if case .remount(let attributesOnly, _) = $0.source {
            $0.source = .remount(attributesOnly: attributesOnly, parameters: [])
          }
        },
      ]
    }
  }

  extension MountSource {
    // No default: a new case has to be named here, and then hack/lint wants a row.
    fileprivate var kind: String {
      switch self {
      case .bind: "MountSource.bind"
      case .fileSystem: "MountSource.fileSystem"
      case .cgroup: "MountSource.cgroup"
      case .remount: "MountSource.remount"
      case .legacyFileSystem: "MountSource.legacyFileSystem"
      }
    }

    fileprivate static let kinds = ["bind", "fileSystem", "cgroup", "remount", "legacyFileSystem"].map {
      "MountSource.\($0)"
    }
  }

  extension HookPlan {
    fileprivate static var parts: [String: (inout HookPlan) -> Void] {
      [
        "HookPlan.arguments": { $0.arguments = [$0.path] },
        "HookPlan.environment": { $0.environment = [] },
        "HookPlan.timeout": { $0.timeout = 0 },
      ]
    }
  }

  extension InitStep {
    // No default, as above.
    fileprivate var kind: String {
      switch self {
      case .startSession: "InitStep.startSession"
      case .newCgroupNamespace: "InitStep.newCgroupNamespace"
      case .interfaceUp: "InitStep.interfaceUp"
      case .hostname: "InitStep.hostname"
      case .domainname: "InitStep.domainname"
      case .keyring: "InitStep.keyring"
      case .propagation: "InitStep.propagation"
      case .openRoot: "InitStep.openRoot"
      case .mount: "InitStep.mount"
      case .devices: "InitStep.devices"
      case .deviceLinks: "InitStep.deviceLinks"
      case .console: "InitStep.console"
      case .mountsMade: "InitStep.mountsMade"
      case .hooks: "InitStep.hooks"
      case .workingDirectory: "InitStep.workingDirectory"
      case .maskPaths: "InitStep.maskPaths"
      case .readonlyPaths: "InitStep.readonlyPaths"
      case .readonlyRoot: "InitStep.readonlyRoot"
      case .readonlyMount: "InitStep.readonlyMount"
      case .pivotRoot: "InitStep.pivotRoot"
      case .moveRoot: "InitStep.moveRoot"
      case .changeRoot: "InitStep.changeRoot"
      case .rootPropagation: "InitStep.rootPropagation"
      case .openProc: "InitStep.openProc"
      case .sysctl: "InitStep.sysctl"
      case .processLabels: "InitStep.processLabels"
      }
    }

    /// Parts of steps.
    fileprivate static var parts: [String: (InitStep) -> InitStep] {
      func nodes(_ change: @escaping ([DeviceNode]) -> [DeviceNode]) -> (InitStep) -> InitStep {
        { if case .devices(let nodes) = $0 { .devices(change(nodes)) } else { $0 } }
      }
      func node(_ change: @escaping (inout DeviceNode) -> Void) -> (InitStep) -> InitStep {
        nodes { list in
          list.map {
            var node = $0
            change(&node)
            return node
          }
        }
      }
      func console(_ change: @escaping (inout ConsoleStep) -> Void) -> (InitStep) -> InitStep {
        { step in
          guard case .console(var console) = step else { return step }
          change(&console)
          return .console(console)
        }
      }
      return [
        "InitStep.openRoot.privateParent": {
          if case .openRoot(let path, _) = $0 { .openRoot(path: path, privateParent: false) } else { $0 }
        },
        "InitStep.devices.default": nodes { $0.filter { !Planner.defaultDevices.contains($0) } },
        "InitStep.devices.configured": nodes { $0.filter { Planner.defaultDevices.contains($0) } },
        "DeviceNode.mode": node { $0.mode = $0.mode & 0o170000 | 0o666 },
        "DeviceNode.uid": node { $0.uid = 0 },
        "DeviceNode.gid": node { $0.gid = 0 },
        "ConsoleStep.rows": console { $0.rows = 0 },
        "ConsoleStep.columns": console { $0.columns = 0 },
        "ConsoleStep.isMounted": console { $0.isMounted = false },
      ]
    }
  }

  extension Resources {
    fileprivate static var parts: [String: (inout Resources) -> Void] {
      [
        "Resources.memory": { $0.memory = nil },
        "Resources.cpu": { $0.cpu = nil },
        "Resources.pids": { $0.pids = nil },
        "Resources.blockIO": { $0.blockIO = nil },
        "Resources.hugepageLimits": { $0.hugepageLimits = nil },
        "Resources.network": { $0.network = nil },
        "Resources.rdma": { $0.rdma = nil },
        "Resources.unified": { $0.unified = nil },
        "MemoryResources.limit": { $0.memory?.limit = nil },
        "MemoryResources.reservation": { $0.memory?.reservation = nil },
        "MemoryResources.swap": { $0.memory?.swap = nil },
        "MemoryResources.swappiness": { $0.memory?.swappiness = nil },
        "MemoryResources.disableOOMKiller": { $0.memory?.disableOOMKiller = nil },
        "CPUResources.shares": { $0.cpu?.shares = nil },
        "CPUResources.quota": { $0.cpu?.quota = nil },
        "CPUResources.burst": { $0.cpu?.burst = nil },
        "CPUResources.period": { $0.cpu?.period = nil },
        "CPUResources.realtimeRuntime": { $0.cpu?.realtimeRuntime = nil },
        "CPUResources.realtimePeriod": { $0.cpu?.realtimePeriod = nil },
        "CPUResources.cpus": { $0.cpu?.cpus = nil },
        "CPUResources.mems": { $0.cpu?.mems = nil },
        "CPUResources.idle": { $0.cpu?.idle = nil },
        "BlockIOResources.weight": { $0.blockIO?.weight = nil },
        "BlockIOResources.weightDevice": { $0.blockIO?.weightDevice = nil },
        "BlockIOResources.throttleReadBpsDevice": { $0.blockIO?.throttleReadBpsDevice = nil },
        "BlockIOResources.throttleWriteBpsDevice": { $0.blockIO?.throttleWriteBpsDevice = nil },
        "BlockIOResources.throttleReadIOPSDevice": { $0.blockIO?.throttleReadIOPSDevice = nil },
        "BlockIOResources.throttleWriteIOPSDevice": { $0.blockIO?.throttleWriteIOPSDevice = nil },
      ]
    }
  }
#endif
