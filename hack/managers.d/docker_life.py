"""What every user of docker does: run, exec, terminals, logs, stop, kill."""

import os
import signal
import subprocess
import time

from checks import Terminal, check, command, equal, expect, matches, processes, read, until, write
from docker_setup import CALLS, DATA, IMAGE, LACKS

TRAP = "trap 'echo asked; exit 6' TERM; echo ready; while :; do usleep 20000; done"


def said(docker, container, word):
    """Waits until a container has said something."""
    until(f"{word} is in the logs", lambda: word in docker("logs", container.name).out)


@check(short=True)
def run(docker):
    result = docker.run(IMAGE, "sh", "-c", "echo out; echo err >&2")
    equal((result.out, result.err), ("out\n", "err\n"), "output and errors")


@check(short=True)
def run_by_the_default_runtime(docker):
    with docker.container() as container:
        equal(container.inspect("{{.HostConfig.Runtime}}"), docker.default, "the runtime")
        folder = docker.states
        expect(container.name in os.listdir(folder), f"no state in {folder}")
        # What made it agrees.
        state = command(docker.path, "--root", folder, "state", container.name).out
        matches(state, rf'"pid": {container.pid}\b.*"status": "running"', "the state")


@check(short=True)
def run_status(docker):
    docker.run(IMAGE, "sh", "-c", "exit 7", status=7)
    docker.run("--init", IMAGE, "sh", "-c", "kill -TERM $$", status=143)
    docker.run("--init", IMAGE, "sh", "-c", "kill -KILL $$", status=137)


@check(short=True)
def run_input(docker):
    equal(docker.run("-i", IMAGE, "cat", input="one\ntwo\n").out, "one\ntwo\n", "what cat gives back")
    equal(docker.run(IMAGE, "cat", input="one\ntwo\n").out, "", "what cat gives back without -i")


@check
def run_much_output(docker):
    equal(len(docker.run(IMAGE, "sh", "-c", "yes 0123456789 | head -n 100000").out), 1100000, "bytes of output")


@check
def run_much_input(docker):
    equal(docker.run("-i", IMAGE, "wc", "-c", input="x" * 3000000).out, "3000000\n", "bytes of input")


@check(short=True)
def run_terminal(docker):
    with Terminal(*docker.arguments("run", "--rm", "-it", "--network", "none", IMAGE, "sh"), rows=31, columns=97, env=docker.environment) as terminal:
        terminal.until("# ")
        first_size(terminal, "31 97")
        terminal.write("tty; echo do''ne\n")
        terminal.until("/dev/(console|pts/0)\r?\ndone")
        terminal.resize(40, 120)
        until("the new size", lambda: size(terminal) == "40 120")
        # The echo of the line has other quotes.
        terminal.write("(echo beg''in; exec sleep 1000)\n")
        terminal.until("begin")
        terminal.write("\x03")
        terminal.until("# ")
        terminal.write("echo stat''us=$?\n")
        terminal.until("status=130")
        terminal.write("exit 9\n")
        equal(terminal.wait(), 9, "the status")


def first_size(terminal, expected):
    """The client sets the size when the shell runs already. On a slow machine it tries five times in vain and gives up: stty(1) then
    finds none."""
    slow = time.monotonic() + 5
    until("the size", lambda: size(terminal) == expected or (time.monotonic() > slow and not size(terminal)))


def size(terminal):
    terminal.write("echo \"size=$(stty size)=\"\n")
    return terminal.until("size=([0-9]* ?[0-9]*)=").group(1)


@check
def run_terminal_without_one(docker):
    # The other side is no terminal; the container has one all the same.
    result = docker.run("-t", IMAGE, "sh", "-c", "tty; test -t 0 && test -t 1 && test -t 2 && echo all; stat -c %t:%T /dev/console")
    matches(result.out, r"^/dev/(console|pts/0)\r\nall\r\n88:0\r\n$", "what the terminal said")


