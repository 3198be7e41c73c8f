"""What every user of podman does: run, exec, terminals, logs, stop, kill."""

import re
import time

from checks import Failed, Terminal, check, equal, expect, matches, until
from podman_setup import IMAGE


@check(short=True)
def run(podman):
    result = podman.run(IMAGE, "sh", "-c", "echo out; echo err >&2")
    equal((result.out, result.err), ("out\n", "err\n"), "output and errors")


@check(short=True)
def run_status(podman):
    podman.run(IMAGE, "sh", "-c", "exit 7", status=7)
    podman.run("--init", IMAGE, "sh", "-c", "kill -TERM $$", status=143)


@check(short=True)
def run_input(podman):
    result = podman.run("-i", IMAGE, "cat", input="one\ntwo\n")
    equal(result.out, "one\ntwo\n", "what cat gives back")


@check
def run_much_output(podman):
    equal(len(podman.run(IMAGE, "sh", "-c", "yes 0123456789 | head -n 100000").out), 1100000, "bytes of output")


@check(short=True)
def run_terminal(podman):
    with Terminal(*podman.arguments("run", "--rm", "-it", "--network", "none", IMAGE, "sh"), rows=31, columns=97, env=podman.environment,
                  user=podman.become if podman.rootless else None) as terminal:
        terminal.until("# ")
        terminal.write("stty size; tty; echo done\n")
        terminal.until("31 97\r?\n/dev/(console|pts/0)\r?\ndone")
        # The new size is there when the shell's child sees it, not when it was set.
        terminal.resize(40, 120)
        until("the new size", lambda: resized(terminal))
        # The echo of the line has other quotes.
        terminal.write("(echo beg''in; exec sleep 1000)\n")
        terminal.until("begin")
        terminal.write("\x03")
        terminal.until("# ")
        terminal.write("echo stat''us=$?\n")
        terminal.until("status=130")
        terminal.write("exit 9\n")
        equal(terminal.wait(), 9, "the status")


def resized(terminal):
    terminal.write("echo \"size=$(stty size)=\"\n")
    return terminal.until("size=([0-9]+ [0-9]+)=").group(1) == "40 120"


@check
def run_terminal_without_one(podman):
    # The other side is no terminal; the container has one all the same.
    result = podman.run("-t", IMAGE, "sh", "-c", "tty; test -t 0 && test -t 1 && test -t 2 && echo all")
    matches(result.out, r"^/dev/(console|pts/0)\r\nall\r\n$", "what the terminal said")


@check(short=True)
def run_in_background(podman):
    with podman.container("--name", "back", "--label", "kind=test") as container:
        equal(container.status, "running", "the status")
        known = podman.json("ps", "--format", "json", "--filter", "label=kind=test")
        equal([one["Names"] for one in known], [["back"]], "what ps lists")
        equal(known[0]["State"], "running", "the state in ps")
        expect(container.pid > 0, "no process id")


@check(short=True)
def exec(podman):
    with podman.container("-e", "A=b", "-w", "/tmp") as container:
        result = container.exec("sh", "-c", "echo $A $(pwd); echo err >&2; exit 5", status=5)
        equal((result.out, result.err.splitlines()[0]), ("b /tmp\n", "err"), "output and errors")
        result = podman("exec", "-i", "-u", "1000:5000", "-w", "/etc", "-e", "C=d", container.name, "sh", "-c", "id -u; id -g; pwd; echo $A$C; cat", input="given")
        equal(result.out.split(), ["1000", "5000", "/etc", "bd", "given"], "what the process saw")
        result = podman("exec", "--privileged", container.name, "grep", "CapEff", "/proc/self/status")
        expect(int(result.out.split()[1], 16) > 0x1000000000 or podman.rootless, f"capabilities {result.out}")
        podman("exec", "-d", container.name, "sh", "-c", "echo there >/tmp/file.new; mv /tmp/file.new /tmp/file; sleep 1000")
        until("the detached process has written", lambda: container.exec("cat", "/tmp/file", status=None).out == "there\n")


