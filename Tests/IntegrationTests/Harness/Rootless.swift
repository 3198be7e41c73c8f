import Foundation

/// The integration tests as an ordinary user: `hack/test` names the runtime by a program that becomes this user first.
enum Rootless {
  static let isOn = ProcessInfo.processInfo.environment["APUS_TEST_ROOTLESS"] == "1"
  /// `hack/in-view` gives the user and its group a name, and the subordinate ids of ``subordinates``.
  static let user: UInt32 = 64321
  static let subordinates: JSONValue = ["containerID": 1, "hostID": 100_000, "size": 65_535]

  /// Makes of a bundle for root one for the user: with a user namespace in which root is the user, and without a cgroup
  /// that only root could make.
  static func adapt(_ bundle: Bundle) throws {
    if bundle.config["linux"]["cgroupsPath"].string?.hasPrefix("/\(TestRun.tag)/") == true {
      bundle.config["linux"]["cgroupsPath"] = .null
    }
    let hasUsers = bundle.config["linux"]["namespaces"].elements.contains { $0["type"].string == "user" }
    if !hasUsers {
      bundle.addNamespace("user")
      let own: JSONValue = ["containerID": 0, "hostID": .number(Int(user)), "size": 1]
      for map in ["uidMappings", "gidMappings"] { bundle.config["linux"][map] = .array([own, subordinates]) }
    }
    chown(bundle.path, user, user)
    let isPlain = bundle.config["linux"]["uidMappings"].elements.first?["hostID"].int == Int(user)
    for folder in [""] + Files.names(in: bundle.rootfs) where isPlain {
      var status = stat()
      let path = "\(bundle.rootfs)/\(folder)"
      if lstat(path, &status) == 0, status.st_uid == 0 { lchown(path, user, user) }
    }
  }
}
