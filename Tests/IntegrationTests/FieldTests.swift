import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Every property of `process` and `linux`: absent, null, false or empty, and set.
  @Suite(.views(.hybrid, .v1)) struct FieldTests {
    @Test func everyFieldHasARow() throws {
      let fields = try FieldList.all.get()
      #expect(fields.count > 80, "\(fields.map(\.pointer))")
      for field in fields {
        #expect(FieldRow.all.filter { $0.isAbout(field.pointer) }.count == 1, "\(field.pointer) has no row, or two")
      }
      for row in FieldRow.all {
        #expect(fields.contains { row.isAbout($0.pointer) }, "nobody reads \(row.pointer)")
      }
    }

    @Test(arguments: FieldCase.all)
    func fieldDoesWhatItsRowSays(tested: FieldCase) throws {
      try allowing(tested.differences, in: tested.testDescription) { try check(tested) }
    }

    private func check(_ tested: FieldCase) throws {
      let field = try #require(try FieldList.all.get().first { tested.row.isAbout($0.pointer) })
      let container = try Container()
      for (pointer, value) in tested.row.given {
        if pointer == FieldRow.users.0 {
          try container.bundle.mapUsers()
        } else {
          container.bundle.config[pointer: pointer] = value
        }
      }
      if case .prints(let line, _) = tested.outcome { container.bundle.args = ["/bin/sh", "-c", line] }
      container.bundle.config[pointer: tested.row.pointer] = tested.value(empty: field.empty)
      container.bundle.text = container.bundle.config.text.replacingOccurrences(of: "\"<null>\"", with: "null")
      switch tested.outcome {
      case .sees(let values):
        let report = try report(container)
        for (pointer, value) in values { #expect(report[pointer: pointer] == value, "\(pointer) in \(report.text)") }
      case .seesOther(let values):
        let report = try report(container)
        for (pointer, value) in values { #expect(report[pointer: pointer] != value, "\(pointer) in \(report.text)") }
      case .prints(_, let text):
        let outcome = try run(container)
        #expect(outcome.code == 0 && outcome.stdout == text, "\(outcome)")
      case .refused(let place):
        let outcome = try container.attempt("create")
        expectError(outcome, detail: "(at `\(place)`")
        if outcome.code != 0 { try expectNothingLeft() }
      }
    }

    /// With a network of the runtime's own where devices are to be moved.
    private func run(_ container: Container) throws -> Outcome {
      guard container.bundle.config["linux"]["netDevices"] != .null else { return try container.run() }
      try container.bundle.write()
      let call = [Runtime.current.path] + container.root + ["run", "--bundle", container.bundle.path, container.id]
      let line = "ip link add one type veth peer name far; exec \"$@\""
      return try Subprocess("/usr/bin/unshare", ["--net", "/bin/sh", "-c", line, "sh"] + call).wait()
    }

    private func report(_ container: Container) throws -> JSONValue {
      guard container.bundle.config[pointer: "/process/terminal"] == true else {
        let outcome = try run(container)
        try #require(outcome.code == 0, "\(outcome)")
        return try outcome.json
      }
      let socket = try DescriptorSocket()
      try container.create("--console-socket", socket.path)
      let terminal = try socket.receiveTerminal()
      try container.start()
      return try JSONValue(parsing: terminal.readToEnd())
    }
  }
}
