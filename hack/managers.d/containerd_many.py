"""Twenty at once, a containerd that is restarted, and what dies in the middle."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

from checks import check, equal, expect, processes, until
from containerd_setup import Container
from moments import Cut


@check(short=True)
def twenty_at_once(ctr):
    numbers = range(20)
    ids = [f"m{number}" for number in numbers]
    try:
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda id: ctr.start(id=id, timeout=240), ids))
            equal(len([one for one in ctr.tasks().values() if one[1] == "RUNNING"]), 20, "containers that run")
            said = list(pool.map(lambda id: ctr.answers(ctr.open("t", "exec", "--exec-id", "e", id, "sh", "-c", f"echo {id}; read line")), ids))
            equal(said, [(f"{id}\n", "", 0) for id in ids], "what they say")
    finally:
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda id: ctr.remove(id), ids))
    equal(ctr.containers(), [], "containers that are left")


@check
def twenty_short_ones_at_once(ctr):
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: ctr.answers(ctr.popen("sh", "-c", f"echo {number}; read line; exit {number}", id=f"s{number}")), range(20)))
    equal(results, [(f"{number}\n", "", number) for number in range(20)], "output, errors and status")


@check
def exec_ten_at_once(ctr):
    with ctr.container() as container, ThreadPoolExecutor(10) as pool:
        def one(number):
            return ctr.answers(ctr.open("t", "exec", "--exec-id", f"e{number}", container.id, "sh", "-c", f"echo {number}; read line; exit {number}"))
        results = list(pool.map(one, range(10)))
        equal(results, [(f"{number}\n", "", number) for number in range(10)], "output, errors and status")


@check(short=True)
def containers_survive_a_restart(ctr):
    with ctr.container() as container, ctr.container() as ended:
        pid, shim = container.pid, ctr.daemon.shims(container.id)
        ctr.daemon.stop()
        # While nobody looks.
        os.kill(processes_of(ctr, ended.id), signal.SIGKILL)
        ctr.daemon.start()
        equal((container.status, container.pid, ctr.daemon.shims(container.id)), ("RUNNING", pid, shim), "status, process and shim")
        # From 2.0 on there is no task any more.
        until("the end is known", lambda: ended.status == ("STOPPED" if ctr.version < (2,) else None))
        equal(container.exec("echo", "x").out, "x\n", "output")
        ctr("t", "pause", container.id)
        ctr("t", "resume", container.id)
        container.kill()
        container.ended()
        ctr("t", "rm", container.id)


def processes_of(ctr, id):
    with open(f"{ctr.daemon.state}/io.containerd.runtime.v2.task/default/{id}/init.pid", encoding="utf-8") as file:
        return int(file.read())


@check
def paused_container_survives_a_restart(ctr):
    with ctr.container() as container:
        ctr("t", "pause", container.id)
        ctr.daemon.restart()
        equal(container.status, "PAUSED", "the status")
        ctr("t", "resume", container.id)
        equal(container.exec("echo", "x").out, "x\n", "output")


@check
def containerd_is_killed_and_comes_back(ctr):
    with ctr.container() as container:
        pid = container.pid
        ctr.daemon.kill()
        ctr.daemon.start()
        equal((container.status, container.pid), ("RUNNING", pid), "status and process")
        equal(container.exec("echo", "x").out, "x\n", "output")


@check
def shim_is_killed(ctr):
    """containerd takes away what is left by the runtime's delete --force."""
    id = ctr.name()
    try:
        container = ctr.start(id=id)
        pid = container.pid
        shim, = ctr.daemon.shims(id)
        os.kill(shim, signal.SIGKILL)
        until("the container is gone", lambda: pid not in processes().values())
        until("its state is gone", lambda: not os.path.exists(f"{ctr.daemon.state}/runc/default/{id}"))
        until("its task is gone", lambda: id not in ctr.tasks())
    finally:
        ctr.remove(id)
        ctr.clear_streams()


@check
def shim_is_killed_with_a_command(ctr):
    id = ctr.name()
    try:
        container = ctr.start("sh", "-c", "sleep 1021 & exec sleep 1022", id=id)
        process = ctr.open("t", "exec", "--exec-id", "e", id, "sh", "-c", "echo ready; exec sleep 1023")
        equal(process.stdout.readline(), b"ready\n", "the first line")
        pids = {container.pid, processes()["process sleep 1023"]}
        os.kill(ctr.daemon.shims(id)[0], signal.SIGKILL)
        until("all of it is gone", lambda: not pids & set(processes().values()))
        process.kill()
        process.communicate(timeout=30)
        until("its task is gone", lambda: id not in ctr.tasks())
    finally:
        ctr.remove(id)
        ctr.clear_streams()


@check
def shim_of_a_paused_one_is_killed(ctr):
    id = ctr.name()
    try:
        container = ctr.start(id=id)
        pid = container.pid
        ctr("t", "pause", id)
        os.kill(ctr.daemon.shims(id)[0], signal.SIGKILL)
        until("the container is gone", lambda: pid not in processes().values())
        until("its task is gone", lambda: id not in ctr.tasks())
    finally:
        ctr.remove(id)
        ctr.clear_streams()


