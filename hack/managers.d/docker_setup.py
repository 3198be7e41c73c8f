"""dockerd with the runtime under test as its default, its image, and the shape of docker's commands."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

from checks import SYSTEMD, Failed, View, command, equal, processes, read, until, version, write
from podman_setup import Container, image_tree

IMAGE = "box:1"
WORK = "/run/managers"
DATA = "/srv/data"
CALLS = f"{WORK}/calls"
PARENT = "docker-mine.slice" if SYSTEMD else "/docker/mine"

# Where this machine lacks a capability.
LACKS = {name: "asks for capabilities that the kernel does not give" for name in ("crun", "runc")}

# The engine's own, which stay: itself, the parents of its cgroups, its mounts, the namespace of the host as a network sandbox, and files
# that namespaces were mounted on, which it removes once in a minute.
KEPT = (r"^file \S+/@cache$|^cgroup \S+ (docker(/buildkit)?|managers)$|^mount .*/overlay2$|^mount /(var/)?run/docker/netns/default$|^file /run/docker/netns/"
        r"|^process (/usr/s?bin/)?(dockerd|containerd) |^mount /run/docker/plugins|^file \S+/overlay2/l$|^mount /srv/docker/[^/]+(/plugins)?$")

# Tells that it was called before it does what it is asked for.
TELLING = """#!/bin/sh
echo "NAME $*" >>CALLS
exec LINK "$@"
"""


class Docker(View):
    """A daemon and its client. The first one has the usual places, others their own below /srv/docker."""

    def __init__(self, runtimes, name=""):
        super().__init__()
        self.runtimes = runtimes
        self.path = runtimes[0]
        self.name = os.path.basename(self.path)
        self.folder = f"/srv/docker/{name}" if name else ""
        self.data = f"{self.folder}/data" if name else "/var/lib/docker"
        self.run_folder = f"/run/docker-{name}" if name else "/run/docker"
        # Where the shims have the runtime keep what it knows, whatever its name.
        self.states = f"{self.run_folder}/runtime-runc/moby"
        self.socket = f"{self.run_folder}.sock"
        self.daemon = None
        self.containerd = None
        self.options = []
        self.log = f"{WORK}/{'logs' if os.path.isdir(f'{WORK}/logs') else ''}/dockerd{'-' + name if name else ''}.log"
        self.environment = {
            # A build asks for `runc`, whatever the default is.
            "PATH": f"{WORK}/links:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": f"{WORK}/docker",
            "TERM": "dumb",
            "LANG": "C.UTF-8",
        }

    # The daemon.

    def configure(self):
        """What `hack/install --docker` writes; for other runtimes the same with their paths."""
        os.makedirs(DATA, exist_ok=True)
        os.chmod(DATA, 0o777)
        root = "/srv/root"
        if self.name not in ("crun", "runc"):
            os.makedirs(f"{root}{WORK}/bin")
            shutil.copy(self.path, f"{root}{self.path}")
            command(f"{WORK}/checks/switch", "--docker", "--root", root, "--binary", self.path)
            settings = json.loads(read(f"{root}/etc/docker/daemon.json"))
            equal(settings, {"runtimes": {"apus": {"path": self.path}}, "default-runtime": "apus"}, "what hack/switch writes")
            shutil.rmtree(root)
        else:
            # The name `runc` is the engine's own.
            name = self.default
            settings = {"runtimes": {name: {"path": self.path}}, "default-runtime": name}
        for path in self.runtimes[1:]:
            settings["runtimes"][self.named(path)] = {"path": path}
        os.makedirs(f"{WORK}/links/itself", exist_ok=True)
        os.symlink(self.path, f"{WORK}/links/itself/runc")
        write(f"{WORK}/links/runc", TELLING.replace("NAME", "build").replace("CALLS", CALLS).replace("LINK", f"{WORK}/links/itself/runc"), 0o755)
        other = write(f"{WORK}/links/other", TELLING.replace("NAME", "other").replace("CALLS", CALLS).replace("LINK", self.path), 0o755)
        settings["runtimes"]["other"] = {"path": other}
        settings["runtimes"]["cut"] = {"path": f"{DATA}/cut"}
        settings["runtimes"]["missing"] = {"path": "/run/managers/nosuch"}
        write("/etc/docker/daemon.json", json.dumps(settings, indent=4) + "\n")
        write(CALLS, "")

    @staticmethod
    def named(path):
        """What the engine knows a further runtime as: the name `runc` is its own."""
        name = os.path.basename(path)
        return "runc-itself" if name == "runc" else name

    @property
    def default(self):
        return {"runc": "runc-itself", "crun": "crun"}.get(self.name, "apus")

    def start(self, *options):
        self.options = list(options)
        arguments = ["dockerd", "--host", f"unix://{self.socket}", "--storage-driver", "overlay2", "--data-root", self.data,
                     "--exec-root", self.run_folder, "--pidfile", f"{self.run_folder}.pid", "--group", "root",
                     "--exec-opt", f"native.cgroupdriver={'systemd' if SYSTEMD else 'cgroupfs'}"]
        if self.folder:
            # Without a bridge it would remove that of the first.
            arguments = ["unshare", "--net", *arguments, "--bridge", "none", "--iptables=false"]
        os.makedirs(self.run_folder, exist_ok=True)
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([*arguments, *options], stdin=subprocess.PIPE, stdout=log, stderr=log, env=self.environment)
        until("dockerd answers", self.answers, 60)
        self.containerd = self.find_containerd()

    def find_containerd(self):
        path = f"{self.run_folder}/containerd/containerd.pid"
        return int(read(path))

    def answers(self):
        if self.daemon.poll() is not None:
            raise Failed(f"dockerd ended with {self.daemon.returncode}: {read(self.log)[-1500:]}")
        return self("version", status=None).status == 0

    def stop(self):
        if self.daemon.poll() is None:
            self.daemon.terminate()
        self.daemon.stdin.close()
        self.daemon.wait(60)
        self.containerd_ended()

    def kill(self):
        self.daemon.kill()
        self.daemon.stdin.close()
        self.daemon.wait()
        # The kernel ends it with dockerd's thread; what was asked of a dying one would be lost.
        self.containerd_ended()

    def containerd_ended(self):
        # A zombie would be taken for one that still serves.
        until("containerd has ended", lambda: not os.path.exists(f"/proc/{self.containerd}"))

    def restart(self, *options):
        self.stop()
        self.start(*(options or self.options))

    @contextlib.contextmanager
    def second(self, *options, name="second", image=True):
        """Another daemon, with an image of its own; nothing of it stays."""
        other = Docker(self.runtimes, name)
        other.start(*options)
        try:
            if image:
                other.import_image()
            yield other
        finally:
            if other.daemon.poll() is not None:
                other.start(*other.options)
            other.remove_all()
            other.stop()
            other.end_shims()
            for line in reversed(read("/proc/self/mountinfo").splitlines()):
                path = line.split()[4]
                if path.startswith((other.folder + "/", other.run_folder + "/")) or path == other.run_folder:
                    command("umount", path)
            shutil.rmtree(other.folder)
            shutil.rmtree(other.run_folder, ignore_errors=True)

    def end_shims(self):
        """Of an engine that was killed: it has forgotten them, and so the sockets that they listen at."""
        for name, pid in processes().items():
            if "containerd-shim" in name and f"-address {self.run_folder}/" in read(f"/proc/{pid}/cmdline").replace("\0", " "):
                os.kill(pid, signal.SIGKILL)
                until("the shim has ended", lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
        # Those of the first engine are in this network namespace.
        used = read("/proc/net/unix")
        for name in os.listdir("/run/containerd/s"):
            if name not in used:
                os.remove(f"/run/containerd/s/{name}")

    # The client.

    def arguments(self, *arguments):
        return ["docker", *arguments]

    def __call__(self, *arguments, env=None, **more):
        return command(*self.arguments(*arguments), env={**self.environment, **(env or {})}, **more)

    def run(self, *options, status=0, network="none", **more):
        """`docker run --rm` with options, then the image and a command."""
        return self("run", "--rm", *(["--network", network] if network else []), *options, status=status, **more)

    def shell(self, script, *options, **more):
        """What a script says in a container of these options."""
        return self.run(*options, IMAGE, "sh", "-c", script, **more).out.strip()

    @contextlib.contextmanager
    def container(self, *options, process=("sleep", "1000"), network="none", detach=True):
        """One in the background, gone in the end."""
        verb = ["run", "-d"] if detach else ["create"]
        id = self(*verb, *(["--network", network] if network else []), *options, IMAGE, *process).out.strip().splitlines()[-1]
        try:
            yield Container(self, id)
        finally:
            self("rm", "-f", "-v", id, status=None)

    def json(self, *arguments):
        """One JSON object in each line."""
        return [json.loads(line) for line in self(*arguments, "--format", "{{json .}}").out.splitlines()]

    @property
    def version(self):
        return version(self("version", "--format", "{{.Server.Version}}").out)

    def ended(self, container):
        until("the container has ended", lambda: container.status == "exited")

    def remove_all(self):
        if self.daemon.poll() is not None:
            self.start(*self.options)
        for id in self("ps", "-aq", "--no-trunc").out.split():
            if self("inspect", "--format", "{{.State.Paused}}", id, status=None).out.strip() == "true":
                self("unpause", id, status=None)
            self("update", "--restart", "no", id, status=None)
            self("rm", "-f", "-v", id, status=None)
        for id in self("volume", "ls", "-q").out.split():
            self("volume", "rm", "-f", id, status=None)
        self("network", "prune", "-f", status=None)

    def import_image(self):
        packed = f"{DATA}/box.tar"
        with open(packed, "wb") as file:
            file.write(image_tree())
        self("import", "-c", 'CMD ["/bin/sh"]', "-c", "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", packed, IMAGE)
        os.remove(packed)

    def set_up(self):
        self.configure()
        self.start()
        self.import_image()
        # What stays of the first container is the engine's own.
        equal(self.shell("echo there"), "there", "the output of the first container")
        with self.container("-p", "127.0.0.1:8079:80", network=None):
            pass
        self.run(IMAGE, "true", network="host")


def state_folders(docker):
    """Where something of a container could stay."""
    found = ["/run/docker/netns", "/run/containerd/s", "/srv/docker", f"{docker.data}/containers", f"{docker.data}/volumes", f"{docker.data}/overlay2",
             f"{docker.run_folder}/containerd", docker.states, f"{docker.run_folder}/containerd/daemon/io.containerd.runtime.v2.task/moby", f"{docker.data}/containerd/daemon/io.containerd.runtime.v2.task/moby"]
    return found + [f"/run/{name}" for name in ("apus", "crun", "runc", docker.name)] + ["/run/netns"]
