"""Twenty at once, and podman killed in the middle."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from checks import check, equal, expect, processes, until, write
from podman_setup import IMAGE


@check(short=True)
def twenty_at_once(podman):
    numbers = range(20)
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(lambda number: podman("run", "-d", "--network", "none", "--name", f"c{number}", IMAGE, "sleep", "1000", timeout=240).out.strip(), numbers))
        try:
            equal(len(set(ids)), 20, "different names")
            said = list(pool.map(lambda number: podman("exec", f"c{number}", "echo", number, timeout=240).out, numbers))
            equal(said, [f"{number}\n" for number in numbers], "what they say")
            equal(len(podman("ps", "-q").out.split()), 20, "containers that run")
        finally:
            removed = list(pool.map(lambda number: podman("rm", "-f", "-t", "0", f"c{number}", timeout=240, status=None), numbers))
    # podman 4.3 loses its own storage's layer at times while others remove theirs; it warns, ends with 0 and keeps the container.
    for number, one in zip(numbers, removed):
        if "layer not known" in one.err:
            podman("rm", "-f", f"c{number}")
    equal(podman("ps", "-aq").out, "", "containers that are left")


@check
def twenty_short_ones_at_once(podman):
    # What one says that ends at once may be over before conmon takes podman's connection: it is in the logs.
    def one(number):
        with podman.container(process=("sh", "-c", f"echo {number}; exit {number}")) as container:
            return int(podman("wait", container.name).out), podman("logs", container.name).out
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(one, range(20)))
    equal(results, [(number, f"{number}\n") for number in range(20)], "statuses and output")


@check
def exec_ten_at_once(podman):
    with podman.container() as container, ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: container.exec("sh", "-c", f"echo {number}; exit {number}", status=None), range(10)))
        equal([(result.status, result.out) for result in results], [(number, f"{number}\n") for number in range(10)], "statuses and output")


@check
def podman_is_killed(podman):
    """At many moments of a run: what is left can be removed, and then nothing is."""
    for step in range(12):
        name = f"killed{step}"
        process = subprocess.Popen(podman.arguments("run", "--network", "none", "--name", name, IMAGE, "sleep", "1000"), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=podman.environment, preexec_fn=podman.become if podman.rootless else None)
        # The moment is what is varied.
        time.sleep(0.04 * (step + 1))
        process.kill()
        process.stdin.close()
        process.wait()
        podman("rm", "-f", "-t", "0", name, status=None)
        podman("container", "exists", name, status=1)
    podman.delete_forgotten()


@check
def conmon_is_killed(podman):
    with podman.container("--name", "orphan") as container:
        pid = container.pid
        monitor = int(container.inspect("{{.State.ConmonPid}}"))
        os.kill(monitor, signal.SIGKILL)
        until("conmon is gone", lambda: monitor not in processes().values())
        podman("rm", "-f", "-t", "0", "orphan", status=None)
        podman.delete_forgotten()
        until("the container is gone", lambda: pid not in processes().values())
        expect(podman("container", "exists", "orphan", status=None).status == 1, "podman still knows it")


CUT = """#!/bin/sh
case " $* " in
  *" create "*)
    exec 8>&-
    RUNTIME "$@" &
    usleep $(cat MOMENT)
    kill -KILL $! 2>/dev/null
    wait $!
    ;;
  *) exec RUNTIME "$@" ;;
esac
"""


@check(differs={"crun": "leaves cgroups", "runc": "leaves cgroups"})
def runtime_is_killed(podman):
    """The runtime dies at many moments of its create; podman says so, and nothing stays."""
    moment = write("/srv/data/moment", "0")
    wrapper = write("/srv/data/cut", CUT.replace("RUNTIME", podman.path).replace("MOMENT", moment).replace("usleep", "/bin/busybox usleep"), 0o755)
    died = 0
    for step in range(16):
        name = f"cut{step}"
        write(moment, str(step * 500))
        died += podman("run", "-d", "--network", "none", "--name", name, IMAGE, "sleep", "1000", runtime=wrapper, status=None).status != 0
        podman("rm", "-f", "-t", "0", name, runtime=wrapper, status=None)
        podman("container", "exists", name, status=1)
    podman.delete_forgotten()
    expect(died, "the runtime was always faster")