@check
def exec_terminal(podman):
    with podman.container() as container:
        with Terminal(*podman.arguments("exec", "-it", container.name, "sh"), rows=20, columns=70, env=podman.environment,
                      user=podman.become if podman.rootless else None) as terminal:
            terminal.until("# ")
            terminal.write("echo \"size=$(stty size)=\"\n")
            terminal.until("size=20 70=")
            terminal.resize(40, 120)
            until("the new size", lambda: resized(terminal))
            terminal.write("exit 3\n")
            equal(terminal.wait(), 3, "the status")


@check
def exec_many(podman):
    with podman.container() as container:
        for number in range(8):
            equal(container.exec("echo", number).out, f"{number}\n", "output")
        equal(podman.json("inspect", container.name)[0]["ExecIDs"], [], "what is left of them")


@check
def attach(podman):
    with podman.container("-it", process=("sh", "-c", "read line; echo got $line; exit 4")) as container:
        with Terminal(*podman.arguments("attach", container.name), env=podman.environment, user=podman.become if podman.rootless else None) as terminal:
            terminal.write("hello\n")
            terminal.until("got hello")
            terminal.wait()
        equal(podman("wait", container.name).out, "4\n", "what wait says")


def detached(terminal):
    terminal.write("\x18")
    try:
        return terminal.wait(1) == 0
    except Failed:
        return False


@check
def attach_and_detach(podman):
    with podman.container("-it", process=("sh",)) as container:
        # One key: of a longer sequence podman must not read two at once.
        with Terminal(*podman.arguments("attach", "--detach-keys", "ctrl-x", container.name), env=podman.environment, user=podman.become if podman.rootless else None) as terminal:
            terminal.write("\n")
            terminal.until("# ")
            # What comes before podman has made its terminal raw is lost.
            until("podman has let go", lambda: detached(terminal))
        equal(container.status, "running", "the status")


@check(short=True)
def logs(podman):
    with podman.container(process=("sh", "-c", "echo one; echo two >&2; echo three; exit 0")) as container:
        podman("wait", container.name)
        result = podman("logs", container.name)
        equal((result.out, result.err), ("one\nthree\n", "two\n"), "the logs")
        last = podman("logs", "--tail", "1", container.name)
        equal(len((last.out + last.err).splitlines()), 1, "the last lines")
        matches(podman("logs", "-t", container.name).out, r"^\d{4}-\d\d-\d\dT\S+ one\n", "a line with its time")


@check
def logs_follow(podman):
    with podman.container(process=("sh", "-c", "echo one; read line </tmp/go 2>/dev/null; while [ ! -e /tmp/go ]; do usleep 20000; done; echo two")) as container:
        with Terminal(*podman.arguments("logs", "-f", container.name), env=podman.environment, user=podman.become if podman.rootless else None) as terminal:
            terminal.until("one")
            container.exec("touch", "/tmp/go")
            terminal.until("two")
            equal(terminal.wait(), 0, "the status of logs")


@check(short=True)
def stop(podman):
    with podman.container(process=("sh", "-c", "trap 'echo asked; exit 6' TERM; echo ready; while :; do usleep 20000; done")) as container:
        until("it is ready", lambda: "ready" in podman("logs", container.name).out)
        podman("stop", "-t", "60", container.name)
        equal(container.inspect("{{.State.Status}} {{.State.ExitCode}}"), "exited 6", "status and exit code")
        expect("asked" in podman("logs", container.name).out, "no signal came")


@check
def stop_signal(podman):
    with podman.container("--stop-signal", "USR1", process=("sh", "-c", "trap 'exit 8' USR1; echo ready; while :; do usleep 20000; done")) as container:
        until("it is ready", lambda: "ready" in podman("logs", container.name).out)
        podman("stop", "-t", "60", container.name)
        equal(container.inspect("{{.State.ExitCode}}"), "8", "the exit code")


