#!/usr/bin/python3 -IS
"""Runs a command and ends or stops it at one of its system calls: cut.py FOLDER COMMAND…
FOLDER/plan holds `kill NUMBER`, `hold NUMBER` or `count`, NUMBER the stops before and after calls of the first thread; it is for one
command only. FOLDER/said is there when that is done: `killed`, `held PID` of what has to be continued, `ended NUMBER` where it was over
before."""

import ctypes
import os
import signal
import sys

TRACEME, DETACH, SYSCALL, SETOPTIONS = 0, 17, 24, 0x4200
# The stops of system calls and of execve told apart from signals; and whoever ends this ends the command.
OPTIONS = 0x1 | 0x10 | 0x100000
PR_SET_PDEATHSIG = 1
AT_CALL, AT_EXECVE = signal.SIGTRAP | 0x80, signal.SIGTRAP | 4 << 8

libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, pid, data=0):
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None, ctypes.c_void_p(data)) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def say(folder, text):
    with open(f"{folder}/said.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{folder}/said.new", f"{folder}/said")


def started(arguments):
    pid = os.fork()
    if pid == 0:
        try:
            # Once it is let go, too.
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            ptrace(TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(arguments[0], arguments)
        finally:
            os._exit(127)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, OPTIONS)
    return pid


def follow(pid, number):
    """Up to a stop of that number; the number of stops, and the status where it has ended before."""
    seen = passed_on = 0
    inside = False
    while True:
        ptrace(SYSCALL, pid, passed_on)
        status = os.waitpid(pid, 0)[1]
        passed_on = 0
        if not os.WIFSTOPPED(status):
            return seen, status
        stop = status >> 8
        if stop == AT_EXECVE:
            inside = True
        elif stop != AT_CALL:
            passed_on = stop & 0xff
        elif inside:
            seen += 1
            if seen == number:
                return seen, None


def main(folder, arguments):
    try:
        os.rename(f"{folder}/plan", f"{folder}/taken")
    except FileNotFoundError:
        os.execv(arguments[0], arguments)
    with open(f"{folder}/taken", encoding="utf-8") as file:
        kind, _, number = file.read().partition(" ")
    pid = started(arguments)
    seen, status = follow(pid, int(number or 0))
    if status is not None:
        say(folder, f"ended {seen}")
    elif kind == "kill":
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        say(folder, "killed")
    else:
        # All of its threads.
        ptrace(DETACH, pid, signal.SIGSTOP)
        say(folder, f"held {pid}")
        status = os.waitpid(pid, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


main(sys.argv[1], sys.argv[2:])
