/// The version of the runtime specification that this program implements.
public enum OCIVersion {
  public static let current = "1.3.0"
  /// The oldest version that is taken (`features`).
  public static let oldest = "1.0.0"
}
