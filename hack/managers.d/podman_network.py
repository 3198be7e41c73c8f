"""Networks, published ports, pods and what Kubernetes' files make of them."""

import contextlib
import json
import os
import socket

from checks import NotRun, check, equal, expect, matches, until, write
from podman_setup import IMAGE

# Answers once, and again.
SERVER = ("sh", "-c", "while :; do echo answer | nc -l -p 80; done")


def ask(port, address="127.0.0.1"):
    """What a server says, or nothing."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            return connection.recv(100).decode()
    except OSError:
        return ""


@contextlib.contextmanager
def network(podman, name, *options):
    podman("network", "create", *options, name)
    try:
        yield name
    finally:
        podman("network", "rm", "-f", "-t", "0", name)


@check(short=True)
def network_none(podman):
    equal(podman.shell("ls /sys/class/net"), "lo", "the links")
    equal(podman.shell("ip -o address show lo | grep -c 127.0.0.1"), "1", "addresses of lo")


@check(short=True)
def network_host(podman):
    equal(podman.shell("readlink /proc/self/ns/net", network="host"), os.readlink("/proc/self/ns/net"), "the namespace")


@check(short=True)
def network_bridge(podman):
    podman.needs_root("the default network without root is slirp4netns")
    with podman.container(process=SERVER, network="bridge") as container:
        address = container.inspect("{{.NetworkSettings.IPAddress}}")
        matches(address, r"^10\.88\.0\.\d+$", "the address")
        equal(until("an answer over the bridge", lambda: ask(80, address)), "answer\n", "the answer to the host")
        equal(podman.shell(f"nc -w 5 {address} 80", network="bridge"), "answer", "the answer to another container")


@check(short=True)
def port(podman):
    with podman.container("-p", "127.0.0.1:8080:80", process=SERVER, network=None) as container:
        equal(until("an answer at the port", lambda: ask(8080)), "answer\n", "the answer")
        equal(podman("port", container.name).out, "80/tcp -> 127.0.0.1:8080\n", "what podman port says")


@check
def port_of_any_address(podman):
    with podman.container("-P", "--expose", "80", process=SERVER, network=None) as container:
        number = int(podman("port", container.name, "80").out.rsplit(":", 1)[1])
        equal(until("an answer at the port", lambda: ask(number)), "answer\n", "the answer")


@check
def network_slirp(podman):
    equal(podman.shell("ls /sys/class/net", network="slirp4netns").split(), ["lo", "tap0"], "the links")


@check(short=True)
def network_of_a_container(podman):
    with podman.container("--name", "server", process=SERVER):
        until("an answer", lambda: podman.run(IMAGE, "nc", "-w", "5", "127.0.0.1", "80", network="container:server", status=None).out == "answer\n")


@check
def network_of_users_with_names(podman):
    with network(podman, "mine", "--subnet", "10.77.1.0/24") as name:
        with podman.container("--name", "server", "--ip", "10.77.1.5", process=SERVER, network=name):
            equal(until("an answer by address", lambda: podman.run(IMAGE, "nc", "-w", "5", "10.77.1.5", "80", network=name, status=None).out), "answer\n", "the answer")
            result = podman.run(IMAGE, "nslookup", "server.dns.podman", network=name, status=None)
            expect("10.77.1.5" in result.out, result)


@check
def network_connect(podman):
    podman.needs_root("podman connects networks by name, which a test by address does not need")
    with network(podman, "one"), network(podman, "two"):
        with podman.container(network="one") as container:
            podman("network", "connect", "two", container.name)
            equal(container.exec("ls", "/sys/class/net").out.split(), ["eth0", "eth1", "lo"], "the links")
            podman("network", "disconnect", "two", container.name)
            equal(container.exec("ls", "/sys/class/net").out.split(), ["eth0", "lo"], "the links")


@check
def address_and_hardware(podman):
    with network(podman, "mine", "--subnet", "10.77.2.0/24") as name:
        matches(podman.shell("ip address show eth0", "--mac-address", "92:d0:c6:0a:29:33", "--ip", "10.77.2.9", network=name), "92:d0:c6:0a:29:33.*10.77.2.9/24", "the link")


def needs_devices_in_pods(podman):
    if podman.v2 and not podman.rootless and not podman.systemd:
        raise NotRun("with cgroupfs on v2 podman 4.3 lets no container of a pod open /dev/null, whatever the runtime")


@check(short=True)
def pod(podman):
    needs_devices_in_pods(podman)
    podman("pod", "create", "--name", "pod", "--infra-image", IMAGE, "--infra-command", "/bin/sleep 1000", "--hostname", "shared", "--share", "net,ipc,uts", *(() if podman.rootless else ("--network", "none")))
    try:
        podman("run", "-d", "--pod", "pod", "--name", "server", IMAGE, *SERVER)
        until("an answer", lambda: podman("run", "--rm", "--pod", "pod", IMAGE, "nc", "-w", "5", "127.0.0.1", "80", status=None).out == "answer\n")
        equal(podman("run", "--rm", "--pod", "pod", IMAGE, "hostname").out, "shared\n", "the name")
        spaces = [podman("exec", name, "sh", "-c", "for n in net ipc uts; do readlink /proc/self/ns/$n; done").out for name in ("server",)]
        inside = podman("run", "--rm", "--pod", "pod", IMAGE, "sh", "-c", "for n in net ipc uts; do readlink /proc/self/ns/$n; done").out
        equal(inside, spaces[0], "the namespaces")
        equal(podman("pod", "inspect", "--format", "{{.State}}", "pod").out, "Running\n", "the state")
        matches(podman("pod", "top", "pod", "comm").out, "sleep", "what top says")
        podman("pod", "stop", "-t", "0", "pod")
        equal(podman("pod", "inspect", "--format", "{{.State}}", "pod").out, "Exited\n", "the state")
        podman("pod", "start", "pod")
        equal(podman("pod", "inspect", "--format", "{{.State}}", "pod").out, "Running\n", "the state")
    finally:
        podman("pod", "rm", "-f", "-t", "0", "pod")


@check
def pod_pause_and_kill(podman):
    if podman.rootless and not podman.v2:
        raise NotRun("podman pauses no container of v1 without root")
    podman("pod", "create", "--name", "pod", "--infra=false")
    try:
        podman("run", "-d", "--network", "none", "--pod", "pod", "--name", "one", IMAGE, "sleep", "1000")
        podman("pod", "pause", "pod")
        equal(podman("inspect", "--format", "{{.State.Status}}", "one").out, "paused\n", "the status")
        podman("pod", "unpause", "pod")
        podman("pod", "kill", "pod")
        until("it has ended", lambda: podman("inspect", "--format", "{{.State.Status}}", "one").out == "exited\n")
    finally:
        podman("pod", "rm", "-f", "-t", "0", "pod")


@check
def pod_with_limits(podman):
    needs_devices_in_pods(podman)
    podman.needs("memory", "cpu")
    podman("pod", "create", "--name", "pod", "--network", "none", "--infra-image", IMAGE, "--infra-command", "/bin/sleep 1000", "--memory", "128m", "--cpus", "0.5")
    try:
        equal(podman("run", "--rm", "--pod", "pod", IMAGE, "echo", "x").out, "x\n", "output")
    finally:
        podman("pod", "rm", "-f", "-t", "0", "pod")


KUBERNETES = """
apiVersion: v1
kind: Pod
metadata:
  name: played
  labels:
    app: played
