import Foundation
import Testing

/// A bundle in a folder of its own: a root file system with `agent` and busybox, and a configuration that is
/// written when a container is made from it.
final class Bundle {
  let path: String
  /// Starts as what `spec` prints, without a terminal; changed by the tests.
  var config: JSONValue
  /// Written instead of `config` where the text itself is the test.
  var text: String?
  var rootfs: String { path + "/rootfs" }

  init(path: String, cgroupsPath: String) throws {
    self.path = path
    config = Bundle.defaultConfig
    config["linux"]["cgroupsPath"] = .string(cgroupsPath)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try RootTemplate.place(at: path + "/rootfs")
  }

  func write() throws {
    if Rootless.isOn { try Rootless.adapt(self) }
    try Files.write(text ?? config.text, to: path + "/config.json")
  }

  var args: [String] {
    get { config["process"]["args"].strings }
    set { config["process"]["args"] = JSONValue(newValue) }
  }

  func removeNamespace(_ type: String) {
    let kept = config["linux"]["namespaces"].elements.filter { $0["type"].string != type }
    config["linux"]["namespaces"] = .array(kept)
  }

  func addNamespace(_ type: String) {
    config["linux"]["namespaces"].append(["type": .string(type)])
  }

  func addMount(
    _ destination: String, type: String? = nil, source: String? = nil, options: [String]? = nil
  ) {
    var mount: JSONValue = ["destination": .string(destination)]
    if let type { mount["type"] = .string(type) }
    if let source { mount["source"] = .string(source) }
    if let options { mount["options"] = JSONValue(options) }
    config["mounts"].append(mount)
  }

  func removeMount(_ destination: String) {
    config["mounts"] = .array(config["mounts"].elements.filter { $0["destination"].string != destination })
  }

  func setCapabilities(_ names: [String], inheritable: [String] = [], ambient: [String] = []) {
    config["process"]["capabilities"] = [
      "bounding": JSONValue(names), "effective": JSONValue(names), "permitted": JSONValue(names),
      "inheritable": JSONValue(inheritable), "ambient": JSONValue(ambient),
    ]
  }

  static let defaultConfig: JSONValue = [
    "ociVersion": "1.0.2",
    "process": [
      "terminal": false,
      "user": ["uid": 0, "gid": 0],
      "args": ["/bin/agent", "report"],
      "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      "cwd": "/",
      "capabilities": [
        "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      ],
      "rlimits": [["type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024]],
      "noNewPrivileges": true,
    ],
    "root": ["path": "rootfs", "readonly": true],
    "hostname": "testhost",
    "mounts": [
      ["destination": "/proc", "type": "proc", "source": "proc"],
      [
        "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
        "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
      ],
      [
        "destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      ],
      [
        "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
      ],
      [
        "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
        "options": ["nosuid", "noexec", "nodev"],
      ],
      [
        "destination": "/sys", "type": "sysfs", "source": "sysfs",
        "options": ["nosuid", "noexec", "nodev", "ro"],
      ],
      [
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"],
      ],
    ],
    "linux": [
      "resources": ["devices": [["allow": false, "access": "rwm"]]],
      "namespaces": [
        ["type": "pid"], ["type": "network"], ["type": "ipc"], ["type": "uts"], ["type": "mount"],
      ],
      "maskedPaths": [
        "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
      ],
      "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    ],
  ]
}

/// The root file system that every bundle gets: folders and links of its own, and the two programs as hard
/// links to one copy per run.
enum RootTemplate {
  private static let folders = [
    "bin", "dev", "etc", "home", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin",
    "var",
  ]
  private static let applets = [
    "cat", "echo", "env", "false", "grep", "hostname", "id", "ip", "ls", "mkdir", "mount", "ps", "sh", "sleep",
    "true",
  ]

  private static let programs: Result<String, any Error> = Result {
    let folder = TestRun.directory + "/programs"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let environment = ProcessInfo.processInfo.environment
    try Files.copy(environment["APUS_BUSYBOX"] ?? "/usr/bin/busybox", to: folder + "/busybox")
    try Files.copy(environment["APUS_AGENT"] ?? "/tmp/agent", to: folder + "/agent")
    return folder
  }

  /// The agent, to be run on the host.
  static func agent() throws -> String { try programs.get() + "/agent" }

  /// Copies instead of links where the root is on another file system.
  static func place(at root: String, copying: Bool = false) throws {
    let source = try programs.get()
    mkdir(root, 0o755)
    for folder in folders { mkdir("\(root)/\(folder)", 0o755) }
    chmod(root + "/tmp", 0o1777)
    for program in ["agent", "busybox"] {
      let (from, to) = ("\(source)/\(program)", "\(root)/bin/\(program)")
      if copying {
        try Files.copy(from, to: to)
      } else if link(from, to) != 0 {
        throw HarnessError(errno: errno, "link \(to)")
      }
    }
    for applet in applets { symlink("busybox", "\(root)/bin/\(applet)") }
    try Files.write(
      "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n", to: root + "/etc/passwd")
    try Files.write("root:x:0:\nuser:x:1000:\n", to: root + "/etc/group")
  }
}

/// Small file work with errors.
enum Files {
  static func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  /// Into a file that is there, as the kernel's own take it.
  static func put(_ text: String, into path: String) throws {
    let file = open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw HarnessError(errno: errno, path) }
    defer { close(file) }
    guard Foundation.write(file, text, text.utf8.count) == text.utf8.count else {
      throw HarnessError(errno: errno, "write \(path)")
    }
  }

  static func read(_ path: String) throws -> String {
    String(decoding: try data(path), as: UTF8.self)
  }

  /// nil where there is no such file, or no process any more that it is about.
  static func readIfThere(_ path: String) throws -> String? {
    do {
      return try read(path)
    } catch let error as HarnessError where [ENOENT, ESRCH].contains(error.errno) {
      return nil
    }
  }

  static func data(_ path: String) throws -> Data {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw HarnessError(errno: errno, path) }
    defer { close(file) }
    var data = Data()
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = Foundation.read(file, &buffer, buffer.count)
      if count < 0 { throw HarnessError(errno: errno, "read \(path)") }
      if count == 0 { return data }
      data += buffer[..<count]
    }
  }

  static func status(_ path: String) -> stat? {
    var status = stat()
    return stat(path, &status) == 0 ? status : nil
  }

  static func copy(_ source: String, to target: String) throws {
    try data(source).write(to: URL(fileURLWithPath: target))
    chmod(target, 0o755)
  }

  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  static func inode(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_ino) : 0
  }

  /// None where there is no such folder.
  static func names(in path: String) -> [String] {
    recorded(or: []) {
      do {
        return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
      } catch CocoaError.fileReadNoSuchFile {
        return []
      }
    }
  }
}
