"""Limits, their changes, and what was used."""

import math
import signal
import time

from checks import SYSTEMD, check, equal, expect, until
from cri_messages import CREATED, POD, RUNNING

MIB = 1 << 20


def shares(container, expected):
    """The shares of a container; on v2 what is expected, if the weight is one that runtimes make of it."""
    found = container.limit("cpu/cpu.shares", "cpu.weight")
    if not container.cri.v2:
        return int(found)
    # First it was a straight line, since 2025 a curve on which the default of the one is that of the other.
    power = math.log2(expected)
    weights = 1 + (expected - 2) * 9999 // 262142, math.ceil(10 ** (power * power / 612 + 125 * power / 612 - 7 / 34))
    return expected if int(found) in weights else f"weight {found}"


@check(short=True)
def limits(cri):
    cri.needs("memory")
    with cri.pod() as pod:
        container = pod.run(resources={"cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000, "memory_limit_in_bytes": 64 * MIB, "cpuset_cpus": "0"})
        equal(shares(container, 512), 512, "the shares")
        if cri.v2:
            equal(container.limit("", "cpu.max"), "50000 100000", "the quota")
        else:
            equal((container.limit("cpu/cpu.cfs_quota_us", ""), container.limit("cpu/cpu.cfs_period_us", "")), ("50000", "100000"), "quota and period")
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(64 * MIB), "the memory")
        equal(container.limit("cpuset/cpuset.cpus", "cpuset.cpus"), "0", "the processors")
        equal(container.exec("grep", "Cpus_allowed_list", "/proc/self/status").split()[1], "0", "the processors of a command")
        parent = pod.config["linux"]["cgroup_parent"]
        expect(f"{parent}/" + (f"cri-containerd-{container.id}.scope" if SYSTEMD else container.id) in container.cgroup("unified" if cri.v2 else "memory"), "it is not below the cgroup of the pod")


@check(short=True, differs={"crun": "cannot take a quota off again"})
def update(cri):
    cri.needs("memory")
    with cri.pod() as pod:
        container = pod.run(resources={"cpu_shares": 512, "memory_limit_in_bytes": 64 * MIB})

        def has(what, share, quota, memory):
            found = container.limit("cpu/cpu.cfs_quota_us", "cpu.max"), container.limit("memory/memory.limit_in_bytes", "memory.max")
            quota = (f"{quota} 100000" if quota > 0 else "max 100000") if cri.v2 else str(quota)
            equal((shares(container, share), *found), (share, quota, str(memory)), f"shares, quota and memory {what}")
        has("as made", 512, -1, 64 * MIB)
        container.update(cpu_shares=1024, cpu_quota=20000, cpu_period=100000)
        has("after cpu", 1024, 20000, 64 * MIB)
        container.update(memory_limit_in_bytes=128 * MIB)
        has("after memory", 1024, 20000, 128 * MIB)
        # What was set once is the beginning of the next one.
        container.update(cpuset_cpus="0")
        has("after the processors", 1024, 20000, 128 * MIB)
        equal(container.limit("cpuset/cpuset.cpus", "cpuset.cpus"), "0", "the processors")
        container.update(cpu_quota=-1)
        has("after the quota was taken off", 1024, -1, 128 * MIB)
        equal(container.status.state, RUNNING, "the state")


@check
def update_before_the_start(cri):
    cri.needs("memory")
    with cri.pod() as pod:
        container = pod.create("sleep", "1000", resources={"memory_limit_in_bytes": 64 * MIB})
        container.update(memory_limit_in_bytes=32 * MIB, cpu_shares=300)
        equal(container.status.state, CREATED, "the state")
        container.start()
        equal((container.limit("memory/memory.limit_in_bytes", "memory.max"), shares(container, 300)), (str(32 * MIB), 300), "memory and shares")


@check
def update_that_cannot_be_done(cri):
    cri.needs("cpuset")
    with cri.container() as container:
        before = container.limit("cpuset/cpuset.cpus", "cpuset.cpus.effective")
        cri.refused("(?i)cpuset.cpus", container.update, cpuset_cpus="4000")
        equal((container.limit("cpuset/cpuset.cpus", "cpuset.cpus.effective"), container.status.state), (before, RUNNING), "the processors and the state")
        # The next one is not spoilt by what was refused.
        container.update(cpu_shares=77)
        equal(shares(container, 77), 77, "the shares")


@check(short=True)
def memory_that_runs_out(cri):
    cri.needs("memory")
    with cri.pod() as pod:
        limits = {"memory_limit_in_bytes": 16 * MIB, "memory_swap_limit_in_bytes": 16 * MIB}
        container = pod.run("dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", resources=limits)
        equal(container.ended().exit_code, 137, "the code")
        until("the reason is told", lambda: container.status.reason == "OOMKilled")
        # The next one of the pod has its own memory.
        equal(pod.output("echo there"), "there", "output")


@check(differs={"crun": "the kernel may take the container, whose score is higher than a command's"})
def memory_of_a_command_that_runs_out(cri):
    cri.needs("memory")
    with cri.pod() as pod:
        container = pod.run(resources={"memory_limit_in_bytes": 16 * MIB, "memory_swap_limit_in_bytes": 16 * MIB})
        equal(container.try_exec("dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1").exit_code, 137, "the code of the command")
        equal((container.status.state, container.exec("echo", "there")), (RUNNING, "there"), "the container")


BUSY = ("sh", "-c", "n=0; while [ $n -lt 200000 ]; do n=$((n + 1)); done; echo worked; exec sleep 100000")


def used(stats):
    return stats.cpu.usage_core_nano_seconds.value


@check(short=True)
def stats_of_a_container(cri):
    cri.needs("memory")
    with cri.pod(labels={"app": "busy"}) as pod:
        container, other = pod.run(*BUSY, labels={"app": "busy"}), pod.run()
        container.says("worked")
        stats = container.stats
        equal((stats.attributes.id, stats.attributes.metadata.name), (container.id, container.name), "whose they are")
        now = time.time_ns()
        expect(10_000_000 < used(stats) < 100_000_000_000 and 0 < stats.cpu.timestamp <= now, f"the time of processors is {stats.cpu}")
        memory = stats.memory
        expect(0 < memory.working_set_bytes.value < 1 << 30 and memory.usage_bytes.value >= memory.rss_bytes.value > 0, f"the memory is {memory}")
        equal({item.attributes.id for item in cri("ListContainerStats").stats}, {container.id, other.id}, "all")
        equal({item.attributes.id for item in cri("ListContainerStats", filter={"label_selector": {"app": "busy"}}).stats}, {container.id}, "by label")
        before = used(container.stats)
        container.shell("n=0; while [ $n -lt 100000 ]; do n=$((n + 1)); done")
        expect(used(container.stats) > before + 1_000_000, "a command has used nothing")
        container.stop()
        equal({item.attributes.id: bool(used(item)) for item in cri("ListContainerStats").stats}, {container.id: False, other.id: True}, "in the end")


@check(short=True)
def stats_of_a_pod(cri):
    cri.needs("memory")
    with cri.pod(network=POD) as pod, cri.pod() as other:
        container = pod.run(*BUSY)
        container.says("worked")
        container.exec("ping", "-c", "1", "-W", "5", "10.85.0.1")
        stats = cri("PodSandboxStats", pod_sandbox_id=pod.id).stats
        linux = stats.linux
        equal((stats.attributes.id, [item.attributes.id for item in linux.containers]), (pod.id, [container.id]), "whose they are")
        expect(used(linux) >= used(linux.containers[0]) > 0 and linux.memory.working_set_bytes.value > 0, f"the stats are {linux}")
        equal(linux.network.default_interface.name, "eth0", "the link")
        expect(linux.network.default_interface.rx_bytes.value > 0 and linux.network.default_interface.tx_bytes.value > 0, f"the network is {linux.network}")
        expect(linux.process.process_count.value >= 1, f"the processes are {linux.process}")
        equal({item.attributes.id for item in cri("ListPodSandboxStats").stats}, {pod.id, other.id}, "the stats of all")


@check
def quota_holds_back(cri):
    with cri.pod() as pod:
        container = pod.run("sh", "-c", "while :; do :; done", resources={"cpu_quota": 5000, "cpu_period": 100000})
        before, start = used(container.stats), time.monotonic()
        until("two seconds have gone", lambda: time.monotonic() > start + 2)
        share = (used(container.stats) - before) / 1e9 / (time.monotonic() - start)
        expect(0 < share < 0.2, f"it has used {share:.2f} of a processor, expected about 0.05")
        container.stop()
        equal(container.status.exit_code, 128 + signal.SIGKILL, "the code")
