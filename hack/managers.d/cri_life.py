"""How pods and containers begin and end, what they say, and commands in them."""

import contextlib
import json
import os
import signal
import subprocess
import time

from checks import check, equal, expect, matches, read, until
from containerd_daemon import WORK
from cri_daemon import BOX, HOOKED, PAUSE
from cri_messages import CREATED, EXITED, NOTREADY, POD, READY, RUNNING
from cri_setup import SLEEP
from podman_setup import PATH, image_tree


@check(short=True)
def version_and_status(cri):
    version = cri("Version", version="v1")
    equal((version.runtime_name, version.runtime_api_version), ("containerd", "v1"), "the version")
    status = cri("Status", verbose=True)
    conditions = {condition.type: condition.status for condition in status.status.conditions}
    equal((conditions.get("RuntimeReady"), conditions.get("NetworkReady")), (True, True), "the conditions")
    equal(json.loads(status.info["config"])["containerd"]["runtimes"]["tested"]["options"]["BinaryName"], cri.path, "the runtime")


@check
def images(cri):
    names = {tag for image in cri("ListImages").images for tag in image.repo_tags}
    expect({BOX, PAUSE} <= names, f"the images are {names}")
    image = cri("ImageStatus", image={"image": BOX}).image
    expect(image.size > 100000 and image.id.startswith("sha256:"), f"the image is {image}")
    equal(cri("ImageStatus", image={"image": "localhost/nosuch:1"}).image.id, "", "an image that is not there")
    expect(cri("ImageFsInfo").image_filesystems[0].timestamp > 0, "no file system of images")


@check(short=True)
def pod_on_the_host_network(cri):
    with cri.pod(labels={"app": "web"}, annotations={"note": "kept"}) as pod:
        status = pod.status
        name = pod.config["metadata"]["name"]
        equal((status.state, status.metadata.name, status.metadata.uid, status.metadata.namespace), (READY, name, f"uid-{name}", "default"), "the pod")
        equal((dict(status.labels), dict(status.annotations), status.network.ip), ({"app": "web"}, {"note": "kept"}, ""), "labels, annotations and address")
        expect(0 < status.created_at <= time.time_ns(), f"made at {status.created_at}")
        equal(os.readlink(f"/proc/{pod.pid}/ns/net"), os.readlink("/proc/self/ns/net"), "its network namespace")


@check
def pods_are_listed(cri):
    with cri.pod(labels={"app": "one"}) as one, cri.pod(labels={"app": "two"}) as two:
        def ids(**filter):
            return {item.id for item in cri("ListPodSandbox", filter=filter).items}
        equal(ids(), {one.id, two.id}, "all")
        equal(ids(id=one.id), {one.id}, "by id")
        equal(ids(label_selector={"app": "two"}), {two.id}, "by label")
        one.stop()
        equal(ids(state={"state": READY}), {two.id}, "those that are ready")
        equal(ids(state={"state": NOTREADY}), {one.id}, "those that are not")


@check(short=True)
def containers_are_listed(cri):
    with cri.pod() as pod, cri.pod() as other:
        made, running, ended, elsewhere = pod.create(*SLEEP), pod.run(), pod.run("true", labels={"app": "true"}), other.run()
        ended.ended()

        def ids(**filter):
            return {item.id for item in cri("ListContainers", filter=filter).containers}
        equal(ids(), {made.id, running.id, ended.id, elsewhere.id}, "all")
        equal(ids(pod_sandbox_id=other.id), {elsewhere.id}, "of a pod")
        equal([ids(pod_sandbox_id=pod.id, state={"state": state}) for state in (CREATED, RUNNING, EXITED)], [{made.id}, {running.id}, {ended.id}], "by state")
        equal(ids(label_selector={"app": "true"}), {ended.id}, "by label")


