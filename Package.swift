// swift-tools-version: 6.2
import PackageDescription

// Two builds of the same sources (spec/architecture.md, "Two builds of the same sources"):
// without the variable an ordinary Swift package; with APUS_RELEASE=1 Embedded Swift, fully static and
// stripped. `hack/build` sets it, and names the folder of the toolchain's Embedded libraries.
let isRelease = Context.environment["APUS_RELEASE"] == "1"
let embeddedLibraries = Context.environment["APUS_EMBEDDED_LIBRARIES"] ?? ""
/// The folder of a static musl: a third smaller than with the GNU C library, and quicker to start.
let musl = Context.environment["APUS_MUSL"] ?? ""
/// The fuzzers of `hack/fuzz` and nothing else: every module with libFuzzer's counters of edges, AddressSanitizer, and the
/// counters of regions that llvm-cov reads. The value is the toolchain's libFuzzer without a `main`.
let fuzzer = Context.environment["APUS_FUZZ"] ?? ""
/// For hack/order, which has to know the functions by name.
let hasSymbols = Context.environment["APUS_SYMBOLS"] == "1"
// What `--version` prints; a build outside of a clone does not know it.
let commit = Context.gitInformation?.currentCommit ?? "unknown"

let fuzzSettings: [SwiftSetting] =
  fuzzer.isEmpty
  ? []
  : [
    .unsafeFlags([
      "-sanitize=fuzzer,address", "-enable-testing", "-profile-generate", "-profile-coverage-mapping",
      // Branches of AddressSanitizer's own would count as edges: calls instead.
      "-Xllvm", "-asan-instrumentation-with-call-threshold=0",
    ]), .define("APUS_FUZZ"),
  ]
let commonSettings: [SwiftSetting] =
  [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
  ] + fuzzSettings
// Constant arrays stay where they are made: as objects of their own they are numbered anew in each module that has a copy of the
// function, and the linker then takes one for another.
let embeddedSettings: [SwiftSetting] = [
  .enableExperimentalFeature("Embedded"),
  .unsafeFlags([
    "-Osize", "-wmo", "-parse-as-library", "-Xfrontend",
    "-function-sections", "-Xllvm", "-sil-disable-pass=object-outliner",
  ]),
]
let staticLinking: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-Xclang-linker", "-static", "-Xlinker", "--gc-sections", "-use-ld=lld", "-Xlinker", "--icf=all",
      // What a start runs stands together: half as many pages to fault in, in each of its three processes (hack/order).
      "-Xlinker", "--symbol-ordering-file=\(Context.packageDirectory)/hack/order.txt",
      "-Xlinker", "--no-warn-symbol-ordering",
      "\(embeddedLibraries)/libswiftUnicodeDataTables.a",
    ] + (hasSymbols ? [] : ["-Xlinker", "-s"])),
  .unsafeFlags(
    musl.isEmpty
      ? ["-lm"]
      : [
        "-Xclang-linker", "-nostdlib", "\(musl)/crt1.o", "\(musl)/crti.o", "\(musl)/crtn.o", "\(musl)/libc.a",
        "-lgcc", "-lgcc_eh",
      ]),
]
// The heap is the release binary's own, and must not be taken for that of the C library: a compiler that knows what those
// functions do may leave out what it takes for needless. The rest is what musl has not.
let startSettings: [CSetting] =
  isRelease
  ? [
    .define("APUS_ALLOCATOR"),
    .unsafeFlags(
      [
        "malloc", "calloc", "realloc", "free", "aligned_alloc", "memalign", "posix_memalign",
      ].map { "-fno-builtin-\($0)" }),
  ] + (musl.isEmpty ? [] : [.define("APUS_MUSL")]) : []
let swiftSettings = isRelease ? commonSettings + embeddedSettings : commonSettings

/// For modules that run for a few microseconds: repeated machine code becomes calls, which saves a tenth of them.
let smallSettings =
  isRelease
  ? swiftSettings + [.unsafeFlags(["-Xllvm", "-enable-machine-outliner=always"])] : swiftSettings

func module(
  _ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil, isSmall: Bool = false
) -> Target {
  .target(
    name: name, dependencies: dependencies, path: path, swiftSettings: isSmall ? smallSettings : swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.target(name: name)] + dependencies, exclude: exclude,
    swiftSettings: commonSettings)
}

/// What is fuzzed, by way of the targets in Tests/FuzzTests/Targets.
let fuzzed: [Target.Dependency] = [
  "Cgroups", "Checkpoint", "ContainerPlan", "ContainerRuntime", "DBusSupport", "Diagnostics", "FuzzSupport",
  "InitChannel", "JSON",
  "Linux", "LinuxABI", "OCISpec", "Seccomp",
]
// The same sources are a test of the ordinary build, which runs every seed and every finding once.
let fuzzTargets: [Target] =
  fuzzer.isEmpty
  ? [
    .testTarget(
      name: "FuzzTests", dependencies: fuzzed, exclude: ["Driver", "Corpus", "Findings", "modules.txt"],
      swiftSettings: commonSettings),
    .target(name: "FuzzSupport", path: "Tests/FuzzSupport", exclude: ["driver.c"]),
  ]
  : [
    .target(name: "FuzzSupport", path: "Tests/FuzzSupport"),
    .executableTarget(
      name: "fuzz", dependencies: fuzzed, path: "Tests/FuzzTests",
      exclude: ["Corpus", "Findings", "FuzzTests.swift", "modules.txt"], swiftSettings: commonSettings,
      linkerSettings: [
        .unsafeFlags(["-sanitize=address", "-profile-generate", fuzzer]), .linkedLibrary("stdc++"),
      ]),
  ]

