"""What every user of ctr does: run, exec, terminals, kill, pause, statistics."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

from checks import Terminal, check, command, equal, expect, matches, processes, read, until, write
from containerd_setup import IMAGE, Container

# ctr leaves the folder of such a command's streams; this one nobody looks into.
DETACHED = ("--detach", "--fifo-dir", "/srv/data/fifos")


@check(short=True)
def run(ctr):
    result = ctr.run("sh", "-c", "echo out; echo err >&2")
    equal((result.out, result.err), ("out\n", "err\n"), "output and errors")


@check(short=True)
def run_status(ctr):
    ctr.run("sh", "-c", "exit 7", status=7)
    ctr.run("sh", "-c", "trap - TERM; (kill -TERM $$); sleep 0; exit 3", status=3)


@check(short=True)
def run_input(ctr):
    process = ctr.popen("sh", "-c", "echo ready; wc -c")
    equal(process.stdout.readline(), b"ready\n", "the first line")
    # What ends before the container is there, ctr never tells it.
    out, err = process.communicate(b"0123456789" * 1000, timeout=30)
    equal((out.strip(), err, process.returncode), (b"10000", b"", 0), "bytes of input, errors and status")


@check
def run_much_output(ctr):
    equal(len(ctr.run("sh", "-c", "yes 0123456789 | head -n 100000").out), 1100000, "bytes of output")


@check
def run_forwards_signals(ctr):
    process = ctr.popen("sh", "-c", "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.1; done")
    equal(process.stdout.readline(), b"ready\n", "the first line")
    # ctr hands signals on some time after the start; until then it passes this one over.
    until("the signal has come", lambda: process.send_signal(signal.SIGUSR1) or process.poll() is not None)
    equal((process.communicate(timeout=30)[0].splitlines()[:1], process.returncode), ([b"got"], 5), "what it said, and its status")


def resized(terminal):
    terminal.write("echo \"size=$(stty size)=\"\n")
    return terminal.until("size=([0-9]+ [0-9]+)=").group(1) == "40 120"


@check(short=True)
def run_terminal(ctr):
    with Terminal(*ctr.run_arguments("--rm", "-t", id=ctr.name(), process=("sh",)), env=ctr.daemon.environment) as terminal:
        terminal.until("# ")
        terminal.write("test -t 0 && test -t 1 && test -t 2 && echo termi''nal; tty\n")
        terminal.until("terminal\r*\n/dev/(console|pts/0)")
        terminal.write("exit 9\n")
        equal(terminal.wait(), 9, "the status")


@check
def run_terminal_size(ctr):
    with Terminal(*ctr.run_arguments("--rm", "-t", id=ctr.name(), process=("sh",)), rows=31, columns=97, env=ctr.daemon.environment) as terminal:
        terminal.until("# ")
        terminal.write("echo \"size=$(stty size)=\"\n")
        terminal.until("size=31 97=")
        terminal.resize(40, 120)
        until("the new size", lambda: resized(terminal))
        terminal.write("(echo beg''in; exec sleep 1000)\n")
        terminal.until("begin")
        terminal.write("\x03")
        terminal.until("# ")
        terminal.write("echo stat''us=$?\n")
        terminal.until("status=130")
        terminal.write("exit 9\n")
        equal(terminal.wait(), 9, "the status")


@check(short=True)
def run_in_background(ctr):
    with ctr.container(options=("--label", "kind=test")) as container:
        equal(container.status, "RUNNING", "the status")
        equal(ctr("c", "ls", "-q", "labels.kind==test").out.split(), [container.id], "what is listed by its label")
        equal(ctr("t", "ls", "-q").out.split(), [container.id], "the tasks")
        expect(container.pid in processes().values(), "its process is none that we see")
        expect(len(ctr.daemon.shims(container.id)) == 1, "the number of shims")


@check(short=True)
def create_and_start(ctr):
    """ctr names no runtime here: containerd finds the one that is called runc."""
    id = ctr.name()
    try:
        # A `-c` behind the name would be taken for an option of ctr.
        ctr("c", "create", IMAGE, id, "cat", "/etc/group", "/nosuch")
        equal((ctr("t", "ls", "-q").out, ctr.containers()), ("", [id]), "tasks and containers")
        for _ in range(2):
            # Once more: the container is there, and its task is a new one.
            result = ctr("t", "start", id, status=1)
            expect(result.out.startswith("root:x:0:") and "/nosuch" in result.err, result)
    finally:
        ctr.remove(id)


@check
def create_and_start_in_background(ctr):
    id = ctr.name()
    path = "/srv/data/pid"
    try:
        ctr("c", "create", IMAGE, id, "sleep", "1000")
        ctr("t", "start", "--detach", "--null-io", "--pid-file", path, id)
        container = Container(ctr, id)
        equal((container.status, int(read(path))), ("RUNNING", container.pid), "status and process id")
        equal(container.exec("echo", "x").out, "x\n", "output")
    finally:
        ctr.remove(id)


@check
def terminal_of_a_created_one(ctr):
    id = ctr.name()
    try:
        ctr("c", "create", "--tty", IMAGE, id, "sh")
        with Terminal(*ctr.arguments("t", "start", id), env=ctr.daemon.environment) as terminal:
            terminal.until("# ")
            terminal.write("exit 8\n")
            equal(terminal.wait(), 8, "the status")
    finally:
        ctr.remove(id)


@check(short=True)
def exec(ctr):
    with ctr.container(options=("--env", "A=b", "--cwd", "/tmp")) as container:
        process = ctr.open("t", "exec", "--exec-id", "e", container.id, "sh", "-c", "echo err >&2; echo $A $(pwd); read line; exit 5")
        equal(ctr.answers(process), ("b /tmp\n", "err\n", 5), "output, errors and status")
        equal(container.exec("cat", input="given").out, "given", "what cat gives back")


@check(short=True)
def exec_options(ctr):
    with ctr.container() as container:
        result = container.exec("sh", "-c", "id -u; id -g; pwd", options=("--user", "1000:5000", "--cwd", "/etc"))
        equal(result.out.split(), ["1000", "5000", "/etc"], "what it sees")
        equal(container.exec("id", "-un", options=("--user", "user")).out, "user\n", "the name of the user")


@check
def exec_in_background(ctr):
    with ctr.container() as container:
        container.exec("sh", "-c", "echo there >/tmp/new; mv /tmp/new /tmp/file; sleep 1000", options=DETACHED)
        until("the process has written", lambda: container.exec("cat", "/tmp/file", status=None).out == "there\n")


@check(short=True)
def exec_terminal(ctr):
    with ctr.container() as container:
        with Terminal(*ctr.arguments("t", "exec", "-t", "--exec-id", "e", container.id, "sh"), rows=31, columns=97, env=ctr.daemon.environment) as terminal:
            terminal.until("# ")
            terminal.write("tty; echo \"size=$(stty size)=\"\n")
            terminal.until("/dev/pts/[0-9]+\r*\n")
            terminal.until("size=31 97=")
            terminal.resize(40, 120)
            until("the new size", lambda: resized(terminal))
            terminal.write("exit 3\n")
            equal(terminal.wait(), 3, "the status")


@check
def exec_many(ctr):
    with ctr.container() as container:
        for number in range(8):
            equal(container.exec("echo", number).out, f"{number}\n", "output")
        folder = f"{ctr.daemon.state}/io.containerd.runtime.v2.task/default/{container.id}"
        equal([name for name in os.listdir(folder) if name.startswith("exec")], [], "what is left of them")


@check
def kill_of_a_command(ctr):
    with ctr.container() as container:
        container.exec("sleep", "999", options=(*DETACHED, "--exec-id", "e1"))
        until("it runs", lambda: "process sleep 999" in processes())
        ctr("t", "kill", "-s", "SIGKILL", "--exec-id", "e1", container.id)
        until("it has gone", lambda: "process sleep 999" not in processes())
        equal(container.status, "RUNNING", "the status of the container")
        ctr("t", "rm", "--exec-id", "e1", container.id, status=None)


@check
def command_goes_with_its_container(ctr):
    with ctr.container() as container:
        process = ctr.open("t", "exec", "--exec-id", "e", container.id, "sh", "-c", "echo ready; sleep 1000")
        equal(process.stdout.readline(), b"ready\n", "the first line")
        container.kill()
        process.communicate(timeout=30)
        equal(process.returncode, 137, "the status of the command")


@check(short=True)
def kill(ctr):
    with ctr.container() as container:
        container.kill()
        container.ended()
        ctr("t", "rm", container.id)
        equal(ctr("t", "ls", "-q").out, "", "the tasks")


@check
def kill_with_each_name(ctr):
    script = "; ".join(f"trap 'echo {name} >>/data/got' {name}" for name in ("HUP", "USR1", "TERM", "WINCH"))
    write("/srv/data/got", "", 0o666)
    with ctr.container("sh", "-c", f"{script}; echo ready >>/data/got; while :; do sleep 0.05; done",
                       options=("--mount", "type=bind,src=/srv/data,dst=/data,options=rbind:rw")) as container:
        until("it is ready", lambda: "ready" in read("/srv/data/got"))
        for name, number in (("HUP", "SIGHUP"), ("USR1", "10"), ("TERM", "term"), ("WINCH", "SIGWINCH")):
            container.kill(number)
            until(f"{number} has come", lambda name=name: read("/srv/data/got").splitlines()[-1] == name)
        equal(container.status, "RUNNING", "the status")


@check
def kill_of_all(ctr):
    write("/srv/data/got", "", 0o666)
    each = "trap 'echo {0} got >>/data/got' USR1; echo {0} >>/data/got; while :; do sleep 0.05; done"
    with ctr.container("sh", "-c", f"({each.format('child')}) & {each.format('first')}",
                       options=("--mount", "type=bind,src=/srv/data,dst=/data,options=rbind:rw")) as container:
        until("both are ready", lambda: len(read("/srv/data/got").splitlines()) == 2)
        container.kill("SIGUSR1", "--all")
        until("it has come to both", lambda: set(read("/srv/data/got").splitlines()) >= {"child got", "first got"})
        container.kill("SIGKILL", "--all")
        container.ended()


@check(short=True)
def kill_of_one_that_has_ended(ctr):
    with ctr.container("true") as container:
        container.ended()
        result = container.kill(status=1)
        # What containerd makes of `process already finished` and its like.
        matches(result.err, "process already finished: not found", "the error")


@check(short=True)
def delete_of_one_that_runs(ctr):
    with ctr.container() as container:
        result = ctr("t", "rm", container.id, status=None)
        expect("must be stopped" in result.err, result)
        equal(container.status, "RUNNING", "the status")
        ctr("t", "rm", "--force", container.id)
        equal(ctr.tasks(), {}, "the tasks")


@check(short=True)
def pause(ctr):
    with ctr.container("sh", "-c", "while :; do date +%s%N >/data/ticks.new; mv /data/ticks.new /data/ticks; sleep 0.01; done",
                       options=("--mount", "type=bind,src=/srv/data,dst=/data,options=rbind:rw")) as container:
        until("it runs", lambda: os.path.exists("/srv/data/ticks"))
        ctr("t", "pause", container.id)
        equal(container.status, "PAUSED", "the status")
        before = read("/srv/data/ticks")
        # Time enough for a tick, were it not frozen.
        subprocess.run(["sleep", "0.1"], check=True)
        equal(read("/srv/data/ticks"), before, "the last tick")
        expect("cannot exec in a paused" in container.exec("true", status=None).err, "what exec says")
        ctr("t", "resume", container.id)
        equal(container.status, "RUNNING", "the status")
        until("it goes on", lambda: read("/srv/data/ticks") not in ("", before))


@check(differs={"runc": "what is frozen in a cgroup of v1 dies when it is thawed"})
def delete_of_a_paused_one(ctr):
    with ctr.container() as container:
        ctr("t", "pause", container.id)
        result = ctr("t", "rm", "--force", container.id, status=None, timeout=30)
        expect(not ctr.tasks(), result)


@check(short=True)
def ps(ctr):
    with ctr.container("sh", "-c", "sleep 1001 & sleep 1002 & wait") as container:
        until("all three run", lambda: len(ctr("t", "ps", container.id).out.splitlines()) == 4)
        lines = [line.split() for line in ctr("t", "ps", container.id).out.splitlines()]
        equal(lines[0], ["PID", "INFO"], "the header")
        expect(container.pid in [int(line[0]) for line in lines[1:]], f"its first process is not in {lines}")
        known = processes()
        equal(sorted(int(line[0]) for line in lines[1:]), sorted([container.pid, known["process sleep 1001"], known["process sleep 1002"]]), "the processes")


@check
def ps_names_commands(ctr):
    with ctr.container() as container:
        container.exec("sleep", "1003", options=(*DETACHED, "--exec-id", "named"))
        until("ps names it", lambda: re.search(r"named", ctr("t", "ps", container.id).out))


@check(short=True)
def metrics(ctr):
    with ctr.container("sh", "-c", "x=$(head -c 4000000 /dev/zero | tr '\\0' x); sleep 1000; true") as container:
        text = ctr("t", "metrics", container.id).out
        expect(container.id in text, text)
        if not ctr.v2:
            def used():
                return int(matches(ctr("t", "metrics", container.id).out, r"memory.usage_in_bytes +(\d+)", "metrics").group(1))
            until("the memory is counted", lambda: used() > 3000000)
            matches(ctr("t", "metrics", container.id).out, r"pids.current +[1-9]", "metrics")
        data = json.loads(ctr("t", "metrics", "--format", "json", container.id).out)
        expect("pids" in data, f"metrics are {data}")


@check
def attach(ctr):
    id = ctr.name()
    try:
        with Terminal(*ctr.run_arguments("-d", "-t", id=id, process=("sh", "-c", "read line; echo got $line; exit 4")), env=ctr.daemon.environment) as terminal:
            equal(terminal.wait(), 0, "the status of run")
        with Terminal(*ctr.arguments("t", "attach", id), env=ctr.daemon.environment) as terminal:
            terminal.write("hello\n")
            terminal.until("got hello")
            equal(terminal.wait(), 4, "the status")
    finally:
        ctr.remove(id)


@check
def attach_without_a_terminal(ctr):
    id = ctr.name()
    try:
        ctr.start("sh", "-c", "read line; echo got $line; exit 4", id=id, io=())
        result = ctr("t", "attach", id, input="hello\n", status=4)
        equal(result.out, "got hello\n", "output")
    finally:
        ctr.remove(id)


@check
def info(ctr):
    with ctr.container(options=("--label", "kind=test", "--annotation", "note=it")) as container:
        known = container.info()
        equal((known["ID"], known["Image"], known["Runtime"]["Name"]), (container.id, IMAGE, "io.containerd.runc.v2"), "name, image and runtime")
        equal((known["Labels"]["kind"], known["Spec"]["annotations"]["note"]), ("test", "it"), "label and annotation")
        equal(read(f"{ctr.daemon.state}/io.containerd.runtime.v2.task/default/{container.id}/runtime"), ctr.runtime, "the runtime that the shim calls")
        state = json.loads(command(ctr.runtime, "--root", f"{ctr.daemon.state}/runc/default", "state", container.id).out)
        equal((state["status"], state["pid"], state["annotations"]["note"]), ("running", container.pid, "it"), "what the runtime says")


@check
def label(ctr):
    with ctr.container() as container:
        ctr("c", "label", container.id, "late=yes")
        equal(container.info()["Labels"]["late"], "yes", "the label")


@check(short=True)
def pid_file(ctr):
    path = "/srv/data/pid"
    with ctr.container(options=("--pid-file", path)) as container:
        equal(int(read(path)), container.pid, "the number in the file")


@check
def log_to_a_file(ctr):
    path = "/srv/data/log"
    with ctr.container("sh", "-c", "echo out; echo err >&2", options=("--log-uri", f"file://{path}"), io=()) as container:
        container.ended()
        equal(sorted(read(path).split()), ["err", "out"], "the log")


@check
def log_to_a_program(ctr):
    path = "/srv/data/logged"
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    program = write("/srv/data/logger", f"#!/bin/sh\nexec 5>&-\nexec cat <&3 >{path}\n", 0o755)
    with ctr.container("sh", "-c", "echo out", options=("--log-uri", f"binary://{program}"), io=()) as container:
        container.ended()
        until("the program has written", lambda: os.path.exists(path) and read(path) == "out\n")


@check
def log_of_a_command(ctr):
    path = "/srv/data/log.exec"
    with ctr.container() as container:
        container.exec("sh", "-c", "echo from exec", options=("--detach", "--log-uri", f"file://{path}"))
        until("it has written", lambda: os.path.exists(path) and read(path) == "from exec\n")


@check
def fifo_folder(ctr):
    equal(ctr.run("echo", "x", options=("--fifo-dir", "/srv/data/fifos")).out, "x\n", "output")


@check
def root_of_the_runtime(ctr):
    """Its state in another place."""
    with ctr.container(options=("--runc-root", "/srv/data/state")) as container:
        expect(os.path.isdir(f"/srv/data/state/default/{container.id}"), f"the state is in {os.listdir('/srv/data/state')}")
        equal(container.exec("echo", "x").out, "x\n", "output")
    equal(os.listdir("/srv/data/state/default"), [], "what is left of the state")


@check
def other_namespace(ctr):
    """Two containers of one name."""
    with ctr.container(id="same"):
        ctr("-n", "second", "images", "ls", "-q")
        ctr.add_image(IMAGE, *ctr.parts, space="second")
        try:
            arguments = ctr.run_arguments("--rm", id="same", process=("cat", "/proc/self/cgroup"))
            arguments[3:3] = ["-n", "second"]
            result = subprocess.run(arguments, input=b"", capture_output=True, env=ctr.daemon.environment, check=False)
            expect(result.returncode == 0 and b"/second/same" in result.stdout, result)
        finally:
            ctr("-n", "second", "images", "rm", "--sync", IMAGE)
            ctr("-n", "second", "content", "ls", "-q")


@check
def checkpoint(ctr):
    """Done, or refused with a reason; a container that is refused goes on."""
    folder = "/srv/data/image"
    shutil.rmtree(folder, ignore_errors=True)
    with ctr.container() as container:
        result = ctr("t", "checkpoint", "--image-path", folder, container.id, status=None)
        if result.status == 0:
            expect(os.listdir(folder), "the image is empty")
        else:
            matches(result.err, "(?i)(criu|checkpoint)", "the error")
            equal(container.status, "RUNNING", "the status")
            equal(container.exec("echo", "x").out, "x\n", "output")
