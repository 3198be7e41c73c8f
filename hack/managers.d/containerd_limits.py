"""What cgroups limit, by ctr's options and by a configuration, read where the kernel shows it."""

import os
import re
import select
import subprocess

from checks import Failed, NotRun, cgroup_of, check, equal, expect, hierarchies, matches, read, until


@check(short=True)
def memory(ctr):
    ctr.needs("memory")
    with ctr.container(options=("--memory-limit", str(64 << 20))) as container:
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(64 << 20), "the limit")
        if not ctr.v2:
            matches(ctr("t", "metrics", container.id).out, f"memory.limit_in_bytes +{64 << 20} ", "metrics")


@check(short=True)
def out_of_memory(ctr):
    ctr.needs("memory")
    ctr.run("sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done", options=("--memory-limit", str(16 << 20)), status=137)


@check(short=True)
def cpus(ctr):
    ctr.needs("cpu")
    with ctr.container(options=("--cpus", "0.5", "--cpu-shares", "512")) as container:
        if ctr.v2:
            equal(container.limit("", "cpu.max"), "50000 100000", "the limit")
            expect(container.limit("", "cpu.weight") in ("20", "59"), "the weight is another")
        else:
            equal(container.limit("cpu/cpu.cfs_quota_us", ""), "50000", "the quota")
            equal(container.limit("cpu/cpu.shares", ""), "512", "the shares")


@check
def cpu_quota(ctr):
    ctr.needs("cpu")
    with ctr.container(options=("--cpu-quota", "20000", "--cpu-period", "50000")) as container:
        if ctr.v2:
            equal(container.limit("", "cpu.max"), "20000 50000", "the limit")
        else:
            equal((container.limit("cpu/cpu.cfs_quota_us", ""), container.limit("cpu/cpu.cfs_period_us", "")), ("20000", "50000"), "quota and period")


@check
def cpu_shares_by_default(ctr):
    ctr.needs("cpu")
    with ctr.container() as container:
        expect(container.limit("cpu/cpu.shares", "cpu.weight") in (("39", "100") if ctr.v2 else ("1024",)), "the shares are others")


def resources(**more):
    def change(spec):
        spec["linux"].setdefault("resources", {}).update(more)
    return change


@check(short=True)
def pids(ctr):
    ctr.needs("pids")
    with ctr.configuration(resources(pids={"limit": 12})) as container:
        equal(container.limit("pids/pids.max", "pids.max"), "12", "the limit")
        if not ctr.v2:
            matches(ctr("t", "metrics", container.id).out, "pids.limit +12 ", "metrics")
        result = container.exec("sh", "-c", "for n in $(seq 20); do sleep 1000 & done", status=None)
        expect("fork" in result.err and result.status != 0, result)


@check
def cpuset(ctr):
    ctr.needs("cpuset")
    with ctr.configuration(resources(cpu={"cpus": "0", "mems": "0"})) as container:
        equal(container.limit("cpuset/cpuset.cpus", "cpuset.cpus"), "0", "the set")
        equal(container.exec("grep", "Cpus_allowed_list", "/proc/self/status").out.split()[1], "0", "the processors")


@check
def memory_reservation(ctr):
    ctr.needs("memory")
    with ctr.configuration(resources(memory={"limit": 64 << 20, "reservation": 32 << 20})) as container:
        equal(container.limit("memory/memory.soft_limit_in_bytes", "memory.low"), str(32 << 20), "the reservation")


@check(short=True)
def cgroup(ctr):
    controller = "unified" if ctr.v2 else "freezer"
    with ctr.container(options=("--cgroup", "/mine/this")) as container:
        folder = container.cgroup(controller)
        expect(folder.endswith("/mine/this"), f"the cgroup is {folder}")
        expect(cgroup_of(ctr.daemon.pid, controller) != folder, "containerd is in it")
        equal(container.exec("sh", "-c", "grep -c /mine/this /proc/self/cgroup >/dev/null && echo there").out, "there\n", "the cgroup of a command")


@check
def cgroup_of_nothing(ctr):
    """ctr's way to say that it names none."""
    with ctr.container(options=("--cgroup", "")) as container:
        expect(container.status == "RUNNING", "it does not run")
        equal(container.exec("echo", "x").out, "x\n", "output")


@check
def devices_are_limited(ctr):
    # The messages of the kernel, which CAP_SYSLOG is enough for.
    result = ctr.run("sh", "-c", "mknod /tmp/n c 1 11 && echo made; true </tmp/n", options=("--cap-add", "CAP_SYSLOG"), status=1)
    matches(result.out + result.err, "(?i)made.*operation not permitted", "output and error")
    equal(ctr.shell("head -c 4 /dev/zero | od -An -tx1"), "00 00 00 00", "what comes from /dev/zero")


