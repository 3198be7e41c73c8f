"""Files, users, namespaces, capabilities and system calls: what a container sees and may do."""

import os
import stat

from checks import check, command, equal, expect, matches, read, write
from containerd_setup import IMAGE
from podman_setup import PATH

MAPS = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
DATA = "type=bind,src=/srv/data,dst=/data,options=rbind:"


@check(short=True)
def bind_mounts(ctr):
    write("/srv/data/file", "outside", 0o666)
    equal(ctr.shell("cat /data/file; echo inside >/data/file", "--mount", DATA + "rw"), "outside", "the text")
    equal(read("/srv/data/file"), "inside\n", "the text after it")
    result = ctr.run("sh", "-c", "cat /data/file; echo x >/data/file", options=("--mount", DATA + "ro"), status=1)
    matches(result.out + result.err, "inside.*Read-only file system", "output and error")


@check
def bind_mount_of_a_file(ctr):
    write("/srv/data/one", "one", 0o644)
    result = ctr.shell("cat /etc/new/one; stat -c %F /etc/new/one", "--mount", "type=bind,src=/srv/data/one,dst=/etc/new/one,options=bind:ro")
    equal(result, "oneregular file", "output")


@check
def tmpfs(ctr):
    mount = "type=tmpfs,src=tmpfs,dst=/scratch,options=size=64k:nosuid:noexec"
    result = ctr.shell("grep ' /scratch ' /proc/mounts; echo x >/scratch/x; cat /scratch/x", "--mount", mount)
    matches(result, r"^tmpfs /scratch tmpfs \S*nosuid\S*noexec\S*size=64k\S* 0 0\nx$", "the mount")


@check
def mounts_in_their_order(ctr):
    os.makedirs("/srv/data/inner", exist_ok=True)
    write("/srv/data/inner/file", "inner", 0o644)
    mounts = "type=tmpfs,src=tmpfs,dst=/a,options=rw", "type=bind,src=/srv/data/inner,dst=/a/b,options=rbind:ro"
    equal(ctr.shell("ls /a; cat /a/b/file", "--mount", mounts[0], "--mount", mounts[1]), "b\ninner", "output")


@check
def read_only_with_what_is_below(ctr):
    """`ro` is for the mount itself, `rro` for those below it too."""
    os.makedirs("/srv/tree/below", exist_ok=True)
    command("mount", "-t", "tmpfs", "below", "/srv/tree/below")
    try:
        for option, writable in (("ro", "x"), ("rro", "")):
            equal(ctr.shell("touch /data/below/x 2>/dev/null; touch /data/x 2>/dev/null; ls /data/below; ls /data | grep x", "--mount", f"type=bind,src=/srv/tree,dst=/data,options=rbind:{option}", status=None),
                  writable, f"what can be written with {option}")
            if writable:
                os.unlink("/srv/tree/below/x")
    finally:
        command("umount", "/srv/tree/below")


@check(short=True)
def read_only(ctr):
    result = ctr.run("touch", "/x", options=("--read-only",), status=1)
    matches(result.err, "Read-only file system", "the error")
    equal(ctr.shell("touch /tmp/x && ls /tmp", "--read-only", "--mount", "type=tmpfs,src=tmpfs,dst=/tmp,options=rw"), "x", "output")


@check(short=True)
def rootfs(ctr):
    result = ctr.run("sh", "-c", "ls /bin/sh; head -n 1 /etc/group", options=("--rootfs", "--env", PATH), root="/srv/rootfs")
    equal(result.out, "/bin/sh\nroot:x:0:\n", "output")
    ctr.run("touch", "/kept", options=("--rootfs", "--env", PATH), root="/srv/rootfs")
    expect(os.path.exists("/srv/rootfs/kept"), "the file is not in the folder")
    os.unlink("/srv/rootfs/kept")


@check(differs={"runc": "the root is private all the same"})
def rootfs_propagation(ctr):
    for kind in ("private", "slave", "shared"):
        equal(ctr.shell("echo x", "--rootfs-propagation", kind), "x", "output")
    matches(ctr.shell("grep ' / / ' /proc/self/mountinfo || cat /proc/self/mountinfo", "--rootfs-propagation", "shared"), " / / .* shared:", "the mount of the root")


