import Diagnostics
import JSON
import Testing

@testable import Checkpoint

struct DescriptionTests {
  private func described() -> CheckpointDescription {
    var description = CheckpointDescription()
    description.mounts = [.init(key: "apus-mount-0", destination: "/link/data", path: "/data")]
    description.masks = ["/proc/kcore"]
    description.streams = ["/dev/null", "pipe:[4]", "file[1f:2a]"]
    description.joined = ["net"]
    return description
  }

  @Test func whatIsWrittenIsRead() throws {
    for description in [described(), CheckpointDescription()] {
      #expect(try CheckpointDescription.decode(description.encoded(.spaces), path: "apus.json") == description)
    }
    #expect(described().keys == ["apus-mount-0", "apus-mask"])
  }

  @Test(arguments: [
    #"{}"#, #"{"form": 2}"#, #"{"form": 1, "other": 1}"#, #"{"form": 1, "mounts": {}}"#, #"[]"#, #"{"form": 1} x"#, "",
    #"{"form": 1, "mounts": [{"key": "/etc", "destination": "/a", "path": "/a"}]}"#,
    #"{"form": 1, "mounts": [{"key": "apus-mount-1", "destination": "/a", "path": "/a"}]}"#,
    #"{"form": 1, "mounts": [{"key": "apus-mount-0", "destination": "/a", "path": "/a]:/etc"}]}"#,
    #"{"form": 1, "mounts": [{"key": "apus-mount-0", "destination": "a", "path": "/a"}]}"#,
    #"{"form": 1, "mounts": [{"key": "apus-mount-0", "destination": "/a"}]}"#,
    #"{"form": 1, "masks": ["/a\n"]}"#, #"{"form": 1, "masks": [""]}"#,
    #"{"form": 1, "streams": ["", "", "", ""]}"#,
  ])
  func otherDescriptionsAreRefused(text: String) {
    #expect(throws: RuntimeError.self) { try CheckpointDescription.decode([UInt8](text.utf8), path: "apus.json") }
  }

  @Test(arguments: ["/a]:/etc", "/a]", "/a[b", "/a\\b", "/a\nb", "/a\u{7F}", "a", ""])
  func nameThatCriuWouldMisreadIsRefused(name: String) {
    #expect(throws: RuntimeError.self) { try MountName.check(name, "a mount") }
  }

  @Test func plainNamesAreTaken() throws {
    for name in ["/", "/a", "/a b", "/a:b", "/ä/..b"] { try MountName.check(name, "a mount") }
  }
}

struct ImageMountTests {
  /// A mount as CRIU writes it.
  private func message(_ mount: ImageMount, _ more: (inout ProtobufWriter) -> Void = { _ in }) -> [UInt8] {
    var writer = ProtobufWriter()
    writer.put(1, mount.type)
    writer.put(2, mount.id)
    writer.put(3, mount.device)
    writer.put(4, mount.parent)
    writer.put(5, mount.flags)
    writer.put(6, mount.root)
    writer.put(7, mount.path)
    writer.put(8, "source")
    if let key = mount.key { writer.put(18, key) }
    more(&writer)
    return length(writer.bytes.count) + writer.bytes
  }

