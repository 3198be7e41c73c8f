import CStart
import Diagnostics

@main
enum Apus {
  static func main() {
    let error = RuntimeError(.usage, "not yet: \(apus_argument_count())")
    print(error.text)
  }
}