@check(short=True)
def life_of_a_container(cri):
    with cri.pod() as pod:
        container = pod.create("sh", "-c", "echo begin; trap 'exit 3' TERM; sleep 1000 & wait", name="main", labels={"a": "b"}, annotations={"c": "d"})
        status = container.status
        equal((status.state, status.started_at, status.metadata.name), (CREATED, 0, "main"), "as made")
        equal((dict(status.labels), dict(status.annotations)), ({"a": "b"}, {"c": "d"}), "labels and annotations")
        container.start()
        container.says("begin")
        status = container.status
        equal((status.state, status.exit_code, status.reason, status.image.image), (RUNNING, 0, "", BOX), "while it runs")
        expect(0 < status.created_at <= status.started_at <= time.time_ns() and not status.finished_at, f"the times are {status}")
        container.stop(20)
        status = container.status
        equal((status.state, status.exit_code, status.reason), (EXITED, 3, "Error"), "in the end")
        expect(status.started_at < status.finished_at <= time.time_ns(), f"the times are {status}")
        container.remove()
        cri.refused("not found", lambda: container.status, code="NOT_FOUND")


@check(short=True)
def exit_codes_and_reasons(cri):
    with cri.pod() as pod:
        ended = {script: pod.run("sh", "-c", script) for script in ("exit 0", "exit 1", "exit 77", "exit 255", "kill -9 $$; sleep 10")}
        # Process 1 of a namespace of its own does not die by its own signal.
        ended["kill -9 $$; sleep 10"].stop()
        equal([(container.ended().exit_code, container.ended().reason) for container in ended.values()],
              [(0, "Completed"), (1, "Error"), (77, "Error"), (255, "Error"), (137, "Error")], "codes and reasons")


@check
def signal_from_outside(cri):
    # A process 1 of its own namespace would not even hear the second.
    with cri.pod(pid=POD) as pod:
        for number, code in ((signal.SIGKILL, 137), (signal.SIGSEGV, 139)):
            container = pod.run("sh", "-c", "echo there; exec sleep 1000")
            container.says("there")
            os.kill(container.pid, number)
            equal(container.ended().exit_code, code, f"the code after {number.name}")


@check(short=True)
def stop_asks_before_it_kills(cri):
    with cri.pod() as pod:
        polite = pod.run("sh", "-c", "trap 'echo bye; exit 0' TERM; echo there; sleep 1000 & wait")
        polite.says("there")
        start = time.monotonic()
        polite.stop(30)
        expect(time.monotonic() - start < 10, "it waited for longer than the container needed")
        equal((polite.status.exit_code, polite.status.reason, polite.log()[-1][2]), (0, "Completed", "bye"), "after SIGTERM")

        deaf = pod.run("sh", "-c", "trap '' TERM; echo there; sleep 1000 & wait; sleep 1000")
        deaf.says("there")
        start = time.monotonic()
        deaf.stop(2)
        taken = time.monotonic() - start
        expect(2 <= taken < 10, f"killed after {taken:.2f} s, expected 2")
        equal((deaf.status.exit_code, deaf.status.reason), (137, "Error"), "after SIGKILL")
        # Once more is no error.
        deaf.stop(2)

        deaf = pod.run("sh", "-c", "trap '' TERM; echo there; sleep 1000")
        start = time.monotonic()
        deaf.stop(0)
        expect(time.monotonic() - start < 5, "a timeout of zero was waited for")
        equal(deaf.status.exit_code, 137, "killed at once")


@check
def stop_signal_of_the_image(cri):
    script = "trap 'exit 44' USR1; echo there; sleep 1000 & wait"
    cri.daemon.load(image_tree(), "localhost/usr1:1", StopSignal="SIGUSR1", Entrypoint=["sh", "-c"], Cmd=[script], WorkingDir="/tmp", User="1000:5000", Env=[PATH])
    try:
        until("the CRI knows the image", lambda: cri("ImageStatus", image={"image": "localhost/usr1:1"}).image.id)
        equal(cri("ImageStatus", image={"image": "localhost/usr1:1"}).image.uid.value, 1000, "the user of the image")
        with cri.pod() as pod:
            container = pod.run(image={"image": "localhost/usr1:1"}, command=[])
            container.says("there")
            equal(container.exec("sh", "-c", "id -u; id -g; pwd").split(), ["1000", "5000", "/tmp"], "what the image says")
            container.stop(20)
            equal(container.status.exit_code, 44, "the code")
    finally:
        cri("RemoveImage", image={"image": "localhost/usr1:1"})
    equal(cri("ImageStatus", image={"image": "localhost/usr1:1"}).image.id, "", "the image after its removal")


