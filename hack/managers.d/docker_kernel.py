"""Who the process is and what it may: users, capabilities, seccomp, devices, namespaces, sysctls, init."""

import json
import os

from checks import NotRun, check, equal, expect, matches, processes, read, until, write
from docker_setup import DATA, IMAGE, LACKS

CAPABILITIES = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f 2"
SPACES = "for n in pid ipc uts net; do readlink /proc/self/ns/$n; done"


@check(short=True)
def user(docker):
    equal(docker.shell("id -u; id -g; id -G; echo $HOME", "--user", "1000:1000", "--group-add", "5000", "--group-add", "6000"),
          "1000\n1000\n1000 5000 6000\n/home", "who it is")
    equal(docker.shell("id -un", "--user", "user"), "user", "the name")
    equal(docker.shell("id -u; id -g", "--user", "1234"), "1234\n0", "who has no entry")


@check(short=True)
def capabilities(docker):
    equal(set(docker.shell(CAPABILITIES, "--cap-drop", "all").split()), {"0" * 16}, "the sets without any")
    seen = docker.shell(CAPABILITIES, "--cap-drop", "all", "--cap-add", "net_bind_service").split()
    equal(seen[1:4], ["0000000000000400"] * 3, "the permitted, effective and bounding sets")
    equal(docker.shell(CAPABILITIES).split()[1:4], ["00000000a80425fb"] * 3, "the usual sets")
    equal(docker.shell(CAPABILITIES, "--user", "1000").split()[1:3], ["0" * 16] * 2, "the permitted and effective sets of a user")


@check
def capabilities_do_what_they_say(docker):
    matches(docker.run("--cap-drop", "chown", IMAGE, "chown", "1000", "/tmp", status=1).err, "(?i)not permitted", "the error")
    docker.run("--cap-add", "net_admin", IMAGE, "ip", "link", "set", "lo", "down")
    docker.run(IMAGE, "ip", "link", "set", "lo", "down", status=2)


@check
def capabilities_of_exec(docker):
    with docker.container("--cap-drop", "all", "--cap-add", "chown") as container:
        equal(container.exec("grep", "CapEff", "/proc/self/status").out.split()[1], "0000000000000001", "the effective set")


@check(short=True, differs=LACKS)
def privileged(docker):
    script = "; grep Seccomp: /proc/self/status; grep -q ' /proc/keys ' /proc/mounts || echo all; test -e /dev/loop-control -o -e /dev/kmsg && echo devices"
    seen = docker.shell(CAPABILITIES + script, "--privileged").split()
    expect(int(seen[2], 16) & (1 << 21), f"no CAP_SYS_ADMIN in {seen}")
    equal(seen[6], "0", "seccomp")
    expect("all" in seen, "paths are masked")
    expect("devices" in seen, "the host's devices are not there")
    equal(docker.shell("mount -t tmpfs x /mnt 2>/dev/null || { mkdir /mnt && mount -t tmpfs x /mnt; }; grep -c ' /mnt ' /proc/mounts", "--privileged"), "1", "mounts at /mnt")
    expect(" rw," in docker.shell("grep ' /sys sysfs' /proc/mounts", "--privileged"), "/sys is read-only")


@check(short=True)
def no_new_privileges(docker):
    script = "grep NoNewPrivs /proc/self/status | cut -f 2"
    equal(docker.shell(script, "--security-opt", "no-new-privileges"), "1", "the flag")
    equal(docker.shell(script), "0", "the flag without")


@check(short=True)
def seccomp(docker):
    script = "grep -w Seccomp: /proc/self/status | cut -f 2; unshare -U true 2>&1"
    matches(docker.shell(script, status=1), "^2\n.*not permitted", "the default mode")
    equal(docker.shell("grep -w Seccomp: /proc/self/status | cut -f 2", "--security-opt", "seccomp=unconfined"), "0", "the mode without")