@check
def terminal_of_a_user(docker):
    result = docker.run("-t", "--user", "1000", IMAGE, "sh", "-c", "stat -c %u $(tty); echo word >$(tty)")
    equal(result.out, "1000\r\nword\r\n", "owner of the terminal, and what is written to it")


@check(short=True)
def run_in_background(docker):
    with docker.container("--name", "back", "--label", "kind=test", "--label", "other") as container:
        equal(container.status, "running", "the status")
        known = docker.json("ps", "--filter", "label=kind=test")
        equal([(one["Names"], one["State"]) for one in known], [("back", "running")], "what ps lists")
        equal(container.inspect("{{json .Config.Labels}}"), '{"kind":"test","other":""}', "the labels")
        expect(container.pid in processes().values(), "no process of that id")


@check
def run_as_named(docker):
    path = f"{DATA}/id"
    with docker.container("--cidfile", path) as container:
        equal(read(path), container.name, "the file of the id")
    os.remove(path)


@check(short=True)
def exec(docker):
    with docker.container("-e", "A=b", "-w", "/tmp") as container:
        result = container.exec("sh", "-c", "echo $A $(pwd); echo err >&2; exit 5", status=5)
        equal((result.out, result.err), ("b /tmp\n", "err\n"), "output and errors")
        result = docker("exec", "-i", "-u", "1000:5000", "-w", "/etc", "-e", "C=d", container.name, "sh", "-c", "id -u; id -g; pwd; echo $A$C; cat", input="given")
        equal(result.out.split(), ["1000", "5000", "/etc", "bd", "given"], "what the process saw")
        container.exec("sh", "-c", "kill -KILL $$", status=137)


@check(short=True)
def exec_in_background(docker):
    with docker.container() as container:
        docker("exec", "-d", container.name, "sh", "-c", "echo there >/tmp/file.new; mv /tmp/file.new /tmp/file; sleep 1000")
        until("the detached process has written", lambda: container.exec("cat", "/tmp/file", status=None).out == "there\n")


@check(short=True, differs=LACKS)
def exec_privileged(docker):
    with docker.container() as container:
        mine = container.exec("grep", "CapEff", "/proc/self/status").out.split()[1]
        result = docker("exec", "--privileged", container.name, "grep", "-E", "CapEff|Seccomp:", "/proc/self/status").out.split()
        expect(int(result[1], 16) > int(mine, 16) and int(result[1], 16) & 1 << 21, f"capabilities {result}, without {mine}")
        equal(container.exec("grep", "Seccomp:", "/proc/self/status").out.split()[1], "2", "seccomp of an ordinary one")


@check
def exec_env_file(docker):
    path = write(f"{DATA}/env", "ONE=first\n# no\nTWO=second word\n")
    equal(docker.shell("echo $ONE $TWO", "--env-file", path), "first second word", "what run saw")
    with docker.container() as container:
        equal(docker("exec", "--env-file", path, container.name, "sh", "-c", "echo $ONE $TWO").out, "first second word\n", "what exec saw")


@check(short=True)
def exec_terminal(docker):
    with docker.container() as container:
        with Terminal(*docker.arguments("exec", "-it", container.name, "sh"), rows=20, columns=70, env=docker.environment) as terminal:
            terminal.until("# ")
            first_size(terminal, "20 70")
            terminal.resize(40, 120)
            until("the new size", lambda: size(terminal) == "40 120")
            terminal.write("exit 3\n")
            equal(terminal.wait(), 3, "the status")


@check
def exec_many(docker):
    with docker.container() as container:
        for number in range(8):
            equal(container.exec("echo", number).out, f"{number}\n", "output")
        until("nothing is left of them", lambda: container.inspect("{{.ExecIDs}}") == "[]")


@check
def exec_ends_with_the_container(docker):
    with docker.container() as container:
        process = subprocess.Popen(docker.arguments("exec", container.name, "sh", "-c", "echo ready; sleep 1000"),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=docker.environment)
        equal(process.stdout.readline(), b"ready\n", "the first line")
        docker("kill", container.name)
        process.stdin.close()
        process.stdout.read()
        equal(process.wait(60), 137, "the status")


