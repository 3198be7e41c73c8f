"""Who the process is and what it may: users, capabilities, seccomp, devices, namespaces, sysctls, init."""

import json
import os

from checks import NotRun, Terminal, check, equal, expect, matches, read, until, write
from podman_setup import IMAGE

CAPABILITIES = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f 2"


@check(short=True)
def user(podman):
    equal(podman.shell("id -u; id -g; id -G; echo $HOME", "--user", "1000:1000", "--group-add", "5000"), "1000\n1000\n1000 5000\n/home", "who it is")
    equal(podman.shell("id -un", "--user", "user"), "user", "the name")


@check
def passwd_entry(podman):
    equal(podman.shell("id -u; grep -c 1234 /etc/passwd", "--user", "1234"), "1234\n1", "who it is")


@check(short=True)
def capabilities(podman):
    equal(set(podman.shell(CAPABILITIES, "--cap-drop", "all").split()), {"0" * 16}, "the sets without any")
    seen = podman.shell(CAPABILITIES, "--cap-drop", "all", "--cap-add", "net_bind_service").split()
    equal(seen[2:4], ["0000000000000400"] * 2, "the effective and bounding sets")
    seen = podman.shell(CAPABILITIES, "--user", "1000", "--cap-add", "net_bind_service").split()
    equal(seen[2], "0000000000000400", "the effective set of a user")


@check
def capabilities_of_exec(podman):
    with podman.container("--cap-drop", "all", "--cap-add", "chown") as container:
        equal(container.exec("grep", "CapEff", "/proc/self/status").out.split()[1], "0000000000000001", "the effective set")


@check(short=True)
def privileged(podman):
    seen = podman.shell(CAPABILITIES + "; grep Seccomp: /proc/self/status; grep -q \" /proc/keys \" /proc/mounts || echo all", "--privileged").split()
    expect(int(seen[2], 16) & (1 << 21), f"no CAP_SYS_ADMIN in {seen}")
    expect("0" == seen[6], f"seccomp is {seen}")
    if not podman.rootless:
        expect("all" in seen, "paths are masked")


@check(short=True)
def no_new_privileges(podman):
    script = "grep NoNewPrivs /proc/self/status | cut -f 2"
    equal(podman.shell(script, "--security-opt", "no-new-privileges"), "1", "the flag")
    equal(podman.shell(script), "0", "the flag without")


@check(short=True)
def seccomp(podman):
    equal(podman.shell("grep -w Seccomp: /proc/self/status | cut -f 2"), "2", "the default mode")
    equal(podman.shell("grep -w Seccomp: /proc/self/status | cut -f 2", "--security-opt", "seccomp=unconfined"), "0", "the mode without")


@check
def seccomp_profile(podman):
    path = write("/srv/data/profile.json", json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
    }))
    with podman.container("--security-opt", f"seccomp={path}") as container:
        matches(container.exec("mkdir", "/tmp/x", status=1).err, "(?i)not supported", "the error")
        equal(container.exec("echo", "x").out, "x\n", "output")


@check(short=True)
def masked_and_read_only_paths(podman):
    equal(podman.shell("wc -c </proc/keys; wc -c </proc/timer_list; ls /proc/acpi /sys/firmware"), "0\n0\n/proc/acpi:\n\n/sys/firmware:", "what is masked")
    matches(podman.run(IMAGE, "sh", "-c", "echo 1 >/proc/sys/kernel/domainname", status=1).err, "Read-only", "the error")


@check
def mask_and_unmask(podman):
    equal(podman.shell("wc -c </proc/cpuinfo", "--security-opt", "mask=/proc/cpuinfo"), "0", "bytes of the masked file")
    mounts = podman.shell("cat /proc/mounts", "--security-opt", "unmask=ALL")
    expect(" /proc/kcore " not in mounts, mounts)