@check(short=True)
def seccomp_profile(docker):
    path = write(f"{DATA}/profile.json", json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
                     {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
                     {"names": ["unlink", "unlinkat"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }))
    with docker.container("--security-opt", f"seccomp={path}") as container:
        matches(container.exec("mkdir", "/tmp/x", status=1).err, "(?i)not supported", "the error")
        container.exec("rm", "/etc/passwd", status=159)
        equal(container.exec("echo", "x").out, "x\n", "output")


@check(short=True)
def masked_and_read_only_paths(docker):
    equal(docker.shell("wc -c </proc/keys; wc -c </proc/timer_list; ls /proc/acpi /sys/firmware"), "0\n0\n/proc/acpi:\n\n/sys/firmware:", "what is masked")
    matches(docker.run(IMAGE, "sh", "-c", "echo 1 >/proc/sys/kernel/domainname", status=1).err, "Read-only", "the error")
    script = "grep -q ' /proc/keys ' /proc/mounts || echo open; grep -c ' /proc/sys ' /proc/mounts"
    equal(docker.shell(script, "--security-opt", "systempaths=unconfined", status=1), "open\n0", "what is seen without")


@check(short=True)
def sysctl(docker):
    equal(docker.shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced",
                       "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--sysctl", "kernel.shm_rmid_forced=1"), "80\n1", "the values")


@check(short=True)
def device(docker):
    if not os.path.exists("/dev/fuse"):
        raise NotRun("no /dev/fuse")
    script = "test -c /dev/fuse && echo node; exec 3<>/dev/fuse && echo open"
    equal(docker.shell(script, "--device", "/dev/fuse"), "node\nopen", "what can be done")
    equal(docker.shell("test -c /dev/other && cat /dev/other | wc -c", "--device", "/dev/null:/dev/other:r"), "0", "the bytes of another name")
    result = docker.run("--device", "/dev/fuse:/dev/fuse:r", IMAGE, "sh", "-c", "exec 3<>/dev/fuse", status=None)
    expect(result.status != 0 and "not permitted" in result.err, result)


@check
def device_is_refused(docker):
    with docker.container() as container:
        # Its node can be made, nobody may open it.
        result = container.exec("sh", "-c", "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse", status=None)
        expect(result.status != 0 and "ermitted" in result.err, result)
    result = docker.run("--device-cgroup-rule", "c 10:229 rwm", IMAGE, "sh", "-c", "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse && echo open")
    equal(result.out, "open\n", "with a rule")


@check
def devices_of_a_folder(docker):
    if not os.path.isdir("/dev/net"):
        raise NotRun("no /dev/net")
    equal(docker.shell("ls /dev/net", "--device", "/dev/net").split(), sorted(os.listdir("/dev/net")), "the devices")


@check(short=True)
def hostname(docker):
    equal(docker.shell("hostname; cat /proc/sys/kernel/hostname /etc/hostname /proc/sys/kernel/domainname", "--hostname", "box", "--domainname", "example"),
          "box\nbox\nbox\nexample", "the names")


@check(short=True)
def init(docker):
    with docker.container("--init", process=("sh", "-c", "sleep 1000")) as container:
        matches(container.exec("cat", "/proc/1/cmdline").out, r"^/sbin/docker-init", "process 1")
        # An orphan that ends is collected by it.
        docker("exec", "-d", container.name, "sh", "-c", "(sleep 0.01; :) & exit 0")
        until("no zombie is left", lambda: "Z" not in container.exec("ps", "-o", "stat").out)
        docker("stop", "-t", "60", container.name)
        equal(container.inspect("{{.State.ExitCode}}"), "143", "the exit code")


@check(short=True)
def host_namespaces(docker):
    theirs = docker.shell(SPACES, "--pid", "host", "--ipc", "host", "--uts", "host", network="host").split()
    mine = [os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "ipc", "uts", "net")]
    equal(theirs, mine, "the namespaces of the host")
    private = docker.shell(SPACES, "--ipc", "private").split()
    expect(not set(private) & set(mine), f"{private} has some of the host's {mine}")


