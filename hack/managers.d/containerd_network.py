"""The network of the host, one of nothing, and those of CNI."""

import contextlib
import os
import signal

from checks import Failed, check, equal, expect, matches, processes, until, write
from containerd_setup import Container
from networks import GATEWAY, SERVER, ask, configure


@contextlib.contextmanager
def server(ctr):
    """In the foreground, since only so ctr takes the network away again. Its address, too."""
    id = ctr.name()
    process = ctr.popen(*SERVER, options=("--cni",), id=id)
    try:
        until("it runs", lambda: process.poll() is not None or id in ctr.tasks() and ctr.tasks()[id][1] == "RUNNING")
        if process.poll() is not None:
            raise Failed(f"ctr ended with {process.returncode}: {process.stderr.read()}")
        container = Container(ctr, id)
        yield container, matches(container.exec("ip", "-4", "-o", "address", "show", "eth0").out, r"inet (10\.77\.0\.\d+)/24", "the address").group(1)
    finally:
        if process.poll() is None:
            ctr("t", "kill", "-s", "KILL", id, status=None)
        process.communicate(timeout=30)
    # Whoever was killed by its signal.
    equal(process.returncode, 137, "the status of ctr")


@check(short=True)
def network_of_its_own(ctr):
    equal(ctr.shell("ls /sys/class/net; ip -o address show lo | grep -c 127.0.0.1"), "lo\n1", "links, and addresses of lo")


@check(short=True)
def network_of_the_host(ctr):
    equal(ctr.shell("readlink /proc/self/ns/net", "--net-host"), os.readlink("/proc/self/ns/net"), "the namespace")


@check(short=True)
def bridge(ctr):
    configure()
    with server(ctr) as (_, address):
        equal(until("an answer over the bridge", lambda: ask(80, address)), "answer\n", "the answer to the host")
        with server(ctr) as (other, second):
            expect(second != address, "both have one address")
            equal(other.exec("wget", "-q", "-O", "-", f"http://{address}/").out, "answer\n", "the answer to another container")
            equal(other.exec("ip", "route").out.split("\n")[0].split()[:1], ["10.77.0.0/24"], "its route")


@check
def published_port(ctr):
    """ctr publishes none; the configuration can."""
    configure({"type": "portmap", "snat": True, "runtimeConfig": {"portMappings": [{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}]}})
    with server(ctr):
        equal(until("an answer at the port", lambda: ask(8081, GATEWAY)), "answer\n", "the answer")
    equal(ask(8081, GATEWAY), "", "the answer afterwards")


@check
def several_plugins(ctr):
    configure({"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}}, {"type": "bandwidth"})
    with server(ctr) as (container, _):
        equal(container.exec("cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter").out, "1\n", "what the plugin has set")


@check
def network_that_fails(ctr):
    """ctr gives up between create and start."""
    configure({"type": "nosuch"})
    id = ctr.name()
    try:
        matches(ctr.run("true", options=("--cni",), id=id, status=1).err, "nosuch", "the error")
        # It leaves the task as it was, created; from 2.0 on it takes it away.
        equal(Container(ctr, id).status, "CREATED" if ctr.version < (2,) else None, "the status")
    finally:
        ctr.remove(id)


@check
def ctr_is_killed_between_create_and_start(ctr):
    """While a plugin is at work: the task stays, created, and can be deleted."""
    configure({"type": "waits"})
    write("/opt/cni/bin/waits", "#!/bin/sh\ntouch /srv/data/waits\nexec sleep 4242\n", 0o755)
    id = ctr.name()
    try:
        process = ctr.popen("true", options=("--cni",), id=id)
        until("the plugin waits", lambda: os.path.exists("/srv/data/waits"))
        process.kill()
        process.wait(30)
        os.kill(processes()["process sleep 4242"], signal.SIGKILL)
        process.communicate(timeout=30)
        equal(Container(ctr, id).status, "CREATED", "the status")
        ctr("t", "rm", "--force", id)
        equal(ctr.tasks(), {}, "the tasks")
    finally:
        ctr.remove(id)
