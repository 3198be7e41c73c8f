"""What cgroups limit, at the start and by `docker update`, read where the kernel shows it."""

import os

from checks import SYSTEMD, NotRun, check, equal, expect, hierarchies, matches, read, until
from docker_setup import IMAGE, PARENT
from limits import WEIGHTS, cpu, cpuset, memory, memory_swap_and_reservation, oom_score
from podman_setup import Container

for one in (memory, memory_swap_and_reservation, cpu, cpuset):
    check(one, short=True)
check(oom_score)


@check(short=True)
def out_of_memory(docker):
    docker.needs("memory")
    with docker.container("--memory", "16m", process=("sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done")) as container:
        equal(docker("wait", container.name).out, "137\n", "what wait says")
        equal(container.inspect("{{.State.OOMKilled}}"), "true", "OOMKilled")


@check(short=True)
def pids(docker):
    docker.needs("pids")
    with docker.container("--pids-limit", "20") as container:
        equal(container.limit("pids/pids.max", "pids.max"), "20", "the limit")
        result = container.exec("sh", "-c", "for n in $(seq 30); do sleep 1000 & done", status=None)
        expect("fork" in result.err and result.status != 0, result)
    with docker.container("--pids-limit", "-1") as container:
        # The engine asks for none then, and systemd has one of its own.
        if not SYSTEMD:
            equal(container.limit("pids/pids.max", "pids.max"), "max", "the limit without")


@check
def block_io_weight(docker):
    docker.needs("io" if docker.v2 else "blkio")
    result = docker("run", "-d", "--network", "none", "--blkio-weight", "200", IMAGE, "sleep", "1000")
    try:
        if "discarded" in result.err:
            raise NotRun("the engine finds no weight in this kernel and discards it")
        folder = Container(docker, result.out.strip()).cgroup("unified" if docker.v2 else "blkio")
        names = ("io.bfq.weight", "io.weight") if docker.v2 else ("blkio.bfq.weight", "blkio.weight")
        found = [read(f"{folder}/{name}").split()[-1] for name in names if os.path.exists(f"{folder}/{name}")]
        expect("200" in found, f"the weights are {found}")
    finally:
        docker("rm", "-f", result.out.strip())


@check
def block_io_of_a_device(docker):
    docker.needs("io" if docker.v2 else "blkio")
    disks = sorted(name for name in os.listdir("/sys/block") if os.path.exists(f"/dev/{name}"))
    if not disks:
        raise NotRun("no block device with a node")
    with docker.container("--device-read-bps", f"/dev/{disks[0]}:1mb") as container:
        said = container.limit("blkio/blkio.throttle.read_bps_device", "io.max")
        matches(said, r"^\d+:\d+ (rbps=)?1048576\b", "the limit")


@check(short=True, differs={"crun": "takes zeros of an update, which stand for what is not meant, for limits"})
def update(docker):
    docker.needs("memory", "cpu", "pids")
    with docker.container("--memory", "64m", "--cpus", "0.5", "--pids-limit", "100") as container:
        docker("update", "--memory", "96m", "--memory-swap", "192m", "--cpus", "0.25", container.name)
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(96 << 20), "the memory")
        equal(container.limit("cpu/cpu.cfs_quota_us", "cpu.max").split()[0], "25000", "the quota")
        docker("update", "--pids-limit", "50", container.name)
        equal(container.limit("pids/pids.max", "pids.max"), "50", "the processes")
        # What was not named stays.
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(96 << 20), "the memory afterwards")
        equal(container.limit("cpu/cpu.cfs_quota_us", "cpu.max").split()[0], "25000", "the quota afterwards")


@check(differs={"crun": "takes zeros of an update, which stand for what is not meant, for limits"})
def update_of_each(docker):
    docker.needs("cpu", "cpuset", "memory")
    with docker.container("--memory", "64m", "--memory-swap", "128m") as container:
        docker("update", "--cpu-shares", "512", container.name)
        expect(container.limit("cpu/cpu.shares", "cpu.weight") in (WEIGHTS if docker.v2 else ("512",)), "the shares are others")
        docker("update", "--cpuset-cpus", "0", container.name)
        equal(container.limit("cpuset/cpuset.cpus", "cpuset.cpus"), "0", "the processors")
        docker("update", "--cpu-period", "50000", "--cpu-quota", "20000", container.name)
        equal(container.limit("cpu/cpu.cfs_period_us", "cpu.max").split()[-1], "50000", "the period")
        docker("update", "--memory-reservation", "16m", container.name)
        equal(container.limit("memory/memory.soft_limit_in_bytes", "memory.low"), str(16 << 20), "the reservation")
        docker("update", "--memory", "32m", "--memory-swap", "48m", container.name)
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(32 << 20), "the memory")
        docker("restart", "-t", "0", container.name)
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(32 << 20), "the memory after another start")


@check
def update_of_stopped(docker):
    docker.needs("memory")
    with docker.container() as container:
        docker("kill", container.name)
        docker.ended(container)
        docker("update", "--memory", "64m", "--memory-swap", "128m", container.name)
        docker("start", container.name)
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(64 << 20), "the memory")


