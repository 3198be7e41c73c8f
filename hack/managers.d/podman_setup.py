"""podman's configuration, its image, and the shape of its commands."""

import contextlib
import io
import json
import os
import subprocess
import tarfile

from checks import SYSTEMD, NotRun, View, cgroup_of, command, equal, limit_of, until, version, write

IMAGE = "localhost/box:1"
PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
WORK = "/run/managers"
USER = 64321

# podman's own, which stay: the parents of its cgroups, of which it forgets a pod's in the hierarchy without controllers, its mounts
# below the storage, the process that holds a user's namespace.
KEPT = (r"^file \S+/@cache$|^cgroup systemd libpod_parent/[0-9a-f]{64}$|^cgroup \S+ (libpod_parent(/conmon)?|conmon|managers|user.slice)$|^mount .*/(containers/)?storage/overlay$|^mount /run/netns$"
        # Of podman 5, for images in other mappings.
        r"|^file /var/tmp/intermediate-mountpoint-"
        r"|^mount /run/user/|^process (catatonit -P|podman pause)|^process .*aardvark-dns|rootlessport|^mount .*/netns$|^process /usr/bin/slirp4netns")


def image_tree():
    """A root file system of busybox, as a tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        def add(name, kind=tarfile.REGTYPE, data=b"", mode=0o755, link=""):
            member = tarfile.TarInfo(name)
            member.type, member.size, member.mode, member.linkname = kind, len(data), mode, link
            tar.addfile(member, io.BytesIO(data))

        for folder in ("bin", "dev", "etc", "home", "proc", "root", "run", "srv", "sys", "tmp", "usr", "var"):
            add(folder, tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        with open("/bin/busybox", "rb") as file:
            add("bin/busybox", data=file.read())
        for name in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if name != "busybox":
                add(f"bin/{name}", tarfile.SYMTYPE, link="busybox", mode=0o777)
        add("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n", mode=0o644)
        add("etc/group", data=b"root:x:0:\nuser:x:1000:\nextra:x:5000:\n", mode=0o644)
        add("etc/unreadable", data=b"#!/bin/sh\n", mode=0o644)
    return packed.getvalue()


class Container:
    def __init__(self, podman, name):
        self.podman, self.name = podman, name

    def inspect(self, template):
        return self.podman("inspect", "--format", template, self.name).out.strip()

    @property
    def status(self):
        return self.inspect("{{.State.Status}}")

    @property
    def pid(self):
        return int(self.inspect("{{.State.Pid}}"))

    def exec(self, *arguments, status=0, **more):
        return self.podman("exec", self.name, *arguments, status=status, **more)

    def cgroup(self, controller):
        return cgroup_of(self.pid, controller)

    def limit(self, legacy, unified):
        return limit_of(self.pid, legacy, unified)


class Podman(View):
    def __init__(self, runtime, rootless=False):
        super().__init__()
        # By a name: podman asks lists of names for what a runtime can do.
        self.path, self.rootless = runtime, rootless
        # An ordinary user of the checks has no session, and so no service manager.
        self.systemd = SYSTEMD and not rootless
        self.name = os.path.basename(runtime)
        self.home = "/srv/user" if rootless else "/srv/home"
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": self.home,
            "CONTAINERS_CONF": f"{WORK}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{WORK}/storage.conf",
            "CONTAINERS_REGISTRIES_CONF": f"{WORK}/registries.conf",
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            # What podman 5 says on every call where there is v1.
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }
        if rootless:
            self.environment["XDG_RUNTIME_DIR"] = "/srv/user/run"

    @property
    def version(self):
        return version(command("podman", "--version").out)

    def needs(self, *controllers):
        if self.rootless and controllers:
            raise NotRun("limits need a cgroup, and this user has none")
        super().needs(*controllers)

    def needs_root(self, why):
        if self.rootless:
            raise NotRun(why)

    def become(self):
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)

    def arguments(self, *arguments, runtime=None):
        return ["podman", "--runtime", runtime or self.name, *arguments]

    def __call__(self, *arguments, runtime=None, **more):
        more.setdefault("user", self.become if self.rootless else None)
        return command(*self.arguments(*arguments, runtime=runtime), env=self.environment, **more)

    def run(self, *options, status=0, network="none", **more):
        """`podman run --rm` with options, then the image and a command."""
        return self("run", "--rm", *(["--network", network] if network else []), *options, status=status, **more)

    def shell(self, script, *options, **more):
        """What a script says in a container of these options."""
        return self.run(*options, IMAGE, "sh", "-c", script, **more).out.strip()

    @contextlib.contextmanager
    def container(self, *options, process=("sleep", "1000"), network="none", detach=True, **more):
        """One in the background, gone in the end."""
        verb = ["run", "-d"] if detach else ["create"]
        id = self(*verb, *(["--network", network] if network else []), *options, IMAGE, *process, **more).out.strip().splitlines()[-1]
        try:
            yield Container(self, id)
        finally:
            self("rm", "-f", "-t", "0", id, status=None)

    def remove_all(self):
        self("pod", "rm", "-af", "-t", "0", status=None)
        self("rm", "-af", "-t", "0", status=None)
        self("volume", "rm", "-af", status=None)
        self("secret", "rm", "-a", status=None)
        self("network", "prune", "-f", status=None)

    def delete_forgotten(self):
        """podman never deletes what it lost sight of. The runtime that made it must be able to."""
        # Without root it lives in podman's user namespace.
        runtime = (lambda *arguments: self("unshare", self.path, *arguments)) if self.rootless else (lambda *arguments: command(self.path, *arguments))
        for id in runtime("list", "-q").out.split():
            runtime("delete", "--force", id)

    def ended(self, container):
        until("the container has ended", lambda: container.status == "exited")

    def json(self, *arguments):
        return json.loads(self(*arguments).out)

    def configure(self):
        names = json.dumps(sorted({self.name, "apus", "crun", "runc"}))
        # CAP_SYS_RESOURCE, to raise a hard limit, is nothing that every machine gives. Without the controller there is no limit.
        pids = "" if "pids" in self.controllers else "pids_limit = 0\n"
        write(f"{WORK}/containers.conf", f"""[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
{pids}[network]
network_backend = "netavark"
{'' if self.rootless else f'network_config_dir = "{WORK}/networks"'}
[engine]
cgroup_manager = "{'systemd' if self.systemd else 'cgroupfs'}"
events_logger = "file"
runtime_supports_json = {names}
runtime_supports_nocgroup = {names}
[engine.runtimes]
{self.name} = ["{self.path}"]
""")
        places = (f"{self.home}/run/containers", f"{self.home}/storage") if self.rootless else ("/run/containers/storage", "/var/lib/containers/storage")
        write(f"{WORK}/storage.conf", f'[storage]\ndriver = "overlay"\nrunroot = "{places[0]}"\ngraphroot = "{places[1]}"\n')
        write(f"{WORK}/registries.conf", "")
        # The range that `--userns=auto` takes from; newer ones look for its user too.
        with open("/etc/passwd", "a", encoding="utf-8") as file:
            file.write("containers:x:64322:64322::/nonexistent:/bin/false\n")
        for path in ("/etc/subuid", "/etc/subgid"):
            with open(path, "a", encoding="utf-8") as file:
                file.write("containers:2147483647:2147483648\n")
        os.makedirs("/srv/data")
        os.chmod("/srv/data", 0o777)
        if not self.rootless:
            os.makedirs(self.home, mode=0o700)
        if self.rootless:
            for folder in (self.home, f"{self.home}/run"):
                os.makedirs(folder, mode=0o700)
                os.chown(folder, USER, USER)
            # What udev would let everybody use.
            for path in ("/dev/net/tun", "/dev/fuse"):
                if os.path.exists(path):
                    node = f"{WORK}/{os.path.basename(path)}"
                    os.mknod(node, 0o20666, os.stat(path).st_rdev)
                    os.chmod(node, 0o666)
                    command("mount", "--bind", node, path)
        # conmon 2.1.6 writes a file `oom` to where it was started.
        os.chdir(self.home if self.rootless else "/srv")

    def set_up(self):
        self.configure()
        packed = "/srv/data/box.tar"
        with open(packed, "wb") as file:
            file.write(image_tree())
        self("import", "-q", "-c", 'CMD ["/bin/sh"]', "-c", f"ENV {PATH}", packed, IMAGE)
        os.remove(packed)
        # What stays of the first container is podman's own.
        equal(self.shell("echo there"), "there", "the output of the first container")
        with self.container("-p", "127.0.0.1:8079:80", network=None):
            pass
