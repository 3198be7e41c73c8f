import CStart
import ContainerInit
import Diagnostics

@main
enum Apus {
  static func main() {
    if apus_argument_count() > 5 { InitStage.main() }
    let error = RuntimeError(.usage, "not yet: \(apus_argument_count())")
    print(error.text)
  }
}