@check
def shim_and_containerd_are_killed(ctr):
    """Nobody is there who could take it away, until containerd starts."""
    id = ctr.name()
    try:
        container = ctr.start(id=id)
        pid = container.pid
        ctr.daemon.kill()
        for shim in ctr.daemon.shims(id):
            os.kill(shim, signal.SIGKILL)
        ctr.daemon.start()
        until("the container is gone", lambda: pid not in processes().values())
        equal(ctr.tasks(), {}, "the tasks")
    finally:
        ctr.remove(id)
        ctr.clear_streams()


@check
def container_dies_without_the_shim_asking(ctr):
    with ctr.container() as container:
        os.kill(container.pid, signal.SIGKILL)
        container.ended()
        ctr("t", "rm", container.id)


def run_and_kill(ctr, what):
    """While the runtime is in the middle of each command of a run: `what` kills who asked. Then all can be removed."""
    cut, step = Cut(ctr.runtime), 0

    def one(process):
        cut.held()
        what(process)
        cut.release()
        process.communicate(timeout=30)

    for verb, command in (("create", ("sleep", "1000")), ("start", ("sleep", "1000")), ("delete", ("true",))):
        for _ in cut.each(verb, "hold", lambda: ctr.run("true", runtime=cut.path), (0.2, 0.5, 0.8)):
            step += 1
            one(ctr.popen(*command, id=f"k{step}", runtime=cut.path))
            ended(ctr, f"k{step}")
        # Nobody else has the runtime delete something meanwhile.
        ctr.end_forgotten_shims()
    with ctr.container(runtime=cut.path) as container:
        for _ in cut.each("exec", "hold", lambda: container.exec("true"), (0.2, 0.5, 0.8)):
            # The shim waits for ever for a reader of its streams.
            one(ctr.open("t", "exec", "--exec-id", ctr.name("exec"), "--log-uri", "file:///srv/data/log", container.id, "sleep", "1000"))
            equal(container.status, "RUNNING", "the status of the container")


@check
def ctr_is_killed(ctr):
    run_and_kill(ctr, lambda process: process.kill())


def ended(ctr, id):
    """A create that nobody waits for any more is still at work: once it is done, all can go."""
    until(f"{id} can be removed", lambda: ctr("t", "rm", "--force", id, status=None) and id not in ctr.tasks()
          and (id not in ctr.containers() or ctr("c", "rm", id, status=None).status == 0))


@check(differs={"crun": "leaves cgroups", "runc": "leaves cgroups"})
def containerd_is_killed_in_the_middle(ctr):
    def both(process):
        ctr.daemon.kill()
        process.kill()
        ctr.daemon.start()
    run_and_kill(ctr, both)


@check(differs={"crun": "leaves cgroups or a state", "runc": "leaves cgroups or a state"})
def runtime_is_killed_in_create(ctr):
    runtime_is_killed(ctr, "create")


@check
def runtime_is_killed_in_start(ctr):
    runtime_is_killed(ctr, "start")


def runtime_is_killed(ctr, verb):
    cut = Cut(ctr.runtime)
    for _ in cut.each(verb, "kill", lambda: ctr.run("true", runtime=cut.path)):
        id = ctr.name()
        result = ctr.run("true", id=id, runtime=cut.path, status=None)
        expect(not cut.fell or result.status == 1, f"{result}, expected 1")
        ended(ctr, id)
    ctr.delete_forgotten()


@check
def runtime_is_killed_in_exec(ctr):
    cut = Cut(ctr.runtime)
    with ctr.container(runtime=cut.path) as container:
        for _ in cut.each("exec", "kill", lambda: container.exec("true")):
            result = container.exec("true", status=None, timeout=20)
            expect(not cut.fell or result.status != 0, f"{result}, expected an error")
        equal(container.status, "RUNNING", "the status of the container")
        equal(container.exec("echo", "x").out, "x\n", "output")


@check(differs={"crun": "leaves a mount in /tmp now and then"})
def runtime_is_killed_in_delete(ctr):
    """containerd forgets the container; whoever made it can still delete it."""
    cut = Cut(ctr.runtime)
    for _ in cut.each("delete", "kill", lambda: ctr.run("true", runtime=cut.path)):
        id = ctr.name()
        ctr.run("true", id=id, runtime=cut.path, status=None)
        ended(ctr, id)
    ctr.delete_forgotten()


@check
def start_and_end_again(ctr):
    """The same name, one after another."""
    for number in range(10):
        equal(ctr.run("echo", number, id="again").out, f"{number}\n", "output")


@check
def kill_while_it_starts(ctr):
    cut = Cut(ctr.runtime)
    for verb in ("create", "start"):
        for _ in cut.each(verb, "hold", lambda: ctr.run("true", runtime=cut.path), (0.3, 0.7)):
            id = ctr.name()
            process = ctr.popen("sleep", "1000", id=id, runtime=cut.path)
            cut.held()
            killer = ctr.open("t", "kill", "-s", "SIGKILL", id)
            cut.release()
            killer.communicate(timeout=30)
            # Before there is a task there is nothing to kill.
            until("it is killed", lambda: killer.returncode == 0 or Container(ctr, id).kill(status=None).status == 0 or process.poll() is not None)
            process.communicate(timeout=30)
            # Of one that is killed before its start ctr says that there is nothing to start.
            expect(process.returncode in (1, 137), f"the status of ctr is {process.returncode}")
            ctr.remove(id)
