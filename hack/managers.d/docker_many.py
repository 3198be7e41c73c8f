"""Twenty at once; clients, runtimes and daemons killed in the middle; daemons that come back."""

import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from checks import Machine, check, command, equal, expect, processes, record, until, write
from docker_setup import DATA, IMAGE, KEPT, state_folders


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


@check
def client_is_killed(docker):
    """At many moments of a run: what is left can be removed."""
    for step in range(8):
        name = f"killed{step}"
        process = subprocess.Popen(docker.arguments("run", "--network", "none", "--name", name, IMAGE, "sleep", "1000"), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=docker.environment)
        # The moment is what is varied.
        time.sleep(0.04 * (step + 1))
        process.kill()
        process.communicate()
        docker("rm", "-f", name, status=None)
    docker.remove_all()


CUT = """#!/bin/sh
case " $* " in
  *" create "*)
    RUNTIME "$@" &
    /bin/busybox usleep $(cat MOMENT)
    kill -KILL $! 2>/dev/null
    wait $!
    ;;
  *) exec RUNTIME "$@" ;;
esac
"""


@check(differs={"crun": "leaves cgroups and processes", "runc": "leaves cgroups and processes"})
def runtime_is_killed(docker):
    """The runtime dies at many moments of its create; the engine says so, and nothing stays."""
    moment = write(f"{DATA}/moment", "0")
    write(f"{DATA}/cut", CUT.replace("RUNTIME", docker.path).replace("MOMENT", moment), 0o755)
    died = 0
    for step in range(16):
        name = f"cut{step}"
        write(moment, str(step * 500))
        died += docker("run", "-d", "--network", "none", "--name", name, "--runtime", "cut", IMAGE, "sleep", "1000", status=None).status != 0
        docker("rm", "-f", name)
    delete_forgotten(docker)
    expect(died, "the runtime was always faster")


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
    killed(docker, lambda other, name: ("run", "--network", "none", "--name", name, IMAGE, "sleep", "1000"))


@check
def engine_is_killed_in_exec(docker):
    def arguments(other, name):
        other("run", "-d", "--network", "none", "--stop-timeout", "0", "--name", name, IMAGE, "sleep", "1000")
        return "exec", name, "sleep", "1000"
    killed(docker, arguments)


@check
def engine_is_killed_in_rm(docker):
    def arguments(other, name):
        other("run", "-d", "--network", "none", "--stop-timeout", "0", "--name", name, IMAGE, "sleep", "1000")
        return "rm", "-f", name
    killed(docker, arguments)


@check
def engine_is_killed_with_live_restore(docker):
    killed(docker, lambda other, name: ("run", "--network", "none", "--name", name, IMAGE, "sleep", "1000"), "--live-restore")


# What it was making the engine itself forgets, with any runtime: its folders, the pipes of the process.
FORGOTTEN = re.compile(r"^file /\S+/containerd/[0-9a-f]{64}$|^file /\S+/io.containerd.runtime.v2.task/moby/"
                       r"|^file /\S+/data/(containers|overlay2)/|^mount /\S+/overlay2/\w+/merged$")


def killed(docker, arguments, *options):
    """At many moments of what is asked for; the next one can remove all, and nothing is left."""
    with docker.second(*options) as other:
        other.run(IMAGE, "true")
        machine = Machine(state_folders(other), KEPT)
        for step in range(8):
            name = f"killed{step}"
            process = subprocess.Popen(other.arguments(*arguments(other, name)), stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=other.environment)
            # The moment is what is varied.
            time.sleep(0.04 * (step + 1))
            other.kill()
            process.communicate()
            other.start(*other.options)
            other("rm", "-f", name, status=None)
            equal(other("ps", "-aq").out, "", "containers that are left")
            delete_forgotten(other)
            other.end_shims()
            left = machine.left(1)
            record(f"after {0.04 * (step + 1):.2f} s: {left}")
            left = [one for one in left if not FORGOTTEN.search(one)]
            expect(not left, f"left behind after {0.04 * (step + 1):.2f} s: {', '.join(left)}")
            machine.take_stock()
