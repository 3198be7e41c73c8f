"""A runtime that is ended or stopped in the middle of one command, and the proof that it was."""

import os
import signal

from checks import expect, read, record, until, write

# In front of the runtime: one command goes by way of cut.py.
WRAPPER = """#!/bin/sh
read -r verb <FOLDER/verb
case " $* " in *" $verb "*) exec /run/managers/checks/cut.py FOLDER RUNTIME "$@" ;; esac
exec RUNTIME "$@"
"""


class Cut:
    """`path` is the runtime to give to a manager."""

    def __init__(self, runtime, path="/srv/data/cut"):
        self.runtime, self.path, self.folder = runtime, path, f"{path}.plans"
        os.makedirs(self.folder, exist_ok=True)
        # Whoever runs it answers there.
        os.chmod(self.folder, 0o777)
        write(f"{self.folder}/verb", "none\n")
        write(path, WRAPPER.replace("FOLDER", self.folder).replace("RUNTIME", runtime), 0o755)

    def plan(self, verb, what):
        for name in ("said", "plan"):
            if os.path.exists(f"{self.folder}/{name}"):
                os.remove(f"{self.folder}/{name}")
        write(f"{self.folder}/verb", verb + "\n")
        write(f"{self.folder}/plan", what)

    def said(self):
        until("the runtime has come to the moment", lambda: os.path.exists(f"{self.folder}/said"))
        return read(f"{self.folder}/said").split()

    def each(self, verb, what, whole, parts=(0.1, 0.3, 0.5, 0.7, 0.9)):
        """Parts of a command's system calls, of which `whole` has it make all. What the loop's body calls is killed (`kill`) there or
        stopped (`hold`): at least one has to be."""
        self.plan(verb, "count")
        whole()
        total = int(self.said()[1])
        fell = 0
        for part in parts:
            self.plan(verb, f"{what} {max(1, int(total * part))}")
            try:
                yield
                fell += self.fell
            finally:
                self.release()
                write(f"{self.folder}/verb", "none\n")
        record(f"{fell} of {len(parts)} fell into {verb}, which has {total} stops")
        expect(fell, f"{verb} was always faster")

    @property
    def fell(self):
        """Whether the call was in the middle then."""
        return self.said()[0] != "ended"

    def held(self):
        """Waits until it is stopped; whether it was in the middle of its work."""
        kind, pid = self.said()
        if kind == "held":
            until("the runtime is stopped", lambda: read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0] == "T")
            line = read(f"/proc/{pid}/cmdline").split("\0")
            expect(line[0] == self.runtime and read(f"{self.folder}/verb").strip() in line, f"{line} is stopped")
        return kind == "held"

    def release(self):
        """Has it go on to its end, if it is stopped."""
        if not os.path.exists(f"{self.folder}/said"):
            return
        kind, pid = (self.said() + [""])[:2]
        if kind == "held" and os.path.exists(f"/proc/{pid}"):
            os.kill(int(pid), signal.SIGCONT)
            until("the runtime has ended", lambda: not os.path.exists(f"/proc/{pid}"))
