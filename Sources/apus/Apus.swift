import CStart
import ContainerInit
import ContainerRuntime
import Diagnostics
import Linux


func say(_ text: String) {
  let fd = FileDescriptor(owning: 2)
  do { try fd.write(text + "\n") } catch {}
  _ = fd.release()
}

@main
enum Apus {
  static func main() {
    var a: [String] = []
    for i in 0..<apus_argument_count() { a.append(String(cString: apus_argument(i))) }
    if a[0] == InitStage.argument0 { InitStage.main() }
    let rt = ContainerRuntime(RuntimeOptions(root: "/run/apus", log: LogSink(level: .debug) { say("\($0.name): \($1)") }))
    do {
      switch a[1] {
      case "create": try rt.create(a[3], CreateOptions(bundle: a[2]))
      case "start": try rt.start(a[2])
      case "run": Processes.exit(try rt.run(a[3], CreateOptions(bundle: a[2]), detach: false, keep: false, subreaper: true))
      case "state": print(try rt.state(a[2]).status)
      case "kill": try rt.kill(a[2], signal: 9, all: false)
      case "delete": try rt.delete(a[2], force: true)
      case "list": for s in try rt.list() { print(s.id + " " + s.status) }
      default: print("?")
      }
    } catch {
      say(error.text)
      Processes.exit(1)
    }
  }
}
