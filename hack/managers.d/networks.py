"""A server in a container, whoever asks it, and the networks of CNI."""

import json
import os
import socket

from checks import write

# Of one page, which does not go away.
SERVER = ("sh", "-c", "mkdir -p /www; echo answer >/www/index.html; exec httpd -f -p 80 -h /www")
GATEWAY = "10.77.0.1"


def ask(port, address="127.0.0.1"):
    """What the server says, or nothing."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            said = b""
            while data := connection.recv(1000):
                said += data
            return said.decode().partition("\r\n\r\n")[2]
    except OSError:
        return ""


def configure(*more):
    """The places that ctr reads are our own, so that nothing else is in them."""
    bridge = {"type": "bridge", "bridge": "box0", "isGateway": True, "ipMasq": False, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]]}}
    write("/etc/cni/net.d/10-box.conflist", json.dumps({"cniVersion": "0.4.0", "name": "box", "plugins": [bridge, *more]}))
    os.makedirs("/opt/cni", exist_ok=True)
    if not os.path.lexists("/opt/cni/bin"):
        os.makedirs("/opt/cni/bin")
        for name in os.listdir("/usr/lib/cni"):
            os.symlink(f"/usr/lib/cni/{name}", f"/opt/cni/bin/{name}")
