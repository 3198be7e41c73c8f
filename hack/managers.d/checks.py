"""What the checks of all managers share: how they are named, run, timed out and told, and what must not be left behind."""

import argparse
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
import fcntl
import traceback


# Whether cgroups are slices and scopes of systemd, whose own are not counted: they come and go.
SYSTEMD = os.environ["MANAGERS_VIEW"] == "systemd"
SYSTEMD_KEPT = (r"^process ((/usr)?/lib/systemd/|/usr/bin/dbus-daemon|\(|/sbin/agetty|/usr/lib/polkit)"
                r"|^unit (system|user|machine|docker|kubepods|mine|libpod_parent|docker-mine)\.slice$"
                r"|^cgroup unified (init\.scope|(system|user|machine|docker|kubepods|mine|libpod_parent)\.slice|docker\.slice/docker-mine\.slice"
                r"|(system|user)\.slice(/[\w@.\\-]+\.(service|socket|slice|mount))+)$")
# What systemd was asked to make: scopes, slices, timers, and those that failed.
UNITS = "/run/systemd/transient"
# The longest that a check may take; most have shorter times of their own.
LONGEST = 400


class Failed(Exception):
    pass


class NotRun(Exception):
    """The machine or the manager cannot do what the check is about."""


class Result:
    def __init__(self, arguments, status, out, err):
        self.arguments, self.status, self.out, self.err = arguments, status, out, err

    def __str__(self):
        def cut(text):
            text = text.strip()
            return text if len(text) < 1500 else text[:700] + " […] " + text[-700:]
        return f"`{' '.join(self.arguments)}` ended with {self.status}, output `{cut(self.out)}`, errors `{cut(self.err)}`"


registered = []


def check(function=None, *, short=False, differs=None):
    """Makes a check of a function; one without @check(short=True) is left out of the short form. `differs` names the runtimes that
    fail it always or now and then, each with the reason: told apart from what is broken."""
    def register(function):
        registered.append((function.__name__, short, differs or {}, function))
        return function
    return register(function) if function else register


def expect(condition, *why):
    if not condition:
        raise Failed(" ".join(str(part) for part in why) or "not as expected")


def equal(actual, expected, what):
    expect(actual == expected, f"{what} is {actual!r}, expected {expected!r}")


def matches(text, pattern, what):
    found = re.search(pattern, text, re.S)
    expect(found, f"{what} is {text!r}, expected /{pattern}/")
    return found


def until(what, condition, seconds=120 if SYSTEMD else 30):
    """Waits for an event that nothing can be blocked on."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        expect(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.02)


log = None


def record(line):
    if log:
        log.write(line + "\n")
        log.flush()


def command(*arguments, status=0, input="", timeout=90, env=None, user=None):
    """Runs a program to its end. A `status` of None takes any; `input` is what it reads."""
    arguments = [str(argument) for argument in arguments]
    try:
        # Never /dev/null as standard input: crun gives the container's user what it finds there.
        process = subprocess.run(arguments, input=input.encode(), capture_output=True, timeout=timeout, env=env, preexec_fn=user)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"`{' '.join(arguments)}` did not end within {timeout} s, output `{late.stdout}`, errors `{late.stderr}`") from None
    result = Result(arguments, process.returncode, process.stdout.decode(errors="replace"), process.stderr.decode(errors="replace"))
    record(str(result))
    if status is not None:
        expect(result.status == status, f"{result}, expected {status}")
    return result


def version(text):
    """The first version that a program names, as numbers."""
    return tuple(int(part) for part in re.search(r"\d+(\.\d+)+", text).group().split("."))


class Terminal:
    """A program with a terminal of its own, which we are the other side of."""

    def __init__(self, *arguments, rows=31, columns=97, env=None, user=None):
        self.arguments = [str(argument) for argument in arguments]
        self.seen = ""
        self.status = None
        self.file, other = pty.openpty()
        self.name = os.ttyname(other)
        self.resize(rows, columns)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.file)
                os.login_tty(other)
                if user:
                    user()
                os.execvpe(self.arguments[0], self.arguments, env or os.environ)
            finally:
                os._exit(127)
        os.close(other)

    def resize(self, rows, columns):
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def write(self, text):
        os.write(self.file, text.encode())

    def read(self):
        """Whether there was more."""
        try:
            data = os.read(self.file, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def until(self, pattern, seconds=30):
        """Reads on to where the pattern ends, and forgets what was before."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen)
            if found:
                self.seen = self.seen[found.end():]
                return found
            ready, _, _ = select.select([self.file], [], [], max(0, end - time.monotonic()))
            expect(ready, f"`{' '.join(self.arguments)}` did not say /{pattern}/ within {seconds} s, but {self.seen!r}")
            expect(self.read(), f"`{' '.join(self.arguments)}` ended before /{pattern}/ with {self.seen!r}")

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while self.status is None:
            ready, _, _ = select.select([self.file], [], [], 0.02)
            if ready:
                self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            expect(self.status is not None or time.monotonic() < end, f"`{' '.join(self.arguments)}` did not end within {seconds} s")
        record(f"`{' '.join(self.arguments)}` at a terminal ended with {self.status}")
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.file)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def hierarchies():
    """The folders of all hierarchies of cgroups by controller, that of v2 as `unified`."""
    found = {}
    for line in read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        kind = fields[fields.index("-") + 1]
        if kind == "cgroup2":
            found["unified"] = fields[4]
        elif kind == "cgroup":
            found[os.path.basename(fields[4])] = fields[4]
    return found