@check
def process_of_the_host(docker):
    """Without a namespace of pids all must end by the cgroup."""
    with docker.container("--pid", "host", process=("sh", "-c", "sleep 1000 & sleep 1000 & wait")) as container:
        until("three processes", lambda: len(docker("top", container.name).out.splitlines()) == 4)
        expect(str(os.getpid()) in container.exec("ls", "/proc").out.split(), "our process is not seen")
        docker("kill", container.name)
        docker("wait", container.name)
        until("none is left", lambda: not [line for line in processes() if "sleep 1000" in line])


@check(short=True)
def joined_namespaces(docker):
    with docker.container("--name", "first", "--ipc", "shareable") as container:
        script = "for n in pid ipc net; do readlink /proc/self/ns/$n; done; ps"
        theirs = docker.shell(script, "--pid", "container:first", "--ipc", "container:first", network="container:first").splitlines()
        equal(theirs[:3], container.exec("sh", "-c", script).out.splitlines()[:3], "the namespaces")
        expect("sleep 1000" in " ".join(theirs), "the other process is not seen")


@check
def joined_namespaces_of_what_has_ended(docker):
    with docker.container("--name", "first", process=("true",)) as container:
        docker("wait", container.name)
        for option in ("--pid", "--ipc"):
            result = docker.run(option, "container:first", IMAGE, "true", status=125)
            matches(result.err, "(?i)not running|non-shareable", "the error")


@check
def shared_memory_between_two(docker):
    with docker.container("--name", "first", "--ipc", "shareable") as container:
        container.exec("sh", "-c", "echo word >/dev/shm/file")
        equal(docker.shell("cat /dev/shm/file", "--ipc", "container:first"), "word", "the text")


@check(short=True)
def environment(docker):
    equal(docker.shell("echo $A; pwd; echo $PATH", "--env", "A=b c", "--workdir", "/srv/made"), "b c\n/srv/made\n/usr/sbin:/usr/bin:/sbin:/bin", "what it sees")


@check
def entrypoint(docker):
    equal(docker.run("--entrypoint", "echo", IMAGE, "b").out, "b\n", "output")


@check(short=True, differs={"crun": "its texts are not those that docker knows"})
def user_namespace(docker):
    with docker.second("--userns-remap", "apus-test") as other:
        with other.container() as container:
            equal(read(f"/proc/{container.pid}/uid_map").split(), ["0", "100000", "65536"], "the map")
            equal(os.stat(f"/proc/{container.pid}").st_uid, 100000, "the user outside")
            equal(container.exec("sh", "-c", "id -u; stat -c %u /bin; touch /x && stat -c %u /x").out, "0\n0\n0\n", "who it is")
            equal(os.stat(f"/proc/{container.pid}/root/x").st_uid, 100000, "the owner outside")
            other("pause", container.name)
            other("unpause", container.name)
            equal(other("exec", "-u", "1000", container.name, "id", "-u").out, "1000\n", "another user")
        equal(other.shell("cat /proc/self/uid_map | tr -s ' '; readlink /proc/self/ns/user", "--userns", "host").split()[-1],
              os.readlink("/proc/self/ns/user"), "the namespace of the host")
        equal(other.run("-t", IMAGE, "sh", "-c", "stat -c %u $(tty)").out, "0\r\n", "the owner of the terminal")
        equal(other.shell("cat /sys/class/net/lo/mtu; ls /dev/mqueue | wc -l; wc -c </proc/keys; mkdir /work; echo $?"), "65536\n0\n0\n0", "what is mounted")
        equal(other.shell("stat -c %u /data; touch /data/x", "-v", "kept:/data"), "0", "the owner of a volume")
        other("volume", "rm", "kept")
        result = other.run(IMAGE, "nosuch", status=127)
        matches(result.err, r"executable file not found in \$PATH", "the error")
        limits = ("--memory", "64m") if "memory" in docker.controllers else ()
        equal(other.run("--init", "--tmpfs", "/scratch", "--user", "1000", *limits, IMAGE, "id", "-u").out, "1000\n", "output")
