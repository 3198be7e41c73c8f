/// The names of signal(7). The numbers are those of x86_64 and 64-bit Arm.
public enum SignalName {
  /// SIGRTMIN as programs see it: the C library keeps the kernel's 32 and 33 for itself.
  public static var realtimeMinimum: Int32 { 34 }
  /// SIGRTMAX
  public static var realtimeMaximum: Int32 { 64 }

  /// The number that a user means by `SIGTERM`, `TERM`, `sigterm`, `15`, `RTMIN+3` or `SIGRTMAX-1`; nil if it names no
  /// signal. `0` is allowed: kill(2) with it only asks whether the process is there.
  public static func parse(_ text: String) -> Int32? {
    var name: [UInt8] = []
    for byte in text.utf8 {
      // The longest is `SIGRTMIN+30`.
      if name.count == 11 { return nil }
      name.append(byte >= 0x61 && byte <= 0x7A ? byte - 0x20 : byte)
    }
    guard let first = name.first else { return nil }
    if first >= 0x30 && first <= 0x39 {
      return decimal(name[...], upTo: realtimeMaximum)
    }
    if name.starts(with: "SIG".utf8) { name.removeFirst(3) }
    if name.starts(with: "RTM".utf8) { return realtime(name) }
    return number(of: String(decoding: name, as: UTF8.self))
  }

  /// `SIGTERM` for 15, `SIGRTMIN+3` for 37; nil for a number that is no signal or that the C library keeps for itself.
  public static func name(of number: Int32) -> String? {
    if let name = standardName(number) { return name }
    guard number >= realtimeMinimum && number <= realtimeMaximum else { return nil }
    if number == realtimeMinimum { return "SIGRTMIN" }
    if number == realtimeMaximum { return "SIGRTMAX" }
    // As kill(1) prints them: counted from the nearer end.
    let middle = (realtimeMinimum + realtimeMaximum) / 2
    if number <= middle { return "SIGRTMIN+\(number - realtimeMinimum)" }
    return "SIGRTMAX-\(realtimeMaximum - number)"
  }

  /// `RTMIN`, `RTMIN+n`, `RTMAX`, `RTMAX-n`.
  private static func realtime(_ name: [UInt8]) -> Int32? {
    let isMinimum = name.starts(with: "RTMIN".utf8)
    guard isMinimum || name.starts(with: "RTMAX".utf8) else { return nil }
    let edge = isMinimum ? realtimeMinimum : realtimeMaximum
    if name.count == 5 { return edge }
    guard name[5] == (isMinimum ? 0x2B : 0x2D) else { return nil }
    guard let offset = decimal(name[6...], upTo: realtimeMaximum - realtimeMinimum) else { return nil }
    return isMinimum ? edge + offset : edge - offset
  }

  private static func decimal(_ digits: ArraySlice<UInt8>, upTo limit: Int32) -> Int32? {
    guard !digits.isEmpty && digits.count <= 3 else { return nil }
    var value: Int32 = 0
    for digit in digits {
      guard digit >= 0x30 && digit <= 0x39 else { return nil }
      value = value * 10 + Int32(digit - 0x30)
    }
    return value <= limit ? value : nil
  }

  private static func number(of name: String) -> Int32? {
    switch name {
    case "HUP": 1
    case "INT": 2
    case "QUIT": 3
    case "ILL": 4
    case "TRAP": 5
    case "ABRT", "IOT": 6
    case "BUS": 7
    case "FPE": 8
    case "KILL": 9
    case "USR1": 10
    case "SEGV": 11
    case "USR2": 12
    case "PIPE": 13
    case "ALRM": 14
    case "TERM": 15
    case "STKFLT": 16
    case "CHLD", "CLD": 17
    case "CONT": 18
    case "STOP": 19
    case "TSTP": 20
    case "TTIN": 21
    case "TTOU": 22
    case "URG": 23
    case "XCPU": 24
    case "XFSZ": 25
    case "VTALRM": 26
    case "PROF": 27
    case "WINCH": 28
    case "IO", "POLL": 29
    case "PWR": 30
    case "SYS", "UNUSED": 31
    default: nil
    }
  }

  private static func standardName(_ number: Int32) -> String? {
    switch number {
    case 1: "SIGHUP"
    case 2: "SIGINT"
    case 3: "SIGQUIT"
    case 4: "SIGILL"
    case 5: "SIGTRAP"
    case 6: "SIGABRT"
    case 7: "SIGBUS"
    case 8: "SIGFPE"
    case 9: "SIGKILL"
    case 10: "SIGUSR1"
    case 11: "SIGSEGV"
    case 12: "SIGUSR2"
    case 13: "SIGPIPE"
    case 14: "SIGALRM"
    case 15: "SIGTERM"
    case 16: "SIGSTKFLT"
    case 17: "SIGCHLD"
    case 18: "SIGCONT"
    case 19: "SIGSTOP"
    case 20: "SIGTSTP"
    case 21: "SIGTTIN"
    case 22: "SIGTTOU"
    case 23: "SIGURG"
    case 24: "SIGXCPU"
    case 25: "SIGXFSZ"
    case 26: "SIGVTALRM"
    case 27: "SIGPROF"
    case 28: "SIGWINCH"
    case 29: "SIGIO"
    case 30: "SIGPWR"
    case 31: "SIGSYS"
    default: nil
    }
  }
}

/// The signals that the runtime itself sends or waits for.
public enum Signal {
  public static var hangUp: Int32 { 1 }
  public static var interrupt: Int32 { 2 }
  public static var quit: Int32 { 3 }
  public static var kill: Int32 { 9 }
  public static var brokenPipe: Int32 { 13 }
  public static var terminate: Int32 { 15 }
  public static var child: Int32 { 17 }
  public static var windowSize: Int32 { 28 }
}