@check(short=True)
def removal_is_idempotent(cri):
    with cri.pod(network=POD) as pod:
        container = pod.run()
        # It runs, and is killed first.
        container.remove()
        left = pod.run()
        pod.stop()
        pod.stop()
        equal((pod.status.state, left.status.state), (NOTREADY, EXITED), "the states after the pod was stopped")
        if cri.version < (2,):
            cri.refused("(?i)not running|not ready|no running|NOTREADY", lambda: pod.create(*SLEEP))
        pod.remove()
        pod.remove()
        cri.refused("not found", lambda: pod.status, code="NOT_FOUND")


@check
def pod_that_runs_is_removed(cri):
    with cri.pod(network=POD) as pod:
        pod.run()
        pod.remove()


@check(short=True)
def exec_sync(cri):
    with cri.container() as container:
        result = container.try_exec("sh", "-c", "echo out; echo err >&2; exit 7")
        equal((result.stdout, result.stderr, result.exit_code), (b"out\n", b"err\n", 7), "output, errors and exit code")
        equal(container.try_exec("sh", "-c", "kill -9 $$").exit_code, 137, "the code of a command that was killed")
        equal(container.try_exec("sh", "-c", "cat; echo read").stdout, b"read\n", "a command without input")
        data = container.try_exec("head", "-c", "3000000", "/dev/zero").stdout
        equal(len(data), 3000000, "bytes of output")


@check
def exec_sync_is_in_the_container(cri):
    security = {"run_as_user": {"value": 1000}, "run_as_group": {"value": 1000}}
    with cri.container(security=security, working_dir="/tmp", envs=[{"key": "WORD", "value": "said"}]) as container:
        equal(container.shell("id -u; pwd; echo $WORD; readlink /proc/self/ns/pid").split(),
              ["1000", "/tmp", "said", container.namespace("pid")], "what a command sees")