spec:
  hostname: played
  restartPolicy: Never
  containers:
  - name: server
    image: localhost/box:1
    imagePullPolicy: Never
    command: ["sh", "-c", "while :; do echo $WORD | nc -l -p 80; done"]
    env:
    - name: WORD
      value: answer
    ports:
    - containerPort: 80
      hostPort: 8081
      hostIP: 127.0.0.1
    resources:
      limits:
        memory: 64Mi
    securityContext:
      capabilities:
        drop: ["ALL"]
        add: ["NET_BIND_SERVICE"]
      readOnlyRootFilesystem: true
    volumeMounts:
    - name: data
      mountPath: /data
  - name: worker
    image: localhost/box:1
    imagePullPolicy: Never
    command: ["sleep", "1000"]
    workingDir: /tmp
    securityContext:
      runAsUser: 1000
  volumes:
  - name: data
    hostPath:
      path: /srv/data
      type: Directory
"""


@check(short=True)
def play_kube(podman):
    needs_devices_in_pods(podman)
    # The pause image would have to be built by podman, of a program that is here.
    if not os.path.exists("/usr/libexec/podman/catatonit"):
        raise NotRun("no catatonit for podman's pause image")
    limits = "    resources:\n      limits:\n        memory: 64Mi\n"
    path = write("/srv/data/pod.yaml", KUBERNETES if not podman.rootless and "memory" in podman.controllers else KUBERNETES.replace(limits, ""), 0o644)
    network = () if podman.rootless else ("--network", "bridge")
    podman("play", "kube", *network, path)
    try:
        equal(until("an answer at the port", lambda: ask(8081)), "answer\n", "the answer")
        equal(podman("exec", "played-worker", "sh", "-c", "id -u; pwd; hostname").out, "1000\n/tmp\nplayed\n", "what the worker sees")
        equal(podman("exec", "played-server", "grep", "CapBnd", "/proc/self/status").out.split()[1], "0000000000000400", "the capabilities")
        matches(podman("exec", "played-server", "touch", "/x", status=1).err, "Read-only", "the error")
        kube = podman("generate", "kube", "played").out
        expect("kind: Pod" in kube and "localhost/box:1" in kube, kube)
    finally:
        podman("play", "kube", "--down", path)
        podman("rmi", "-f", *[line for line in podman("images", "--format", "{{.Repository}}:{{.Tag}}").out.split() if "podman-pause" in line], status=None)


@check
def play_kube_with_init_container(podman):
    needs_devices_in_pods(podman)
    path = write("/srv/data/init.yaml", KUBERNETES.split("  containers:")[0] + """
  initContainers:
  - name: first
    image: localhost/box:1
    imagePullPolicy: Never
    command: ["sh", "-c", "echo made >/data/made"]
    volumeMounts: [{name: data, mountPath: /data}]
  containers:
  - name: second
    image: localhost/box:1
    imagePullPolicy: Never
    command: ["sh", "-c", "cat /data/made; sleep 1000"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes:
  - name: data
    emptyDir: {}
""")
    podman("play", "kube", *(() if podman.rootless else ("--network", "bridge")), path)
    try:
        until("the second has seen it", lambda: podman("logs", "played-second", status=None).out == "made\n")
    finally:
        podman("play", "kube", "--down", path)
        podman("volume", "rm", "-af", status=None)