@check(short=True)
def stop_late(podman):
    # A first process has no default action for TERM.
    with podman.container() as container:
        start = time.monotonic()
        result = podman("stop", "-t", "1", container.name)
        expect(0.9 < time.monotonic() - start < 30, "not after the time that was given")
        matches(result.err, "(?i)sigkill", "the warning")
        equal(container.inspect("{{.State.Status}} {{.State.ExitCode}}"), "exited 137", "status and exit code")


@check(short=True)
def kill(podman):
    with podman.container(process=("sh", "-c", "trap 'echo usr1' USR1; trap 'echo hup' HUP; echo ready; while :; do usleep 20000; done")) as container:
        for signal, word in (("USR1", "usr1"), ("1", "hup")):
            until("it is ready", lambda: "ready" in podman("logs", container.name).out)
            podman("kill", "--signal", signal, container.name)
            until(f"{word} is in the logs", lambda: word in podman("logs", container.name).out)
        podman("kill", container.name)
        equal(podman("wait", container.name).out, "137\n", "what wait says")
        result = podman("kill", container.name, status=125)
        matches(result.err, "(?i)can only kill running containers", "the error")


@check
def kill_of_the_process_from_outside(podman):
    import os
    with podman.container() as container:
        os.kill(container.pid, 9)
        equal(podman("wait", container.name).out, "137\n", "what wait says")
        podman.ended(container)


@check
def signals_reach_the_container(podman):
    # podman in the foreground passes on what it gets.
    import signal
    import subprocess
    process = subprocess.Popen(podman.arguments("run", "--rm", "--network", "none", "--name", "front", IMAGE, "sh", "-c",
                                                "trap 'exit 11' TERM; echo ready; while :; do usleep 20000; done"),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=podman.environment,
                               preexec_fn=podman.become if podman.rootless else None)
    equal(process.stdout.readline(), b"ready\n", "the first line")
    # Its first word comes before podman knows that it runs, and hands on signals.
    until("podman knows that it runs", lambda: podman("inspect", "--format", "{{.State.Status}}", "front").out == "running\n")
    process.send_signal(signal.SIGTERM)
    process.stdin.close()
    process.stdout.read()
    equal(process.wait(60), 11, "the status")


@check
def wait_and_start_again(podman):
    with podman.container(process=("sh", "-c", "echo x >>/var/count; exit $(wc -l </var/count)")) as container:
        equal(podman("wait", container.name).out, "1\n", "the first status")
        podman("start", "-a", container.name, status=2)
        podman("start", container.name)
        equal(podman("wait", container.name).out, "3\n", "the third status")


@check
def init_then_start(podman):
    # podman's `init` is create without start.
    with podman.container(detach=False, process=("sh", "-c", "exit 12")) as container:
        equal(container.status, "created", "the status")
        podman("init", container.name)
        equal(container.status, "initialized", "the status")
        expect(container.pid > 0, "no process waits")
        podman("start", "-a", container.name, status=12)


@check
def init_then_remove(podman):
    with podman.container(detach=False) as container:
        podman("init", container.name)
        podman("rm", "-f", container.name)


@check
def remove_running(podman):
    with podman.container() as container:
        result = podman("rm", container.name, status=2)
        matches(result.err, "(?i)running", "the error")
        podman("rm", "-f", "-t", "0", container.name)
        podman("inspect", container.name, status=125)


@check
def restart(podman):
    with podman.container() as container:
        before = container.pid
        podman("restart", "-t", "0", container.name)
        equal(container.status, "running", "the status")
        expect(container.pid != before, "the same process")


@check
def rename(podman):
    with podman.container("--name", "before") as container:
        podman("rename", "before", "after")
        equal(podman("exec", "after", "echo", "x").out, "x\n", "output")
        equal(container.inspect("{{.Name}}"), "after", "the name")


@check
def events(podman):
    with podman.container("--name", "told") as container:
        podman("kill", "told")
        podman.ended(container)
    said = podman("events", "--stream=false", "--filter", "container=told", "--format", "{{.Status}}").out.split()
    for status in ("create", "init", "start", "kill", "died", "remove"):
        expect(status in said, f"no event `{status}` in {said}")
    expect(re.search("start.*died", " ".join(said)), f"the order is {said}")
