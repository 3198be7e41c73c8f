import CLinux
public import Diagnostics
import LinuxABI

/// A program that works for this one and is spoken to while it runs: it gets the standard streams and descriptors that are
/// named here, and nothing else.
public struct ServiceProgram: Sendable {
  public var path: String
  /// The argument vector, with the name of the program first.
  public var arguments: [String]
  public var environment: [String]
  /// Numbers of this process that it gets as 0, 1 and 2.
  public var standard: (Int32, Int32, Int32) = (0, 1, 2)
  /// Numbers of this process that it gets from 3 on; at most 16.
  public var descriptors: [Int32] = []
  /// It gets a mount namespace of its own, with all that is mounted at the first path also at the second one.
  public var root: (source: String, target: String)?
  /// The name of a session keyring that is made for it; nil for that of this process.
  public var keyring: String?
  /// The `cgroup.procs` of the cgroups that it begins in; of those that are missing here it stays in that of this process.
  public var cgroups: [String] = []
  /// It gets a cgroup namespace that begins at these.
  public var hasCgroupNamespace = false

  public init(path: String, arguments: [String], environment: [String]) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
  }

  /// Starts it as a child in the process group of this one, with the default action for every signal and none blocked.
  public func start() throws(SystemError) -> SpawnedProcess {
    let argumentList = CStringList(arguments)
    let environmentList = CStringList(environment)
    // The source and the target of its root, and its keyring.
    let names = CStringList([root?.source ?? "", root?.target ?? "", keyring ?? ""])
    let cgroupList = CStringList(cgroups)
    var pidfd: Int32 = -1
    let result = path.withCString { path in
      var program = apus_program()
      program.path = path
      program.arguments = UnsafePointer(argumentList.pointers)
      program.environment = UnsafePointer(environmentList.pointers)
      program.standard = standard
      program.directory = -1
      program.umask = -1
      program.keeps_group = 1
      if root != nil {
        program.root_source = UnsafePointer(names.pointers[0])
        program.root_target = UnsafePointer(names.pointers[1])
      }
      program.cgroups = UnsafePointer(
        UnsafeRawPointer(cgroupList.pointers).assumingMemoryBound(to: UnsafePointer<CChar>?.self))
      program.cgroup_count = Int32(cgroups.count)
      program.new_cgroup_namespace = hasCgroupNamespace ? 1 : 0
      if keyring != nil { program.keyring = UnsafePointer(names.pointers[2]) }
      return descriptors.withUnsafeBufferPointer { numbers in
        program.descriptors = numbers.baseAddress
        program.descriptor_count = Int32(numbers.count)
        return apus_spawn_program(&program, &pidfd)
      }
    }
    let pid = try check("execve", result, path)
    return SpawnedProcess(pid: Int32(pid), descriptor: FileDescriptor(owning: pidfd))
  }
}