@check(short=True)
def sysctl(podman):
    equal(podman.shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced",
                       "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "--sysctl", "kernel.shm_rmid_forced=1"), "80\n1", "the values")


@check(short=True)
def device(podman):
    if not os.path.exists("/dev/fuse"):
        raise NotRun("no /dev/fuse")
    script = "test -c /dev/fuse && echo node; exec 3<>/dev/fuse && echo open"
    equal(podman.shell(script, "--device", "/dev/fuse"), "node\nopen", "what can be done")
    equal(podman.shell("test -c /dev/other && cat /dev/other | wc -c", "--device", "/dev/null:/dev/other:r"), "0", "the bytes of another name")


@check(short=True)
def device_is_refused(podman):
    podman.needs_root("without root nobody makes device nodes")
    with podman.container() as container:
        # Its node can be made, nobody may open it.
        result = container.exec("sh", "-c", "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse", status=None)
        expect(result.status != 0 and "ermitted" in result.err, result)
    result = podman.run("--cap-add", "mknod", "--device-cgroup-rule", "c 10:229 rwm", IMAGE, "sh", "-c", "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse && echo open")
    equal(result.out, "open\n", "with a rule")


@check
def device_that_is_not_there(podman):
    matches(podman.run("--device", "/dev/nosuch", IMAGE, "true", status=125).err, "/dev/nosuch", "the error")


@check(short=True)
def hostname(podman):
    equal(podman.shell("hostname; cat /proc/sys/kernel/hostname", "--hostname", "box"), "box\nbox", "the name")


@check(short=True)
def init(podman):
    with podman.container("--init", process=("sh", "-c", "sleep 1000")) as container:
        matches(container.exec("cat", "/proc/1/cmdline").out, r"^/(dev|run)/(podman-|catatonit)", "process 1")
        # An orphan that ends is collected by it.
        podman("exec", "-d", container.name, "sh", "-c", "(sleep 0.01; :) & exit 0")
        until("no zombie is left", lambda: "Z" not in container.exec("ps", "-o", "stat").out)
        podman("stop", "-t", "60", container.name)
        equal(container.inspect("{{.State.ExitCode}}"), "143", "the exit code")


@check(short=True)
def host_namespaces(podman):
    if podman.rootless and not os.path.isdir("/dev/mqueue"):
        raise NotRun("podman wants to bind /dev/mqueue, which this machine has not")
    names = ("pid", "ipc", "uts", "net", "cgroup")
    script = "for n in pid ipc uts net cgroup; do readlink /proc/self/ns/$n; done"
    theirs = podman.shell(script, "--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host", network="host").split()
    for name, inode in zip(names, theirs):
        if not (podman.rootless and name == "cgroup"):
            equal(inode, os.readlink(f"/proc/self/ns/{name}"), f"the namespace of {name}")
    private = podman.shell(script, "--pid", "private", "--ipc", "private", "--uts", "private", "--cgroupns", "private").split()
    for name, inode in zip(names, private):
        expect(inode != os.readlink(f"/proc/self/ns/{name}"), f"the namespace of {name} is the host's")


@check(short=True)
def joined_namespaces(podman):
    with podman.container("--name", "first", "--ipc", "shareable") as container:
        script = "for n in pid ipc net; do readlink /proc/self/ns/$n; done"
        theirs = podman.shell(script, "--pid", "container:first", "--ipc", "container:first", network="container:first").split()
        mine = container.exec("sh", "-c", script).out.split()
        equal(theirs, mine, "the namespaces")
        expect("sleep 1000" in podman.shell("ps", "--pid", "container:first", network="container:first"), "the other process is not seen")


@check
def namespace_by_path(podman):
    with podman.container() as container:
        equal(podman.shell("readlink /proc/self/ns/ipc", "--ipc", f"ns:/proc/{container.pid}/ns/ipc"), os.readlink(f"/proc/{container.pid}/ns/ipc"), "the namespace")


@check(short=True)
def user_namespace_auto(podman):
    podman.needs_root("a user has not ids enough for two")
    with podman.container("--userns", "auto") as first, podman.container("--userns", "auto:size=2000") as second:
        maps = [read(f"/proc/{container.pid}/uid_map").split() for container in (first, second)]
        expect(maps[0][0] == "0" and int(maps[0][1]) >= 2147483647, f"the map is {maps[0]}")
        equal(maps[1][2], "2000", "the size")
        expect(maps[0][1] != maps[1][1], "both have the same ids")
        equal(first.exec("sh", "-c", "id -u; stat -c %u /bin").out, "0\n0\n", "who it is")
        equal(os.stat(f"/proc/{first.pid}").st_uid, int(maps[0][1]), "the user outside")


@check(short=True)
def user_namespace_maps(podman):
    equal(podman.shell("cat /proc/self/uid_map | tr -s ' '; stat -c %u:%g /bin", "--uidmap", "0:1000:1000" if podman.rootless else "0:100000:65536",
                       "--gidmap", "0:1000:1000" if podman.rootless else "0:100000:65536").splitlines()[-1], "0:0", "who owns the root file system")


@check
def user_namespace_of_a_user(podman):
    equal(podman.shell("id -u; touch /tmp/x && stat -c %u /tmp/x", "--user", "1000", "--uidmap", "0:1:2000" if podman.rootless else "0:100000:2000"), "1000\n1000", "who it is")


@check(short=True)
def user_namespace_keep_id(podman):
    if not podman.rootless and podman.version < (4, 4):
        matches(podman.run("--userns", "keep-id", IMAGE, "true", status=125).err, "keep-id", "the error")
        raise NotRun("podman 4.3 keeps ids without root only")
    if podman.rootless:
        equal(podman.shell("id -u; id -g; stat -c %u /srv/run", "--userns", "keep-id", "-v", f"{podman.home}/run:/srv/run"), "64321\n64321\n64321", "who it is")
    else:
        equal(podman.shell("id -u; id -g", "--userns", "keep-id"), "0\n0", "who it is")


@check
def user_namespace_nomap(podman):
    if not podman.rootless:
        raise NotRun("only without root")
    equal(podman.shell("id -u; stat -c %u /srv/run", "--userns", "nomap", "-v", f"{podman.home}/run:/srv/run"), "0\n65534", "who it is")


@check
def joined_user_namespace(podman):
    options = ("--userns", "auto") if not podman.rootless else ("--userns", "keep-id")
    with podman.container("--name", "first", *options) as container:
        equal(podman.shell("readlink /proc/self/ns/user", "--userns", "container:first"), os.readlink(f"/proc/{container.pid}/ns/user"), "the namespace")


@check(short=True)
def environment(podman):
    equal(podman.shell("echo $A; pwd; echo $container", "--env", "A=b c", "--workdir", "/srv"), "b c\n/srv\npodman", "what it sees")


@check
def entrypoint(podman):
    equal(podman.run("--entrypoint", '["echo", "a"]', IMAGE, "b").out, "a b\n", "output")


@check
def preserved_files(podman):
    with open("/srv/data/kept", "w+", encoding="utf-8") as file:
        file.write("kept")
        file.flush()
        # The child has it as 3, which is what podman passes on.
        def pass_on():
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            os.dup2(file.fileno(), 3)
            os.set_inheritable(3, True)
            if podman.rootless:
                podman.become()
        import subprocess
        process = subprocess.run(podman.arguments("run", "--rm", "--network", "none", "--preserve-fds", "1", IMAGE, "sh", "-c", "cat <&3"),
                                 input=b"", capture_output=True, env=podman.environment, preexec_fn=pass_on, close_fds=False, timeout=60)
        equal((process.stdout, process.returncode), (b"kept", 0), f"output and status ({process.stderr.decode()})")


@check
def terminal_of_a_user_namespace(podman):
    option = ("--userns", "auto") if not podman.rootless else ("--userns", "keep-id")
    with Terminal(*podman.arguments("run", "--rm", "-it", "--network", "none", *option, IMAGE, "sh", "-c", 
                  # podman sets the size when the command may run already.
                  "stat -c %u /dev/console; tty; until stty size 2>/dev/null | grep -q 31; do usleep 10000; done; stty size"),
                  env=podman.environment, user=podman.become if podman.rootless else None) as terminal:
        terminal.until("[0-9]+\r\n/dev/(pts/0|console)\r\n(.*\r\n)*31 97")
        equal(terminal.wait(), 0, "the status")


@check
def personality_and_time_zone(podman):
    equal(podman.shell("echo $TZ; date +%Z", "--env", "TZ=UTC"), "UTC\nUTC", "the zone")
