"""Twenty at once, and podman killed in the middle."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from checks import check, equal, expect, processes, until
from moments import Cut
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
    # podman 4 loses its own storage's layer at times while others remove theirs; it warns, ends with 0 and keeps the container.
    for number, one in zip(numbers, removed):
        if "layer not known" in one.err and podman.version < (5,):
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
    """While the runtime is in the middle of what it asked for: what is left can be removed, and then nothing is."""
    cut = Cut(podman.path)

    def begin(verb, name):
        if verb != "run":
            podman("run", "-d", "--network", "none", "--name", name, IMAGE, "sleep", "1000", runtime=cut.path)
        return {"run": ("run", "-d", "--network", "none", "--name", name, IMAGE, "sleep", "1000"),
                "exec": ("exec", "-d", name, "sleep", "1000"), "rm": ("rm", "-f", "-t", "0", name)}[verb]

    def whole(verb):
        podman(*begin(verb, "whole"), runtime=cut.path)
        podman("rm", "-f", "-t", "0", "-i", "whole", runtime=cut.path)

    for command, verb in (("create", "run"), ("start", "run"), ("exec", "exec"), ("delete", "rm")):
        for step, _ in enumerate(cut.each(command, "hold", lambda verb=verb: whole(verb), (0.2, 0.5, 0.8))):
            name = f"killed-{command}-{step}"
            process = subprocess.Popen(podman.arguments(*begin(verb, name), runtime=cut.path), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, env=podman.environment, preexec_fn=podman.become if podman.rootless else None)
            cut.held()
            process.kill()
            cut.release()
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


@check(differs={"crun": "leaves cgroups", "runc": "leaves cgroups"})
def runtime_is_killed(podman):
    """In the middle of each of its commands; podman says so, and nothing stays."""
    cut = Cut(podman.path)

    def run(*options, **more):
        return podman("run", "-d", "--network", "none", *options, IMAGE, "sleep", "1000", runtime=cut.path, **more)

    def remove(name):
        podman("rm", "-f", "-t", "0", name, runtime=cut.path, status=None)
        podman("container", "exists", name, status=1)

    for verb in ("create", "start"):
        for _ in cut.each(verb, "kill", lambda: remove(run().out.strip())):
            result = run("--name", "cut", status=None)
            expect(not cut.fell or result.status in (125, 126, 127), f"{result}, expected 125 to 127")
            remove("cut")
    with podman.container(runtime=cut.path) as container:
        for _ in cut.each("exec", "kill", lambda: container.exec("true", runtime=cut.path), (0.2, 0.5, 0.8)):
            result = container.exec("true", runtime=cut.path, status=None)
            expect(not cut.fell or result.status in (125, 126, 127, 255), f"{result}, expected an error")
        equal(container.exec("echo", "x").out, "x\n", "output")
    for _ in cut.each("delete", "kill", lambda: remove(run().out.strip()), (0.2, 0.5, 0.8)):
        remove(run().out.strip())
    podman.delete_forgotten()