  private func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }

  private var head: [UInt8] { [0x19, 0x43, 0x56, 0x54, 0x28, 0x39, 0x56, 0x55] }

  private func mount(
    _ id: UInt64, _ parent: UInt64, _ path: String, device: UInt64 = 0, root: String = "/", key: String? = nil
  ) -> ImageMount {
    var mount = ImageMount()
    mount.id = id
    mount.parent = parent
    mount.path = path
    mount.device = device == 0 ? 100 + id : device
    mount.root = root
    mount.key = key
    mount.type = 5
    return mount
  }

  private var usual: [ImageMount] {
    [
      mount(9, 4, "/data/below", key: "apus-mount-1"), mount(4, 1, "/data", key: "apus-mount-0"),
      mount(5, 2, "/proc/kcore", root: "/null", key: "apus-mask"), mount(6, 2, "/proc/sys", device: 102, root: "/sys"),
      mount(2, 1, "/proc"), mount(7, 1, "/bin", device: 7, root: "/bundle/rootfs/bin"),
      mount(1, 50, "/", device: 7, root: "/bundle/rootfs"),
    ]
  }

  private let keys = ["apus-mount-0", "apus-mount-1", "apus-mask"]

  @Test func mountsOfCriuAreRead() throws {
    var mounts = usual
    mounts[1].flags = 0x101 | 0x20_0000
    let bytes = head + mounts.flatMap { message($0) }
    let read = try ImageMounts.decode(bytes, file: "mountpoints-1.img").mounts
    #expect(read == mounts)
    #expect(read[1].restrictions == 0x20_0001)
    #expect(read[0].restrictions == 0)
  }

  @Test func brokenListsAreAnError() {
    let bytes = head + usual.flatMap { message($0) }
    // A cut between two messages leaves a list.
    var ends = [head.count]
    for mount in usual { ends.append(ends[ends.count - 1] + message(mount).count) }
    for count in 0..<bytes.count where !ends.contains(count) {
      #expect(throws: RuntimeError.self) { try ImageMounts.decode([UInt8](bytes.prefix(count)), file: "m") }
    }
    for index in 0..<head.count {
      var changed = bytes
      changed[index] ^= 1
      #expect(throws: RuntimeError.self) { try ImageMounts.decode(changed, file: "m") }
    }
    #expect(throws: RuntimeError.self) {
      try ImageMounts.decode(head + [0xFF, 0xFF, 0xFF, 0xFF], file: "m")
    }
  }

  /// CRIU cuts the numbers off, and would see another device.
  @Test func numbersThatCriuReadsInAnotherWayAreRefused() throws {
    let plain = mount(20, 1, "/mnt", device: 7)
    for field in [UInt32(1), 2, 3, 4, 5] {
      let bytes = head + message(plain) { $0.put(field, UInt64(1) << 32 | 7) }
      #expect(throws: RuntimeError.self, "\(field)") { try ImageMounts.decode(bytes, file: "m") }
    }
    _ = try ImageMounts.decode(head + message(plain) { $0.put(3, UInt64(UInt32.max)) }, file: "m")
  }

  @Test(arguments: [UInt32(12), 13, 14]) func waysToNameTheHostAreRefused(field: UInt32) {
    let bytes = head + message(mount(20, 1, "/mnt")) { $0.put(field, UInt64(1)) }
    #expect(throws: RuntimeError.self) { try ImageMounts.decode(bytes, file: "m") }
  }

  /// CRIU would mount it with the options of the image, which name directories of the host.
  @Test(arguments: [UInt64(0), 3, 7, 13, 15, 16, 17, 18, 24])
  func fileSystemThatCriuWouldMakeOfTheHostIsRefused(type: UInt64) throws {
    var overlay = mount(20, 1, "/mnt")
    overlay.type = type
    #expect(throws: RuntimeError.self) { try ImageMounts(usual + [overlay]).places(keys) }
    overlay.key = "apus-mount-2"
    _ = try ImageMounts(usual + [overlay]).places(keys + ["apus-mount-2"])
  }

  /// CRIU gives the name of what comes from outside to whatever is mounted in its place, and would bring back two of it.
  @Test func mountOverOneFromOutsideIsRefused() throws {
    let own = mount(20, 4, "/data", key: "apus-mount-0")
    let error = #expect(throws: RuntimeError.self) { try ImageMounts(usual + [own]).places(keys) }
    #expect(error?.code == .checkpointUnsupported && error?.message.contains("`/data` is mounted twice") == true)
    // Masks are all the same.
    _ = try ImageMounts(usual + [mount(20, 2, "/proc/x", key: "apus-mask")]).places(keys)
  }

  @Test func tooManyMountsAreRefused() throws {
    let one = message(mount(20, 1, "/mnt"))
    func list(_ count: Int) -> [UInt8] { head + (0..<count).flatMap { _ in one } }
    _ = try ImageMounts.decode(list(ImageMounts.countLimit), file: "m")
    #expect(throws: RuntimeError.self) {
      try ImageMounts.decode(list(ImageMounts.countLimit + 1), file: "m")
    }
  }

  @Test func placesAreThoseInFilesOfOthers() throws {
    let places = try ImageMounts(usual).places(keys)
    #expect(
      places == [
        ImagePlace(base: "apus-mount-0", path: "/below", key: "apus-mount-1", isMade: true),
        ImagePlace(base: nil, path: "/data", key: "apus-mount-0", isMade: true),
        ImagePlace(base: nil, path: "/proc", key: nil, isMade: true),
        ImagePlace(base: nil, path: "/bin", key: nil, isMade: false),
      ])
  }

  /// CRIU would look for what is mounted there by its name, and follow whatever has come to stand there.
  @Test func partsOfTheContainersFilesInOtherPlacesAreRefused() {
    for (device, root) in [
      (7, "/bundle/rootfs/etc"), (7, "/etc"), (7, "/bundle/rootfs"), (104, "/x"), (104, "/"), (109, "/"),
    ] as [(UInt64, String)] {
      #expect(throws: RuntimeError.self, "\(device) \(root)") {
        try ImageMounts(usual + [mount(20, 1, "/mnt", device: device, root: root)]).places(keys)
      }
    }
  }

  @Test func namesThatNobodyHasGivenAreRefused() {
    #expect(throws: RuntimeError.self) { try ImageMounts(usual).places(["apus-mount-0", "apus-mask"]) }
    #expect(throws: RuntimeError.self) {
      try ImageMounts(usual + [mount(20, 2, "/proc/x", key: "/etc")]).places(keys)
    }
    #expect(throws: RuntimeError.self) {
      try ImageMounts(usual + [mount(20, 2, "/proc/a]:/etc")]).places(keys)
    }
  }

  @Test func mountsWithoutOneRootAreRefused() {
    let others = [
      [], [mount(1, 1, "/a")], usual + [mount(30, 60, "/", device: 7)], usual + [mount(30, 1, "/")],
      usual + [mount(30, 60, "/x")], [mount(1, 50, "/", key: "apus-mount-0")],
    ]
    for mounts in others {
      #expect(throws: RuntimeError.self) { try ImageMounts(mounts).places(keys) }
    }
  }

  @Test func allOfTheImageIsExpected() {
    var description = CheckpointDescription()
    description.mounts = [
      .init(key: "apus-mount-0", destination: "/link/data", path: "/data"),
      .init(key: "apus-mount-1", destination: "/other", path: "/other"),
    ]
    description.masks = ["/proc/kcore", "/proc/keys"]
    let expected = ImageMounts(usual).expected(description)
    // Of a type is what CRIU makes; what comes from outside, or is of the root's file system, may be on another one now.
    let types: [String: String] = ["/proc": "tmpfs", "/proc/sys": "tmpfs"]
    #expect(expected.prefix(usual.count) == usual.map { ExpectedMount(path: $0.path, type: types[$0.path]) }[...])
    #expect(expected.dropFirst(usual.count).map { $0.path } == ["/other", "/proc/keys"], "that the image lacks")
  }

  @Test func mountBelowAnotherOneIsNotReached() {
    let mounts = ImageMounts(usual + [mount(20, 4, "/data"), mount(21, 20, "/data/new"), mount(22, 2, "/proc/k")])
    let reached = mounts.mounts.filter { mounts.isReached($0) }.map { $0.id }
    #expect(reached == [5, 6, 2, 7, 1, 20, 21, 22], "neither /data nor /data/below: /data is mounted over")
    let circle = ImageMounts([mount(1, 2, "/a"), mount(2, 1, "/a/b")])
    #expect(circle.mounts.allSatisfy { !circle.isReached($0) })
  }
}
