"""Namespaces, networks, mounts and devices of pods and their containers."""

import os
import socket

from checks import NotRun, check, command, equal, expect, matches, processes, read, until, write
from cri_messages import BIDIRECTIONAL, HOST_TO_CONTAINER, NODE, POD, PRIVATE, TARGET

SHARED = "/srv/shared"


def own(kind):
    return os.readlink(f"/proc/self/ns/{kind}")


def sandbox(pod, kind):
    return os.readlink(f"/proc/{pod.pid}/ns/{kind}")


@check(short=True)
def namespaces_of_a_pod(cri):
    with cri.pod(network=POD) as pod:
        one, two = pod.run(), pod.run()
        for kind in ("net", "ipc", "uts"):
            equal([container.namespace(kind) for container in (one, two)], [sandbox(pod, kind)] * 2, f"the namespaces of {kind}")
            expect(sandbox(pod, kind) != own(kind), f"the pod has no namespace of {kind} of its own")
        for kind in ("pid", "mnt"):
            equal(len({one.namespace(kind), two.namespace(kind), sandbox(pod, kind), own(kind)}), 4, f"namespaces of {kind}")
        equal(one.exec("readlink", "/proc/1/ns/pid"), one.namespace("pid"), "process 1")
        # One listens where the other connects.
        one.exec("sh", "-c", "echo answer >/tmp/page; (httpd -p 127.0.0.1:8000 -h /tmp)")
        equal(two.exec("wget", "-q", "-O", "-", "http://127.0.0.1:8000/page"), "answer", "what the other one hears")


@check
def pod_shares_its_pids(cri):
    with cri.pod(pid=POD) as pod:
        one, two = pod.run("sleep", "11111"), pod.run("sleep", "22222")
        equal([container.namespace("pid") for container in (one, two)], [sandbox(pod, "pid")] * 2, "the namespaces")
        lines = two.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        expect(all(word in lines for word in ("11111", "22222", "1000000")), f"the processes are {lines}")
        one.stop()
        equal(one.status.exit_code, 137, "the code of the one")
        equal(two.exec("echo", "there"), "there", "the other one")


@check(short=True)
def container_targets_another(cri):
    """As an ephemeral container of `kubectl debug` does."""
    with cri.pod() as pod:
        main, other = pod.run("sleep", "33333"), pod.run()
        options = {"network": NODE, "pid": TARGET, "target_id": main.id}
        debugger = pod.run(security={"namespace_options": options})
        equal(debugger.namespace("pid"), main.namespace("pid"), "the namespace")
        expect(other.namespace("pid") != main.namespace("pid"), "the third one is in it too")
        equal(debugger.shell("tr '\\0' ' ' </proc/1/cmdline"), "sleep 33333", "process 1")
        debugger.stop()
        equal(main.exec("echo", "there"), "there", "the target")
        cri.refused("(?i)invalid target|not found|failed to", lambda: pod.run(security={"namespace_options": {**options, "target_id": "nosuch"}}))


@check
def namespaces_of_the_node(cri):
    with cri.pod(network=NODE, pid=NODE, ipc=NODE) as pod:
        container = pod.run()
        for kind in ("net", "pid", "ipc"):
            equal(container.namespace(kind), own(kind), f"the namespace of {kind}")
        equal(container.shell(f"tr '\\0' ' ' </proc/{os.getpid()}/cmdline").split()[:1], read("/proc/self/cmdline").split("\0")[:1], "we, as it sees us")
        equal(container.exec("cat", "/proc/sys/kernel/hostname"), read("/proc/sys/kernel/hostname").strip(), "the host name")


@check
def processes_of_the_node_do_not_outlive(cri):
    """Without a namespace of pids nothing dies by itself with process 1."""
    with cri.pod(pid=NODE) as pod:
        container = pod.run("sh", "-c", "sleep 44441 & sleep 44442 & echo there; wait")
        container.says("there")
        container.stop()
        equal(container.status.exit_code, 137, "the code")

        until("its children are gone", lambda: not [line for line in processes() if "sleep 4444" in line])


