"""What is mounted: volumes, tmpfs, read-only roots, secrets, propagation."""

import os

from checks import NotRun, check, command, equal, expect, matches, read, write
from podman_setup import IMAGE


def options_of(podman, path, *options):
    """The mount options at a path inside."""
    line = podman.shell(f"grep ' {path} ' /proc/mounts", *options)
    return line.split()[3].split(",")


@check(short=True)
def volume(podman):
    podman("volume", "create", "kept")
    try:
        podman.shell("echo text >/data/file", "-v", "kept:/data")
        equal(podman.shell("cat /data/file", "-v", "kept:/data"), "text", "the text")
        with podman.container("-v", "kept:/data"):
            matches(podman("volume", "rm", "kept", status=2).err, "(?i)used", "the error")
    finally:
        podman("volume", "rm", "-f", "kept")


@check(short=True)
def bind(podman):
    write("/srv/data/file", "outside", 0o666)
    equal(podman.shell("cat /data/file; echo inside >/data/file; cat /one", "-v", "/srv/data:/data", "-v", "/srv/data/file:/one"), "outside\ninside".replace("outside", "outside", 1).replace("outside\n", "outside"), "the text")
    equal(read("/srv/data/file"), "inside\n", "the file outside")


@check(short=True)
def bind_read_only(podman):
    write("/srv/data/file", "outside", 0o666)
    matches(podman.run("-v", "/srv/data:/data:ro", IMAGE, "touch", "/data/new", status=1).err, "Read-only", "the error")
    expect("ro" in options_of(podman, "/data", "-v", "/srv/data:/data:ro"), "the mount is not read-only")
    expect({"nosuid", "nodev", "noexec"} <= set(options_of(podman, "/data", "-v", "/srv/data:/data:nosuid,nodev,noexec")), "flags are missing")


@check
def bind_of_what_is_not_there(podman):
    matches(podman.run("-v", "/srv/nosuch:/data", IMAGE, "true", status=125).err, "/srv/nosuch", "the error")


@check(differs={"crun": "takes `bind` for `rbind`"})
def bind_of_tree(podman):
    podman.needs_root("only root mounts on the host")
    os.makedirs("/srv/data/tree/below", exist_ok=True)
    command("mount", "-t", "tmpfs", "below", "/srv/data/tree/below")
    try:
        write("/srv/data/tree/below/file", "x")
        equal(podman.shell("cat /data/below/file", "-v", "/srv/data/tree:/data:rbind"), "x", "the text below")
        equal(podman.shell("ls /data/below", "-v", "/srv/data/tree:/data:bind"), "", "what is below without")
    finally:
        command("umount", "/srv/data/tree/below")


@check
def propagation(podman):
    podman.needs_root("only root mounts on the host")
    os.makedirs("/srv/shared/below", exist_ok=True)
    command("mount", "-t", "tmpfs", "shared", "/srv/shared")
    command("mount", "--make-shared", "/srv/shared")
    os.makedirs("/srv/shared/below")
    try:
        with podman.container("-v", "/srv/shared:/data:rslave") as container:
            command("mount", "-t", "tmpfs", "below", "/srv/shared/below")
            expect(" /data/below " in container.exec("cat", "/proc/mounts").out, "a mount of the host does not come in")
        with podman.container("--privileged", "-v", "/srv/shared:/data:rshared") as container:
            container.exec("mount", "-t", "tmpfs", "inside", "/data/below")
            expect("inside /srv/shared/below" in read("/proc/self/mounts"), "a mount of the container does not come out")
    finally:
        command("umount", "-R", "/srv/shared")


@check(short=True)
def tmpfs(podman):
    options = options_of(podman, "/scratch", "--tmpfs", "/scratch:size=1m,mode=1770,noexec")
    expect({"size=1024k", "mode=1770", "noexec", "nosuid", "nodev"} <= set(options), f"the options are {options}")
    result = podman.run("--tmpfs", "/scratch:size=64k", IMAGE, "dd", "if=/dev/zero", "of=/scratch/file", "bs=1k", "count=100", status=1)
    matches(result.err, "(?i)no space", "the error")


@check
def tmpfs_copies_up(podman):
    equal(podman.shell("test -e /etc/passwd && echo there", "--mount", "type=tmpfs,destination=/etc/x"), "there", "the files around it")
    names = podman.shell("ls /home | wc -l", "--mount", "type=tmpfs,destination=/home,tmpfs-mode=755")
    equal(names, "0", "files in it")


@check(short=True)
def read_only(podman):
    matches(podman.run("--read-only", IMAGE, "touch", "/file", status=1).err, "Read-only", "the error")
    equal(podman.shell("for p in /tmp /run /dev/shm /var/tmp; do touch $p/x && echo $p; done", "--read-only"), "/tmp\n/run\n/dev/shm\n/var/tmp", "where one can write")
    podman.run("--read-only", "--read-only-tmpfs=false", IMAGE, "touch", "/tmp/x", status=1)


