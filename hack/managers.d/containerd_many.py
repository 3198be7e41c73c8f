"""Twenty at once, a containerd that is restarted, and what dies in the middle."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from checks import check, equal, expect, processes, until, write
from containerd_setup import Container


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


@check
def ctr_is_killed(ctr):
    """At many moments of a run: what is left can be removed, and then nothing is."""
    for step in range(10):
        id = f"k{step}"
        process = ctr.popen("sleep", "1000", id=id)
        # The moment is what is varied.
        time.sleep(0.02 * (step + 1))
        process.kill()
        process.communicate(timeout=30)
        ended(ctr, id)
    ctr.end_forgotten_shims()


def ended(ctr, id):
    """A create that nobody waits for any more is still at work: once it is done, all can go."""
    until(f"{id} can be removed", lambda: ctr("t", "rm", "--force", id, status=None) and id not in ctr.tasks()
          and (id not in ctr.containers() or ctr("c", "rm", id, status=None).status == 0))


@check(differs={"crun": "leaves cgroups", "runc": "leaves cgroups"})
def containerd_is_killed_in_the_middle(ctr):
    """At many moments of a run: after it has come back ctr can remove everything, and then nothing is left."""
    for step in range(8):
        id = f"d{step}"
        process = ctr.popen("sleep", "1000", id=id)
        # The moment is what is varied.
        time.sleep(0.025 * (step + 1))
        ctr.daemon.kill()
        process.kill()
        process.communicate(timeout=30)
        ctr.daemon.start()
        ended(ctr, id)
    ctr.end_forgotten_shims()


CUT = """#!/bin/sh
case " $* " in
  *" VERB "*)
    RUNTIME "$@" &
    /bin/busybox usleep $(cat MOMENT)
    kill -KILL $! 2>/dev/null
    wait $!
    ;;
  *) exec RUNTIME "$@" ;;
esac
"""


def cut(ctr, verb):
    """A runtime that is killed in one command after a time."""
    moment = write("/srv/data/moment", "0")
    return moment, write(f"/srv/data/cut-{verb}", CUT.replace("RUNTIME", ctr.runtime).replace("MOMENT", moment).replace("VERB", verb), 0o755)


@check(differs={"crun": "leaves cgroups or a state", "runc": "leaves cgroups or a state"})
def runtime_is_killed_in_create(ctr):
    moment, wrapper = cut(ctr, "create")
    died = 0
    for step in range(12):
        write(moment, str(step * 700))
        died += ctr.run("true", id=f"u{step}", runtime=wrapper, status=None).status != 0
        ended(ctr, f"u{step}")
    expect(died, "the runtime was always faster")
    ctr.delete_forgotten()


@check
def runtime_is_killed_in_exec(ctr):
    moment, wrapper = cut(ctr, "exec")
    died = 0
    with ctr.container(runtime=wrapper) as container:
        for step in range(8):
            write(moment, str(step * 500))
            died += ctr("t", "exec", "--exec-id", f"e{step}", container.id, "true", status=None, timeout=20).status != 0
        equal(container.status, "RUNNING", "the status of the container")
        write(moment, "3000000")
    expect(died, "the runtime was always faster")


@check(differs={"crun": "leaves a mount in /tmp now and then"})
def runtime_is_killed_in_delete(ctr):
    """containerd forgets the container; whoever made it can still delete it."""
    moment, wrapper = cut(ctr, "delete")
    for step in range(6):
        write(moment, str(step * 300))
        id = f"x{step}"
        ctr.run("true", id=id, runtime=wrapper, status=None)
        ended(ctr, id)
    ctr.delete_forgotten()


@check
def start_and_end_again(ctr):
    """The same name, one after another."""
    for number in range(10):
        equal(ctr.run("echo", number, id="again").out, f"{number}\n", "output")


@check
def kill_while_it_starts(ctr):
    for step in range(6):
        id = f"q{step}"
        process = ctr.popen("sleep", "1000", id=id)
        # The moment is what is varied.
        time.sleep(0.03 * step)
        until("it is killed", lambda: Container(ctr, id).kill(status=None).status == 0 or process.poll() is not None)
        process.communicate(timeout=30)
        # Of one that is killed before its start ctr says that there is nothing to start.
        expect(process.returncode in (1, 137), f"the status of ctr is {process.returncode}")
        ctr.remove(id)
