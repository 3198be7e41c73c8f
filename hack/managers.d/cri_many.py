"""Many at once, and what goes on while containerd or a shim is away."""

import contextlib
import glob
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from checks import NotRun, check, equal, expect, until
from cri_messages import CREATED, EXITED, NOTREADY, POD, READY, RUNNING
from cri_setup import Refused


@check
def twenty_pods_at_once(cri):
    def lead(number):
        with cri.pod(network=POD) as pod:
            container = pod.run("sh", "-c", f"echo {number}; exec sleep 100000")
            container.says(str(number))
            seen = container.exec("echo", str(number)), pod.ip
            container.stop()
            return (*seen, container.status.exit_code)
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lead, range(20)))
    equal([(text, code) for text, _, code in results], [(str(number), 137) for number in range(20)], "output and codes")


@check
def many_containers_of_a_pod(cri):
    with cri.pod() as pod, ThreadPoolExecutor(10) as pool:
        ended = list(pool.map(lambda number: pod.run("sh", "-c", f"exit {number}").ended(60).exit_code, range(20)))
        equal(ended, list(range(20)), "the codes")


@check
def many_commands_at_once(cri):
    with cri.container() as container, ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda number: container.try_exec("sh", "-c", f"echo {number}; exit {number}", timeout=60), range(30)))
        equal([(result.stdout, result.exit_code) for result in results], [(f"{number}\n".encode(), number) for number in range(30)], "output and codes")


@check
def container_ends_during_commands(cri):
    """Each command either ends or is refused; none hangs."""
    with cri.container() as container, ThreadPoolExecutor(6) as pool:
        begun = threading.Event()

        def command(_):
            try:
                result = container.try_exec("sh", "-c", "echo there; sleep 0.2", timeout=30)
            except Refused as refused:
                return refused.text
            finally:
                begun.set()
            return result.exit_code
        futures = [pool.submit(command, number) for number in range(24)]
        begun.wait()
        container.stop()
        results = [future.result(timeout=90) for future in futures]
        expect(all(result in (0, 137) or isinstance(result, str) for result in results), f"the results are {results}")
        expect(any(isinstance(result, str) for result in results), "none was refused")


@check(short=True)
def containerd_is_restarted(cri):
    """Nothing that runs takes notice."""
    restart_between(cri, cri.daemon.restart)


@check
def containerd_is_killed(cri):
    def again():
        cri.daemon.kill()
        cri.daemon.start()
    restart_between(cri, again)


def restart_between(cri, restart):
    with cri.pod(network=POD) as pod:
        running = pod.run("sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.1; done")
        made, ended = pod.create("sleep", "1000"), pod.run("sh", "-c", "exit 3")
        ending = pod.run("sh", "-c", "trap 'exit 5' TERM; echo there; sleep 1000 & wait")
        ended.ended()
        running.says("1")
        ending.says("there")
        before = running.pid, ending.pid, pod.pid, pod.ip
        restart()
        equal((running.pid, ending.pid, pod.pid, pod.ip), before, "pids and address")
        equal([container.status.state for container in (running, made, ended, ending)], [RUNNING, CREATED, EXITED, RUNNING], "the states")
        equal((ended.status.exit_code, pod.status.state), (3, READY), "the code and the pod")
        # The log goes on.
        count = len(running.log())
        until("more lines", lambda: len(running.log()) > count + 2)
        equal(running.exec("echo", "there"), "there", "a command")
        made.start()
        ending.stop(20)
        equal(ending.status.exit_code, 5, "the code of one that was asked to end")
        expect(pod.run("true").ended().exit_code == 0, "a new container fails")
        os.kill(running.pid, signal.SIGKILL)
        equal(running.ended().exit_code, 137, "the code of one that was killed")


@check
def ends_while_containerd_is_away(cri):
    with cri.pod() as pod:
        mounts = [{"container_path": "/srv", "host_path": "/srv/data/away"}]
        container, killed = pod.run("sh", "-c", "while ! test -e /srv/go; do sleep 0.05; done; exit 9", mounts=mounts), pod.run()
        first = killed.pid
        cri.daemon.stop()
        with open("/srv/data/away/go", "w", encoding="utf-8"):
            pass
        os.kill(first, signal.SIGKILL)
        until("it has gone", lambda: not os.path.exists(f"/proc/{first}"))
        cri.daemon.start()
        os.remove("/srv/data/away/go")
        # From 2.0 on it has taken away what had ended when it came back.
        equal((container.ended().exit_code, killed.ended().exit_code), (9, 137) if cri.version < (2,) else (255, 255), "the codes")


@contextlib.contextmanager
def sockets_left(cri):
    """The socket of a shim that was killed is removed by nobody: containerd's own business."""
    before = set(glob.glob(f"{cri.daemon.state}/s/*"))
    yield
    for path in set(glob.glob(f"{cri.daemon.state}/s/*")) - before:
        os.remove(path)


@check(short=True)
def shim_is_killed(cri):
    if cri.version >= (2,):
        raise NotRun("containerd 2 leaves what a shim that was killed had, whatever the runtime")
    with sockets_left(cri), cri.pod(network=POD) as pod:
        one, two = pod.run(), pod.run("sh", "-c", "trap '' TERM; sleep 1000 & wait")
        pids = [one.pid, two.pid, pod.pid]
        shims = cri.daemon.shims(pod.id)
        equal(len(shims), 1, "shims of the pod")
        os.kill(shims[0], signal.SIGKILL)
        codes = {container.ended(60).exit_code for container in (one, two)}
        expect(codes <= {137, 255}, f"the codes are {codes}, expected 137 or 255")
        until("the pod is not ready", lambda: pod.status.state == NOTREADY)
        until("their processes are gone", lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}")])
        one.remove()


@check
def shim_is_killed_while_containerd_is_away(cri):
    with sockets_left(cri), cri.pod(network=POD) as pod:
        container = pod.run()
        pid, shims = container.pid, cri.daemon.shims(pod.id)
        cri.daemon.kill()
        os.kill(shims[0], signal.SIGKILL)
        cri.daemon.start()
        expect(container.ended(60).exit_code in (137, 255), f"the status is {container.status}")
        equal(pod.status.state, NOTREADY, "the pod")
        until("its process is gone", lambda: not os.path.exists(f"/proc/{pid}"))


@check
def removals_at_once(cri):
    """Whoever comes second finds it gone or on its way."""
    with cri.pod(network=POD) as pod, ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            container = pod.run()
            results = [pool.submit(lambda: container.remove()) for _ in range(2)] + [pool.submit(lambda: container.stop())]
            for result in results:
                error = result.exception(timeout=60)
                # containerd's own word for a removal that is under way.
                expect(error is None or any(word in str(error) for word in ("not found", "already in removing state", "removing state")), f"the error is {error}")
            until("it is gone", lambda: container.id not in [item.id for item in pod.containers()])
