"""Security contexts: users, capabilities, seccomp, what is hidden, what is privileged."""

import json
import os
import stat

from checks import check, equal, expect, matches, read, write
from cri_messages import LOCALHOST, NODE, POD, RUNTIME_DEFAULT, UNCONFINED
from cri_setup import MASKED, READONLY

CHOWN, NET_BIND_SERVICE, NET_ADMIN, SYS_ADMIN = 1 << 0, 1 << 10, 1 << 12, 1 << 21
# What containerd gives without being asked.
DEFAULT = 0xA80425FB


def fields(text):
    """The lines of /proc/PID/status."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def status(pod, **security):
    return fields(pod.output("cat /proc/self/status", security=security))


def bits(found, name):
    return int(found[name], 16)


@check(short=True)
def users_and_groups(cri):
    with cri.pod() as pod:
        def who(**security):
            container = pod.run("sh", "-c", "id -u; id -g; id -G; echo said; sleep 1000", security=security)
            container.says("said")
            lines = [line[2] for line in container.log()][:-1]
            equal(container.shell("id -u; id -g; id -G").split("\n"), lines, "who a command is")
            return lines
        equal(who(), ["0", "0", "0"], "without anything")
        equal(who(run_as_user={"value": 1000}), ["1000", "1000", "1000"], "a user of the image")
        equal(who(run_as_user={"value": 4321}), ["4321", "0", "0"], "a user that the image does not know")
        equal(who(run_as_user={"value": 1000}, run_as_group={"value": 5000}), ["1000", "5000", "5000"], "with a group")
        equal(who(run_as_username="user"), ["1000", "1000", "1000"], "by name")
        found = who(run_as_user={"value": 4321}, run_as_group={"value": 4322}, supplemental_groups=[64, 65])
        equal((found[:2], set(found[2].split())), (["4321", "4322"], {"4322", "64", "65"}), "with more groups")


@check(short=True)
def capabilities(cri):
    with cri.pod(network=POD) as pod:
        def sets(add=(), drop=(), **security):
            found = status(pod, capabilities={"add_capabilities": add, "drop_capabilities": drop}, **security)
            return [bits(found, f"Cap{name}") for name in ("Bnd", "Prm", "Eff", "Inh", "Amb")]
        equal(sets(), [DEFAULT] * 3 + [0, 0], "the default")
        equal(sets(["NET_ADMIN"], ["CHOWN"]), [DEFAULT & ~CHOWN | NET_ADMIN] * 3 + [0, 0], "one more and one less")
        equal(sets(["NET_BIND_SERVICE"], ["ALL"]), [NET_BIND_SERVICE] * 3 + [0, 0], "one only")
        equal(sets((), ["ALL"]), [0] * 5, "none")
        equal(sets(run_as_user={"value": 1000}), [DEFAULT, 0, 0, 0, 0], "the default of an ordinary user")
        everything = int(fields(read(f"/proc/{cri.daemon.pid}/status"))["CapEff"], 16)
        equal(sets(["ALL"]), [everything] * 3 + [0, 0], "all")


@check
def capabilities_of_a_command(cri):
    with cri.pod() as pod:
        container = pod.run(security={"capabilities": {"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["CHOWN"]}})
        equal(bits(fields(container.exec("cat", "/proc/self/status")), "CapEff"), DEFAULT & ~CHOWN | NET_ADMIN, "the effective set")
        matches(container.try_exec("chown", "1000", "/tmp").stderr.decode(), "Operation not permitted", "the error")


@check(short=True, differs={"runc": "makes the sysfs itself read-only in the sandbox, which is that of the container's mount too"})
def privileged(cri):
    with cri.pod(security={"privileged": True}) as pod:
        container = pod.run(security={"privileged": True})
        found = fields(container.exec("cat", "/proc/self/status"))
        everything = int(fields(read(f"/proc/{cri.daemon.pid}/status"))["CapEff"], 16)
        equal((bits(found, "CapEff"), found["Seccomp"], found["NoNewPrivs"]), (everything, "0", "0"), "capabilities, seccomp, no_new_privs")
        container.shell("mount -t tmpfs x /tmp && umount /tmp")
        for path in ("/proc", "/sys"):
            matches(container.exec("grep", f" {path} ", "/proc/self/mountinfo"), f" {path} rw,[^ ]* .* rw(,|$)", "the mount")
        expect("/proc/kcore" not in container.exec("cat", "/proc/mounts"), "/proc/kcore is masked")
        outside = {name for name in os.listdir("/dev") if stat.S_IFMT(os.lstat(f"/dev/{name}").st_mode) in (stat.S_IFCHR, stat.S_IFBLK)} - {"console"}
        expect(outside <= set(container.exec("ls", "/dev").split()), f"missing devices: {outside - set(container.exec('ls', '/dev').split())}")
        container.shell("mknod /tmp/kmsg c 1 11 && : </tmp/kmsg")


@check
def privileged_without_devices_of_the_host(cri):
    with cri.pod(handler="second", security={"privileged": True}) as pod:
        container = pod.run(security={"privileged": True})
        expect("kmsg" not in container.exec("ls", "/dev").split(), "/dev/kmsg is there")
        container.shell("mount -t tmpfs x /tmp && umount /tmp")


@check
def read_only_root(cri):
    with cri.pod() as pod:
        container = pod.run(security={"readonly_rootfs": True}, mounts=[{"container_path": "/srv", "host_path": "/srv/data"}])
        matches(container.try_exec("touch", "/file").stderr.decode(), "Read-only file system", "the error")
        matches(container.try_exec("touch", "/tmp/file").stderr.decode(), "Read-only file system", "the error")
        container.shell("touch /dev/shm/file /srv/file && rm /srv/file")


@check
def no_new_privileges(cri):
    with cri.pod() as pod:
        equal([status(pod, no_new_privs=value)["NoNewPrivs"] for value in (False, True)], ["0", "1"], "the flags")
        container = pod.run(security={"no_new_privs": True})
        equal(fields(container.exec("cat", "/proc/self/status"))["NoNewPrivs"], "1", "the flag of a command")


@check(short=True)
def seccomp(cri):
    script = "grep ^Seccomp: /proc/self/status | cut -f 2; unshare -U true 2>&1; mkdir /tmp/made 2>&1 && echo made"
    path = write("/srv/data/seccomp.json", json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    }))
    with cri.pod() as pod:
        def lines(**profile):
            found = pod.output(script, security={"seccomp": profile} if profile else {}).split("\n")
            container = pod.run(security={"seccomp": profile} if profile else {})
            equal(fields(container.exec("cat", "/proc/self/status"))["Seccomp"], found[0], "the mode of a command")
            return found
        refused = "unshare: unshare(0x10000000): Operation not permitted"
        equal(lines(profile_type=RUNTIME_DEFAULT), ["2", refused, "made"], "with the default")
        equal(lines(profile_type=UNCONFINED), ["0", "made"], "without")
        equal(lines(), ["0", "made"], "when nothing is said")
        equal(lines(profile_type=LOCALHOST, localhost_ref=path), ["2", "mkdir: can't create directory '/tmp/made': No space left on device"], "with one of the node")


@check(short=True)
def hidden_and_read_only_paths(cri):
    with cri.pod() as pod:
        container = pod.run()
        there = container.exec("cat", "/proc/mounts")
        for path in MASKED:
            if os.path.isfile(path):
                equal(container.shell(f"cat {path} 2>/dev/null | wc -c"), "0", f"the size of {path}")
            elif os.path.isdir(path):
                equal(container.exec("ls", "-A", path), "", f"what is in {path}")
        for path in READONLY:
            if os.path.exists(path):
                matches(there, f" {path} proc ro,", "the mounts")
        matches(container.try_exec("sh", "-c", "echo 1 >/proc/sys/kernel/panic").stderr.decode(), "Read-only", "the error")
        bare = pod.run(security={"masked_paths": [], "readonly_paths": []})
        expect("/proc/kcore" not in bare.exec("cat", "/proc/mounts"), "/proc/kcore is hidden without being named")
        own = pod.run(security={"masked_paths": ["/etc/passwd", "/home"], "readonly_paths": ["/tmp"]})
        lines = own.shell("cat /etc/passwd | wc -c; ls -A /home; touch /tmp/x 2>&1; true").split("\n")
        equal(lines, ["0", "touch: /tmp/x: Read-only file system"], "paths of one's own")


@check
def system_files_of_an_ordinary_container(cri):
    with cri.pod(network=POD) as pod, cri.pod(network=NODE) as host:
        for pod in (pod, host):
            container = pod.run()
            matches(container.exec("grep", " /sys ", "/proc/mounts"), " /sys sysfs ro,", "the mount")
            matches(container.exec("grep", " /sys/fs/cgroup", "/proc/mounts"), " /sys/fs/cgroup[^ ]* [a-z0-9]+ ro,", "the mounts of cgroups")


@check
def sandbox_has_a_context_too(cri):
    with cri.pod(security={"run_as_user": {"value": 1000}, "run_as_group": {"value": 5000}, "readonly_rootfs": True, "seccomp": {"profile_type": 0}}) as pod:
        found = fields(read(f"/proc/{pod.pid}/status"))
        equal((found["Uid"].split()[0], found["Gid"].split()[0], found["Seccomp"]), ("1000", "5000", "2"), "the sandbox")
