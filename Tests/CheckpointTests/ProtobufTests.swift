import Testing

@testable import Checkpoint

struct ProtobufTests {
  @Test func numbersHaveTheFormOfTheSpecification() {
    // protobuf.dev, "Encoding": field 1, 150.
    var writer = ProtobufWriter()
    writer.put(1, UInt64(150))
    #expect(writer.bytes == [0x08, 0x96, 0x01])
    writer = ProtobufWriter()
    writer.put(2, "testing")
    #expect(writer.bytes == [0x12, 0x07] + [UInt8]("testing".utf8))
    writer = ProtobufWriter()
    writer.put(1, Int32(-1))
    #expect(writer.bytes == [0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x01])
  }

  @Test func whatIsWrittenIsRead() throws {
    for number in [0, 1, 127, 128, 300, UInt64(UInt32.max), UInt64.max] {
      var inner = ProtobufWriter()
      inner.put(3, number)
      var writer = ProtobufWriter()
      writer.put(51, inner)
      writer.put(536_870_911, "ä")
      var reader = ProtobufReader(writer.bytes[...])
      let first = try #require(try reader.next())
      #expect(first.field == 51)
      var message = try first.value.message
      let only = try #require(try message.next())
      #expect(only.field == 3)
      #expect(try only.value.uint64 == number)
      #expect(try message.next() == nil)
      let last = try #require(try reader.next())
      #expect(last.field == 536_870_911)
      #expect(try last.value.string == "ä")
      #expect(try reader.next() == nil)
    }
  }

  @Test func fieldsOfAFixedSizeArePassedOver() throws {
    var reader = ProtobufReader([0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x08, 5][...])
    #expect(try reader.next()?.value == .fixed)
    #expect(try reader.next()?.value == .fixed)
    #expect(try reader.next()?.value.uint64 == 5)
  }

  @Test(
    arguments: [
      // A number without an end, and one of more than 64 bits.
      ([0x08], ProtobufError.truncated), ([0x08, 0x80], .truncated),
      ([0x08] + [UInt8](repeating: 0xFF, count: 9) + [0x02], .malformed),
      ([0x08] + [UInt8](repeating: 0x80, count: 10) + [0x01], .malformed),
      // More than there is.
      ([0x12, 5, 1], .truncated), ([0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], .truncated),
      ([0x09, 1], .truncated), ([0x15, 1], .truncated),
      // Field 0, groups, kinds that do not exist.
      ([0x00, 1], .malformed), ([0x0B], .malformed), ([0x0C], .malformed), ([0x0E, 1], .malformed),
      ([0x0F], .malformed),
    ] as [([UInt8], ProtobufError)])
  func brokenBytesAreAnError(bytes: [UInt8], error: ProtobufError) {
    #expect(throws: error) {
      var reader = ProtobufReader(bytes[...])
      while try reader.next() != nil {}
    }
  }

  @Test func aTextIsUTF8() throws {
    var reader = ProtobufReader([0x0A, 1, 0xFF][...])
    let value = try #require(try reader.next()?.value)
    #expect(throws: ProtobufError.malformed) { try value.string }
    #expect(throws: ProtobufError.malformed) { try value.uint64 }
  }
}

