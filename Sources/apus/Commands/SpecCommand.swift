import Diagnostics
import Linux
import LinuxABI
import OCISpec

/// `spec`: a `config.json` to begin with.
struct SpecCommand: Equatable, Sendable {
  var bundle: String
  var rootless: Bool

  static var specification: CommandSpecification {
    CommandSpecification(
      "spec", "write a config.json to begin with", operands: "", operandCount: 0...0,
      flags: [
        ContainerFlags.bundleFlag,
        FlagSpecification(.rootless, "rootless", "for a container that is made without root"),
      ],
      description: """
        The file runs `sh` in a terminal, on a read-only root file system in the folder `rootfs` of the bundle,
        with new namespaces and few capabilities. An existing file is never overwritten.
        """)
  }

  init(_ scanned: ScannedArguments) {
    bundle = scanned.text(.bundle) ?? "."
    rootless = scanned.isOn(.rootless)
  }

  func run(_ session: Session) throws(RuntimeError) {
    let config =
      rootless
      ? Config.rootlessDefault(uid: Processes.effectiveUser(), gid: Processes.effectiveGroup())
      : Config.default
    let directory: FileDescriptor
    do {
      directory = try FileDescriptor.open(bundle, [.path, .directory])
    } catch {
      throw error.because(.bundleInvalid, "cannot open the bundle", field: "--bundle")
    }
    let file: FileDescriptor
    do {
      file = try directory.open("config.json", [.writeOnly, .create, .exclusive], mode: 0o666)
    } catch {
      if error.errno == .exists {
        throw RuntimeError(.output, "file `\(bundle)/config.json` exists", hint: "remove it first")
      }
      throw error.because(.output, "cannot write `\(bundle)/config.json`")
    }
    do {
      try file.write(config.document() + [0x0A])
    } catch {
      // Half a configuration is worse than none, and would be in the way of the next attempt.
      SpecCommand.remove(directory, session)
      throw error.because(.output, "cannot write `\(bundle)/config.json`")
    }
  }

  private static func remove(_ directory: borrowing FileDescriptor, _ session: Session) {
    do {
      try directory.unlink("config.json")
    } catch {
      session.log.sink.warning("an incomplete `config.json` is left: \(error.text)")
    }
  }
}