def cgroup_of(pid, controller):
    """The cgroup of a process, as a folder that we see."""
    known = hierarchies()
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names.removeprefix("name=") == controller or (not names and controller == "unified"):
            return known[controller] + path
    raise NotRun(f"no cgroup of {controller}")


def limit_of(pid, legacy, unified):
    """A limit of a process' cgroup: a file of v1 after its controller, or where there is v2 only, one of that."""
    controller, _, name = legacy.partition("/")
    path = f"{cgroup_of(pid, 'unified')}/{unified}" if list(hierarchies()) == ["unified"] else f"{cgroup_of(pid, controller)}/{name}"
    return read(path).strip()


class View:
    """What a manager finds of cgroups: whether they are of v2 only, and which controllers there are."""

    def __init__(self):
        found = hierarchies()
        self.v2 = list(found) == ["unified"]
        self.controllers = set(read(found["unified"] + "/cgroup.controllers").split()) if self.v2 else set(found) - {"unified", "systemd"}

    def needs(self, *controllers):
        for controller in controllers:
            if controller not in self.controllers:
                raise NotRun(f"no controller `{controller}` in this view of cgroups")


def processes():
    """All but ourselves, process 1 and what has ended."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (1, os.getpid()):
            continue
        try:
            state = read(f"/proc/{name}/stat").rsplit(")", 1)[1].split()
            line = read(f"/proc/{name}/cmdline").replace("\0", " ").strip()
        except OSError:
            continue
        # A kernel thread of this namespace there is not; whoever started us has an empty parent here.
        if state[0] != "Z" and line:
            found[f"process {line[:150]}"] = int(name)
    return found


def present(state_folders):
    """What a container could leave: mounts, cgroups, units, processes, links, network namespaces, state, files that last for a while."""
    found = set(processes())
    for line in read("/proc/self/mountinfo").splitlines():
        found.add("mount " + line.split()[4])
    for controller, folder in hierarchies().items():
        for path, names, _ in os.walk(folder):
            found.update(f"cgroup {controller} {os.path.relpath(os.path.join(path, name), folder)}" for name in names)
    found.update("link " + name for name in os.listdir("/sys/class/net"))
    for folder in (*state_folders, "/tmp", "/var/tmp", "/dev/shm"):
        if os.path.isdir(folder):
            found.update(f"file {folder}/{name}" for name in os.listdir(folder))
    if SYSTEMD and os.path.isdir(UNITS):
        found.update(f"unit {name}" for name in os.listdir(UNITS))
    return found


class Machine:
    """Takes stock before and after, and says what is too much, with the names in `kept` not counted."""

    def __init__(self, state_folders, kept):
        self.state_folders, self.kept = state_folders, re.compile(f"{kept}|{SYSTEMD_KEPT}" if SYSTEMD else kept)
        self.before = set()
        self.take_stock()

    def now(self):
        return {name for name in present(self.state_folders) if not self.kept.search(name)}

    def take_stock(self):
        self.before = self.now()

    def left(self, seconds=10):
        """Managers clean up after containers behind the back of who asked."""
        end = time.monotonic() + seconds
        while True:
            left = sorted(self.now() - self.before)
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.05)


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--filter", default="")
    parser.add_argument("--repeat", type=int, default=1)
    return parser.parse_args()


def paths():
    """The runtimes to check, as a manager finds them."""
    return [f"/run/managers/bin/{os.path.basename(path)}" for path in os.environ["MANAGERS_RUNTIMES"].split()]


def compare(what, names, call, rounds=15):
    """Wall times of a call for each name, one after another in each round, as ratios to those of the first."""
    taken = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            start = time.monotonic()
            call(name)
            taken[name].append(time.monotonic() - start)
    called = [os.path.basename(name) for name in names]
    for name, shown in zip(names, called):
        mine = taken[name]
        print(f"{what}, {shown}: minimum {min(mine) * 1000:.0f} ms, median {statistics.median(mine) * 1000:.0f} ms")
    first = taken[names[0]]
    for name, shown in zip(names[1:], called[1:]):
        other = taken[name]
        pairs = statistics.median(mine / their for mine, their in zip(first, other))
        print(f"{called[0]} / {shown}: minima {min(first) / min(other):.2f}, "
              f"medians {statistics.median(first) / statistics.median(other):.2f}, median of the rounds' {pairs:.2f}")


def too_late(*_):
    raise Failed(f"did not end within {LONGEST} s")


def run(chosen, machine, clean_up, *context):
    """Runs the checks one after another; after each one everything must be as before."""
    global log
    if chosen.time:
        print(f"{os.path.basename(sys.argv[0])} has no wall times to compare", file=sys.stderr)
        return 2
    runtime = os.path.basename(os.environ["MANAGERS_RUNTIMES"].split()[0])
    signal.signal(signal.SIGALRM, too_late)
    folder = "/run/managers/logs"
    if os.path.isdir(folder):
        log = open(f"{folder}/{os.path.basename(sys.argv[0])}-{runtime}-{os.environ['MANAGERS_VIEW']}", "w", encoding="utf-8")
    passed = failed = missing = other = 0
    pattern = re.compile(chosen.filter)
    for name, short, differs, function in registered * chosen.repeat:
        if (chosen.short and not short) or not pattern.search(name):
            continue
        record(f"--- {name}")
        start = time.monotonic()
        reason = unable = None
        try:
            signal.alarm(LONGEST)
            try:
                function(*context)
            finally:
                signal.alarm(0)
        except Failed as failure:
            reason = str(failure)
        except NotRun as why:
            unable = str(why)
        except Exception:  # A check that is wrong itself is one that failed.
            reason = traceback.format_exc().strip().replace("\n", " | ")
        if reason:
            clean_up(*context)
        left = machine.left()
        if left:
            reason = (reason + "; " if reason else "") + "left behind: " + ", ".join(left[:8]) + (f" and {len(left) - 8} more" if len(left) > 8 else "")
            clean_up(*context)
            machine.left()
            machine.take_stock()
        record(f"--- {name}: {reason or unable or 'ok'}, {time.monotonic() - start:.2f} s")
        if reason and runtime in differs:
            other += 1
            print(f"differs {name}: {differs[runtime]}", flush=True)
        elif reason:
            failed += 1
            print(f"FAILED {name}: {reason}", flush=True)
        elif unable:
            missing += 1
            print(f"not run {name}: {unable}", flush=True)
        else:
            passed += 1
            print(f"ok {name}", flush=True)
    print(f"{missing} not run" + (f", {other} where {runtime} differs" if other else ""))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0