struct CriuMessageTests {
  @Test func aRequestSaysWhatIsWanted() throws {
    #expect(CriuRequest(.version, staysOpen: true).encode() == [0x08, 10, 0x20, 1])
    #expect(CriuRequest(.notify, isSuccess: false).encode() == [0x08, 6, 0x18, 0])
    #expect(
      CriuRequest(.featureCheck, features: CriuFeatures(lazyPages: true)).encode() == [0x08, 9, 0x2A, 2, 0x10, 1])
  }

  /// The options by field, as `images/rpc.proto` numbers them.
  private func fields(_ options: CriuOptions) throws -> [UInt64: [ProtobufReader.Value]] {
    var reader = ProtobufReader(CriuRequest(.dump, options).encode()[...])
    var fields: [UInt64: [ProtobufReader.Value]] = [:]
    while let (field, value) = try reader.next() {
      guard field == 2 else { continue }
      var message = try value.message
      while let (field, value) = try message.next() { fields[field, default: []].append(value) }
    }
    return fields
  }

  @Test func optionsStandInTheirFields() throws {
    var options = CriuOptions(imagesDirectory: 7, logFile: "dump.log", root: "/root")
    #expect(try fields(options).keys.sorted() == [1, 9, 10, 12, 13, 24, 34, 50])
    options.process = 42
    options.leavesRunning = true
    options.externals = ["mnt[/data]:apus-mount-0", "net[4]:apus-net"]
    options.inherited = [("pipe:[3]", 1)]
    options.pageServer = ("::1", 99)
    options.emptyNamespaces = 0x4000_0000
    options.cgroupMode = .strict
    options.mountContext = "c"
    options.parentImage = "../before"
    let found = try fields(options)
    #expect(try found[2]?.first?.uint64 == 42)
    #expect(try found[3]?.first?.bool == true)
    #expect(try found[37]?.map { try $0.string } == options.externals)
    #expect(try found[38]?.first?.uint64 == 0x4000_0000)
    #expect(try found[34]?.first?.uint64 == 5)
    #expect(try found[63]?.first?.string == "c")
    #expect(try found[14]?.first?.string == "../before")
    #expect(try found[15]?.first?.bool == true)
    var inherited = try #require(try found[27]?.first?.message)
    #expect(try inherited.next()?.value.string == "pipe:[3]")
    #expect(try inherited.next()?.value.int32 == 1)
    var server = try #require(try found[11]?.first?.message)
    #expect(try server.next()?.value.string == "::1")
    #expect(try server.next()?.value.int32 == 99)
  }

  @Test func answersAreUnderstood() throws {
    let version = try CriuResponse(decoding: [0x08, 10, 0x10, 1, 0x52, 6, 0x08, 3, 0x10, 17, 0x20, 1])
    #expect(version.version == 31701 && version.isSuccess && version.kind == 10)
    let notification = try CriuResponse(
      decoding: [0x08, 6, 0x10, 1, 0x2A, 11] + [0x0A, 6] + [UInt8]("script".utf8) + [0x10, 0xAC, 0x02])
    #expect(notification.script == "script" && notification.process == 300)
    let restored = try CriuResponse(decoding: [0x08, 2, 0x10, 1, 0x22, 2, 0x08, 9])
    #expect(restored.process == 9)
    let failed = try CriuResponse(decoding: [0x08, 1, 0x10, 0, 0x38, 1, 0x4A, 2, 0x6E, 0x6F])
    #expect(!failed.isSuccess && failed.errno == 1 && failed.message == "no")
  }

  @Test(
    arguments: [
      [], [0x08, 10], [0x10, 1], [0x08, 10, 0x10, 1, 0x52, 2, 0x08], [0x0A, 1, 10, 0x10, 1],
      // A version below 0.
      [0x08, 10, 0x10, 1, 0x52, 11, 0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
    ] as [[UInt8]])
  func otherAnswersAreRefused(bytes: [UInt8]) {
    #expect(throws: ProtobufError.self) { try CriuResponse(decoding: bytes) }
  }

  @Test func theFirstErrorOfALogIsFound() {
    let log = """
      (00.001) Loaded kdat cache
      (00.039375) Hugetlb size 1024 Mb is supported but cannot get dev's number
      (00.050000) Error (criu/rlimit.c:16): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
      (00.084334) Error (criu/util.c:712): Unable to ptrace the child: Operation not permitted
      (00.109710) Error (criu/kerndat.c:1496): kerndat_has_ptrace_get_rseq_conf failed
      """
    #expect(CriuLog.firstError([UInt8](log.utf8)) == "Unable to ptrace the child: Operation not permitted")
    #expect(CriuLog.firstError([]) == "")
    #expect(CriuLog.firstError([UInt8]("Error (".utf8)) == "Error (")
    #expect(CriuLog.firstError([UInt8]("Erro".utf8)) == "")
  }
}
