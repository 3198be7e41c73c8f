import Diagnostics
import Foundation
import OCISpec
import Testing

@Suite struct ConfigErrorTests {
  /// `members` next to the required ones; the name that is missing; the place of the object that lacks it.
  static let missing: [(String, String, String)] = [
    (#""mounts":[{"destination":"/a"},{"type":"proc"}]"#, "destination", "/mounts/1"),
    (#""process":{"args":["sh"]}"#, "cwd", "/process"),
    (#""process":{"cwd":null}"#, "cwd", "/process"),
    (#""process":{"user":{"gid":0}}"#, "uid", "/process/user"),
    (#""process":{"user":{"uid":0}}"#, "gid", "/process/user"),
    (#""process":{"consoleSize":{"width":1}}"#, "height", "/process/consoleSize"),
    (#""process":{"consoleSize":{"height":1}}"#, "width", "/process/consoleSize"),
    (#""process":{"rlimits":[{"hard":1,"soft":1}]}"#, "type", "/process/rlimits/0"),
    (#""process":{"rlimits":[{"type":"a","soft":1}]}"#, "hard", "/process/rlimits/0"),
    (#""process":{"rlimits":[{"type":"a","hard":1}]}"#, "soft", "/process/rlimits/0"),
    (#""process":{"scheduler":{"nice":1}}"#, "policy", "/process/scheduler"),
    (#""process":{"ioPriority":{"priority":1}}"#, "class", "/process/ioPriority"),
    (#""process":{"ioPriority":{"class":"IOPRIO_CLASS_BE"}}"#, "priority", "/process/ioPriority"),
    (#""hooks":{"poststop":[{"args":[]}]}"#, "path", "/hooks/poststop/0"),
    (#""linux":{"namespaces":[{"path":"/a"}]}"#, "type", "/linux/namespaces/0"),
    (#""linux":{"uidMappings":[{"hostID":1,"size":1}]}"#, "containerID", "/linux/uidMappings/0"),
    (#""linux":{"gidMappings":[{"containerID":1,"size":1}]}"#, "hostID", "/linux/gidMappings/0"),
    (#""mounts":[{"uidMappings":[{"containerID":1,"hostID":1}]}]"#, "size", "/mounts/0/uidMappings/0"),
    (#""linux":{"devices":[{"path":"/a","major":1,"minor":1}]}"#, "type", "/linux/devices/0"),
    (#""linux":{"devices":[{"type":"c","major":1,"minor":1}]}"#, "path", "/linux/devices/0"),
    (#""linux":{"devices":[{"type":"c","path":"/a","minor":1}]}"#, "major", "/linux/devices/0"),
    (#""linux":{"devices":[{"type":"b","path":"/a","major":1}]}"#, "minor", "/linux/devices/0"),
    (#""linux":{"resources":{"devices":[{"access":"r"}]}}"#, "allow", "/linux/resources/devices/0"),
    (
      #""linux":{"resources":{"blockIO":{"weightDevice":[{"minor":1}]}}}"#, "major",
      "/linux/resources/blockIO/weightDevice/0"
    ),
    (
      #""linux":{"resources":{"blockIO":{"throttleReadBpsDevice":[{"major":1,"minor":1}]}}}"#, "rate",
      "/linux/resources/blockIO/throttleReadBpsDevice/0"
    ),
    (
      #""linux":{"resources":{"hugepageLimits":[{"limit":1}]}}"#, "pageSize",
      "/linux/resources/hugepageLimits/0"
    ),
    (
      #""linux":{"resources":{"hugepageLimits":[{"pageSize":"2MB"}]}}"#, "limit",
      "/linux/resources/hugepageLimits/0"
    ),
    (
      #""linux":{"resources":{"network":{"priorities":[{"name":"a"}]}}}"#, "priority",
      "/linux/resources/network/priorities/0"
    ),
    (#""linux":{"memoryPolicy":{"nodes":"0"}}"#, "mode", "/linux/memoryPolicy"),
    (#""linux":{"personality":{}}"#, "domain", "/linux/personality"),
    (
      #""linux":{"seccomp":{"syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO"}]}}"#, "defaultAction",
      "/linux/seccomp"
    ),
    (
      #""linux":{"seccomp":{"defaultAction":"a","syscalls":[{"action":"a"}]}}"#, "names",
      "/linux/seccomp/syscalls/0"
    ),
    (
      #""linux":{"seccomp":{"defaultAction":"a","syscalls":[{"names":["a"]}]}}"#, "action",
      "/linux/seccomp/syscalls/0"
    ),
    (
      #""linux":{"seccomp":{"syscalls":[{"args":[{"value":1,"op":"a"}]}]}}"#, "index",
      "/linux/seccomp/syscalls/0/args/0"
    ),
    (
      #""linux":{"seccomp":{"syscalls":[{"args":[{"index":1,"op":"a"}]}]}}"#, "value",
      "/linux/seccomp/syscalls/0/args/0"
    ),
    (
      #""linux":{"seccomp":{"syscalls":[{"args":[{"index":1,"value":1}]}]}}"#, "op",
      "/linux/seccomp/syscalls/0/args/0"
    ),
  ]

  @Test(arguments: missing)
  func missingPropertyIsNamedWithItsPlace(_ members: String, _ name: String, _ place: String) throws {
    let error = #expect(throws: RuntimeError.self) { try config(minimal(members)) }
    #expect(error?.code == .configSyntax)
    #expect(error?.field == "\(place)/\(name)")
    #expect(error?.message.hasSuffix(": missing property `\(name)`") == true)
  }

  @Test func missingTopLevelPropertiesAreNamed() throws {
    let version = #expect(throws: RuntimeError.self) { try config(" {}") }
    #expect(
      version?.text == "`config.json` line 1 column 2: missing property `ociVersion` (at `/ociVersion`)")
    let root = #expect(throws: RuntimeError.self) { try config("{\n \"ociVersion\":\"1.0.0\"}") }
    #expect(root?.text == "`config.json` line 1 column 1: missing property `root` (at `/root`)")
    let path = #expect(throws: RuntimeError.self) { try config("{\n \"root\": {}}") }
    #expect(path?.text == "`config.json` line 2 column 10: missing property `path` (at `/root/path`)")
  }

  @Test func wrongTypeIsToldWithLineColumnAndPointer() throws {
    let text = "{\n  \"process\": {\n    \"args\": [\"sh\",\n  42]\n  }\n}"
    let error = #expect(throws: RuntimeError.self) { try config(text) }
    #expect(
      error?.text
        == "`config.json` line 4 column 3: expected a string, found a number (at `/process/args/1`)")
  }

  static let wrong: [(String, String, String)] = [
    (#""hostname":1"#, "expected a string, found a number", "/hostname"),
    (#""mounts":{}"#, "expected an array, found an object", "/mounts"),
    (#""annotations":["a"]"#, "expected an object, found an array", "/annotations"),
    (#""mounts":[null]"#, "expected an object, found `null`", "/mounts/0"),
    (#""mounts":[[]]"#, "expected an object, found an array", "/mounts/0"),
    (#""process":"sh""#, "expected an object, found a string", "/process"),
    (#""process":{"terminal":"true"}"#, "expected `true` or `false`, found a string", "/process/terminal"),
    (#""process":{"terminal":1}"#, "expected `true` or `false`, found a number", "/process/terminal"),
    (#""process":{"args":[null]}"#, "expected a string, found `null`", "/process/args/0"),
    (#""process":{"cwd":true}"#, "expected a string, found `true`", "/process/cwd"),
    (
      #""process":{"args":["a","b\u0000c"]}"#, "expected a string without U+0000", "/process/args/1"
    ),
    (#""process":{"user":{"uid":"0"}}"#, "expected an integer, found a string", "/process/user/uid"),
    (
      #""process":{"user":{"uid":4294967296}}"#,
      "expected an integer from 0 to 4294967295, found `4294967296`", "/process/user/uid"
    ),
    (
      #""process":{"user":{"uid":-1}}"#, "expected an integer from 0 to 4294967295, found `-1`",
      "/process/user/uid"
    ),
    (
      #""linux":{"resources":{"blockIO":{"weight":65536}}}"#,
      "expected an integer from 0 to 65535, found `65536`", "/linux/resources/blockIO/weight"
    ),
    (
      #""linux":{"resources":{"memory":{"limit":9223372036854775808}}}"#,
      "expected an integer from -9223372036854775808 to 9223372036854775807, found `9223372036854775808`",
      "/linux/resources/memory/limit"
    ),
    (
      #""linux":{"resources":{"memory":{"limit":1e3}}}"#, "expected an integer, found `1e3`",
      "/linux/resources/memory/limit"
    ),
    (
      #""linux":{"resources":{"memory":{"limit":1.0}}}"#, "expected an integer, found `1.0`",
      "/linux/resources/memory/limit"
    ),
    (
      #""linux":{"sysctl":{"kernel.shmmax":65536}}"#, "expected a string, found a number",
      "/linux/sysctl/kernel.shmmax"
    ),
    (#""annotations":{"a/b~c":1}"#, "expected a string, found a number", "/annotations/a~1b~0c"),
    (
      #""annotations":{"a\u0000":"x"}"#, "expected a property name without U+0000", "/annotations/a\u{0}"
    ),
    (
      #""linux":{"resources":{"rdma":{"m":{"hcaHandles":[]}}}}"#, "expected an integer, found an array",
      "/linux/resources/rdma/m/hcaHandles"
    ),
  ]

  @Test(arguments: wrong)
  func wrongValueIsToldWithItsPlace(_ members: String, _ message: String, _ place: String) throws {
    let error = #expect(throws: RuntimeError.self) { try config(minimal(members)) }
    #expect(error?.code == .configSyntax)
    #expect(error?.field == place)
    #expect(error?.message.hasSuffix(": " + message) == true, "\(error?.message ?? "")")
  }

  @Test func repeatedSettingIsRefused() throws {
    let error = #expect(throws: RuntimeError.self) {
      try config(minimal(#""linux":{"seccomp":null,"\u0073eccomp":null}"#))
    }
    #expect(error?.field == "/linux/seccomp")
    #expect(error?.message.hasSuffix("stands twice in one object") == true)
  }
}

@Suite struct ConfigRobustnessTests {
  @Test func noPrefixOfADocumentIsTakenOrTraps() throws {
    let full = try fixture("full.json")
    let end = try #require(full.lastIndex(of: UInt8(ascii: "}")))
    for length in 0...end {
      #expect(throws: RuntimeError.self) {
        try Config.decode(Array(full[..<length]), file: "config.json")
      }
    }
  }

  @Test func noChangedByteTraps() throws {
    let full = try fixture("full.json")
    let replacements = [UInt8](#""\{}[],:0-9.eEu/ "#.utf8) + [0, 0x0A, 0x80, 0xC3, 0xFF]
    var mutated = full
    var refused = 0
    for index in full.indices {
      // Three at each place; the step makes every one of them meet every kind of place.
      for step in 0..<3 {
        mutated[index] = replacements[(index * 5 + step * 7) % replacements.count]
        refused += refusal(of: mutated) == nil ? 0 : 1
      }
      mutated[index] = full[index]
    }
    // A change inside a text or a number is no error, one in the structure is.
    #expect(refused > full.count && refused < full.count * 3)
  }

  @Test func noRemovedByteTraps() throws {
    let full = try fixture("full.json")
    var refused = 0
    for index in full.indices {
      var shorter = full
      shorter.remove(at: index)
      refused += refusal(of: shorter) == nil ? 0 : 1
    }
    #expect(refused > full.count / 10)
  }

  func refusal(of bytes: [UInt8]) -> RuntimeError? {
    do throws(RuntimeError) {
      _ = try Config.decode(bytes, file: "config.json")
      return nil
    } catch {
      #expect(error.message.hasPrefix("`config.json`"))
      return error
    }
  }
}
