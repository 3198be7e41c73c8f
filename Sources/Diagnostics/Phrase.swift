/// One text of several. A call, where an interpolation would be code at each place: for texts that are seldom needed.
@inline(never)
package func phrase(_ parts: String...) -> String {
  var text = ""
  for part in parts { text += part }
  return text
}
