"""Images for containerd without a registry, and the shape of ctr's commands."""

import contextlib
import copy
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import tarfile

from checks import View, cgroup_of, command, equal, limit_of, matches, until, version, write
from containerd_daemon import WORK, Daemon
from podman_setup import PATH, image_tree

IMAGE = "localhost/box:1"

# The cgroup of containerd's namespace, which stays, and what was there before us.
KEPT = r"^cgroup \S+ (default|managers|mine|second)$|^file \S+/@cache$|^link box0$"


def image_archive(name, tree, config):
    """An OCI layout with one layer, as a tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        def add(path, data):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))

        def blob(kind, data):
            digest = hashlib.sha256(data).hexdigest()
            add(f"blobs/sha256/{digest}", data)
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

        layer = blob("layer.v1.tar", tree)
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        config = {"architecture": machine, "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": blob("config.v1+json", json.dumps(config).encode()), "layers": [layer]}
        index = blob("manifest.v1+json", json.dumps(manifest).encode())
        index["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
        add("index.json", json.dumps({"schemaVersion": 2, "manifests": [index]}).encode())
        add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    return packed.getvalue()


class Container:
    """A container of which there is a task, or was."""

    def __init__(self, ctr, id):
        self.ctr, self.id = ctr, id

    @property
    def status(self):
        """That of its task, in containerd's words; None without one."""
        return self.ctr.tasks().get(self.id, (None, None))[1]

    @property
    def pid(self):
        return self.ctr.tasks()[self.id][0]

    def exec(self, *arguments, options=(), status=0, **more):
        return self.ctr("t", "exec", "--exec-id", self.ctr.name("exec"), *options, self.id, *arguments, status=status, **more)

    def kill(self, signal="SIGKILL", *options, **more):
        return self.ctr("t", "kill", "-s", signal, *options, self.id, **more)

    def info(self):
        return json.loads(self.ctr("c", "info", self.id).out)

    def ended(self):
        until("the task has ended", lambda: self.status == "STOPPED")

    def limit(self, legacy, unified):
        return limit_of(self.pid, legacy, unified)

    def cgroup(self, controller):
        return cgroup_of(self.pid, controller)


