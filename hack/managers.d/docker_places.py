"""What is mounted and copied: volumes, tmpfs, read-only roots, propagation, files in and out."""

import os
import subprocess
import tarfile

from checks import check, command, equal, expect, matches, read, until, write
from docker_setup import DATA, IMAGE, LACKS


def options_of(docker, path, *options):
    """The mount options at a path inside."""
    line = docker.shell(f"grep ' {path} ' /proc/mounts", *options)
    return line.split()[3].split(",")


@check(short=True)
def volume(docker):
    docker("volume", "create", "kept")
    try:
        docker.shell("echo text >/data/file", "-v", "kept:/data")
        equal(docker.shell("cat /data/file", "-v", "kept:/data"), "text", "the text")
        equal(docker.shell("cat /data/file", "--mount", "type=volume,source=kept,target=/data,readonly"), "text", "the text")
        with docker.container("-v", "kept:/data"):
            matches(docker("volume", "rm", "kept", status=1).err, "(?i)in use", "the error")
    finally:
        docker("volume", "rm", "-f", "kept")


@check
def volume_without_a_name(docker):
    with docker.container("-v", "/etc") as container:
        # It begins as what the image has there.
        expect("root:" in container.exec("cat", "/etc/passwd").out, "the files of the image are not there")
        equal(len(docker("volume", "ls", "-q").out.split()), 1, "volumes")
    equal(docker("volume", "ls", "-q").out, "", "what is left")


@check(short=True)
def bind(docker):
    write(f"{DATA}/file", "outside\n", 0o666)
    equal(docker.shell("cat /data/file; echo inside >/data/file; cat /one", "-v", f"{DATA}:/data", "-v", f"{DATA}/file:/one"), "outside\ninside", "the text")
    equal(read(f"{DATA}/file"), "inside\n", "the file outside")


@check(short=True)
def bind_read_only(docker):
    write(f"{DATA}/file", "outside", 0o666)
    matches(docker.run("-v", f"{DATA}:/data:ro", IMAGE, "touch", "/data/new", status=1).err, "Read-only", "the error")
    expect("ro" in options_of(docker, "/data", "-v", f"{DATA}:/data:ro"), "the mount is not read-only")
    expect("ro" in options_of(docker, "/data", "--mount", f"type=bind,source={DATA},target=/data,readonly"), "the mount is not read-only")


@check
def bind_of_what_is_not_there(docker):
    # -v makes a folder, --mount does not.
    docker.run("-v", f"{DATA}/new:/data", IMAGE, "true")
    os.rmdir(f"{DATA}/new")
    matches(docker.run("--mount", "type=bind,source=/srv/nosuch,target=/data", IMAGE, "true", status=125).err, "/srv/nosuch", "the error")


@check(differs={"crun": "takes `bind` for `rbind`"})
def bind_of_tree(docker):
    os.makedirs(f"{DATA}/tree/below", exist_ok=True)
    command("mount", "-t", "tmpfs", "below", f"{DATA}/tree/below")
    try:
        write(f"{DATA}/tree/below/file", "x")
        equal(docker.shell("cat /data/below/file", "-v", f"{DATA}/tree:/data"), "x", "the text below")
        equal(docker.shell("ls /data/below", "--mount", f"type=bind,source={DATA}/tree,target=/data,bind-nonrecursive"), "", "what is below without")
    finally:
        command("umount", f"{DATA}/tree/below")


@check(short=True, differs=LACKS)
def propagation(docker):
    os.makedirs("/srv/shared", exist_ok=True)
    command("mount", "-t", "tmpfs", "shared", "/srv/shared")
    command("mount", "--make-shared", "/srv/shared")
    os.makedirs("/srv/shared/below")
    try:
        with docker.container("-v", "/srv/shared:/data:rslave") as container:
            command("mount", "-t", "tmpfs", "below", "/srv/shared/below")
            expect(" /data/below " in container.exec("cat", "/proc/mounts").out, "a mount of the host does not come in")
        with docker.container("-v", "/srv/shared:/data") as container:
            command("umount", "/srv/shared/below")
            expect(" /data/below " in container.exec("cat", "/proc/mounts").out, "a private mount has followed the host")
        with docker.container("--privileged", "-v", "/srv/shared:/data:rshared") as container:
            container.exec("mount", "-t", "tmpfs", "inside", "/data/below")
            expect("inside /srv/shared/below" in read("/proc/self/mounts"), "a mount of the container does not come out")
    finally:
        command("umount", "-R", "/srv/shared")


@check
def propagation_of_what_is_private(docker):
    os.makedirs("/srv/private", exist_ok=True)
    command("mount", "-t", "tmpfs", "private", "/srv/private")
    command("mount", "--make-private", "/srv/private")
    try:
        matches(docker.run("-v", "/srv/private:/data:rshared", IMAGE, "true", status=None).err, "(?i)not a shared mount", "the error")
    finally:
        command("umount", "/srv/private")