@check(short=True)
def attach(docker):
    with docker.container("-it", process=("sh", "-c", "read line; echo got $line; exit 4")) as container:
        with Terminal(*docker.arguments("attach", container.name), env=docker.environment) as terminal:
            terminal.write("hello\n")
            terminal.until("got hello")
            equal(terminal.wait(), 4, "the status of attach")
        equal(docker("wait", container.name).out, "4\n", "what wait says")


@check
def attach_and_detach(docker):
    with docker.container("-it", process=("sh",)) as container:
        with Terminal(*docker.arguments("attach", container.name), env=docker.environment) as terminal:
            terminal.write("\n")
            terminal.until("# ")
            terminal.write("\x10\x11")
            terminal.until("read escape sequence")
            # The client of this version calls that an error.
            expect(terminal.wait() in (0, 1), f"the status of attach is {terminal.status}")
        equal(container.status, "running", "the status")


@check(short=True)
def logs(docker):
    with docker.container(process=("sh", "-c", "echo one; echo two >&2; echo three; exit 0")) as container:
        docker("wait", container.name)
        result = docker("logs", container.name)
        equal((result.out, result.err), ("one\nthree\n", "two\n"), "the logs")
        last = docker("logs", "--tail", "1", container.name)
        equal(len((last.out + last.err).splitlines()), 1, "the last lines")
        matches(docker("logs", "-t", container.name).out, r"^\d{4}-\d\d-\d\dT\S+ one\n", "a line with its time")
        equal(docker("logs", "--since", "2100-01-01", container.name).out, "", "what comes later")


@check(short=True)
def logs_follow(docker):
    with docker.container(process=("sh", "-c", "echo one; while [ ! -e /tmp/go ]; do usleep 20000; done; echo two")) as container:
        with Terminal(*docker.arguments("logs", "-f", container.name), env=docker.environment) as terminal:
            terminal.until("one")
            container.exec("touch", "/tmp/go")
            terminal.until("two")
            equal(terminal.wait(), 0, "the status of logs")


@check(short=True)
def stop(docker):
    with docker.container(process=("sh", "-c", TRAP)) as container:
        said(docker, container, "ready")
        docker("stop", "-t", "60", container.name)
        equal(container.inspect("{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}} {{.State.Error}}."), "exited 6 0 .", "status, exit code, process and error")
        expect("asked" in docker("logs", container.name).out, "no signal came")


@check
def stop_signal(docker):
    with docker.container("--stop-signal", "USR1", process=("sh", "-c", TRAP.replace("TERM", "USR1"))) as container:
        said(docker, container, "ready")
        docker("stop", "-t", "60", container.name)
        equal(container.inspect("{{.State.ExitCode}}"), "6", "the exit code")


@check(short=True)
def stop_late(docker):
    # A first process has no default action for TERM.
    with docker.container() as container:
        start = time.monotonic()
        docker("stop", "-t", "1", container.name)
        expect(0.9 < time.monotonic() - start < 30, "not after the time that was given")
        equal(container.inspect("{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}"), "exited 137 false", "status, exit code and OOMKilled")


@check(short=True)
def kill(docker):
    with docker.container(process=("sh", "-c", "trap 'echo usr1' USR1; trap 'echo hup' HUP; echo ready; while :; do usleep 20000; done")) as container:
        said(docker, container, "ready")
        for name, word in (("USR1", "usr1"), ("SIGHUP", "hup")):
            docker("kill", "-s", name, container.name)
            said(docker, container, word)
        docker("kill", container.name)
        equal(docker("wait", container.name).out, "137\n", "what wait says")
        matches(docker("kill", container.name, status=1).err, "is not running", "the error")


@check
def kill_of_the_process_from_outside(docker):
    with docker.container() as container:
        os.kill(container.pid, signal.SIGKILL)
        equal(docker("wait", container.name).out, "137\n", "what wait says")


