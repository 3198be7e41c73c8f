import Foundation
import LinuxABI
import OCISpec
import Testing

@testable import apus

/// The features document by itself; what it says is compared with behaviour in Tests/IntegrationTests.
@Suite struct FeaturesTests {
  /// Every property that features.md and features-linux.md of version 1.3.0 define.
  private static let properties = [
    "/annotations", "/hooks", "/linux/apparmor/enabled", "/linux/capabilities", "/linux/cgroup/rdma",
    "/linux/cgroup/systemd", "/linux/cgroup/systemdUser", "/linux/cgroup/v1", "/linux/cgroup/v2",
    "/linux/intelRdt/enabled", "/linux/intelRdt/monitoring", "/linux/intelRdt/schemata",
    "/linux/memoryPolicy/flags", "/linux/memoryPolicy/modes", "/linux/mountExtensions/idmap/enabled",
    "/linux/namespaces", "/linux/netDevices/enabled", "/linux/seccomp/actions", "/linux/seccomp/archs",
    "/linux/seccomp/enabled", "/linux/seccomp/knownFlags", "/linux/seccomp/operators",
    "/linux/seccomp/supportedFlags", "/linux/selinux/enabled", "/mountOptions", "/ociVersionMax",
    "/ociVersionMin", "/potentiallyUnsafeConfigAnnotations",
  ]

  private func document() throws -> [String: Any] {
    let data = Data(FeaturesCommand.document.document())
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// The places of everything that is not an object with properties of the specification.
  private func places(_ value: Any, _ place: String) -> [String] {
    guard place != "/annotations", let object = value as? [String: Any] else { return [place] }
    return object.flatMap { places($1, "\(place)/\($0)") }
  }

  @Test func featuresHaveEveryPropertyOfTheSpecificationAndNoOther() throws {
    #expect(try places(document(), "").sorted() == FeaturesTests.properties)
  }

  @Test func featuresHoldNoNullAndNoEmptyListButOfWhatThereIsNone() throws {
    func look(_ value: Any, _ place: String) {
      #expect(!(value is NSNull), "\(place)")
      if let list = value as? [Any] {
        #expect(!list.isEmpty, "\(place)")
      }
      for (name, member) in value as? [String: Any] ?? [:] { look(member, "\(place)/\(name)") }
    }
    try look(document(), "")
  }

  @Test func theNewestVersionIsNotOlderThanTheOldest() throws {
    func numbers(_ name: String) throws -> [Int] {
      try #require(document()[name] as? String).split(separator: ".").map { try #require(Int($0)) }
    }
    let (oldest, newest) = (try numbers("ociVersionMin"), try numbers("ociVersionMax"))
    #expect(oldest.count == 3 && newest.count == 3)
    #expect(!newest.lexicographicallyPrecedes(oldest))
  }

  @Test func mountOptionsOfFileSystemsAreNotAnnounced() throws {
    let options = try #require(document()["mountOptions"] as? [String])
    #expect(Set(options).count == options.count)
    // Kubernetes offers recursive read-only mounts where this one stands.
    #expect(options.contains("rro"))
    for option in options {
      #expect(MountOption.parse(option) != nil, "\(option)")
      #expect(option.allSatisfy { $0.isLowercase || $0 == "-" }, "\(option)")
    }
    for option in ["size", "mode", "uid", "gid", "nr_inodes", "newinstance", "ptmxmode", "lowerdir", "data"] {
      #expect(!options.contains(option))
    }
  }

  @Test func annotationsOfFeaturesAreTextsUnderNamesOfDomains() throws {
    let annotations = try #require(document()["annotations"] as? [String: Any])
    #expect(annotations["io.github.seccomp.libseccomp.version"] != nil)
    for (name, value) in annotations {
      #expect(name.split(separator: ".").count > 2 && value is String, "\(name)")
    }
    // No name stands twice: the document has as many members as the list.
    #expect(annotations.count == FeaturesCommand.document.annotations?.count)
  }

  @Test func announcedSwitchesAreThoseThatAreBuilt() {
    let linux = FeaturesCommand.document.linux
    #expect(linux?.cgroup == CgroupFeatures(v1: true, v2: true, systemd: true, systemdUser: true, rdma: true))
    #expect(linux?.apparmor == EnabledFeature(enabled: true))
    #expect(linux?.selinux == EnabledFeature(enabled: true))
    #expect(linux?.mountExtensions == MountExtensionFeatures(idmap: EnabledFeature(enabled: true)))
  }
}