class Ctr(View):
    def __init__(self, daemon, runtime):
        super().__init__()
        self.daemon, self.runtime, self.count, self.spec, self.parts = daemon, runtime, 0, None, None

    @property
    def version(self):
        return version(command("containerd", "--version").out)

    def name(self, what="c"):
        self.count += 1
        return f"{what}{self.count}"

    def arguments(self, *arguments):
        return ["ctr", "--address", self.daemon.address, "--connect-timeout", "60s", *arguments]

    def __call__(self, *arguments, **more):
        return command(*self.arguments(*arguments), env=self.daemon.environment, **more)

    def open(self, *arguments):
        """ctr with pipes, while it runs."""
        return self.spawn(self.arguments(*arguments))

    def popen(self, *process, options=(), id=None, runtime=None):
        """A container in the foreground, while it runs."""
        return self.spawn(self.run_arguments("--rm", *options, id=id or self.name(), process=process, runtime=runtime))

    @staticmethod
    def answers(process, lines=1):
        """Lines of a command that then waits for one, and its status. What ends before ctr has opened the streams may say nothing."""
        said = "".join(process.stdout.readline().decode() for _ in range(lines))
        out, err = process.communicate(b"\n", timeout=240)
        return said + out.decode(), err.decode(), process.returncode

    def spawn(self, arguments):
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.daemon.environment)

    def run_arguments(self, *options, id, process=(), runtime=None, root=IMAGE):
        # ctr gives every container shares, which nobody can without the controller.
        shares = () if "cpu" in self.controllers else ("--cpu-shares", "0")
        return self.arguments("run", "--runc-binary", runtime or self.runtime, *shares, *options, *([root] if root else []), id, *process)

    def run(self, *process, options=(), status=0, id=None, runtime=None, root=IMAGE, **more):
        """A container in the foreground, that is gone when it has ended."""
        arguments = self.run_arguments("--rm", *options, id=id or self.name(), process=process, runtime=runtime, root=root)
        return command(*arguments, env=self.daemon.environment, status=status, **more)

    def shell(self, script, *options, **more):
        return self.run("sh", "-c", script, options=options, **more).out.strip()

    def from_configuration(self, change, process):
        """The options of a container with a configuration, for what ctr has no option."""
        spec = copy.deepcopy(self.spec)
        spec["process"]["args"] = list(process)
        change(spec)
        return ("--config", write(f"{WORK}/config.json", json.dumps(spec)))

    def configured(self, change, *process, status=0, **more):
        return self.run(options=self.from_configuration(change, process), root=None, status=status, **more)

    def configuration(self, change, *process):
        """One in the background, gone in the end."""
        return self.container(root=None, options=self.from_configuration(change, process or ("sleep", "1000")))

    def start(self, *process, options=(), io=("--null-io",), id=None, runtime=None, root=IMAGE, **more):
        """A container in the background; `remove` it."""
        id = id or self.name()
        # Its output has no reader when ctr is gone.
        arguments = self.run_arguments("--detach", *io, *options, id=id, process=process or (("sleep", "1000") if root else ()), runtime=runtime, root=root)
        command(*arguments, env=self.daemon.environment, **more)
        return Container(self, id)

    @contextlib.contextmanager
    def container(self, *process, **more):
        id = more.pop("id", None) or self.name()
        try:
            yield self.start(*process, id=id, **more)
        finally:
            self.remove(id)

    def remove(self, *ids):
        self("t", "rm", "--force", *ids, status=None)
        self("c", "rm", *ids, status=None)

    def tasks(self):
        """Process id and status of each task by its container."""
        lines = [line.split() for line in self("t", "ls").out.splitlines()[1:]]
        return {line[0]: (int(line[1]), line[2]) for line in lines}

    def containers(self):
        return self("c", "ls", "-q").out.split()

    def remove_all(self):
        ids = set(self.containers()) | set(self.tasks())
        if ids:
            self.remove(*ids)

    def delete_forgotten(self):
        """What containerd has lost sight of; the runtime that made it must be able to delete it."""
        root = f"{self.daemon.state}/runc/default"
        for id in os.listdir(root) if os.path.isdir(root) else ():
            if not id.startswith("@"):
                command(self.runtime, "--root", root, "delete", "--force", id)

    def clear_streams(self):
        """Folders of streams are their client's: nobody takes those away when it dies. Nor the socket of a shim that is killed."""
        folder = f"{self.daemon.state}/fifo"
        for path, _, names in os.walk(folder, topdown=False):
            for name in names:
                os.unlink(f"{path}/{name}")
            if path != folder:
                os.rmdir(path)
        folder = f"{self.daemon.state}/s"
        for name in os.listdir(folder):
            with socket.socket(socket.AF_UNIX) as connection:
                try:
                    connection.connect(f"{folder}/{name}")
                except ConnectionRefusedError:
                    os.unlink(f"{folder}/{name}")

    def end_forgotten_shims(self):
        """containerd knows nothing of a shim that it was just starting when it, or who asked, was killed, whatever the runtime."""
        known = {pid for id in self.tasks() for pid in self.daemon.shims(id)}
        # Nor does anybody of a snapshot that was just made; a lease of a day keeps it.
        for line in self("leases", "ls", "-q").out.split():
            self("leases", "rm", "--sync", line)
        for line in self("snapshots", "ls").out.splitlines()[1:]:
            if "Active" in line and line.split()[0] not in self.containers():
                self("snapshots", "rm", line.split()[0], status=None)
        for pid in set(self.daemon.shims()) - known:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # It was at its end.
        # It takes their folders away when it starts.
        self.daemon.restart()
        self.delete_forgotten()
        self.clear_streams()

    def add_image(self, name, tree, config, space="default"):
        path = f"{WORK}/image.tar"
        with open(path, "wb") as file:
            file.write(image_archive(name, tree, config))
        matches(self("-n", space, "images", "import", path).out, "unpacking|saved", "the output of the import")
        os.remove(path)

    def set_up(self):
        self.parts = image_tree(), {"Env": [PATH], "Cmd": ["/bin/sh"], "WorkingDir": "/"}
        self.add_image(IMAGE, *self.parts)
        equal(self.shell("echo there"), "there", "the output of the first container")
        # The same as a folder, for --rootfs and for configurations, which know no image.
        with tarfile.open(fileobj=io.BytesIO(image_tree())) as tar:
            tar.extractall("/srv/rootfs")
        os.makedirs("/srv/data")
        os.chmod("/srv/data", 0o777)
        self("c", "create", IMAGE, "pattern", "true")
        self.spec = json.loads(self("c", "info", "pattern").out)["Spec"]
        self.spec["root"]["path"] = "/srv/rootfs"
        del self.spec["linux"]["cgroupsPath"]
        self("c", "rm", "pattern")


def begin(runtimes):
    """A daemon that runs, with an image, for the first of the runtimes."""
    daemon = Daemon(runtimes[0])
    daemon.start()
    ctr = Ctr(daemon, runtimes[0])
    ctr.set_up()
    return ctr