@check(short=True)
def secret(podman):
    write("/srv/data/secret", "hidden", 0o644)
    podman("secret", "create", "mine", "/srv/data/secret")
    try:
        equal(podman.shell("cat /run/secrets/mine", "--secret", "mine"), "hidden", "the file")
        equal(podman.shell("echo $WORD", "--secret", "mine,type=env,target=WORD"), "hidden", "the variable")
        equal(podman.shell("stat -c %u:%a /run/secrets/other", "--secret", "mine,target=other,uid=1000,mode=0400"), "1000:400", "owner and mode")
    finally:
        podman("secret", "rm", "mine")


@check
def overlay_volume(podman):
    podman.needs_root("podman mounts it without root, some kernels do not")
    write("/srv/data/file", "outside", 0o666)
    equal(podman.shell("echo inside >/data/file; cat /data/file", "-v", "/srv/data:/data:O"), "inside", "the text inside")
    equal(read("/srv/data/file"), "outside", "the text outside")


@check
def owned_volume(podman):
    os.makedirs("/srv/data/owned", exist_ok=True)
    if podman.rootless:
        os.chown("/srv/data/owned", 64321, 64321)
    equal(podman.shell("stat -c %u:%g /data; touch /data/x && echo written", "--user", "1000:1000", "-v", "/srv/data/owned:/data:U"), "1000:1000\nwritten", "the owner")


@check
def idmapped_volume(podman):
    podman.needs_root("needs root")
    os.makedirs("/var/lib/containers/mapped", exist_ok=True)
    os.chown("/var/lib/containers/mapped", 0, 0)
    result = podman.run("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "-v", "/var/lib/containers/mapped:/data:idmap", IMAGE,
                        "sh", "-c", "touch /data/x; stat -c %u /data /data/x", status=None)
    if podman.name in ("crun", "runc") and result.status != 0:
        raise NotRun(f"{podman.name} of Debian says: {result.err.strip()}")
    equal((result.status, result.out), (0, "0\n0\n"), f"status and owners ({result.err})")
    equal(os.stat("/var/lib/containers/mapped/x").st_uid, 0, "the owner outside")


@check
def image_volume(podman):
    equal(podman.shell("test -x /data/bin/busybox && echo there", "--mount", f"type=image,source={IMAGE},destination=/data"), "there", "the file")


@check
def volumes_from(podman):
    write("/srv/data/file", "outside", 0o666)
    with podman.container("--name", "has", "-v", "/srv/data:/data:ro"):
        equal(podman.shell("cat /data/file", "--volumes-from", "has"), "outside", "the text")


@check(short=True)
def shared_memory(podman):
    expect("size=1024k" in options_of(podman, "/dev/shm", "--shm-size", "1m"), "the size is another")


@check
def devices_and_links(podman):
    equal(podman.shell("for n in null zero full tty random urandom; do test -c /dev/$n && echo $n; done; for n in fd stdin ptmx; do readlink /dev/$n; done; ls -d /dev/mqueue /dev/pts"),
          "null\nzero\nfull\ntty\nrandom\nurandom\n/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n/dev/mqueue\n/dev/pts", "what is in /dev")


@check
def systemd_mounts(podman):
    podman.needs_root("without a cgroup systemd cannot be")
    seen = podman.shell("grep -E ' (/run|/run/lock|/tmp|/var/log/journal) ' /proc/mounts | cut -d ' ' -f 2,3 | sort; echo $container_uuid | wc -c", "--systemd", "always").splitlines()
    expect("/run tmpfs" in seen and "/run/lock tmpfs" in seen, f"the mounts are {seen}")


@check
def hosts_and_resolver(podman):
    equal(podman.shell("grep other /etc/hosts; grep nameserver /etc/resolv.conf", "--add-host", "other:10.9.8.7", "--dns", "10.9.8.6", network=None).split(),
          ["10.9.8.7", "other", "nameserver", "10.9.8.6"], "names and servers")


@check
def root_by_folder(podman):
    podman.needs_root("the folder is root's")
    path = "/var/lib/containers/rootfs"
    os.makedirs(path, exist_ok=True)
    if not os.path.exists(f"{path}/bin"):
        import io
        import tarfile
        from podman_setup import image_tree
        with tarfile.open(fileobj=io.BytesIO(image_tree())) as tar:
            tar.extractall(path)
    result = podman("run", "--rm", "--network", "none", "--rootfs", path, "sh", "-c", "echo x >/made; echo done")
    equal(result.out, "done\n", "output")
    equal(read(f"{path}/made"), "x\n", "the file outside")


@check
def mounted_outside(podman):
    podman.needs_root("without root in a namespace of podman's only")
    with podman.container(process=("sh", "-c", "echo x >/made; exit 0")) as container:
        podman("wait", container.name)
        path = podman("mount", container.name).out.strip()
        equal(read(f"{path}/made"), "x\n", "the file")
        podman("unmount", container.name)