@check(differs={"crun": "takes zeros of an update, which stand for what is not meant, for limits"})
def update_of_the_policy(docker):
    with docker.container() as container:
        docker("update", "--restart", "on-failure:3", container.name)
        equal(container.inspect("{{.HostConfig.RestartPolicy.Name}}"), "on-failure", "the policy")
        docker("update", "--restart", "no", container.name)


@check(differs={"crun": "takes zeros of an update, which stand for what is not meant, for limits"})
def update_that_cannot_be(docker):
    docker.needs("memory", "cpuset", "pids")
    with docker.container("--memory", "64m", "--memory-swap", "64m", "--pids-limit", "100") as container:
        def refused(pattern, *options):
            matches(docker("update", *options, container.name, status=1).err, pattern, "the error")
            equal(container.inspect("{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpusetCpus}}."),
                  f"{64 << 20} {64 << 20} 100 .", "what the engine knows afterwards")
            equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(64 << 20), "the memory")
            equal(container.limit("pids/pids.max", "pids.max"), "100", "the processes")
            equal(container.exec("echo", "x").out, "x\n", "output")
        # The engine's own words.
        refused("Memory limit should be smaller than already set memoryswap limit", "--memory", "128m")
        refused(r"Requested CPUs are not available - requested 4000, available: 0", "--cpuset-cpus", "4000")
        # More than the kernel has numbers for, which the engine leaves to the runtime.
        refused(r"5000000.*pids\.max.*invalid argument", "--pids-limit", "5000000")


@check(short=True)
def cgroup_parent(docker):
    with docker.container("--cgroup-parent", PARENT) as container:
        controller = "unified" if docker.v2 else "freezer"
        end = f"/docker.slice/docker-mine.slice/docker-{container.name}.scope" if SYSTEMD else f"/docker/mine/{container.name}"
        expect(container.cgroup(controller).endswith(end), f"the cgroup is {container.cgroup(controller)}")
    # Who asks for a parent keeps it.
    for folder in hierarchies().values():
        path = f"{folder}/docker/mine"
        if os.path.isdir(path):
            until(f"{path} is empty", lambda: removed(path))


def removed(path):
    try:
        os.rmdir(path)
    except OSError:
        pass
    return not os.path.exists(path)


@check(short=True)
def cgroup_namespace(docker):
    script = "readlink /proc/self/ns/cgroup; cat /proc/self/cgroup"
    mine = os.readlink("/proc/self/ns/cgroup")
    private = docker.shell(script, "--cgroupns", "private").splitlines()
    expect(private[0] != mine, "the namespace is the host's")
    for line in private[1:]:
        controllers, path = line.split(":", 2)[1:]
        if bool(controllers) != docker.v2:
            equal(path, "/", f"the path for {controllers or 'v2'}")
    seen = docker.shell(script, "--cgroupns", "host")
    expect(seen.splitlines()[0] == mine and ("/system.slice/docker-" if SYSTEMD else "/docker/") in seen, f"the paths of the host are {seen!r}")


@check(differs={"crun": "the folder above the hierarchies can be written", "runc": "the folder above the hierarchies can be written"})
def cgroups_are_read_only(docker):
    for mode in ("private", "host"):
        matches(docker.shell("grep ' /sys/fs/cgroup' /proc/mounts", "--cgroupns", mode), r"/sys/fs/cgroup\S* \S+ ro,", "the mounts")
        result = docker.run("--cgroupns", mode, IMAGE, "sh", "-c", "mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/pids/x", status=1)
        matches(result.err, "Read-only file system", "the error")


@check(short=True)
def ulimit(docker):
    equal(docker.shell("ulimit -n; ulimit -Hn; ulimit -c", "--ulimit", "nofile=512:1000", "--ulimit", "core=0"), "512\n1000\n0", "the limits")


@check(differs={"runc": "the soft limit of files becomes the hard one"})
def ulimit_of_exec(docker):
    with docker.container("--ulimit", "nofile=300:400") as container:
        equal(container.exec("sh", "-c", "ulimit -n; ulimit -Hn").out, "300\n400\n", "the limits")


@check
def ulimit_that_cannot_be(docker):
    result = docker.run("--ulimit", "nofile=100000000", IMAGE, "true", status=None)
    if result.status == 0:
        equal(docker.shell("ulimit -n", "--ulimit", "nofile=100000000"), "100000000", "the limit that was taken")
        raise NotRun("this machine allows every limit")
    expect(result.status in (125, 126), result)
    matches(result.err, "(?i)operation not permitted", "the error")
    matches(result.err, "(?i)rlimit", "the error")


@check
def shared_limits(docker):
    """Two below one parent with a limit of its own."""
    docker.needs("pids")
    with docker.container("--cgroup-parent", PARENT) as one, docker.container("--cgroup-parent", PARENT) as two:
        controller = "unified" if docker.v2 else "pids"
        equal(os.path.dirname(one.cgroup(controller)), os.path.dirname(two.cgroup(controller)), "the parent")
    for folder in hierarchies().values():
        path = f"{folder}/docker/mine"
        if os.path.isdir(path):
            until(f"{path} is empty", lambda: removed(path))
