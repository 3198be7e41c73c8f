import Diagnostics
import OCISpec
import Testing

@testable import ContainerPlan

@Suite struct IDMappingTests {
  private func failure(_ ranges: [(UInt32, UInt32, UInt32)]) -> RuntimeError? {
    do {
      _ = try IDMappingCheck.ranges(
        ranges.map { IDMapping(containerID: $0.0, hostID: $0.1, size: $0.2) }, "/linux/uidMappings")
      return nil
    } catch {
      return error
    }
  }

  @Test func mappingsAreTakenInTheirOrder() throws {
    let mappings = [IDMapping(containerID: 10, hostID: 5, size: 2), IDMapping(containerID: 0, hostID: 7, size: 10)]
    #expect(
      try IDMappingCheck.ranges(mappings, "/linux/gidMappings") == [
        IDRange(inside: 10, outside: 5, count: 2), IDRange(inside: 0, outside: 7, count: 10),
      ])
    #expect(try IDMappingCheck.ranges([], "/linux/gidMappings") == [])
  }

  @Test func theLastIdsCanBeMapped() {
    #expect(failure([(0, 0, .max)]) == nil)
    #expect(failure([(.max - 1, 5, 1), (0, .max - 1, 1)]) == nil)
  }

  @Test func mistakesInMappingsAreNamedWithTheirPlace() {
    let last = UInt32.max
    let rows: [([(UInt32, UInt32, UInt32)], String)] = [
      ([(0, 0, 0)], "/0/size"), ([(0, 1000, 1), (1, 2000, 0)], "/1/size"),
      ([(last, 0, 1)], "/0/containerID"), ([(0, last, 1)], "/0/hostID"), ([(1, 0, last)], "/0/containerID"),
      ([(0, 1, last)], "/0/hostID"), ([(0, 0, 1), (10, 4_000_000_000, 400_000_000)], "/1/hostID"),
      ([(0, 1000, 10), (9, 2000, 10)], "/1/containerID"), ([(10, 1000, 10), (0, 2000, 11)], "/1/containerID"),
      ([(0, 1000, 10), (20, 1009, 1)], "/1/hostID"), ([(0, 1000, 10), (20, 900, 101)], "/1/hostID"),
      ([(0, 1000, 10), (10, 1010, 10), (20, 1005, 1)], "/2/hostID"), ([(5, 5, 5), (5, 5, 5)], "/1/containerID"),
    ]
    for (ranges, place) in rows {
      #expect(failure(ranges)?.field == "/linux/uidMappings\(place)", "\(ranges)")
      #expect(failure(ranges)?.code == .configInvalid)
    }
  }

  @Test func rangesThatTouchDoNotOverlap() {
    #expect(failure([(0, 1000, 10), (10, 990, 10), (20, 1010, 1)]) == nil)
  }

  @Test func kernelTakesThreeHundredAndFortyMappings() {
    let ranges = (0..<341).map { (UInt32($0), UInt32(1000 + 2 * $0), UInt32(1)) }
    #expect(failure(Array(ranges.prefix(340))) == nil)
    #expect(failure(ranges)?.field == "/linux/uidMappings")
  }
}
