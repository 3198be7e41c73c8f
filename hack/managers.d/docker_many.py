"""Twenty at once; clients, runtimes and daemons killed in the middle; daemons that come back."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from checks import Machine, check, command, equal, expect, processes, record, until, write
from docker_setup import IMAGE, KEPT, state_folders
from moments import Cut


@check(short=True)
def twenty_at_once(docker):
    numbers = range(20)
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda number: docker("run", "-d", "--network", "none", "--name", f"c{number}", IMAGE, "sleep", "1000", timeout=240).out.strip(), numbers))
        try:
            equal(len(set(ids)), 20, "different names")
            told = list(pool.map(lambda number: docker("exec", f"c{number}", "echo", number, timeout=240).out, numbers))
            equal(told, [f"{number}\n" for number in numbers], "what they say")
            equal(len(docker("ps", "-q").out.split()), 20, "containers that run")
        finally:
            list(pool.map(lambda number: docker("rm", "-f", f"c{number}", timeout=240, status=None), numbers))
    equal(docker("ps", "-aq").out, "", "containers that are left")


@check
def twenty_short_ones_at_once(docker):
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: docker.run(IMAGE, "sh", "-c", f"echo {number}; exit {number}", status=None, timeout=240), range(20)))
    equal([(result.status, result.out) for result in results], [(number, f"{number}\n") for number in range(20)], "statuses and output")


@check
def twenty_on_the_bridge_at_once(docker):
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: docker.run(IMAGE, "sh", "-c", "ip -o -4 address show eth0 | wc -l", network="bridge", timeout=240).out, range(20)))
    equal(results, ["1\n"] * 20, "addresses")


@check
def exec_ten_at_once(docker):
    with docker.container() as container, ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: container.exec("sh", "-c", f"echo {number}; exit {number}", status=None), range(10)))
        equal([(result.status, result.out) for result in results], [(number, f"{number}\n") for number in range(10)], "statuses and output")


# The runtime's commands, each with docker's that needs it.
RUN, EXEC, RM = (("create", "run"), ("start", "run")), (("exec", "exec"),), (("delete", "rm"),)
PARTS = (0.2, 0.5, 0.8)


def in_the_middle(docker, moments):
    """docker's command, the name of its container and the runtime, each time that this is stopped in the middle of its own command."""
    cut = Cut(docker.path)
    run = ("run", "--runtime", "cut", "--network", "none", "--stop-timeout", "0")

    def arguments(verb, name, *options):
        if verb == "run":
            return *run, *options, "--name", name, IMAGE, "sleep", "1000"
        docker(*run, "-d", "--name", name, IMAGE, "sleep", "1000")
        return ("exec", *options, name, "sleep", "1000") if verb == "exec" else ("rm", "-f", name)

    def whole(verb):
        docker(*arguments(verb, "whole", "-d"))
        if verb != "rm":
            docker("rm", "-f", "whole")

    for call, verb in moments:
        for step, _ in enumerate(cut.each(call, "hold", lambda verb=verb: whole(verb), PARTS)):
            name = f"killed-{call}-{step}"
            process = subprocess.Popen(docker.arguments(*arguments(verb, name)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, env=docker.environment)
            cut.held()
            yield process, name, cut
            process.communicate(timeout=30)


@check
def client_is_killed(docker):
    """While the runtime is in the middle of what it asked for: what is left can be removed."""
    for process, name, cut in in_the_middle(docker, RUN + EXEC + RM):
        process.kill()
        cut.release()
        docker("rm", "-f", name, status=None)
    docker.remove_all()


def run_cut(docker, *options, **more):
    return docker("run", "-d", "--network", "none", "--runtime", "cut", *options, IMAGE, "sleep", "1000", **more)


def is_killed(docker, cut, verb):
    """The runtime in the middle of a command of a run; the engine says so."""
    for _ in cut.each(verb, "kill", lambda: docker("rm", "-f", run_cut(docker).out.strip())):
        result = run_cut(docker, "--name", "cut", status=None)
        # The engine takes the lack of a log for that of a command.
        expect(not cut.fell or result.status in (125, 127), f"{result}, expected 125 or 127")
        docker("rm", "-f", "cut")


@check(differs={"crun": "leaves cgroups and processes", "runc": "leaves cgroups and processes"})
def runtime_is_killed(docker):
    is_killed(docker, Cut(docker.path), "create")
    delete_forgotten(docker)


@check
def runtime_is_killed_in_exec(docker):
    cut = Cut(docker.path)
    with docker.container("--runtime", "cut") as container:
        for _ in cut.each("exec", "kill", lambda: container.exec("true"), PARTS):
            result = container.exec("true", status=None)
            expect(not cut.fell or result.status == 126, f"{result}, expected 126")
        equal(container.exec("echo", "x").out, "x\n", "output")


@check
def runtime_is_killed_in_start_and_delete(docker):
    """The engine forgets the container and its shim; whoever made it can still delete it."""
    cut = Cut(docker.path)
    is_killed(docker, cut, "start")
    for _ in cut.each("delete", "kill", lambda: docker("rm", "-f", run_cut(docker).out.strip()), PARTS):
        docker("rm", "-f", run_cut(docker).out.strip())
    delete_forgotten(docker)
    docker.end_shims()
    # containerd takes their folders away when it starts, nobody those of their streams.
    docker.restart()
    streams = f"{docker.run_folder}/containerd"
    for name in os.listdir(streams):
        if re.fullmatch("[0-9a-f]{64}", name):
            shutil.rmtree(f"{streams}/{name}")


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def delete_forgotten(docker):
    """What the engine lost sight of, the runtime that made it must be able to delete."""
    if os.path.isdir(docker.states):
        for id in command(docker.path, "--root", docker.states, "list", "-q").out.split():
            command(docker.path, "--root", docker.states, "delete", "--force", id)


@check(short=True)
def shim_is_killed(docker):
    with docker.container() as container:
        pid = container.pid
        shim = next(number for line, number in processes().items() if "containerd-shim" in line and container.name[:40] in line)
        os.kill(shim, 9)
        until("the container is gone", lambda: not alive(pid))
        docker.ended(container)
        docker("start", container.name)
        equal(container.exec("echo", "x").out, "x\n", "output of a second life")


@check(short=True)
def restart_of_the_engine(docker):
    """Without live restore all end with it, and those with a policy begin again."""
    with docker.second() as other:
        with other.container("--name", "again", "--stop-timeout", "0", "--restart", "always") as first, other.container("--name", "once", "--stop-timeout", "0") as second:
            pids = {first.pid, second.pid}
            other.stop()
            expect(not [pid for pid in pids if alive(pid)], "the containers run without the engine")
            other.start()
            until("the first runs again", lambda: first.status == "running")
            expect(first.pid not in pids, "the same process")
            equal(second.inspect("{{.State.Status}} {{.State.ExitCode}}"), "exited 137", "the second's status and exit code")
            equal(first.exec("echo", "x").out, "x\n", "output")


@check(short=True)
def live_restore(docker):
    """Containers outlive the engine, ended and killed."""
    with docker.second("--live-restore") as other:
        for end in (other.stop, other.kill):
            with other.container("--name", "stays", process=("sh", "-c", "trap 'exit 6' TERM; while :; do echo x; usleep 100000; done")) as container, \
                    other.container("--name", "ends", process=("sh", "-c", "until test -e /go; do usleep 20000; done; exit 5")) as short:
                pid, ending = container.pid, short.pid
                end()
                expect(alive(pid), "the container ended with the engine")
                write(f"/proc/{ending}/root/go", "")
                until("the other has ended", lambda: not alive(ending))
                other.start(*other.options)
                equal(container.pid, pid, "the process")
                equal(container.status, "running", "the status")
                # Newer ones say so where they did not see the end themselves, whatever the runtime.
                equal(until("the end of the other is known", lambda: short.status == "exited" and short.inspect("{{.State.ExitCode}}")),
                      "5" if other.version < (21,) else "255", "its exit code")
                equal(container.exec("echo", "x").out, "x\n", "output of exec")
                other("pause", container.name)
                other("unpause", container.name)
                lines = len(other("logs", container.name).out.splitlines())
                until("there are more lines", lambda: len(other("logs", container.name).out.splitlines()) > lines)
                other("stop", "-t", "60", container.name)
                equal(container.inspect("{{.State.ExitCode}}"), "6", "the exit code")


@check
def engine_is_killed_in_run(docker):
    engine_is_killed(docker, RUN)


@check
def engine_is_killed_in_exec(docker):
    engine_is_killed(docker, EXEC)


@check
def engine_is_killed_in_rm(docker):
    engine_is_killed(docker, RM)


@check
def engine_is_killed_with_live_restore(docker):
    engine_is_killed(docker, RUN, "--live-restore")


# What it was making the engine itself forgets, with any runtime: its folders, the pipes of the process.
FORGOTTEN = re.compile(r"^file /\S+/containerd/[0-9a-f]{64}$|^file /\S+/io.containerd.runtime.v2.task/moby/"
                       r"|^file /\S+/data/(containers|overlay2)/|^mount /\S+/overlay2/\w+/merged$")


def engine_is_killed(docker, moments, *options):
    """While the runtime is in the middle of what it asked for; the next one can remove all, and nothing is left."""
    with docker.second(*options) as other:
        other.run(IMAGE, "true")
        machine = Machine(state_folders(other), KEPT)
        for process, name, cut in in_the_middle(other, moments):
            other.kill()
            cut.release()
            process.wait(30)
            other.start(*other.options)
            other("rm", "-f", name, status=None)
            equal(other("ps", "-aq").out, "", "containers that are left")
            delete_forgotten(other)
            other.end_shims()
            left = machine.left(1)
            record(f"{name}: {left}")
            left = [one for one in left if not FORGOTTEN.search(one)]
            expect(not left, f"left behind after {name}: {', '.join(left)}")
            machine.take_stock()
