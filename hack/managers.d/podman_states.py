"""Pause, stats, top, restart policies and health checks."""

import json
import os

from checks import NotRun, check, equal, expect, matches, read, until

COUNT = ("sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n >/tmp/n.new; mv /tmp/n.new /tmp/n; usleep 10000; done")


def needs_a_freezer(podman):
    if podman.rootless and not podman.v2:
        raise NotRun("podman pauses no container of v1 without root")


@check(short=True)
def pause(podman):
    needs_a_freezer(podman)
    with podman.container(process=COUNT) as container:
        path = f"/proc/{container.pid}/root/tmp/n"
        until("it counts", lambda: os.path.exists(path) and int(read(path) or 0) > 3)
        podman("pause", container.name)
        equal(container.status, "paused", "the status")
        before = read(path)
        result = container.exec("true", status=None)
        expect(result.status != 0, "a process was started in it")
        matches(podman("stop", container.name, status=125).err, "(?i)paused", "the error of stop")
        equal(read(path), before, "the count, which must stand still,")
        podman("unpause", container.name)
        equal(container.status, "running", "the status")
        until("it counts on", lambda: int(read(path) or 0) > int(before))


@check
def remove_paused(podman):
    needs_a_freezer(podman)
    with podman.container() as container:
        podman("pause", container.name)
        podman("rm", "-f", "-t", "0", container.name)


@check(short=True)
def stats(podman):
    podman.needs("memory", "pids")
    with podman.container(process=("sh", "-c", "sleep 1000 & sleep 1000 & wait")) as container:
        one = podman.json("stats", "--no-stream", "--format", "json", container.name)[0]
        matches(one["mem_usage"], r"^[\d.]*[1-9][\d.]*[kM]B / ", "the memory")
        until("three processes", lambda: podman.json("stats", "--no-stream", "--format", "json", container.name)[0]["pids"] == "3")


@check(short=True)
def top(podman):
    with podman.container("--user", "1000") as container:
        equal(podman("top", container.name, "pid", "comm", "user").out.split(), ["PID", "COMMAND", "USER", "1", "sleep", "user"], "what top says")
        matches(podman("top", container.name, "hpid", "capeff", "seccomp").out, rf"{container.pid}\s+none\s+filter", "what top says")


@check
def top_by_ps(podman):
    with podman.container() as container:
        matches(podman("top", container.name, "-o", "pid,args").out, r"1\s+sleep 1000", "what ps says")


@check(short=True)
def restart_on_failure(podman):
    with podman.container("--restart", "on-failure:2", process=("sh", "-c", "echo x >>/var/count; exit 3")) as container:
        until("it has been started three times", lambda: container.inspect("{{.RestartCount}} {{.State.Status}}") == "2 exited")
        equal(container.inspect("{{.State.ExitCode}}"), "3", "the exit code")
        podman("cp", f"{container.name}:/var/count", f"{podman.home}/count")
        equal(read(f"{podman.home}/count"), "x\n" * 3, "the starts")


@check
def restart_always(podman):
    with podman.container("--restart", "always", process=("sh", "-c", "echo x >>/var/count; test $(wc -l </var/count) = 3 && exec sleep 1000")) as container:
        until("it has been started again and stays", lambda: container.inspect("{{.RestartCount}} {{.State.Status}}") == "2 running")
        until("it sleeps", lambda: "sleep" in read(f"/proc/{container.pid}/comm"))
        podman("stop", "-t", "0", container.name)
        podman.ended(container)


@check(short=True)
def health(podman):
    # No timer: without systemd nobody would wake it.
    with podman.container("--health-cmd", "test -e /tmp/well", "--health-interval", "disable", "--health-retries", "2") as container:
        equal(container.inspect("{{.State.Health.Status}}"), "starting", "the first status")
        podman("healthcheck", "run", container.name, status=1)
        podman("healthcheck", "run", container.name, status=1)
        equal(container.inspect("{{.State.Health.Status}}"), "unhealthy", "the status after two failures")
        container.exec("touch", "/tmp/well")
        podman("healthcheck", "run", container.name)
        equal(container.inspect("{{.State.Health.Status}}"), "healthy", "the status")


@check
def health_of_bad_command(podman):
    with podman.container("--health-cmd", '["/bin/nosuch"]', "--health-interval", "disable", "--health-retries", "1") as container:
        result = podman("healthcheck", "run", container.name, status=None)
        expect(result.status in (1, 125), result)


@check
def notify(podman):
    # conmon's socket of sd_notify: podman waits for the word of the container.
    with podman.container("--sdnotify", "container", process=("sh", "-c", "test -S $NOTIFY_SOCKET && echo there; sleep 1000")) as container:
        expect(container.pid > 0, "no process id")


@check
def stats_of_a_pod_and_ps(podman):
    with podman.container() as container:
        known = json.loads(podman("ps", "-a", "--size", "--format", "json").out)
        equal([one["Id"] for one in known], [container.name], "what ps lists")


@check
def info_names_the_runtime(podman):
    known = podman.json("info", "--format", "json")["host"]["ociRuntime"]
    equal(known["path"], podman.path, "the path")
    matches(known["version"], r"version \S+", "the version")

