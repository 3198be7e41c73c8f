import Checkpoint
import Diagnostics
import JSON

/// The first byte says what the rest is: an answer of CRIU, its list of mounts, its log, or what stands beside its images.
func fuzzCheckpoint(_ input: [UInt8]) throws(BrokenRule) {
  let rest = [UInt8](input.dropFirst())
  switch input.first ?? 0x61 {
  case 0x61: try fuzzResponse(rest)
  case 0x6D: try fuzzMounts(rest)
  case 0x6C: try hold(CriuLog.firstError(rest).utf8.count <= 1200, "a long reason")
  default: try fuzzDescription(rest)
  }
}

private func fuzzResponse(_ bytes: [UInt8]) throws(BrokenRule) {
  do throws(ProtobufError) {
    let response = try CriuResponse(decoding: bytes)
    let again = try CriuResponse(decoding: bytes)
    guard response == again, response.version >= 0 else { throw .malformed }
  } catch {
    return
  }
}

private func fuzzMounts(_ bytes: [UInt8]) throws(BrokenRule) {
  guard case .success(let mounts) = outcome({ () throws(RuntimeError) in try ImageMounts.decode(bytes, file: "m") })
  else { return }
  let keys = ["apus-mount-0", "apus-mount-1", "apus-mask"]
  guard case .success(let places) = outcome({ () throws(RuntimeError) in try mounts.places(keys) }) else { return }
  try hold(places.count < mounts.mounts.count, "more places than mounts below the root")
  for place in places {
    try hold(place.path.utf8.first == 0x2F && MountName.isPlain(place.path), "`\(place.path)` is no plain path")
    for key in [place.base, place.key] where key != nil {
      try hold(keys.contains(key ?? ""), "`\(key ?? "")` is no name that was given")
    }
  }
}

private func fuzzDescription(_ bytes: [UInt8]) throws(BrokenRule) {
  switch outcome({ () throws(RuntimeError) in try CheckpointDescription.decode(bytes, path: "apus.json") }) {
  case .failure(let error): try hold(error.code == .checkpointImage, "`\(error.code.name)` is not about images")
  case .success(let description):
    for mount in description.mounts {
      try hold(MountName.isPlain(mount.path) && MountName.isPlain(mount.destination), "an odd name")
    }
    let again = outcome { () throws(RuntimeError) in
      try CheckpointDescription.decode(description.encoded(.compact), path: "apus.json")
    }
    try hold(again == .success(description), "what was written is read as something else")
  }
}
