"""What cgroups limit, at the start and by `podman update`, read where the kernel shows it."""

import os

from checks import NotRun, check, equal, expect, hierarchies, matches, read, until
from limits import WEIGHTS, cpu, cpuset, memory, memory_swap_and_reservation, oom_score
from podman_setup import IMAGE

for one in (memory, cpu):
    check(one, short=True)
for one in (memory_swap_and_reservation, cpuset, oom_score):
    check(one)


@check(short=True)
def out_of_memory(podman):
    podman.needs("memory")
    with podman.container("--memory", "16m", process=("sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done")) as container:
        equal(podman("wait", container.name).out, "137\n", "what wait says")


@check
def out_of_memory_is_told(podman):
    podman.needs("memory")
    # Not the first process is killed: conmon 2.1.6 looks for it too late at the end of a container. It tells it in the folder that
    # it was started in, where podman 4.3 does not look: `OOMKilled` is false with every runtime.
    if os.path.exists("oom"):
        os.remove("oom")
    hog = "x=0123456789abcdef; while :; do x=$x$x; done"
    with podman.container("--memory", "16m", process=("sh", "-c", f"sh -c '{hog}'; echo $?; sleep 1000")) as container:
        until("the child was killed", lambda: podman("logs", container.name).out == "137\n")
        # Newer ones tell it where podman looks.
        places = "oom", f"/var/lib/containers/storage/overlay-containers/{container.name}/userdata/oom"
        until("conmon tells it", lambda: any(map(os.path.exists, places)))
    if os.path.exists("oom"):
        os.remove("oom")


@check(short=True)
def pids(podman):
    podman.needs("pids")
    with podman.container("--pids-limit", "20") as container:
        equal(container.limit("pids/pids.max", "pids.max"), "20", "the limit")
        result = container.exec("sh", "-c", "for n in $(seq 30); do sleep 1000 & done", status=None)
        expect("fork" in result.err and result.status != 0, result)


@check(differs={"crun": "leaves the cgroup of a container that it could not make"})
def block_io(podman):
    podman.needs("io" if podman.v2 else "blkio")
    result = podman.run("--blkio-weight", "200", "--device-read-bps", "/dev/zero:1mb", IMAGE, "true", status=None)
    if result.status != 0 and not podman.v2:
        # Devices of characters have no queue; all runtimes pass on what the kernel says.
        matches(result.err, "(?i)(no such device|invalid argument|blkio|not a block device)", "the error")


@check
def block_io_weight(podman):
    podman.needs("io" if podman.v2 else "blkio")
    if "discarded" in podman.run("--blkio-weight", "200", IMAGE, "true").err:
        raise NotRun("podman finds no weight in this kernel and discards it")
    with podman.container("--blkio-weight", "200") as container:
        folder = container.cgroup("unified" if podman.v2 else "blkio")
        names = ("io.bfq.weight", "io.weight") if podman.v2 else ("blkio.bfq.weight", "blkio.weight")
        found = [read(f"{folder}/{name}").split()[-1] for name in names if os.path.exists(f"{folder}/{name}")]
        expect("200" in found, f"the weights are {found}")


@check(short=True)
def update(podman):
    podman.needs("memory", "cpu")
    with podman.container("--memory", "64m", "--cpus", "0.5") as container:
        podman("update", "--memory", "96m", "--cpus", "0.25", container.name)
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(96 << 20), "the memory")
        equal(container.limit("cpu/cpu.cfs_quota_us", "cpu.max").split()[0], "25000", "the quota")


@check
def update_of_each(podman):
    podman.needs("cpu", "cpuset", "memory")
    with podman.container("--memory", "64m", "--memory-swap", "128m") as container:
        podman("update", "--cpu-shares", "512", container.name)
        expect(container.limit("cpu/cpu.shares", "cpu.weight") in (WEIGHTS if podman.v2 else ("512",)), "the shares are others")
        podman("update", "--cpuset-cpus", "0", container.name)
        equal(container.limit("cpuset/cpuset.cpus", "cpuset.cpus"), "0", "the processors")
        podman("update", "--cpu-period", "50000", "--cpu-quota", "20000", container.name)
        equal(container.limit("cpu/cpu.cfs_period_us", "cpu.max").split()[-1], "50000", "the period")
        podman("update", "--memory-reservation", "16m", container.name)
        equal(container.limit("memory/memory.soft_limit_in_bytes", "memory.low"), str(16 << 20), "the reservation")
        podman("update", "--memory", "32m", "--memory-swap", "48m", container.name)
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(32 << 20), "the memory")


