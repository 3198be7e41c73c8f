#!/usr/bin/env python3
"""Pods and containers as a kubelet asks containerd for them: the messages of CRI v1, written by field number."""
import glob
import os
import shutil

import grpc

POD, CONTAINER, NODE = 0, 1, 2  # NamespaceMode


def number(value):
    text = b""
    while value > 127:
        text += bytes([value & 127 | 128])
        value >>= 7
    return text + bytes([value])


def message(*fields):
    """Fields as (number, value); an integer, a text or a message."""
    text = b""
    for field, value in fields:
        if isinstance(value, int):
            text += number(field << 3) + number(int(value))
        else:
            value = value.encode() if isinstance(value, str) else value
            text += number(field << 3 | 2) + number(len(value)) + value
    return text


channel = grpc.insecure_channel("unix:///run/containerd/containerd.sock")


def call(name, request):
    """Answers the first field, which is the id."""
    answer = channel.unary_unary(f"/runtime.v1.RuntimeService/{name}")(request, timeout=60)
    return answer[2:2 + answer[1]].decode() if answer else None


def keep(name, make):
    kept, result, problem = f"/run/kept/{name}", None, ""
    name += os.environ.get("suffix", "")
    os.mkdir(kept)
    with open("/run/case", "w") as file:
        file.write(kept)
    try:
        result = make()
    except grpc.RpcError as error:
        problem = error.details()
    files = glob.glob(f"{kept}/*.json")
    for file in files:
        shutil.copy(file, f"/run/output/{name}.json")
    print(f"{name}: {len(files)} kept {problem}")
    return result


def namespaces(network, pid=CONTAINER, ipc=POD):
    return message((1, network), (2, pid), (3, ipc))


def pod(name, network, privileged=False):
    metadata = message((1, name), (2, "5f6b2c1e-0000-4000-8000-000000000001"), (3, "default"), (4, 0))
    security = message((1, namespaces(network)), (6, privileged))
    hostname = "" if network == NODE else "pod"
    config = message(
        (1, metadata), (2, hostname), (3, "/var/log/pods/pod1"),
        (8, message((1, "/kubepods/besteffort/pod1"), (2, security))))
    return config, keep(f"cri-{name}", lambda: call("RunPodSandbox", message((1, config))))


RESOURCES = message((1, 100000), (2, 50000), (3, 512), (4, 64 << 20), (5, 999))


def container(pod, name, security, mounts=()):
    config, sandbox = pod
    if sandbox is None:
        print(f"cri-{name}: no pod")
        return
    spec = message(
        (1, message((1, name))), (2, message((1, "localhost/box:1"))), (3, "/bin/sleep"), (3, "1000"),
        *[(7, mount) for mount in mounts], (11, "log"), (15, message((1, RESOURCES), (2, security))))

    def make():
        call("StartContainer", message((1, call(
            "CreateContainer", message((1, sandbox), (2, spec), (3, config))))))
    keep(f"cri-{name}", make)


usual = pod("sandbox", POD)
# SecurityProfile of type RuntimeDefault
container(usual, "container", message((3, namespaces(POD)), (15, message((1, 0)))))
container(
    usual, "container-mounts",
    message((3, namespaces(POD)), (7, True), (11, True), (13, "/proc/kcore"), (14, "/proc/sys")),
    [message((1, "/data"), (2, "/srv/data"), (3, True)), message((1, "/slave"), (2, "/srv/data"), (5, 1)),
     message((1, "/shared"), (2, "/srv/data"), (5, 2)), message((1, "/etc/hosts"), (2, "/srv/file"))])
container(
    usual, "container-user",
    message((1, message((1, "NET_ADMIN"), (2, "ALL"))), (3, namespaces(POD, POD)), (5, message((1, 1000))), (8, 5),
            (12, message((1, 3000)))))
container(pod("sandbox-host-network", NODE), "container-host-network", message((3, namespaces(NODE, NODE, NODE))))
container(pod("sandbox-privileged", POD, True), "container-privileged", message((2, True), (3, namespaces(POD))))
