import Testing

/// What `body` gives. Where it fails, so has the test, which goes on with `other`: for what cannot throw.
func recorded<Value>(
  or other: Value, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Value
) -> Value {
  do {
    return try body()
  } catch {
    Issue.record("\(error)", sourceLocation: sourceLocation)
    return other
  }
}

/// What puts things right at the end of a test, in a `defer`. Where it fails, so has the test.
func cleanUp(sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
  do {
    try body()
  } catch {
    Issue.record("the clean-up failed: \(error)", sourceLocation: sourceLocation)
  }
}