@check
def update_of_stopped(podman):
    podman.needs("memory")
    with podman.container() as container:
        podman("kill", container.name)
        podman.ended(container)
        result = podman("update", "--memory", "64m", container.name, status=None)
        # Newer ones keep it for the next start.
        equal(result.status, 125 if podman.version < (5,) else 0, "the status")


@check(differs={"runc": "has not the flag that podman gives it then"})
def no_cgroups(podman):
    podman.needs_root("podman without root has no cgroup anyway")
    with podman.container("--cgroups", "disabled") as container:
        for path in (read(f"/proc/{container.pid}/cgroup"), read("/proc/self/cgroup")):
            expect(container.name not in path, f"the cgroup is {path}")
        equal(container.exec("echo", "x").out, "x\n", "output")
        podman("stop", "-t", "0", container.name)


@check
def cgroups_without_conmon(podman):
    podman.needs_root("podman without root has no cgroup anyway")
    equal(podman.shell("echo x", "--cgroups", "no-conmon"), "x", "output")


@check
def cgroup_parent(podman):
    podman.needs_root("podman without root has no cgroup anyway")
    if podman.systemd:
        with podman.container("--cgroup-parent", "mine.slice") as container:
            matches(container.cgroup("unified"), r"/mine\.slice/libpod-\w+\.scope", "the cgroup")
        return
    with podman.container("--cgroup-parent", "/libpod_parent/mine") as container:
        controller = "unified" if podman.v2 else "freezer"
        expect("/libpod_parent/mine/" in container.cgroup(controller), f"the cgroup is {container.cgroup(controller)}")
        folder = container.cgroup(controller)
    # Who asks for a parent keeps it.
    for controller, folder in hierarchies().items():
        path = f"{folder}/libpod_parent/mine"
        if os.path.isdir(path):
            until(f"{path} is empty", lambda: removed(f"{path}/conmon") and removed(path))


def removed(path):
    try:
        os.rmdir(path)
    except OSError:
        pass
    return not os.path.exists(path)


@check(short=True)
def cgroup_namespace(podman):
    podman.needs_root("podman without root has no cgroup anyway")
    for line in podman.shell("cat /proc/self/cgroup", "--cgroupns", "private").splitlines():
        controllers, path = line.split(":", 2)[1:]
        if podman.v2 and controllers:
            continue  # A hierarchy of v1 that nobody sees here.
        if not podman.v2 and not controllers:
            continue  # The hierarchy of v2, which is not in this view.
        equal(path, "/", f"the path for {controllers or 'v2'}")
    seen = podman.shell("cat /proc/self/cgroup", "--cgroupns", "host")
    expect(("machine.slice" if podman.systemd else "libpod_parent") in seen, f"the paths of the host are {seen!r}")


@check(differs={"crun": "the folder above the hierarchies can be written", "runc": "the folder above the hierarchies can be written"})
def cgroups_are_read_only(podman):
    podman.needs_root("podman without root has no cgroup anyway")
    matches(podman.shell("grep ' /sys/fs/cgroup' /proc/mounts"), r"/sys/fs/cgroup\S* \S+ ro,", "the mounts")
    result = podman.run("--cgroupns", "private", IMAGE, "sh", "-c", "mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/pids/x", status=1)
    matches(result.err, "Read-only file system", "the error")


@check(short=True)
def ulimit(podman):
    equal(podman.shell("ulimit -n; ulimit -Hn; ulimit -c", "--ulimit", "nofile=512:1000", "--ulimit", "core=0", "--ulimit", "nproc=4096:4096"), "512\n1000\n0", "the limits")


@check(differs={"runc": "the soft limit of files becomes the hard one"})
def ulimit_of_exec(podman):
    with podman.container("--ulimit", "nofile=300:400", "--ulimit", "nproc=4096:4096") as container:
        equal(container.exec("sh", "-c", "ulimit -n; ulimit -Hn").out, "300\n400\n", "the limits")
