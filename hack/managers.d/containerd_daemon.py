"""A containerd of our own, in the namespaces of hack/managers: its configuration, its start and its end."""

import json
import os
import signal
import socket
import subprocess

from checks import expect, read, until, write

WORK = "/run/managers"


class Daemon:
    """`runtime` is what the shim finds as `runc`, for whoever names no binary. `disabled` are plugins that are not started, `settings`
    more of config.toml, such as the sections of plugins; it is written when it starts, so that they may be changed before a restart."""

    def __init__(self, runtime, disabled=("io.containerd.grpc.v1.cri",), settings="", level="info"):
        self.disabled, self.settings, self.level = list(disabled), settings, level
        self.config, self.log = f"{WORK}/containerd.toml", f"{WORK}/containerd.log"
        self.root, self.state = "/var/lib/containerd", "/run/containerd"
        self.address = f"{self.state}/containerd.sock"
        # What hack/install --ctr does: a folder in front, in which the runtime is called runc.
        self.links = f"{WORK}/path"
        os.makedirs(self.links, exist_ok=True)
        os.symlink(runtime, f"{self.links}/runc")
        self.environment = {
            "PATH": f"{self.links}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def configuration(self):
        return f"""version = 2
root = "{self.root}"
state = "{self.state}"
disabled_plugins = {json.dumps(self.disabled)}
[grpc]
  address = "{self.address}"
[debug]
  level = "{self.level}"
{self.settings}
"""

    def start(self):
        write(self.config, self.configuration())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["containerd", "--config", self.config], stdin=subprocess.PIPE, stdout=log, stderr=log, env=self.environment)
        until("containerd answers", self.answers, 60)

    def answers(self):
        """Whether it takes connections. The socket of one that was killed stays, and refuses."""
        expect(self.process.poll() is None, f"containerd ended with {self.process.returncode}: {self.tail()}")
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(self.address)
            except OSError:
                return False
        return True

    def tail(self, lines=5):
        return " | ".join(read(self.log).splitlines()[-lines:])

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(60)
        self.process.stdin.close()
        self.process = None

    def stop(self):
        """As a service manager does it: containers and their shims go on."""
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def shims(self, id=None):
        """The processes of the shims, or that of one container, as numbers."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = read(f"/proc/{name}/cmdline").split("\0")
            except OSError:
                continue  # It has ended.
            if os.path.basename(line[0]).startswith("containerd-shim") and "-id" in line and (id is None or line[line.index("-id") + 1] == id):
                found.append(int(name))
        return sorted(found)

    def folders(self):
        """Where containers leave state: to look for what is left behind."""
        return [f"{self.state}/{name}" for name in ("s", "fifo")] + [
            f"{self.state}/io.containerd.runtime.v2.task/{space}" for space in self.namespaces()] + [f"{self.state}/runc/{space}" for space in self.namespaces()]

    @staticmethod
    def namespaces():
        return ("default", "k8s.io", "moby")
