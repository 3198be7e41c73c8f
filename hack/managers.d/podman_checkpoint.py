"""What a user of checkpoints sees: `podman container checkpoint` and `restore`. Where CRIU does not know the kernel, a refusal."""

import os

from checks import NotRun, check, command, equal, expect, matches, read, until
from podman_setup import IMAGE

# Each line has a number, and what only this process knows.
COUNT = "read own </proc/sys/kernel/random/uuid; i=0; while :; do i=$((i+1)); echo $i $own; sleep 0.1; done"


def criu_works():
    # It raises limits of its own too, which newer ones do not try out in their check.
    may_raise = int(matches(read("/proc/self/status"), r"CapEff:\s+(\w+)", "our capabilities").group(1), 16) >> 24 & 1
    return bool(may_raise) and os.path.exists("/usr/sbin/criu") and command("/usr/sbin/criu", "check", status=None).status == 0


def needs_criu(podman):
    podman.needs_root("podman makes checkpoints as root only")
    if not criu_works():
        raise NotRun("CRIU does not work here: it needs CAP_SYS_RESOURCE, and `criu check` to succeed")


def numbers(podman, name):
    return [int(line.split()[0]) for line in podman("logs", name).out.splitlines()]


def owners(podman, name):
    return {line.split()[1] for line in podman("logs", name).out.splitlines()}


def counting(podman, *options):
    return podman.container(*options, process=("sh", "-c", COUNT))


def beyond(podman, name, number):
    until(f"the container counts beyond {number}", lambda: max(numbers(podman, name), default=0) > number, seconds=120)


@check
def checkpoint_without_criu_is_refused(podman):
    podman.needs_root("podman makes checkpoints as root only")
    if criu_works():
        raise NotRun("CRIU works here")
    with podman.container() as container:
        result = podman("container", "checkpoint", container.name, status=None)
        if podman.name not in ("crun", "runc"):
            equal(result.status, 125, "the status")
            matches(result.err, "(?i)checkpoint", "the error")
            expect('"level"' not in result.err and "panic" not in result.err, f"the error is for programs: {result.err}")
            equal(container.status, "running", "the status afterwards")


@check
def checkpoint_and_restore(podman):
    needs_criu(podman)
    with counting(podman) as container:
        beyond(podman, container.name, 3)
        podman("container", "checkpoint", container.name, timeout=120)
        equal(container.status, "exited", "the status after the checkpoint")
        last = numbers(podman, container.name)[-1]
        podman("container", "restore", container.name, timeout=120)
        equal(container.status, "running", "the status after the restore")
        beyond(podman, container.name, last + 3)
        found = numbers(podman, container.name)
        # Nothing was counted twice, and it has not begun anew.
        equal(found, list(range(1, len(found) + 1)), "what was counted")
        equal(container.exec("echo", "in").out, "in\n", "what a command says")


@check
def checkpoint_leaves_it_running(podman):
    needs_criu(podman)
    with counting(podman) as container:
        beyond(podman, container.name, 3)
        podman("container", "checkpoint", "--leave-running", container.name, timeout=120)
        equal(container.status, "running", "the status afterwards")
        beyond(podman, container.name, numbers(podman, container.name)[-1] + 3)


@check
def checkpoint_is_exported_and_imported(podman):
    needs_criu(podman)
    packed, copy = "/srv/data/checkpoint.tar.gz", "imported"
    with counting(podman, "-v", "/srv/data:/data:ro") as container:
        beyond(podman, container.name, 3)
        podman("container", "checkpoint", "--export", packed, container.name, timeout=120)
        last, before = numbers(podman, container.name)[-1], owners(podman, container.name)
    try:
        podman("container", "restore", "--import", packed, "--name", copy, timeout=120)
        equal(podman("inspect", "--format", "{{.State.Status}}", copy).out.strip(), "running", "the status of the copy")
        beyond(podman, copy, last)
        equal(owners(podman, copy), before, "the process that counts")
        result = podman("exec", copy, "sh", "-c", "echo x >/data/x", status=None)
        matches(result.err, "(?i)read-only", "the error of writing into a volume that is read-only")
    finally:
        podman("rm", "-f", "-t", "0", copy, status=None)
        os.remove(packed)
