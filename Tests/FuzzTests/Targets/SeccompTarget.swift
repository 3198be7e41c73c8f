import Diagnostics
import JSON
import LinuxABI
import OCISpec

@testable import Seccomp

/// A classic BPF program ends on every way: it begins somewhere, jumps forwards only and inside, and ends with a return.
private func checkProgram(_ bytes: [UInt8]) throws(BrokenRule) {
  let count = bytes.count / 8
  try hold(bytes.count % 8 == 0 && count >= 1, "\(bytes.count) bytes are no program")
  try hold(count <= SeccompCompiler.maximumInstructionCount, "\(count) instructions are more than the kernel takes")
  for index in 0..<count {
    let at = 8 * index
    let code = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
    var value: UInt64 = 0
    for byte in 0..<4 { value |= UInt64(bytes[at + 4 + byte]) << UInt64(8 * byte) }
    let next = index + 1
    switch code & 0x07 {
    case 0x05 where code & 0xF0 == 0: try hold(UInt64(next) + value < UInt64(count), "instruction \(index) jumps out")
    case 0x05:
      try hold(next + Int(bytes[at + 2]) < count && next + Int(bytes[at + 3]) < count, "instruction \(index) jumps out")
    case 0x06: break
    default: try hold(next < count, "the program ends without a return")
    }
  }
}

func fuzzSeccomp(_ input: [UInt8]) throws(BrokenRule) {
  let profile: SeccompProfile
  switch outcome({ () throws(RuntimeError) in try JSONReader.decode(input, file: "seccomp.json") as SeccompProfile }) {
  case .failure(let error): return try checkError(error, in: input)
  case .success(let read): profile = read
  }
  let text = profile.encoded(.compact)
  let again = outcome { () throws(RuntimeError) in try JSONReader.decode(text, file: "s") as SeccompProfile }
  try hold(again == .success(profile), "the document written is another one")

  var findings: [RuntimeError] = []
  let all = outcome { () throws(RuntimeError) in try SeccompFilter.make(profile) { findings.append($0) } }
  let filter: SeccompFilter
  switch outcome({ () throws(RuntimeError) in try SeccompFilter.make(profile) }) {
  case .failure(let error):
    try hold(error.field.utf8.starts(with: "/linux/seccomp".utf8), "`\(error.field)` is no place in the profile")
    return try hold(findings.first == error, "`check` does not name what `create` refuses: \(error.text)")
  case .success(nil): return
  case .success(let made?): filter = made
  }
  try hold(findings.isEmpty, "`check` refuses what `create` takes")
  try hold(all == .success(filter), "two filters of one profile differ")
  _ = filter.ineffectiveRules()
  switch outcome({ () throws(RuntimeError) in try SeccompCompiler.compile(filter) }) {
  case .failure(let error):
    try hold(error.field.utf8.starts(with: "/linux/seccomp".utf8), "`\(error.field)` is no place in the profile")
  case .success(let program):
    try checkProgram(program.instructions)
    let again = outcome { () throws(RuntimeError) in try SeccompCompiler.compile(filter) }
    try hold(again == .success(program), "two programs of one filter differ")
  }
}