@check
def snapshot_keeps_its_files(ctr):
    id = ctr.name()
    try:
        ctr("c", "create", IMAGE, id, "sh")
        for expected in ("0", "1"):
            process = ctr.open("t", "start", id)
            out, _ = process.communicate(b"ls /kept 2>/dev/null | wc -l; touch /kept; exit\n", timeout=30)
            equal((out.decode().strip(), process.returncode), (expected, 0), "files and status")
    finally:
        ctr.remove(id)


@check(short=True)
def working_directory(ctr):
    equal(ctr.run("pwd", options=("--cwd", "/etc")).out, "/etc\n", "where it is")
    # One that is not there is made.
    equal(ctr.run("pwd", options=("--cwd", "/new/place")).out, "/new/place\n", "where it is")


@check
def environment(ctr):
    path = write("/srv/data/env", "FROM=file\n")
    result = ctr.shell("echo $A $FROM $PATH", "--env", "A=b c", "--env-file", path)
    equal(result, "b c file /usr/sbin:/usr/bin:/sbin:/bin", "the variables")


@check(short=True)
def user_and_hostname(ctr):
    def change(spec):
        spec["hostname"] = "box"
        spec["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5000]}
        spec["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "99"}
    result = ctr.configured(change, "sh", "-c", "hostname; id -u; id -G; cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
    equal(result.out.splitlines(), ["box", "1000", "1000 5000", "99"], "what it sees")


@check(short=True)
def namespaces_of_its_own(ctr):
    seen = ctr.shell("for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done; ls /sys/class/net; echo $$").splitlines()
    for kind, name in zip(("pid", "net", "ipc", "uts", "mnt"), seen):
        expect(name != os.readlink(f"/proc/self/ns/{kind}"), f"the namespace {name} is ours")
    equal(seen[5:], ["lo", "1"], "links and its number")


@check(short=True)
def joined_namespaces(ctr):
    with ctr.container() as container:
        names = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts"}
        joined = [part for kind, name in names.items() for part in ("--with-ns", f"{kind}:/proc/{container.pid}/ns/{name}")]
        seen = ctr.shell("for n in pid net ipc uts; do readlink /proc/self/ns/$n; done; ps | grep -c 'sleep [1]000'", *joined).splitlines()
        equal(seen, [os.readlink(f"/proc/{container.pid}/ns/{kind}") for kind in ("pid", "net", "ipc", "uts")] + ["1"], "namespaces, and its processes")
        equal(container.status, "RUNNING", "the status of the first one")


@check
def joined_pid_namespace_of_the_host(ctr):
    seen = ctr.shell("readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc", "--with-ns", "pid:/proc/1/ns/pid", "--with-ns", "ipc:/proc/1/ns/ipc").splitlines()
    equal(seen, [os.readlink("/proc/self/ns/pid"), os.readlink("/proc/self/ns/ipc")], "the namespaces")


@check
def many_processes_in_the_pid_namespace_of_the_host(ctr):
    """Nothing but the cgroup holds them together there."""
    with ctr.container("sh", "-c", "sleep 1011 & sleep 1012 & exec sleep 1013", options=("--with-ns", "pid:/proc/1/ns/pid")) as container:
        ctr("t", "ps", container.id)
        ctr("t", "rm", "--force", container.id)


@check(short=True)
def user_namespace(ctr):
    equal(ctr.shell("id -u; stat -c %u /bin; cat /proc/self/uid_map", *MAPS).split(), ["0", "0", "0", "100000", "65536"], "who it is")
    with ctr.container(options=MAPS) as container:
        equal(os.stat(f"/proc/{container.pid}").st_uid, 100000, "who it is outside")
        equal(container.exec("id", "-u").out, "0\n", "who a command is")


@check
def user_namespace_by_labels(ctr):
    equal(ctr.shell("id -u; cat /proc/self/uid_map", *MAPS, "--remap-labels").split(), ["0", "0", "100000", "65536"], "who it is")


@check(short=True)
def devices(ctr):
    node = "/srv/data/node"
    if not os.path.exists(node):
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 11))
    result = ctr.shell(f"stat -c '%F %t %T' {node}; true <{node} && echo opened", "--device", node, "--cap-add", "CAP_SYSLOG")
    equal(result, "character special file 1 b\nopened", "the device")


@check
def folder_of_devices(ctr):
    os.makedirs("/srv/data/nodes", exist_ok=True)
    for number, name in ((3, "a"), (5, "b")):
        if not os.path.exists(f"/srv/data/nodes/{name}"):
            os.mknod(f"/srv/data/nodes/{name}", 0o666 | stat.S_IFCHR, os.makedev(1, number))
    equal(ctr.shell("ls /srv/data/nodes; head -c 2 /srv/data/nodes/b | od -An -tx1", "--device", "/srv/data/nodes").split(), ["a", "b", "00", "00"], "the devices")


def capabilities(text):
    return {line.split()[0]: int(line.split()[1], 16) for line in text.splitlines() if line.startswith("Cap")}


@check
def capabilities_added_and_dropped(ctr):
    seen = capabilities(ctr.shell("cat /proc/self/status", "--cap-add", "CAP_NET_ADMIN", "--cap-drop", "CAP_CHOWN"))
    equal((seen["CapEff:"] & 0x1001, seen["CapBnd:"] & 0x1001), (0x1000, 0x1000), "CAP_NET_ADMIN and CAP_CHOWN")
    result = ctr.run("chown", "1", "/tmp", options=("--cap-drop", "CAP_CHOWN"), status=1)
    matches(result.err, "Operation not permitted", "the error")


@check
def privileged(ctr):
    # Not every machine gives all of them to us.
    mine = capabilities(read("/proc/self/status"))["CapBnd:"]
    seen = ctr.shell("grep CapEff /proc/self/status; mkdir /m && mount -t tmpfs x /m && echo mounted; grep ' /sys ' /proc/mounts", "--privileged", status=None)
    found = capabilities(seen)["CapEff:"]
    expect(found & (1 << 21) and found & ~mine == 0, f"the capabilities are {found:x} of {mine:x}")
    matches(seen, "mounted\nsysfs /sys sysfs rw", "output")


@check
def devices_of_privileged(ctr):
    equal(ctr.shell("rm -f /tmp/n; mknod /tmp/n c 1 11 && true </tmp/n && echo opened", "--privileged"), "opened", "output")


@check(short=True)
def seccomp(ctr):
    result = ctr.shell("grep Seccomp: /proc/self/status; unshare -U true 2>/dev/null; echo $?", "--seccomp")
    equal(result.split(), ["Seccomp:", "2", "1"], "the filter, and what it refuses")
    equal(ctr.shell("grep Seccomp: /proc/self/status").split()[1], "0", "the mode without")


@check
def seccomp_profile(ctr):
    path = write("/srv/data/seccomp.json", '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}')
    result = ctr.shell("mkdir /x 2>&1; touch /y && ls /y", "--seccomp", "--seccomp-profile", path)
    equal(result, "mkdir: can't create directory '/x': Operation not permitted\n/y", "output")


@check
def no_new_privileges(ctr):
    equal(ctr.shell("grep NoNewPrivs /proc/self/status").split()[1], "1", "the flag")
    equal(ctr.shell("grep NoNewPrivs /proc/self/status", "--allow-new-privs").split()[1], "0", "the flag")


@check(short=True)
def no_pivot(ctr):
    equal(ctr.shell("ls /bin/sh; echo $$", "--no-pivot"), "/bin/sh\n1", "output")


@check
def masked_and_read_only_paths(ctr):
    result = ctr.run("sh", "-c", "ls /sys/firmware | wc -l; cat /proc/keys | wc -c; echo x >/proc/sys/kernel/domainname", status=1)
    matches(result.out + result.err, "^0\n0\n.*Read-only file system", "output and error")


@check
def nothing_of_the_host_is_open(ctr):
    # Its own three, and the folder that ls reads.
    equal(ctr.shell("ls /proc/self/fd").split(), ["0", "1", "2", "3"], "the descriptors")


@check
def standard_mounts(ctr):
    lines = [line.split()[1:3] for line in ctr.shell("cat /proc/mounts").splitlines()]
    kinds = {"/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs", "/dev/mqueue": "mqueue", "/sys": "sysfs", "/run": "tmpfs"}
    for place, kind in kinds.items():
        expect([place, kind] in lines, f"{place} is not in {lines}")
