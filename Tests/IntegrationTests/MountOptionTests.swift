import Foundation
import IntegrationSupport
import LinuxABI
import Testing

extension Integration {
  /// Every option of the table of the specification, and those that only peers know.
  @Suite struct MountOptionTests {
    @Test func everyOptionHasARow() {
      #expect(MountOptionRow.all.map(\.option).sorted() == MountOption.allNames.sorted())
    }

    @Test(arguments: MountOptionCase.all)
    func optionDoesWhatTheTableSays(_ tested: MountOptionCase) throws {
      try allowing(tested.differences, in: tested.testDescription) { try check(tested) }
    }

    private func check(_ tested: MountOptionCase) throws {
      let option = tested.row.option
      switch tested.row.effect {
      case .attribute(let before, let after):
        try withMount(tested.kind, state: before, options: before + [option]) { look in
          try look.expect(
            top: MountState(configured: after),
            below: MountState(configured: tested.row.isRecursive ? after : before))
        }
      case .superblock(let before, let after):
        try withMount(tested.kind, state: [], options: before + [option]) { look in
          let words = tested.kind == .tmpfs ? after : []
          #expect(look.superblock(["sync", "dirsync", "mand", "lazytime"]) == Set(words), "\(look.text)")
          try look.expect(top: MountState(), below: MountState())
        }
      case .propagation(let bound, let new):
        try withMount(tested.kind, state: [], options: [option]) { look in
          #expect(look.propagation(0) == (tested.kind == .tmpfs ? new : bound), "\(look.text)")
          if tested.kind == .boundTree {
            #expect(look.propagation(1) == (tested.row.isRecursive ? bound : ["master"]), "\(look.text)")
          }
          try look.expect(top: MountState(), below: MountState())
        }
      case .nothing:
        try withMount(tested.kind, state: [], options: [option]) { look in
          try look.expect(top: MountState(), below: MountState())
        }
      case .special:
        Issue.record("`\(option)` has a check of its own")
      }
    }

    /// A container with one mount on /mount that has these options. Where it is bound, then from mounts of the host with the
    /// attributes `state`, and the options that stand for the state are not given.
    private func withMount(
      _ kind: MountKind, state: [String], options: [String], _ body: (MountLook) throws -> Void
    ) throws {
      let container = try Container()
      if kind == .tmpfs {
        container.bundle.addMount("/mount", type: "tmpfs", source: "tmpfs", options: ["mode=755"] + options)
        return try body(MountLook(kind: kind, answers: container.probe("/mount")))
      }
      let own = Array(options.suffix(1))
      try HostMounts.withTree(MountState(configured: state)) { source in
        let before = try HostMounts.line(of: source)
        let path = kind == .boundFile ? source + "/program" : source
        let word = kind == .boundTree ? "rbind" : "bind"
        container.bundle.addMount("/mount", type: "bind", source: path, options: [word] + own)
        let answers =
          try kind == .boundTree ? container.probe("/mount", "/mount/below") : container.probe("/mount")
        try body(MountLook(kind: kind, answers: answers))
        #expect(try HostMounts.line(of: source) == before, "the mount of the host")
      }
    }
  }
}

/// What the agent found out about one mount, and about the one below it.
struct MountLook {
  let kind: MountKind
  let answers: [JSONValue]

  var text: String { answers.map(\.text).joined(separator: "\n") }

  func expect(top: MountState, below: MountState) throws {
    try #require(answers.count == (kind == .boundTree ? 2 : 1), "\(text)")
    // In a new file system that is read-only there is nothing that the other attempts could use.
    top.expect(of: answers[0], hasFixtures: !(kind == .tmpfs && top.words.contains("ro")))
    if kind == .boundTree { below.expect(of: answers[1]) }
  }

  func superblock(_ known: Set<String>) -> Set<String> {
    Set(answers.first?["mount"].words("super") ?? []).intersection(known)
  }

  /// The kinds of the optional fields of mountinfo, without their numbers.
  func propagation(_ index: Int) -> [String] {
    guard answers.indices.contains(index) else { return ["no answer"] }
    return answers[index]["mount"]["propagation"].strings.map { String($0.prefix { $0 != ":" }) }.sorted()
  }
}