let package = Package(
  name: "apus",
  products: [
    .executable(name: "apus", targets: ["apus"]),
    .library(name: "OCISpec", targets: ["OCISpec"]),
    .library(name: "ContainerRuntime", targets: ["ContainerRuntime"]),
  ],
  targets: [
    module("Diagnostics"),
    module("JSON", ["Diagnostics"]),
    module("LinuxABI"),
    module("Checkpoint", ["Diagnostics", "JSON"], isSmall: true),
    module("OCISpec", ["Diagnostics", "JSON"], isSmall: true),
    module("ContainerPlan", ["Diagnostics", "JSON", "LinuxABI", "OCISpec"], isSmall: true),
    .target(name: "CLinux"),
    .systemLibrary(
      name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(name: "CCapability", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
    module("Linux", ["CLinux", "CCapability", "Diagnostics", "LinuxABI"], isSmall: true),
    module("InitChannel", ["ContainerPlan", "Diagnostics", "Linux", "LinuxABI"], isSmall: true),
    module("Cgroups", ["ContainerPlan", "Diagnostics", "Linux", "LinuxABI", "OCISpec"], isSmall: true),
    module("Seccomp", ["CSeccomp", "Diagnostics", "Linux", "LinuxABI", "OCISpec"], isSmall: true),
    module(
      "ContainerInit", ["ContainerPlan", "Diagnostics", "InitChannel", "Linux", "LinuxABI"], isSmall: true),
    module(
      "ContainerRuntime",
      [
        "Cgroups", "Checkpoint", "ContainerPlan", "Diagnostics", "InitChannel", "JSON", "Linux", "LinuxABI",
        "OCISpec", "Seccomp",
      ], isSmall: true),
    .target(
      name: "CStart",
      cSettings: [.define("APUS_COMMIT", to: "\"\(commit)\"")] + startSettings),
    .executableTarget(
      name: "apus",
      dependencies: [
        "CStart", "ContainerInit", "ContainerPlan", "ContainerRuntime", "Diagnostics", "JSON", "Linux",
        "LinuxABI", "OCISpec", "Seccomp",
      ],
      swiftSettings: smallSettings, linkerSettings: isRelease ? staticLinking : []),
    tests("Diagnostics"),
    .target(name: "AllocatorSupport", path: "Tests/AllocatorSupport"),
    .testTarget(
      name: "AllocatorTests", dependencies: ["AllocatorSupport"], exclude: ["Program"], swiftSettings: commonSettings),
    tests("LinuxABI"),
    tests("Checkpoint", ["Diagnostics", "JSON"]),
    .testTarget(
      name: "CommandLineTests",
      dependencies: ["apus", "ContainerPlan", "ContainerRuntime", "Diagnostics", "JSON", "LinuxABI", "OCISpec"],
      swiftSettings: commonSettings),
    tests("Seccomp", ["CSeccomp", "Diagnostics", "LinuxABI", "OCISpec"], exclude: ["Fixtures"]),
    tests("Linux", ["Diagnostics", "LinuxABI"]),
    tests("InitChannel", ["ContainerPlan", "Diagnostics", "LinuxABI"]),
    tests("ContainerPlan", ["Diagnostics", "LinuxABI", "OCISpec"], exclude: ["Fixtures", "Golden"]),
    tests("JSON", ["Diagnostics"]),
    .testTarget(
      name: "OCISpecTests", dependencies: ["Diagnostics", "JSON", "OCISpec"], exclude: ["Fixtures"],
      swiftSettings: commonSettings),
    .target(name: "InitSupport", path: "Tests/InitSupport"),
    tests(
      "ContainerRuntime",
      [
        "Cgroups", "Checkpoint", "ContainerPlan", "Diagnostics", "InitChannel", "InitSupport", "Linux", "LinuxABI",
        "OCISpec",
      ]),
    module("DBusSupport", ["Cgroups"], path: "Tests/DBusSupport"),
    tests("Cgroups", ["DBusSupport", "Diagnostics", "Linux", "LinuxABI", "OCISpec"]),
    .target(name: "IntegrationSupport", path: "Tests/IntegrationSupport"),
    .testTarget(
      name: "IntegrationTests", dependencies: ["IntegrationSupport", "LinuxABI"],
      swiftSettings: commonSettings),
  ] + fuzzTargets,
  swiftLanguageModes: [.v6]
)
