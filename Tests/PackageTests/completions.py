"""The completions that hack/manual makes, as bash, zsh and fish use them, and the manual pages as their readers see them. A shell
that is not installed is left out, and said."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

from support import BINARY, ROOT, Scratch

# What stands before the cursor, and what must be offered there: those words and, of all that begins like them, no others.
CASES = [
    ("apus cre", {"create"}),
    ("apus --root /tmp cre", {"create"}),
    ("apus --log-format ", {"text", "json"}),
    ("apus --cgroup-manager s", {"systemd"}),
    ("apus --pre", set()),
    ("apus create --pre", {"--preserve-fds"}),
    ("apus create --pid-file alp", {"alpha.pid"}),
    ("apus create --bundle b", {"bundle/"}),
    ("apus create --bundle alp", set()),
    ("apus --root {state} delete ", {"first", "second"}),
    ("apus --root {state} kill -a sec", {"second"}),
    ("apus --root {state} kill first SIGKI", {"SIGKILL"}),
    ("apus --root {state} create fir", set()),
    ("apus exec --cap CAP_SYS_CH", {"CAP_SYS_CHROOT"}),
    ("apus --root {state} exec -e A=B --tty sec", {"second"}),
    ("apus exec first --pi", set()),
    ("apus ps -f j", {"json"}),
    ("apus help feat", {"features"}),
]


class Completions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = Scratch()
        folder = cls.folder = cls.scratch.path
        cls.share = f"{folder}/share"
        subprocess.run([f"{ROOT}/hack/manual", BINARY, cls.share], check=True, stdout=subprocess.DEVNULL)
        os.makedirs(f"{folder}/work/bundle")
        open(f"{folder}/work/alpha.pid", "w").close()
        # The ids, for that state directory alone.
        os.makedirs(f"{folder}/bin")
        with open(f"{folder}/bin/apus", "w") as file:
            file.write(f'#!/bin/sh\n[ "$*" = "--root {folder}/state list -q" ] && printf "first\\nsecond\\n"\n')
        os.chmod(f"{folder}/bin/apus", 0o755)
        cls.environment = {
            "PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": folder, "TERM": "dumb", "LC_ALL": "C.UTF-8", "PS1": "",
            "XDG_CONFIG_HOME": f"{folder}/config", "XDG_DATA_HOME": f"{folder}/data"}

    @classmethod
    def tearDownClass(cls):
        cls.scratch.remove()

    def run_shell(self, *arguments):
        done = subprocess.run(
            arguments, env=self.environment, cwd=f"{self.folder}/work", capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def check(self, offer):
        for line, expected in CASES:
            line = line.format(state=f"{self.folder}/state")
            with self.subTest(line):
                self.assertEqual({word.strip() for word in offer(line)}, expected)

    def test_bash(self):
        script = (
            f"source {self.share}/bash-completion/completions/apus; "
            'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _apus; printf "%s\\n" "${COMPREPLY[@]}"')

        def offer(line):
            # As readline takes them apart.
            words = re.findall(r"[=:]+|[^\s=:]+", line) + ([""] if line.endswith(" ") else [])
            found = self.run_shell("bash", "-c", script, "bash", *words).split("\n")
            return {f"{word}/" if word == "bundle" else word for word in found if word}

        self.check(offer)
        self.assertEqual(offer("apus list --format="), {"table", "json"})
        self.assertEqual(offer("apus list --format=j"), {"json"})
        self.assertEqual(offer("apus delete --force=f"), {"false"})

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        source = f"source {self.share}/fish/vendor_completions.d/apus.fish"

        def offer(line):
            found = self.run_shell("fish", "--no-config", "-c", f'{source}; complete -C "{line}"').splitlines()
            # fish falls back on files that have the letters somewhere, and offers what is matched loosely.
            word = line.split(" ")[-1]
            return {name for name in (row.split("\t")[0] for row in found) if name.startswith(word)}

        cases = [case for case in CASES if "SIG" not in case[0]]
        self.assertEqual(offer("apus kill first KI"), {"KILL"})
        for line, expected in cases:
            line = line.format(state=f"{self.folder}/state")
            with self.subTest(line):
                self.assertEqual(offer(line), expected)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        """zsh completes at a terminal only: each line is typed there, and a widget prints what would be inserted."""
        with open(f"{self.folder}/.zshrc", "w") as file:
            file.write(
                f"fpath=({self.share}/zsh/site-functions $fpath)\nautoload -U compinit; compinit -u -d {self.folder}/dump\n"
                "zstyle ':completion:*' completer _complete\n"
                # What is offered, printed instead of inserted.
                "compadd () {\n"
                '  if [[ ${@[1,(i)(-|--)]} = *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi\n'
                "  typeset -a found; local word\n"
                '  builtin compadd -A found "$@"\n'
                '  for word in "${found[@]}"; do\n'
                "    [[ -d $word ]] && word+=/\n"
                '    print -r -- "<$word>" >>$OFFERED\n'
                "  done\n"
                '  builtin compadd "$@"\n'
                "}\n"
                "said () { print DONE >>$OFFERED; zle .kill-whole-line }; zle -N said; bindkey '^X' said\nsetopt no_beep\n")
        offered = f"{self.folder}/offered"
        open(offered, "w").close()
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(f"{self.folder}/work")
            os.execve("/usr/bin/zsh", ["zsh", "-i"], {**self.environment, "OFFERED": offered, "ZDOTDIR": self.folder})

        def offer(line):
            open(offered, "w").close()
            os.write(terminal, line.encode() + b"\t\x18")
            end = time.monotonic() + 20
            while time.monotonic() < end:
                if select.select([terminal], [], [], 0.05)[0]:
                    os.read(terminal, 65536)
                with open(offered) as file:
                    text = file.read()
                if text.endswith("DONE\n"):
                    return set(re.findall(r"<(.*)>", text))
            self.fail("zsh does not answer")

        try:
            self.check(offer)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(terminal)


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = Scratch()
        done = subprocess.run(
            [f"{ROOT}/hack/manual", BINARY, cls.scratch.path], check=True, stdout=subprocess.PIPE, text=True)
        cls.pages = [path for path in done.stdout.split() if path.endswith(".8")]

    @classmethod
    def tearDownClass(cls):
        cls.scratch.remove()

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_mandoc_has_nothing_to_say(self):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "all", *self.pages], capture_output=True, text=True)
        self.assertEqual(done.stdout + done.stderr, "")

    @unittest.skipUnless(shutil.which("man"), "man-db is not installed")
    def test_man_has_nothing_to_say(self):
        for page in self.pages:
            done = subprocess.run(
                ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page], capture_output=True, text=True, env={**os.environ, "MANWIDTH": "80"})
            self.assertEqual(done.stderr, "", page)
            self.assertIn("SYNOPSIS", re.sub(".\b", "", done.stdout))

    def test_what_is_not_understood_is_refused(self):
        """A flag without description, a value or an operand that the tables do not have."""
        for wrong, said in [
            ("  --new-flag  ", "has no description"),
            ("  --new-flag THING  a new flag", "is not in the table KINDS"),
            ("  --new-flag, --other, --third  a new flag", "cannot understand"),
        ]:
            program = f"{self.scratch.path}/apus"
            with open(program, "w") as file:
                file.write(
                    f'#!/bin/sh\n"{BINARY}" "$@" | sed "s/: .*[/]apus /: apus /; s/^flags:$/&\\n{wrong}/"\n')
            os.chmod(program, 0o755)
            done = subprocess.run(
                [f"{ROOT}/hack/manual", program, f"{self.scratch.path}/out"], capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)