@check(short=True)
def tmpfs(docker):
    options = options_of(docker, "/scratch", "--tmpfs", "/scratch:size=1m,mode=1770,noexec")
    expect({"size=1024k", "mode=1770", "noexec", "nosuid", "nodev"} <= set(options), f"the options are {options}")
    expect("size=64k" in options_of(docker, "/scratch", "--mount", "type=tmpfs,target=/scratch,tmpfs-size=65536,tmpfs-mode=1777"), "the size is another")
    result = docker.run("--tmpfs", "/scratch:size=64k", IMAGE, "dd", "if=/dev/zero", "of=/scratch/file", "bs=1k", "count=100", status=1)
    matches(result.err, "(?i)no space", "the error")


@check
def tmpfs_hides_what_is_there(docker):
    # The engine mounts three files of its own there.
    equal(docker.shell("ls /etc | wc -l; touch /etc/x && echo written", "--tmpfs", "/etc").split(), ["3", "written"], "output")


@check(short=True)
def read_only(docker):
    matches(docker.run("--read-only", IMAGE, "touch", "/file", status=1).err, "Read-only", "the error")
    equal(docker.shell("touch /dev/shm/x /scratch/x && echo written", "--read-only", "--tmpfs", "/scratch"), "written", "where one can write")
    with docker.container("--read-only") as container:
        equal(container.exec("touch", "/x", status=1).err, "touch: /x: Read-only file system\n", "the error of exec")


@check
def volumes_from(docker):
    write(f"{DATA}/file", "outside", 0o666)
    with docker.container("--name", "has", "-v", f"{DATA}:/data:ro"):
        equal(docker.shell("cat /data/file", "--volumes-from", "has"), "outside", "the text")


@check(short=True)
def shared_memory(docker):
    expect("size=1024k" in options_of(docker, "/dev/shm", "--shm-size", "1m"), "the size is another")


@check
def devices_and_links(docker):
    equal(docker.shell("for n in null zero full tty random urandom; do test -c /dev/$n && echo $n; done; for n in fd stdin ptmx; do readlink /dev/$n; done; "
                       "ls -d /dev/mqueue /dev/pts"),
          "null\nzero\nfull\ntty\nrandom\nurandom\n/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n/dev/mqueue\n/dev/pts", "what is in /dev")


@check(differs={"crun": "its mount in a folder that is an absolute link fails with `openat2 link`"})
def volume_in_a_folder_that_is_a_link(docker):
    # The image has the link: `docker cp` would make the folder first.
    expect(not os.path.exists("/srv/away"), "the target is there")
    write(f"{DATA}/file", "outside", 0o666)
    with docker.container(process=("ln", "-s", "/srv/away", "/link")) as container:
        equal(docker("wait", container.name).out, "0\n", "the status of ln")
        docker("commit", container.name, "linked:1")
    try:
        equal(docker.run("-v", f"{DATA}:/link/data", "linked:1", "cat", "/link/data/file").out, "outside", "the text")
        expect(not os.path.exists("/srv/away"), "the link was followed outside")
    finally:
        docker("rmi", "-f", "linked:1")


@check(short=True)
def cp(docker):
    write(f"{DATA}/file", "outside", 0o644)
    with docker.container("-v", f"{DATA}:/data") as container:
        docker("cp", f"{DATA}/file", f"{container.name}:/etc/file")
        equal(container.exec("cat", "/etc/file").out, "outside", "the file inside")
        container.exec("sh", "-c", "mkdir /made; echo inside >/made/other; ln -s other /made/link")
        docker("cp", f"{container.name}:/made", f"{DATA}/made")
        equal((read(f"{DATA}/made/other"), os.readlink(f"{DATA}/made/link")), ("inside\n", "other"), "the files outside")
        command("rm", "-r", f"{DATA}/made")
        packed = subprocess.run(docker.arguments("cp", f"{container.name}:/etc/file", "-"), capture_output=True, env=docker.environment, check=True).stdout
        expect(b"outside" in packed, "the tar is another")
        docker("stop", "-t", "0", container.name)
        docker("cp", f"{container.name}:/etc/file", f"{DATA}/again")
        equal(read(f"{DATA}/again"), "outside", "the file of the stopped container")
        os.remove(f"{DATA}/again")
        matches(docker("cp", f"{container.name}:/nosuch", f"{DATA}/x", status=1).err, "(?i)could not find|no such", "the error")


@check(short=True)
def diff_and_export(docker):
    with docker.container(process=("sh", "-c", "echo text >/made; rm /etc/group")) as container:
        docker("wait", container.name)
        said = docker("diff", container.name).out.splitlines()
        expect("A /made" in said and "D /etc/group" in said, f"the differences are {said}")
        docker("export", "-o", f"{DATA}/out.tar", container.name)
        with tarfile.open(f"{DATA}/out.tar") as tar:
            expect("made" in tar.getnames() and "etc/group" not in tar.getnames(), "the tar is another")
        os.remove(f"{DATA}/out.tar")


@check
def differences_while_it_runs(docker):
    with docker.container() as container:
        # What the runtime makes for mounts is not the user's.
        said = docker("diff", container.name).out.splitlines()
        expect(not [line for line in said if not line.endswith(("/dev", "/dev/console", "/etc"))], f"the differences are {said}")
        container.exec("touch", "/new")
        until("the file is told", lambda: "A /new" in docker("diff", container.name).out.splitlines())
