"""Pause, stats, top, restart policies and health checks."""

import os

from checks import check, equal, expect, matches, processes, read, until
from docker_setup import DATA, IMAGE, WORK

COUNT = ("sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n >/tmp/n.new; mv /tmp/n.new /tmp/n; usleep 10000; done")
AGAIN = ("sh", "-c", "echo x >>/var/count; test $(wc -l </var/count) = 3 && exec sleep 1000")


@check(short=True)
def pause(docker):
    with docker.container(process=COUNT) as container:
        path = f"/proc/{container.pid}/root/tmp/n"
        until("it counts", lambda: os.path.exists(path) and int(read(path) or 0) > 3)
        docker("pause", container.name)
        equal(container.inspect("{{.State.Status}} {{.State.Paused}}"), "paused true", "the status")
        before = read(path)
        matches(container.exec("true", status=1).err, "(?i)is paused", "the error of exec")
        matches(docker("pause", container.name, status=1).err, "(?i)already paused", "the error of a second pause")
        equal(read(path), before, "the count, which must stand still,")
        docker("unpause", container.name)
        equal(container.status, "running", "the status")
        until("it counts on", lambda: int(read(path) or 0) > int(before))


@check
def remove_paused(docker):
    with docker.container() as container:
        docker("pause", container.name)
        docker("rm", "-f", container.name)


@check
def stop_paused(docker):
    with docker.container() as container:
        docker("pause", container.name)
        docker("stop", "-t", "0", container.name)
        equal(container.inspect("{{.State.Status}} {{.State.ExitCode}}"), "exited 137", "status and exit code")


@check(short=True)
def stats(docker):
    docker.needs("memory", "pids", "cpu")
    with docker.container("--memory", "64m", process=("sh", "-c", "sleep 1000 & sleep 1000 & wait")) as container:
        def one():
            return docker.json("stats", "--no-stream", container.name)[0]
        until("three processes", lambda: one()["PIDs"] == "3")
        matches(one()["MemUsage"], r"^[\d.]*[1-9][\d.]*[kKM]i?B / 64MiB", "the memory")
        matches(one()["CPUPerc"], r"^\d+\.\d+%$", "the processor")


@check(short=True)
def top(docker):
    with docker.container("--user", "1000", process=("sh", "-c", "sleep 1000 & wait")) as container:
        until("both are there", lambda: len(docker("top", container.name).out.splitlines()) == 3)
        said = docker("top", container.name).out
        matches(said, r"^UID +PID +PPID.*\n.*\bsh -c sleep.*\n.*\bsleep 1000\n$", "what top says")
        expect(str(container.pid) in said.split(), f"the process {container.pid} is not in {said}")
        matches(docker("top", container.name, "-o", "pid,comm").out, rf"{container.pid} +sh\n", "what top says of chosen columns")


@check(short=True)
def restart_on_failure(docker):
    with docker.container("--restart", "on-failure:2", process=("sh", "-c", "echo x >>/var/count; exit 3")) as container:
        until("it has been started three times", lambda: container.inspect("{{.RestartCount}} {{.State.Status}}") == "2 exited")
        equal(container.inspect("{{.State.ExitCode}}"), "3", "the exit code")
        docker("cp", f"{container.name}:/var/count", f"{DATA}/count")
        equal(read(f"{DATA}/count"), "x\n" * 3, "the starts")
        os.remove(f"{DATA}/count")


@check(short=True)
def restart_always(docker):
    for policy in ("always", "unless-stopped"):
        with docker.container("--restart", policy, process=AGAIN) as container:
            until("it has been started again and stays", lambda: container.inspect("{{.RestartCount}} {{.State.Status}}") == "2 running")
            docker("stop", "-t", "0", container.name)
            equal(container.status, "exited", "the status")


@check
def restart_of_what_was_killed(docker):
    with docker.container("--restart", "always") as container:
        before = container.pid
        os.kill(before, 9)
        until("there is another", lambda: container.inspect("{{.RestartCount}} {{.State.Status}}") == "1 running" and container.pid != before)
        # What the user kills stays dead.
        docker("kill", container.name)
        docker.ended(container)


