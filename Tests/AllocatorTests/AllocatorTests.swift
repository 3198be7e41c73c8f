import AllocatorSupport
import Foundation
import Testing

/// One thread at a time, as in the program.
@Suite(.serialized) struct AllocatorTests {
  /// A block filled with a byte of its own, so that an overlap shows.
  private struct Block {
    var memory: UnsafeMutableRawPointer
    var size: Int
    var byte: UInt8

    init(_ memory: UnsafeMutableRawPointer, _ size: Int, _ byte: UInt8) {
      (self.memory, self.size, self.byte) = (memory, size, byte)
      memset(memory, Int32(byte), size)
    }

    var isWhole: Bool { (0..<size).allSatisfy { memory.load(fromByteOffset: $0, as: UInt8.self) == byte } }
  }

  @Test func blocksOfEverySizeAreApartAndAligned() throws {
    var blocks: [Block] = []
    for size in Array(0...300) + [1023, 1024, 1025, 2048, 4097, 131_071, 131_072, 131_073, 1 << 20] {
      let memory = try #require(heap_malloc(size))
      #expect(Int(bitPattern: memory) % 16 == 0, "\(size)")
      #expect(heap_malloc_usable_size(memory) >= size, "\(size)")
      blocks.append(Block(memory, size, UInt8(blocks.count % 251)))
    }
    #expect(blocks.allSatisfy { $0.isWhole })
    for block in blocks { heap_free(block.memory) }
  }

  @Test func whatIsFreedServesAgain() throws {
    let first = try #require(heap_malloc(100))
    heap_free(first)
    #expect(heap_malloc(97) == first)
    heap_free(first)
    let cleared = try #require(heap_calloc(10, 10))
    #expect(cleared == first)
    #expect((0..<100).allSatisfy { cleared.load(fromByteOffset: $0, as: UInt8.self) == 0 })
    heap_free(cleared)
  }

  /// By the compiler of this toolchain, as in a release build.
  @Test(arguments: ["-O2", "-O3", "-Os"]) func optimisedHeapGivesClearedMemory(level: String) throws {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let program = FileManager.default.temporaryDirectory.path + "/apus-heap-\(getpid())"
    defer { unlink(program) }
    let sources = [
      tests.path + "/Program/heap.c",
      tests.deletingLastPathComponent().deletingLastPathComponent().path + "/Sources/CStart/allocator.c",
    ]
    try #expect(run("clang", [level, "-DAPUS_ALLOCATOR", "-o", program] + sources) == 0)
    try #expect(run(program, []) == 0)
  }

  private func run(_ program: String, _ arguments: [String]) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  @Test func whatDoesNotFitIsNil() {
    #expect(heap_malloc(Int.max) == nil)
    #expect(heap_calloc(Int.max, 3) == nil)
    var result: UnsafeMutableRawPointer?
    #expect(heap_posix_memalign(&result, 24, 8) == EINVAL)
    #expect(heap_posix_memalign(&result, 64, Int.max) == ENOMEM)
    heap_free(nil)
  }

  @Test func contentsMoveAlong() throws {
    var memory = try #require(heap_malloc(1))
    memory.storeBytes(of: 7, as: UInt8.self)
    for size in [2, 17, 500, 5000, 200_000, 3_000_000, 100, 1] {
      memory = try #require(heap_realloc(memory, size))
      #expect(memory.load(as: UInt8.self) == 7)
      if size > 1 { memset(memory + 1, 1, size - 1) }
    }
    heap_free(memory)
  }

  @Test func anyOrderKeepsEveryBlock() throws {
    var random = SystemRandomNumberGenerator()
    var blocks: [Block] = []
    for round in 0..<20_000 {
      let byte = UInt8(round % 251)
      switch Int.random(in: 0..<5, using: &random) {
      case 0, 1:
        let size = Int.random(in: 0..<(round % 50 == 0 ? 300_000 : 700), using: &random)
        blocks.append(Block(try #require(heap_malloc(size)), size, byte))
      case 2:
        var memory: UnsafeMutableRawPointer?
        let alignment = 8 << Int.random(in: 0..<8, using: &random)
        #expect(heap_posix_memalign(&memory, alignment, 200) == 0)
        #expect(Int(bitPattern: memory) % alignment == 0)
        blocks.append(Block(try #require(memory), 200, byte))
      case 3 where !blocks.isEmpty:
        let index = Int.random(in: 0..<blocks.count, using: &random)
        var block = blocks[index]
        #expect(block.isWhole)
        let size = Int.random(in: 0..<2000, using: &random)
        block.memory = try #require(heap_realloc(block.memory, size))
        block.size = min(size, block.size)
        #expect(block.isWhole)
        blocks[index] = Block(block.memory, size, byte)
      default:
        guard !blocks.isEmpty else { continue }
        let block = blocks.remove(at: Int.random(in: 0..<blocks.count, using: &random))
        #expect(block.isWhole)
        heap_free(block.memory)
      }
    }
    for block in blocks {
      #expect(block.isWhole)
      heap_free(block.memory)
    }
  }
}