@check(short=True)
def exec_sync_with_timeout(cri):
    with cri.container() as container:
        start = time.monotonic()
        cri.refused("(?i)timeout|deadline", container.exec, "sleep", "4321", timeout=1)
        expect(time.monotonic() - start < 15, "the timeout was late")
        until("the command is killed", lambda: "4321" not in container.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep [4]321' || true"))
        equal(container.exec("echo", "well"), "well", "a command after that")


@check(short=True)
def probes(cri):
    """Many commands in a row, as probes are."""
    with cri.container("sh", "-c", "touch /tmp/ready; sleep 100000") as container:
        until("it is ready", lambda: container.try_exec("test", "-e", "/tmp/ready").exit_code == 0)
        equal([container.try_exec("sh", "-c", f"exit {number % 2}", timeout=10).exit_code for number in range(10)], [0, 1] * 5, "the exit codes")
        equal(container.status.state, RUNNING, "the container")
        # Nothing of them is left inside: process 1, and the one that looks.
        until("there are two processes", lambda: container.shell("set -- /proc/[0-9]*; echo $#") == "2")


@check(short=True)
def lines_of_the_log(cri):
    with cri.pod() as pod:
        container = pod.run("sh", "-c", "echo one; echo two >&2; printf three; sleep 0.1; echo ' and four'; printf end")
        container.ended()
        lines = [line for line in container.log() if line[0] == "stdout"]
        equal("".join(text + ("\n" if tag == "F" else "") for _, tag, text in lines), "one\nthree and four\nend", "the output")
        equal([line for line in container.log() if line[0] == "stderr"], [("stderr", "F", "two")], "the errors")
        equal(container.status.log_path, f"{pod.config['log_directory']}/{container.name}/0.log", "the path")


@check
def long_line_of_the_log(cri):
    with cri.pod() as pod:
        container = pod.run("sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; echo")
        container.ended()
        equal([(tag, len(text)) for _, tag, text in container.log()], [("P", 16384), ("P", 16384), ("F", 40000 - 2 * 16384)], "the parts of the line")


@check
def log_is_reopened(cri):
    with cri.container("sh", "-c", "echo old; while ! test -e /tmp/go; do sleep 0.05; done; echo new; sleep 100000") as container:
        container.says("old")
        path = container.status.log_path
        os.rename(path, path + ".1")
        cri("ReopenContainerLog", container_id=container.id)
        container.exec("touch", "/tmp/go")
        container.says("new")
        equal((" old" in read(path + ".1"), " old" in read(path), " new" in read(path + ".1")), (True, False, False), "which file has what")


@check
def init_containers(cri):
    """One after another, each to its end, and then the others."""
    path = "/srv/data/init"
    os.makedirs(path, exist_ok=True)
    mounts = [{"container_path": "/shared", "host_path": path}]
    with cri.pod(network=POD) as pod:
        for number in (1, 2):
            init = pod.run("sh", "-c", f"echo {number} >>/shared/order", name=f"init{number}", mounts=mounts)
            equal(init.ended().reason, "Completed", "the reason")
        equal(pod.output("cat /shared/order", mounts=mounts), "1\n2", "the order")
    os.remove(f"{path}/order")


@check(short=True)
def restart_of_a_container(cri):
    with cri.pod(network=POD) as pod:
        first = pod.run("sh", "-c", "exit 1", name="main")
        first.ended()
        cri.refused("is reserved for", lambda: pod.create("true", name="main"))
        address = pod.ip
        second = pod.run(name="main", attempt=1)
        equal({(item.metadata.attempt, item.state) for item in pod.containers()}, {(0, EXITED), (1, RUNNING)}, "the containers")
        equal((pod.ip, second.shell("ip addr show eth0 | grep -c " + address)), (address, "1"), "the address")
        first.remove()
        equal([item.id for item in pod.containers()], [second.id], "what is left")


@check
def crash_loop(cri):
    with cri.pod() as pod:
        before = None
        for attempt in range(6):
            container = pod.run("sh", "-c", f"echo {attempt}; exit {attempt + 1}", name="main", attempt=attempt)
            equal((container.ended().exit_code, container.log()), (attempt + 1, [("stdout", "F", str(attempt))]), "the end")
            if before:
                before.remove()
            before = container


@check
def sandbox_that_dies(cri):
    """The kubelet makes another one with the next attempt."""
    name = f"phoenix{next(cri.numbers)}"
    with cri.pod(network=POD, name=name) as pod:
        os.kill(pod.pid, signal.SIGKILL)
        until("the pod is not ready", lambda: pod.status.state == NOTREADY)
        pod.stop()
        with cri.pod(network=POD, name=name, attempt=1) as again:
            equal({item.metadata.attempt: item.state for item in cri("ListPodSandbox").items}, {0: NOTREADY, 1: READY}, "the pods")
            equal(again.output("echo there"), "there", "output")


@check(short=True)
def second_handler(cri):
    with cri.pod(handler="second", annotations={"example.com/note": "handed on", "other": "not"}) as pod:
        equal(pod.status.runtime_handler, "second", "the handler")
        container = pod.run()
        states = os.listdir("/run/second/k8s.io")
        expect({pod.id, container.id} <= set(states), f"the states in the folder of the handler are {states}")
        given = json.loads(read(f"{cri.daemon.state}/io.containerd.runtime.v2.task/k8s.io/{pod.id}/config.json"))["annotations"]
        equal((given.get("example.com/note"), "other" in given), ("handed on", False), "annotations in the configuration")
        # Sandboxes are made without the configuration of the handler.
        told = json.loads(read(HOOKED))
        equal((told["id"], told["pid"]), (container.id, container.pid), "what the hook was told")
        os.remove(HOOKED)
        equal(container.exec("echo", "there"), "there", "output")
    cri.refused("no runtime for \"nosuch\" is configured", cri.run_pod, handler="nosuch")


@contextlib.contextmanager
def events_of(cri):
    path = f"{WORK}/events"
    with open(path, "w", encoding="utf-8") as file:
        process = subprocess.Popen(["ctr", "--address", cri.daemon.address, "-n", "k8s.io", "events"], stdin=subprocess.PIPE, stdout=file, stderr=file)
    try:
        yield lambda: read(path)
    finally:
        process.terminate()
        process.stdin.close()
        process.wait()


@check
def events(cri):
    with events_of(cri) as seen:
        # It says nothing when it begins to listen.
        def listens():
            cri.daemon.ctr("images", "label", PAUSE, "seen=yes")
            return "/images/update" in seen()
        until("events come", listens)
        with cri.container() as container:
            container.exec("true")
            container.stop()
        for topic in ("create", "start", "exec-added", "exec-started", "exit", "delete"):
            until(f"an event of {topic}", lambda topic=topic: any(f"/tasks/{topic}" in line and container.id in line for line in seen().splitlines()))
        matches(seen(), f'/tasks/exit {{[^\\n]*"container_id":"{container.id}"[^\\n]*"exit_status":137', "the events")
