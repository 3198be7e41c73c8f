import Foundation

/// The integration tests as an ordinary user: `hack/test` names the runtime by a program that becomes this user first.
enum Rootless {
  static let isOn = ProcessInfo.processInfo.environment["APUS_TEST_ROOTLESS"] == "1"
  /// `hack/in-view` gives the user and its group a name, and the subordinate ids of ``subordinates``.
  static let user: UInt32 = 64321
  static let subordinates: JSONValue = ["containerID": 1, "hostID": 100_000, "size": 65_536]

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
    if isPlain { give(bundle.rootfs) }
  }

  /// Everything of root's below a folder, but the programs, which all bundles share.
  private static func give(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    let isFolder = status.st_mode & S_IFMT == S_IFDIR
    if status.st_uid == 0, isFolder || status.st_nlink == 1 { lchown(path, user, user) }
    if isFolder { for name in Files.names(in: path) { give("\(path)/\(name)") } }
  }
}
