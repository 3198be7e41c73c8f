public import Diagnostics

/// A network device of one namespace.
public struct NetworkDevice: Sendable, Equatable {
  public var index: Int32
  public var isUp: Bool
}

/// An address of a network device, of whatever family.
public struct NetworkAddress: Sendable, Equatable {
  /// `struct ifaddrmsg` without the index: family, length of the prefix, flags, scope.
  var head: [UInt8]
  /// IFA_* attributes that belong to the address and not to the place where it is.
  var attributes: [Attribute]

  /// RT_SCOPE_UNIVERSE
  public var isGlobal: Bool { head[3] == 0 }
  /// An address that the kernel gives every device by itself: AF_INET6, RT_SCOPE_LINK.
  public var isAutomatic: Bool { head[0] == 10 && head[3] == 253 }

  struct Attribute: Sendable, Equatable {
    var type: UInt16
    var value: [UInt8]
  }
}

extension NetlinkSocket {
  /// The device of that name; nil where there is none.
  public func device(named name: String) throws(SystemError) -> NetworkDevice? {
    var message = NetlinkMessage(18 /* RTM_GETLINK */)
    message.put([UInt8](repeating: 0, count: 16))
    message.attribute(3 /* IFLA_IFNAME */, name: name)
    let answers: [[UInt8]]
    do {
      answers = try request(message, name)
    } catch {
      if error.errno == .noDevice { return nil }
      throw error
    }
    guard let answer = answers.first else { return nil }
    return NetworkDevice(index: Int32(bitPattern: answer.word(4)), isUp: answer.word(8) & 1 /* IFF_UP */ != 0)
  }

  /// The permanent addresses of a device, in order.
  public func addresses(of device: NetworkDevice) throws(SystemError) -> [NetworkAddress] {
    var message = NetlinkMessage(22 /* RTM_GETADDR */, flags: NetlinkMessage.dump)
    message.put([UInt8](repeating: 0, count: 8))
    var found: [NetworkAddress] = []
    for answer in try request(message, "addresses") where Int32(bitPattern: answer.word(4)) == device.index {
      let attributes = answer.attributes(from: 8)
      let flags = attributes.first { $0.type == 8 /* IFA_FLAGS */ }.map { $0.value.word(0) } ?? UInt32(answer[2])
      if flags & 0x80 == 0 /* IFA_F_PERMANENT */ { continue }
      found.append(
        NetworkAddress(
          head: [UInt8](answer[0..<4]),
          attributes: attributes.map { NetworkAddress.Attribute(type: $0.type, value: $0.value) }))
    }
    return found
  }

  /// Gives a device an address. Its label is only kept where the device keeps its name, with which it has to begin.
  public func add(
    _ address: NetworkAddress, to device: NetworkDevice, keepingLabel: Bool
  ) throws(SystemError) {
    var message = NetlinkMessage(20 /* RTM_NEWADDR */, flags: NetlinkMessage.replace)
    message.put(address.head)
    message.put(UInt32(bitPattern: device.index))
    for attribute in address.attributes {
      // IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO
      guard [1, 2, 3, 4, 8, 9, 11].contains(attribute.type) else { continue }
      if attribute.type == 3 && !keepingLabel { continue }
      message.attribute(attribute.type, attribute.value)
    }
    _ = try request(message, "address")
  }

  public func setUp(_ device: NetworkDevice) throws(SystemError) {
    var message = NetlinkMessage(16 /* RTM_NEWLINK */)
    message.put(UInt32(0))
    message.put(UInt32(bitPattern: device.index))
    message.put(UInt32(1 /* IFF_UP */))
    message.put(UInt32(1))
    _ = try request(message, "IFF_UP")
  }

  /// Moves a device to another network namespace and gives it a name there, in one call.
  public func move(
    _ device: NetworkDevice, to namespace: borrowing FileDescriptor, as name: String
  ) throws(SystemError) {
    var message = NetlinkMessage(16 /* RTM_NEWLINK */)
    message.put(UInt32(0))
    message.put(UInt32(bitPattern: device.index))
    message.put(UInt32(0))
    message.put(UInt32(0))
    let number = namespace.number
    message.attribute(28 /* IFLA_NET_NS_FD */, (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
    message.attribute(3 /* IFLA_IFNAME */, name: name)
    _ = try request(message, name)
  }
}