@check(short=True)
def limits_of_the_process(ctr):
    equal(ctr.shell("ulimit -n; ulimit -Hn"), "1024\n1024", "what ctr always sets")

    def change(spec):
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 300, "hard": 400}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    equal(ctr.configured(change, "sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c").out.split(), ["300", "400", "0"], "the limits")


@check
def limits_of_a_command(ctr):
    with ctr.container() as container:
        equal(container.exec("sh", "-c", "ulimit -n; ulimit -Hn").out.split(), ["1024", "1024"], "the limits")


@check
def oom_score(ctr):
    def change(spec):
        spec["process"]["oomScoreAdj"] = 300
    equal(ctr.configured(change, "cat", "/proc/self/oom_score_adj").out, "300\n", "the score")


@check
def unified_resources(ctr):
    """Files of v2 by their names."""
    if not ctr.v2:
        raise NotRun("only where the cgroup is one of v2")
    ctr.needs("pids")
    with ctr.configuration(resources(unified={"pids.max": "15"})) as container:
        equal(container.limit("", "pids.max"), "15", "the limit")


@check(short=True)
def events(ctr):
    """What containerd tells of a container: its events come from the runtime and the shim."""
    process = ctr.open("events")
    os.set_blocking(process.stdout.fileno(), False)
    seen = []

    def told(*wanted):
        def missing():
            seen.append((process.stdout.read() or b"").decode())
            return [pattern for pattern in wanted if not re.search(pattern, "".join(seen))]
        try:
            until("all is told", lambda: not missing())
        except Failed:
            raise Failed(f"ctr events says nothing of {missing()}, but {''.join(seen)!r}") from None
    try:
        # It tells nothing of what came before it.
        probe = 0
        while not readable(process.stdout):
            probe += 1
            ctr("images", "label", "localhost/box:1", f"probe={probe}")
        told("/images/update")
        with ctr.container() as container:
            told(f"/tasks/create .*{container.id}", f"/tasks/start .*{container.id}")
            container.exec("sh", "-c", "exit 5", status=5, options=())
            told("/tasks/exec-added", "/tasks/exec-started", r"/tasks/exit .*\"exit_status\":5")
            ctr("t", "pause", container.id)
            ctr("t", "resume", container.id)
            told("/tasks/paused", "/tasks/resumed")
            container.kill()
            told(r"/tasks/exit .*\"exit_status\":137")
            container.ended()
            ctr("t", "rm", container.id)
            # From 2.0 on the last word of a shim is lost at times, whatever the runtime.
            if ctr.version < (2,):
                told("/tasks/delete")
    finally:
        process.kill()
        process.communicate()


def readable(file):
    return select.select([file], [], [], 0.1)[0]


@check
def event_of_out_of_memory(ctr):
    ctr.needs("memory")
    process = ctr.open("events")
    try:
        until("containerd knows of the listener", lambda: ctr("images", "label", "localhost/box:1", "probe=oom") and readable(process.stdout))
        # The first process goes on: what ends with the whole container may end before its notice is read.
        script = "while :; do sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; done"
        with ctr.container("sh", "-c", script, options=("--memory-limit", str(16 << 20))) as container:
            while True:
                line = process.stdout.readline().decode()
                expect(line, "ctr events ended")
                if "/tasks/oom" in line:
                    expect(container.id in line, line)
                    break
    finally:
        process.kill()
        process.communicate()


@check
def nothing_of_a_cgroup_stays(ctr):
    """Of one that made cgroups of its own, too."""
    if not ctr.v2:
        raise NotRun("a container of v1 sees its cgroups read-only")

    def change(spec):
        spec["linux"]["namespaces"].append({"type": "cgroup"})
        spec["mounts"].append({"destination": "/cgroup", "type": "cgroup2", "source": "cgroup", "options": ["rw"]})
    equal(ctr.configured(change, "sh", "-c", "mkdir -p /cgroup/a/b && ls -d /cgroup/a/b").out, "/cgroup/a/b\n", "output")
    folder = hierarchies()["unified"]
    found = subprocess.run(["find", folder, "-name", "b"], capture_output=True, text=True, check=True).stdout
    equal(found, "", "what is left below")


@check
def controllers_of_a_container(ctr):
    """It is in every hierarchy that this view shows, each time below the same name."""
    with ctr.container() as container:
        found = [line.split(":", 2) for line in read(f"/proc/{container.pid}/cgroup").splitlines()]
        paths = {names.removeprefix("name=") or "unified": path for _, names, path in found}
        for controller in ctr.controllers if not ctr.v2 else ("unified",):
            expect(paths[controller].endswith(f"/default/{container.id}"), f"the cgroup of {controller} is {paths[controller]}")