@check(short=True)
def health(docker):
    with docker.container("--health-cmd", "test -e /tmp/well || { echo ill; exit 1; }", "--health-interval", "100ms", "--health-retries", "2") as container:
        until("it is ill", lambda: container.inspect("{{.State.Health.Status}}") == "unhealthy")
        expect(int(container.inspect("{{.State.Health.FailingStreak}}")) >= 2, "fewer failures than it takes")
        matches(container.inspect("{{json .State.Health.Log}}"), r'"ExitCode":1,"Output":"ill', "the log")
        equal([one["Names"] for one in docker.json("ps", "--filter", "health=unhealthy")], [container.inspect("{{.Name}}")[1:]], "the ill ones")
        container.exec("touch", "/tmp/well")
        until("it is well", lambda: container.inspect("{{.State.Health.Status}}") == "healthy")
        until("no failure is counted", lambda: container.inspect("{{.State.Health.FailingStreak}}") == "0")


@check
def health_too_late(docker):
    with docker.container("--health-cmd", "exec sleep 1000", "--health-interval", "100ms", "--health-timeout", "300ms", "--health-retries", "1") as container:
        until("it is ill", lambda: container.inspect("{{.State.Health.Status}}") == "unhealthy")
        matches(container.inspect("{{json .State.Health.Log}}"), "(?i)timeout", "the log")


@check
def health_of_bad_command(docker):
    with docker.container("--health-cmd", "/bin/nosuch", "--health-interval", "100ms", "--health-retries", "1") as container:
        until("it is ill", lambda: container.inspect("{{.State.Health.Status}}") == "unhealthy")
        matches(container.inspect("{{json .State.Health.Log}}"), '"ExitCode":127', "the log")


@check
def no_process_is_left_of_health_checks(docker):
    with docker.container("--health-cmd", "true", "--health-interval", "50ms") as container:
        until("it is well", lambda: container.inspect("{{.State.Health.Status}}") == "healthy")
        until("it has been asked often", lambda: container.inspect("{{len .State.Health.Log}}") == "5")
        docker("pause", container.name)
        docker("unpause", container.name)
    until("no call of the runtime is left", lambda: not [name for name in processes() if name.startswith(f"process {WORK}/bin/")])


@check(short=True)
def states(docker):
    with docker.container(detach=False) as container:
        equal(container.inspect("{{.State.Status}} {{.State.Running}} {{.State.Pid}}"), "created false 0", "the first state")
        docker("start", container.name)
        matches(container.inspect("{{.State.Status}} {{.State.Running}} {{.State.Pid}} {{.State.OOMKilled}} {{.State.Dead}} {{.State.Error}}."),
                r"^running true [1-9]\d* false false \.$", "the state")
        docker("kill", container.name)
        docker.ended(container)
        equal(container.inspect("{{.State.Running}} {{.State.Pid}} {{.State.ExitCode}}"), "false 0 137", "the last state")


@check(differs={"crun": "its texts are not those that docker knows"})
def error_in_the_state(docker):
    with docker.container(detach=False, process=("nosuch",)) as container:
        docker("start", container.name, status=1)
        equal(container.inspect("{{.State.Status}} {{.State.ExitCode}}"), "created 127", "status and exit code")
        matches(container.inspect("{{.State.Error}}"), r"nosuch.*executable file not found in \$PATH", "the error")


@check
def sizes_and_filters(docker):
    with docker.container("--name", "sized", process=("sh", "-c", "dd if=/dev/zero of=/file bs=1k count=100 2>/dev/null; exit 3")) as container:
        equal(docker("wait", container.name).out, "3\n", "the status")
        one = docker.json("ps", "-as", "--filter", "exited=3")[0]
        equal(one["Names"], "sized", "the one that ended with 3")
        matches(one["Size"], "^102kB", "its size")
        equal(docker("ps", "-q", "--filter", f"ancestor={IMAGE}").out, "", "those that run")
