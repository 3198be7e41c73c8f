"""Limits that docker and podman are asked for in the same words. Each registers these checks."""

import os

from checks import NotRun, equal, expect, read

# What 512 shares are as a weight, by the old formula and by that of runc 1.4 and crun 1.23.
WEIGHTS = ("20", "59")


def memory(manager):
    manager.needs("memory")
    with manager.container("--memory", "64m") as container:
        equal(container.limit("memory/memory.limit_in_bytes", "memory.max"), str(64 << 20), "the limit")


def memory_swap_and_reservation(manager):
    manager.needs("memory")
    with manager.container("--memory", "64m", "--memory-swap", "96m", "--memory-reservation", "32m") as container:
        equal(container.limit("memory/memory.soft_limit_in_bytes", "memory.low"), str(32 << 20), "the reservation")
        if not manager.v2 and not os.path.exists(container.cgroup("memory") + "/memory.memsw.limit_in_bytes"):
            raise NotRun("this kernel does not count swap")
        equal(container.limit("memory/memory.memsw.limit_in_bytes", "memory.swap.max"), str((32 if manager.v2 else 96) << 20), "the limit of swap")


def cpu(manager):
    manager.needs("cpu")
    with manager.container("--cpus", "0.5", "--cpu-shares", "512") as container:
        if manager.v2:
            equal(read(container.cgroup("unified") + "/cpu.max").strip(), "50000 100000", "the limit")
            expect(read(container.cgroup("unified") + "/cpu.weight").strip() in WEIGHTS, "the weight is another")
        else:
            equal(read(container.cgroup("cpu") + "/cpu.cfs_quota_us").strip(), "50000", "the quota")
            equal(read(container.cgroup("cpu") + "/cpu.shares").strip(), "512", "the shares")


def cpuset(manager):
    manager.needs("cpuset")
    with manager.container("--cpuset-cpus", "0", "--cpuset-mems", "0") as container:
        equal(container.exec("grep", "Cpus_allowed_list", "/proc/self/status").out.split()[1], "0", "the processors")
        equal(container.limit("cpuset/cpuset.cpus", "cpuset.cpus"), "0", "the set")


def oom_score(manager):
    equal(manager.shell("cat /proc/self/oom_score_adj", "--oom-score-adj", "300"), "300", "the score")