@check
def signals_reach_the_container(docker):
    # The client in the foreground passes on what it gets.
    process = subprocess.Popen(docker.arguments("run", "--rm", "--network", "none", "--name", "front", IMAGE, "sh", "-c", TRAP),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=docker.environment)
    equal(process.stdout.readline(), b"ready\n", "the first line")
    until("the engine knows that it runs", lambda: docker("inspect", "--format", "{{.State.Status}}", "front").out == "running\n")
    process.send_signal(signal.SIGTERM)
    process.stdin.close()
    expect(b"asked" in process.stdout.read(), "no signal came")
    equal(process.wait(60), 6, "the status")


@check(short=True)
def wait_and_start_again(docker):
    with docker.container(process=("sh", "-c", "echo x >>/var/count; exit $(wc -l </var/count)")) as container:
        equal(docker("wait", container.name).out, "1\n", "the first status")
        docker("start", "-a", container.name, status=2)
        docker("start", container.name)
        equal(docker("wait", container.name).out, "3\n", "the third status")


@check(short=True)
def create_then_start(docker):
    with docker.container("-i", detach=False, process=("sh", "-c", "read word; echo $word; exit 12")) as container:
        equal(container.status, "created", "the status")
        equal(docker("start", "-ai", container.name, status=12, input="given\n").out, "given\n", "output")


@check
def remove_running(docker):
    with docker.container() as container:
        matches(docker("rm", container.name, status=1).err, "(?i)running container|container is running", "the error")
        docker("rm", "-f", container.name)
        docker("inspect", container.name, status=1)


@check(short=True)
def restart(docker):
    with docker.container("--name", "again") as container:
        before = container.pid
        docker("restart", "-t", "0", container.name)
        equal(container.status, "running", "the status")
        expect(container.pid != before, "the same process")


@check
def rename(docker):
    with docker.container("--name", "before") as container:
        docker("rename", "before", "after")
        equal(docker("exec", "after", "echo", "x").out, "x\n", "output")
        equal(container.inspect("{{.Name}}"), "/after", "the name")


@check
def events(docker):
    with docker.container("--name", "told") as container:
        container.exec("true")
        docker("pause", "told")
        docker("unpause", "told")
        docker("kill", "told")
        docker("wait", "told")
    # With an end the command ends too.
    told = docker("events", "--since", "5m", "--until", f"{time.time():.9f}", "--filter", "container=told", "--format", "{{.Action}}").out.split("\n")
    order = ["create", "start", "exec_create: true", "exec_start: true", "exec_die", "pause", "unpause", "kill", "die", "destroy"]
    known = [word.strip() for word in told if word.strip() in order]
    equal(known, order, f"the order of events ({told})")


@check(short=True)
def other_runtime(docker):
    write(CALLS, "")
    with docker.container("--runtime", "other") as container:
        equal(container.inspect("{{.HostConfig.Runtime}}"), "other", "the runtime")
        equal(container.exec("echo", "x").out, "x\n", "output")
    calls = read(CALLS)
    for verb in ("create", "start", "exec", "kill", "delete"):
        matches(calls, rf"(?m)^other --root {docker.states} .* {verb} ", "the calls")


@check(short=True)
def info(docker):
    known = docker.json("info")[0]
    equal(known["DefaultRuntime"], docker.default, "the default runtime")
    equal(known["Runtimes"][docker.default]["path"], docker.path, "its path")
    own = command(docker.path, "--version").out
    expect(known["RuncCommit"]["ID"] and known["RuncCommit"]["ID"] in own, f"the commit is {known['RuncCommit']}, the runtime says {own}")
    expect(not [line for line in known["Warnings"] or [] if "runtime" in line.lower()], known["Warnings"])
    part = next(one for one in docker.json("version")[0]["Server"]["Components"] if one["Name"] not in ("Engine", "containerd", "docker-init"))
    expect(f"version {part['Version']}\n" in own, f"the version is {part['Version']}, the runtime says {own}")
