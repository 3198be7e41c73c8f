import Diagnostics
import Linux
import LinuxABI
import Testing

@Suite struct KernelProbeTests {
  /// What is asked for is what these tests run with.
  @Test func noCallThatIsNeededIsMissing() {
    #expect(KernelProbe.missingCalls() == [])
  }

  @Test func actionsAndFlagsThatNoKernelHasAreTold() {
    for action in [SeccompReturn.allow, SeccompReturn.errno, SeccompReturn.killProcess, SeccompReturn.log] {
      #expect(KernelProbe.hasSeccompAction(action))
    }
    #expect(!KernelProbe.hasSeccompAction(0x1234_0000))
    #expect(KernelProbe.hasSeccompFlags(SeccompFilterFlags.log.rawValue))
    #expect(!KernelProbe.hasSeccompFlags(1 << 30))
  }

  @Test func aFileTellsWhichNamespaceItIs() throws {
    #expect(try FileDescriptor.open("/proc/self/ns/net", .readOnly).namespaceKind() == .newNetwork)
    #expect(try FileDescriptor.open("/proc/self/ns/user", .readOnly).namespaceKind() == .newUser)
    #expect(throws: SystemError.self) { try FileDescriptor.open("/dev/zero", .readOnly).namespaceKind() }
  }

  @Test func aDirectoryThatIsNoneCannotBeWritten() throws {
    try Programs.isWritableDirectory("/")
    #expect(throws: SystemError.self) { try Programs.isWritableDirectory("/proc/self/stat") }
    #expect(throws: SystemError.self) { try Programs.isWritableDirectory("/no/such/place") }
  }
}