@check
def shared_memory_of_a_pod(cri):
    with cri.pod(network=POD) as pod:
        one, two = pod.run(), pod.run()
        one.shell("echo text >/dev/shm/file")
        equal(two.exec("cat", "/dev/shm/file"), "text", "the file")
        matches(one.exec("grep", " /dev/shm ", "/proc/mounts"), "size=65536k", "its size")


@check
def names_of_a_pod(cri):
    names = {"servers": ["10.0.0.53"], "searches": ["default.svc.cluster.local", "cluster.local"], "options": ["ndots:5"]}
    with cri.pod(network=POD, hostname="box", dns_config=names) as pod:
        equal(pod.output("hostname; cat /etc/hostname; cat /etc/resolv.conf").split("\n"),
              ["box", "box", "search default.svc.cluster.local cluster.local", "nameserver 10.0.0.53", "options ndots:5"], "names")


@check
def sysctls(cri):
    given = {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shm_rmid_forced": "1", "net.ipv4.tcp_syncookies": "0"}
    with cri.pod(network=POD, linux={"sysctls": given}) as pod:
        values = pod.output("cd /proc/sys; cat net/ipv4/ip_unprivileged_port_start kernel/shm_rmid_forced net/ipv4/tcp_syncookies").split()
        equal(values, ["80", "1", "0"], "the values")
        script = "echo page >/tmp/page; httpd -f -p 80 -h /tmp"
        container = pod.run("sh", "-c", script, security={"run_as_user": {"value": 1000}, "capabilities": {"drop_capabilities": ["ALL"]}})
        until("it listens on port 80", lambda: container.shell("wget -q -O - http://127.0.0.1/page || true") == "page")


def fetch(address, port):
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
        data = b""
        while more := connection.recv(65536):
            data += more
    return data.decode()


SERVER = ("sh", "-c", "echo answer >/tmp/page; exec httpd -f -p 80 -h /tmp")


@check(short=True)
def bridge(cri):
    with cri.pod(network=POD) as one, cri.pod(network=POD) as two:
        server, client = one.run(*SERVER), two.run()
        matches(one.ip, r"^10\.85\.\d+\.\d+$", "the address")
        expect(one.ip != two.ip, "two pods have one address")
        equal(server.exec("ls", "/sys/class/net").split(), ["eth0", "lo"], "the links")
        until("it answers", lambda: server.shell("wget -q -O - http://127.0.0.1/page || true") == "answer")
        matches(fetch(one.ip, 80), "answer", "the answer to us")
        equal(client.exec("wget", "-q", "-O", "-", f"http://{one.ip}/page"), "answer", "the answer to the other pod")
        matches(server.exec("ip", "route"), r"default via 10\.85\.0\.1 dev eth0", "the routes")


@check
def published_port(cri):
    with cri.pod(network=POD, port_mappings=[{"container_port": 80, "host_port": 8081}]) as pod:
        container = pod.run(*SERVER)
        until("it answers", lambda: container.shell("wget -q -O - http://127.0.0.1/page || true") == "answer")
        # The bridge's own address: what comes from elsewhere takes the same way.
        matches(fetch("10.85.0.1", 8081), "answer", "the answer at the port of the host")
    expect("8081" not in command("iptables-save").out, "the rule of the port is still there")


@check(short=True)
def mounts(cri):
    folder = "/srv/data/volume"
    write(f"{folder}/file", "text")
    os.chmod(folder, 0o777)
    with cri.pod() as pod:
        script = "cat /ro/file /file; echo; touch /ro/new 2>&1; touch /rw/new && echo written"
        lines = pod.output(script, mounts=[{"container_path": "/ro", "host_path": folder, "readonly": True}, {"container_path": "/rw", "host_path": folder},
                                           {"container_path": "/file", "host_path": f"{folder}/file"}])
        equal(lines.split("\n"), ["texttext", "touch: /ro/new: Read-only file system", "written"], "what is seen")
        expect(os.path.exists(f"{folder}/new"), "the file is not there outside")
        # A link is followed outside.
        os.symlink(folder, "/srv/data/link")
        equal(pod.output("cat /data/file", mounts=[{"container_path": "/data", "host_path": "/srv/data/link"}]), "text", "the file behind a link")
        os.unlink("/srv/data/link")
        # Folders that the image lacks are made.
        container = pod.run("sh", "-c", "cat /etc/deep/er/file", mounts=[{"container_path": "/etc/deep/er", "host_path": folder}])
        equal(container.output(), "text", "the file at a place that was not there")
        mounts = container.status.mounts
        equal([(mount.container_path, mount.host_path) for mount in mounts], [("/etc/deep/er", folder)], "the mounts of the status")


@check
def mounts_of_the_kubelet(cri):
    """Single files, one of them below /dev, and a volume in memory."""
    folder = "/srv/data/kubelet"
    write(f"{folder}/hosts", "10.0.0.1 name\n")
    write(f"{folder}/end", "", 0o666)
    os.makedirs(f"{folder}/token", exist_ok=True)
    command("mount", "-t", "tmpfs", "-o", "nosuid,nodev,noexec", "token", f"{folder}/token")
    try:
        write(f"{folder}/token/token", "secret")
        with cri.pod(network=POD) as pod:
            script = "cat /etc/hosts; cat /var/run/secrets/kubernetes.io/serviceaccount/token; echo because >/dev/termination-log; exit 1"
            container = pod.run("sh", "-c", script, mounts=[
                {"container_path": "/etc/hosts", "host_path": f"{folder}/hosts"}, {"container_path": "/dev/termination-log", "host_path": f"{folder}/end"},
                {"container_path": "/var/run/secrets/kubernetes.io/serviceaccount", "host_path": f"{folder}/token", "readonly": True}])
            equal((container.output(), container.status.exit_code), ("10.0.0.1 name\nsecret", 1), "output and code")
            equal(read(f"{folder}/end"), "because\n", "the reason that the container gave")
            where = [{"container_path": "/token", "host_path": f"{folder}/token", "readonly": True}]
            matches(pod.output("grep ' /token ' /proc/mounts", mounts=where), " ro,", "the mount")
    finally:
        command("umount", f"{folder}/token")


@check
def much_of_everything(cri):
    """What a namespace with many services and configurations comes to."""
    envs = [{"key": f"SERVICE_{number}_ADDRESS", "value": "x" * 200 + str(number)} for number in range(500)]
    places = [write(f"/srv/data/much/{number}/file", str(number)) for number in range(100)]
    mounts = [{"container_path": f"/config/{number}", "host_path": os.path.dirname(path), "readonly": bool(number % 2)} for number, path in enumerate(places)]
    with cri.pod() as pod:
        script = "env | grep -c ^SERVICE_; cat /config/*/file | wc -c; grep -c ' /config/' /proc/mounts; echo $1 | wc -c"
        container = pod.run("sh", "-c", script, "sh", "y" * 100000, envs=envs, mounts=mounts)
        equal(container.output().split(), ["500", "190", "100", "100001"], "what it counts")
        running = pod.run(envs=envs, mounts=mounts)
        equal(running.shell("env | grep -c ^SERVICE_; cat /config/99/file").split(), ["500", "99"], "what a command sees")


def shared_folder():
    """A mount that is shared, as a node's root is."""
    if not os.path.ismount(SHARED):
        os.makedirs(SHARED, exist_ok=True)
        command("mount", "-t", "tmpfs", "shared", SHARED)
        command("mount", "--make-rshared", SHARED)
    os.makedirs(f"{SHARED}/later", exist_ok=True)


@check(short=True)
def mount_propagation(cri):
    shared_folder()
    later = f"{SHARED}/later"
    try:
        with cri.pod() as pod:
            apart, below = (pod.run(mounts=[{"container_path": "/data", "host_path": SHARED, "propagation": mode}]) for mode in (PRIVATE, HOST_TO_CONTAINER))
            command("mount", "-t", "tmpfs", "later", later)
            write(f"{later}/file", "text")
            equal([container.exec("ls", "-A", "/data/later") for container in (apart, below)], ["", "file"], "what comes in")
            command("umount", later)
            equal(below.exec("ls", "-A", "/data/later"), "", "what is left inside")
    finally:
        command("umount", SHARED)


@check
def mount_propagation_to_the_host(cri):
    shared_folder()
    try:
        with cri.pod(security={"privileged": True}) as pod:
            both = pod.run(security={"privileged": True}, mounts=[{"container_path": "/data", "host_path": SHARED, "propagation": BIDIRECTIONAL}])
            both.shell("mount -t tmpfs inside /data/later && echo text >/data/later/file")
            equal(read(f"{SHARED}/later/file"), "text\n", "the file outside")
            both.exec("umount", "/data/later")
            expect(not os.path.exists(f"{SHARED}/later/file"), "the mount is still there")
            write(f"{SHARED}/../data/alone/file", "text")
            command("mount", "--bind", "--make-private", "/srv/data/alone", "/srv/data/alone")
            cri.refused("not a shared", lambda: pod.run(mounts=[{"container_path": "/data", "host_path": "/srv/data/alone", "propagation": BIDIRECTIONAL}]))
            command("umount", "/srv/data/alone")
    finally:
        command("umount", SHARED)


@check
def devices(cri):
    if not os.path.exists("/dev/fuse"):
        raise NotRun("no /dev/fuse")
    with cri.pod() as pod:
        container = pod.run(devices=[{"container_path": "/dev/mine", "host_path": "/dev/fuse", "permissions": "r"}])
        equal(container.exec("stat", "-c", "%F %t %T", "/dev/mine"), "character special file a e5", "the device")
        container.shell(": </dev/mine")
        matches(container.try_exec("sh", "-c", ": >/dev/mine").stderr.decode(), "Operation not permitted", "the error of a write")
        # None of the host's others.
        line = container.shell("mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg 2>&1 | head -n 1; true")
        equal(line, "cat: can't open '/tmp/kmsg': Operation not permitted", "one that was not given")


@check
def environment(cri):
    with cri.pod(network=POD, hostname="box") as pod:
        envs = [{"key": "A", "value": "a b=c"}, {"key": "B", "value": ""}]
        container = pod.run("sh", "-c", "echo $A; echo $B; pwd; echo $HOSTNAME; echo $0 $1", args=["zero", "one"], envs=envs, working_dir="/usr")
        equal(container.output().split("\n"), ["a b=c", "", "/usr", "box", "zero one"], "what it says")


@check
def limits_are_those_of_containerd(cri):
    """The CRI gives none."""
    with cri.container() as container:
        equal(read(f"/proc/{container.pid}/limits").replace(" ", ""), read(f"/proc/{cri.daemon.pid}/limits").replace(" ", ""), "the limits")


@check(differs={"crun": "takes 0 for nothing said and leaves the score of the shim, which is 1"})
def oom_score(cri):
    with cri.pod() as pod:
        equal([pod.output("cat /proc/self/oom_score_adj", resources={"oom_score_adj": number}) for number in (0, 500, 1000)], ["0", "500", "1000"], "the scores")


@check(differs={"crun": "gives a command the score of the shim"})
def oom_score_of_a_command(cri):
    with cri.container(resources={"oom_score_adj": 700}) as container:
        equal(container.exec("cat", "/proc/self/oom_score_adj"), "700", "the score")
