"""What `kubectl exec`, `attach`, `cp` and `port-forward` do: the addresses that the CRI gives, spoken to by WebSocket."""

import base64
import json
import os
import re
import signal
import socket
import struct
import urllib.parse

from checks import Failed, check, equal, expect, matches, until
from cri_messages import EXITED, POD, RUNNING
from cri_spaces import SERVER

IN, OUT, ERRORS, END, SIZE = range(5)


class Stream:
    """One connection of several channels."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.seen, self.ended = {}, False
        self.buffer = b""
        self.connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\nOrigin: http://{parts.netloc}\r\n\r\n".encode())
        while b"\r\n\r\n" not in self.buffer:
            expect(self.fill(), f"no answer of the stream: {self.buffer}")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        matches(head.decode(), r"^HTTP/1\.1 101 ", "the answer of the stream")

    def fill(self):
        try:
            data = self.connection.recv(65536)
        except TimeoutError:
            raise Failed(f"nothing came within 30 s, before that {self.seen}") from None
        except ConnectionResetError:
            data = b""  # It has ended.
        self.buffer += data
        return bool(data)

    def take(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                return None
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read(self):
        """Takes one frame; whether there was one."""
        head = self.take(2)
        if head is None or head[0] & 15 == 8:
            self.ended = True
            return False
        length = head[1] & 127
        if length >= 126:
            length = int.from_bytes(self.take(2 if length == 126 else 8), "big")
        data = self.take(length) or b""
        if head[0] & 15 in (0, 1, 2) and data:
            self.seen[data[0]] = self.seen.get(data[0], b"") + data[1:]
        return True

    def write(self, data, channel=IN):
        data = bytes([channel]) + data
        mask = os.urandom(4)
        length = struct.pack("!B", 128 | len(data)) if len(data) < 126 else struct.pack("!BH", 128 | 126, len(data))
        self.connection.sendall(b"\x82" + length + mask + bytes(byte ^ mask[place & 3] for place, byte in enumerate(data)))

    def until(self, pattern, channel=OUT):
        """Reads on to where a pattern ends, and forgets what was before."""
        while not (found := re.search(pattern, self.seen.get(channel, b""))):
            expect(self.read(), f"the stream ended before {pattern} with {self.seen}")
        self.seen[channel] = self.seen[channel][found.end():]
        return found

    def end(self):
        """Output, errors and the status that the API server reads."""
        while self.read():
            pass
        status = json.loads(self.seen.get(END, b"{}") or b"{}")
        return self.seen.get(OUT, b""), self.seen.get(ERRORS, b""), status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


def execute(container, *arguments, **options):
    return Stream(container.cri("Exec", container_id=container.id, cmd=arguments, **{"stdout": True, **options}).url)


def code(status):
    """The exit code in a status."""
    if status.get("status") == "Success":
        return 0
    equal(status.get("reason"), "NonZeroExitCode", f"the reason of {status}")
    return int(status["details"]["causes"][0]["message"])


@check
def exec_stream(cri):
    with cri.container() as container:
        with execute(container, "sh", "-c", "echo out; echo err >&2; exit 7", stderr=True) as stream:
            out, errors, status = stream.end()
            equal((out, errors, code(status)), (b"out\n", b"err\n", 7), "output, errors and code")
        with execute(container, "echo", "well") as stream:
            out, _, status = stream.end()
            equal((out, code(status)), (b"well\n", 0), "output and code")


@check
def exec_stream_input(cri):
    with cri.container() as container, execute(container, "cat", stdin=True) as stream:
        stream.write(b"one\n")
        stream.until(b"one\n")
        for _ in range(20):
            stream.write(b"x" * 30000)
        stream.until(b"x{600000}")
        equal(container.exec("echo", "there"), "there", "a command at the same time")


@check(short=True)
def exec_stream_with_a_terminal(cri):
    with cri.container() as container, execute(container, "sh", stdin=True, tty=True) as stream:
        stream.until(b"# ")
        stream.write(json.dumps({"Width": 97, "Height": 31}).encode(), SIZE)
        stream.write(b"test -t 0 && test -t 2 && echo termi''nal\n")
        stream.until(b"\nterminal\r\n")

        def sized():
            stream.write(b"stty size; echo do''ne\n")
            return b"\n31 97\r\n" in stream.until(b"(?s).*\ndone\r\n").group()
        until("the terminal has its size", sized)
        stream.write(b"echo go''ne; sleep 1000\n")
        stream.until(b"\ngone\r\n")
        # The shell has printed this before it made the sleep the one in front.
        until("it sleeps", lambda: "sleep 1000" in container.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))
        stream.write(b"\x03")
        stream.until(b"# ")
        stream.write(b"exit 9\n")
        equal(code(stream.end()[2]), 9, "the code")


@check
def exec_stream_of_a_command_that_is_missing(cri):
    with cri.container() as container, execute(container, "nosuch") as stream:
        status = stream.end()[2]
        equal(status.get("status"), "Failure", "the status")
        matches(status["message"], "executable file.* not found in \\$PATH", "the message")


@check
def attach(cri):
    with cri.pod() as pod:
        container = pod.run("sh", "-c", "while read line; do echo got $line; echo bad $line >&2; done; echo end; exit 4", stdin=True, stdin_once=True)
        with Stream(cri("Attach", container_id=container.id, stdin=True, stdout=True, stderr=True).url) as stream:
            stream.write(b"one\n")
            stream.until(b"got one\n")
            stream.until(b"bad one\n", ERRORS)
        # The input was to be taken once: it ends with whoever gave it.
        equal(container.ended().exit_code, 4, "the code")
        lines = container.log()
        equal(([line for line in lines if line[0] == "stdout"], [line for line in lines if line[0] == "stderr"]),
              ([("stdout", "F", "got one"), ("stdout", "F", "end")], [("stderr", "F", "bad one")]), "the log")


@check
def attach_twice(cri):
    script = "while :; do echo tick; sleep 0.1; done & while read line; do echo got $line; done"
    with cri.pod() as pod:
        container = pod.run("sh", "-c", script, stdin=True)
        with Stream(cri("Attach", container_id=container.id, stdin=True, stdout=True).url) as one:
            one.until(b"tick\n")
            # Without input containerd would take what WebSockets have instead for an input that has ended.
            with Stream(cri("Attach", container_id=container.id, stdin=True, stdout=True).url) as two:
                two.until(b"tick\n")
                one.write(b"it\n")
                for stream in (one, two):
                    stream.until(b"got it\n")
            one.write(b"more\n")
            one.until(b"got more\n")
        equal(container.status.state, RUNNING, "after both have gone")


@check
def attach_to_a_terminal(cri):
    with cri.pod() as pod:
        container = pod.run("sh", stdin=True, tty=True)
        with Stream(cri("Attach", container_id=container.id, stdin=True, stdout=True, tty=True).url) as stream:
            stream.write(json.dumps({"Width": 97, "Height": 31}).encode(), SIZE)

            def sized():
                stream.write(b"stty size; echo do''ne\n")
                return b"\n31 97\r\n" in stream.until(b"(?s).*\ndone\r\n").group()
            until("the terminal has its size", sized)
            stream.write(b"test -t 1 && tty; echo $TERM\n")
            stream.until(b"\n/dev/(pts/0|console)\r\nxterm\r\n")
        equal(container.status.state, RUNNING, "after it was left")
        with Stream(cri("Attach", container_id=container.id, stdin=True, stdout=True, tty=True).url) as stream:
            stream.write(b"exit 6\n")
            equal(container.ended().exit_code, 6, "the code")
            stream.end()


@check
def port_forward(cri):
    with cri.pod(network=POD) as pod:
        container = pod.run(*SERVER)
        until("it answers", lambda: container.shell("wget -q -O - http://127.0.0.1/page || true") == "answer")
        with Stream(cri("PortForward", pod_sandbox_id=pod.id, port=[80]).url) as stream:
            # Each channel begins with the number of its port.
            stream.until(re.escape(struct.pack("<H", 80)), 0)
            stream.write(b"GET /page HTTP/1.0\r\n\r\n")
            stream.until(b"answer\n", 0)


@check
def exec_stream_ends_with_the_container(cri):
    with cri.container() as container, execute(container, "sh", "-c", "echo there; sleep 1000") as stream:
        stream.until(b"there\n")
        os.kill(container.pid, signal.SIGKILL)
        equal(code(stream.end()[2]), 137, "the code of the command")
        equal(container.ended().state, EXITED, "the container")
