import Diagnostics
import Linux
import LinuxABI

extension CgroupWriter {
  /// What the kernel did not take, and why as far as the cgroup tells.
  static func failure(
    _ write: CgroupWrite, _ cause: SystemError, _ directory: borrowing FileDescriptor, _ path: String
  ) -> RuntimeError {
    var field = write.pointer
    var reason = ""
    if cause.errno == .noEntry && cause.call == "openat" {
      reason = hasNoFile(write, directory)
      // The name of the file is the one of the page size.
      if write.controller == "hugetlb" && field.utf8.suffix(6).elementsEqual("/limit".utf8) && reason == noSuchPages {
        field = String(decoding: field.utf8.dropLast(5), as: UTF8.self) + "pageSize"
      }
    } else if write.controller == "memory" && cause.errno == .busy {
      let isSum = write.file.utf8.starts(with: "memory.memsw".utf8)
      let use = text(isSum ? "memory.memsw.usage_in_bytes" : "memory.usage_in_bytes", directory)
      reason = "the cgroup uses more than that already\(use.isEmpty ? "" : ", \(use) bytes")"
    } else if write.controller == "cpuset" {
      let above = text("../\(write.file)" + (write.version == .v1 ? "" : ".effective"), directory)
      let rest = above.isEmpty ? "" : " out of `\(above)`, those of the cgroup above"
      switch cause.errno {
      case .busy: reason = "a cgroup below uses what is to go"
      case .noSpace: reason = "processes are in it, which need at least one"
      default: reason = "expected a list such as `0-3,7`\(rest)"
      }
    } else if write.controller == "devices" && write.text == "a" && cause.errno == .invalid {
      reason = "the kernel does not change the default while there are cgroups below"
    } else if write.file.utf8.starts(with: "cpu.cfs_".utf8) || write.file.utf8.starts(with: "cpu.rt_".utf8) {
      reason = "it must fit into what the cgroup above has, and hold what those below have"
    }
    return cause.because(
      .cgroupLimit, "cannot write `\(write.text)` to `\(path)/\(write.file)`", field: field, hint: reason)
  }

  private static let noSuchPages = "this kernel has no huge pages of that size"

  private static func hasNoFile(_ write: CgroupWrite, _ directory: borrowing FileDescriptor) -> String {
    let pages = write.controller == "hugetlb" ? noSuchPages : "this kernel has no such file"
    if write.version == .v1 { return pages }
    let name = write.controller == "blkio" ? "io" : write.controller
    do throws(SystemError) {
      let present = CgroupText.words(try directory.cgroupFile("cgroup.controllers") ?? [])
      if name == "cgroup" || present.contains(name) { return pages }
      let own = try FileDescriptor.open("/proc/self/cgroup", .readOnly).readAll(limit: 1 << 20)
      if CgroupText.lines(own).compactMap({ OwnCgroup($0) }).contains(where: {
        $0.controllers.contains(write.controller)
      }) {
        return "this machine has the controller `\(write.controller)` with cgroup v1, which is not mounted here"
      }
    } catch {
      // It is the write that failed; why the look at its reason did so, too, adds nothing.
    }
    return "the controller `\(name)` is not available in this cgroup"
  }

  /// Empty where there is no such file.
  private static func text(_ file: String, _ directory: borrowing FileDescriptor) -> String {
    do {
      return CgroupText.trimmed(try directory.cgroupFile(file) ?? [])
    } catch {
      return ""
    }
  }
}
