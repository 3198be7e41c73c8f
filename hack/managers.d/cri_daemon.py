"""The containerd of the checks with its CRI plugin: configuration, network, images."""

import hashlib
import io
import json
import os
import tarfile

import grpc

from checks import SYSTEMD, command, record, write
from containerd_daemon import WORK, Daemon
from cri_messages import MESSAGES, stub

BOX, PAUSE = "localhost/box:1", "localhost/pause:1"
SECOND_ROOT = "/run/second"
# What the hook of the second handler was told.
HOOKED = f"{WORK}/hooked"

SETTINGS = """
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # A sandbox has an oom_score_adj of -998, which only CAP_SYS_RESOURCE may lower to.
  restrict_oom_score_adj = true
  stats_collect_period = 1
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{work}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "tested"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested.options]
        BinaryName = "{runtime}"
        SystemdCgroup = {systemd}
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.second]
      runtime_type = "io.containerd.runc.v2"
      privileged_without_host_devices = true
      pod_annotations = ["example.com/*"]
      base_runtime_spec = "{work}/base.json"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.second.options]
        BinaryName = "{runtime}"
        SystemdCgroup = {systemd}
        Root = "{second}"
"""

NETWORK = {
    "cniVersion": "0.4.0",
    "name": "box",
    "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
         "ipam": {"type": "host-local", "subnet": "10.85.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}


def image(tree, names, **configuration):
    """An image of one layer as `docker save` writes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        def add(name, data):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

        digest = hashlib.sha256(tree).hexdigest()
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        text = json.dumps({"architecture": machine, "os": "linux", "config": configuration, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
        add(f"{hashlib.sha256(text).hexdigest()}.json", text)
        add(f"{digest}/layer.tar", tree)
        manifest = {"Config": f"{hashlib.sha256(text).hexdigest()}.json", "RepoTags": list(names), "Layers": [f"{digest}/layer.tar"]}
        add("manifest.json", json.dumps([manifest]).encode())
    return packed.getvalue()


class CRIDaemon(Daemon):
    def __init__(self, runtime):
        super().__init__(runtime, disabled=(), settings=SETTINGS.format(pause=PAUSE, work=WORK, runtime=runtime, second=SECOND_ROOT, systemd=str(SYSTEMD).lower()))
        self.channel = None

    def configure(self):
        write(f"{WORK}/cni/10-box.conflist", json.dumps(NETWORK))
        base = json.loads(command("ctr", "oci", "spec").out)
        base["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"tr -d '\\n' >>{HOOKED}; echo >>{HOOKED}"]}]}
        write(f"{WORK}/base.json", json.dumps(base))

    def answers(self):
        """Whether the CRI says that it is ready, too."""
        if not super().answers():
            return False
        self.close()
        self.channel = grpc.insecure_channel(f"unix://{self.address}")
        try:
            conditions = stub(self.channel, "Status")(MESSAGES["StatusRequest"](), timeout=10).status.conditions
        except grpc.RpcError as error:
            record(f"the CRI is not there yet: {error}")
            return False
        return all(condition.status for condition in conditions)

    def close(self):
        if self.channel:
            self.channel.close()
            self.channel = None

    def end(self, number):
        self.close()
        super().end(number)

    def ctr(self, *arguments, **more):
        return command("ctr", "--address", self.address, "-n", "k8s.io", *arguments, **more)

    def load(self, tree, name, **configuration):
        path = "/srv/image.tar"
        with open(path, "wb") as file:
            file.write(image(tree, [name], **configuration))
        self.ctr("images", "import", path)
        os.remove(path)
