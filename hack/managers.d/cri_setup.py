"""The calls of the CRI as the kubelet makes them: pods, their containers, and what is seen of them."""

import contextlib
import itertools
import json
import os

import grpc

from checks import SYSTEMD, Failed, View, cgroup_of, command, expect, hierarchies, limit_of, matches, read, record, until, version
from cri_daemon import BOX, PAUSE, SECOND_ROOT, CRIDaemon
from cri_messages import CONTAINER, EXITED, MESSAGES, NODE, stub
from podman_setup import PATH, image_tree

# What the kubelet hides of each container.
MASKED = ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
          "/proc/scsi", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

# containerd's and the bridge's own, which stay.
KEPT = r"^file \S+/@cache$|^cgroup \S+ (managers|kubepods)$|^link cni0$|^mount /run/netns$|/networks/box/(lock|last_reserved_ip\S*)$"

SLEEP = ("sleep", "100000")


class Refused(Exception):
    def __init__(self, method, error):
        super().__init__(f"{method} says {error.code().name}: {error.details()}")
        self.code, self.text = error.code().name, error.details()


class Container:
    def __init__(self, pod, id, name):
        self.pod, self.cri, self.id, self.name = pod, pod.cri, id, name

    def start(self):
        self.cri("StartContainer", container_id=self.id)
        return self

    @property
    def status(self):
        return self.cri("ContainerStatus", container_id=self.id).status

    def info(self):
        """What containerd says of it beyond the CRI: its configuration, its pid."""
        return json.loads(self.cri("ContainerStatus", container_id=self.id, verbose=True).info["info"])

    @property
    def pid(self):
        return self.info()["pid"]

    def exec(self, *arguments, status=0, timeout=30):
        """The output of a command in it."""
        result = self.try_exec(*arguments, timeout=timeout)
        if status is not None:
            expect(result.exit_code == status, f"`{' '.join(arguments)}` ended with {result.exit_code}, expected {status}: {result.stdout} {result.stderr}")
        return result.stdout.decode(errors="replace").strip()

    def try_exec(self, *arguments, timeout=30):
        return self.cri("ExecSync", container_id=self.id, cmd=arguments, timeout=timeout)

    def shell(self, script, **more):
        return self.exec("sh", "-c", script, **more)

    def ended(self, seconds=30):
        """Its status after its end."""
        return until(f"container {self.name} has ended", lambda: (found := self.status).state == EXITED and found, seconds)

    def stop(self, timeout=0):
        self.cri("StopContainer", container_id=self.id, timeout=timeout)

    def remove(self):
        self.cri("RemoveContainer", container_id=self.id)

    def update(self, **resources):
        self.cri("UpdateContainerResources", container_id=self.id, linux=resources)

    @property
    def stats(self):
        return self.cri("ContainerStats", container_id=self.id).stats

    def log(self):
        """The lines of its log: stream, tag and text of each."""
        lines = []
        for line in read(self.status.log_path).splitlines():
            found = matches(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP]) (.*)$", "a line of the log")
            lines.append(found.groups())
        return lines

    def output(self):
        """What it has written in the end."""
        self.ended()
        return "\n".join(text for _, _, text in self.log())

    def says(self, text):
        """Waits for a line of its log."""
        until(f"container {self.name} says {text}", lambda: any(line[2] == text for line in self.log()))

    def cgroup(self, controller):
        return cgroup_of(self.pid, controller)

    def limit(self, legacy, unified):
        return limit_of(self.pid, legacy, unified)

    def namespace(self, kind):
        return os.readlink(f"/proc/{self.pid}/ns/{kind}")


class Pod:
    def __init__(self, cri, id, config):
        self.cri, self.id, self.config = cri, id, config
        self.names = itertools.count(1)

    @property
    def status(self):
        return self.cri("PodSandboxStatus", pod_sandbox_id=self.id).status

    @property
    def pid(self):
        return json.loads(self.cri("PodSandboxStatus", pod_sandbox_id=self.id, verbose=True).info["info"])["pid"]

    @property
    def ip(self):
        return self.status.network.ip

    def create(self, *command, name=None, attempt=0, security=None, resources=None, **config):
        """A container of a command, as the kubelet describes it; it is not started."""
        name = name or f"c{next(self.names)}"
        options = self.config["linux"]["security_context"]["namespace_options"]
        security = {"namespace_options": options, **(security or {})}
        if not security.get("privileged"):
            security = {"masked_paths": MASKED, "readonly_paths": READONLY, **security}
        config = {
            "metadata": {"name": name, "attempt": attempt},
            "image": {"image": BOX},
            "command": command,
            "log_path": f"{name}/{attempt}.log",
            "labels": {"io.kubernetes.container.name": name},
            "linux": {"security_context": security, "resources": {"cpu_shares": 2, "cpu_period": 100000, "oom_score_adj": 1000, **(resources or {})}},
            **config,
        }
        os.makedirs(f"{self.config['log_directory']}/{name}", exist_ok=True)
        id = self.cri("CreateContainer", pod_sandbox_id=self.id, config=config, sandbox_config=self.config).container_id
        return Container(self, id, name)

    def run(self, *command, **config):
        """A container that runs."""
        return self.create(*(command or SLEEP), **config).start()

    def output(self, script, **config):
        """What a script says in a container of its own."""
        return self.run("sh", "-c", script, **config).output()

    def stop(self):
        self.cri("StopPodSandbox", pod_sandbox_id=self.id)

    def remove(self):
        self.cri("RemovePodSandbox", pod_sandbox_id=self.id)

    def containers(self):
        return self.cri("ListContainers", filter={"pod_sandbox_id": self.id}).containers


class Cri(View):
    def __init__(self, runtime):
        super().__init__()
        self.path, self.name = runtime, os.path.basename(runtime)
        self.daemon = CRIDaemon(runtime)
        self.numbers = itertools.count(1)

    def __call__(self, method, seconds=90, **fields):
        request = MESSAGES[method + "Request"](**fields)
        try:
            answer = stub(self.daemon.channel, method)(request, timeout=seconds)
        except grpc.RpcError as error:
            refused = Refused(method, error)
            record(f"{request} {refused}")
            raise refused from None
        record(f"{method} {request} -> {str(answer)[:3000]}")
        return answer

    def refused(self, pattern, call, *arguments, code=None, **more):
        """The text of an error that a call has to end with."""
        try:
            call(*arguments, **more)
        except Refused as refused:
            matches(refused.text, pattern, "the error")
            expect(code in (None, refused.code), f"the code is {refused.code}, expected {code}: {refused.text}")
            return refused.text
        raise Failed(f"no error, expected /{pattern}/")

    @property
    def version(self):
        return version(command("containerd", "--version").out)

    def description(self, network=NODE, pid=CONTAINER, ipc=0, security=None, linux=None, name=None, attempt=0, **config):
        """A pod as the kubelet describes it."""
        name = name or f"pod{next(self.numbers)}"
        return {
            "metadata": {"name": name, "uid": f"uid-{name}", "namespace": "default", "attempt": attempt},
            "hostname": "" if network == NODE else name,
            "log_directory": f"/srv/logs/{name}",
            "labels": {"io.kubernetes.pod.name": name},
            "linux": {"cgroup_parent": f"/kubepods.slice/kubepods-{name}.slice" if SYSTEMD else f"/kubepods/{name}", "security_context": {
                "namespace_options": {"network": network, "pid": pid, "ipc": ipc}, "seccomp": {"profile_type": 0}, **(security or {})}, **(linux or {})},
            **config,
        }

    def run_pod(self, handler="", **config):
        # Every sandbox has shares.
        self.needs("cpu")
        config = self.description(**config)
        os.makedirs(config["log_directory"], exist_ok=True)
        try:
            return Pod(self, self("RunPodSandbox", config=config, runtime_handler=handler).pod_sandbox_id, config)
        except Refused:
            self.forget(config)
            raise

    @contextlib.contextmanager
    def pod(self, **config):
        """One that is there as long as it is used."""
        pod = self.run_pod(**config)
        try:
            yield pod
        finally:
            self.remove_pod(pod.id)
            self.forget(pod.config)

    def remove_pod(self, id):
        """As the kubelet does it: stopped before it is removed."""
        try:
            self("StopPodSandbox", pod_sandbox_id=id)
        except Refused as refused:
            # The check has removed it already.
            if refused.code != "NOT_FOUND":
                raise
        self("RemovePodSandbox", pod_sandbox_id=id)

    def forget(self, config):
        """The cgroup of a pod is the kubelet's to remove. A container's that was left in it is seen by the stock that is taken."""
        for folder in hierarchies().values():
            path = folder + config["linux"]["cgroup_parent"]
            if SYSTEMD:
                command("systemctl", "stop", os.path.basename(path))
            if os.path.isdir(path) and not any(entry.is_dir() for entry in os.scandir(path)):
                os.rmdir(path)

    @contextlib.contextmanager
    def container(self, *command, pod=None, **config):
        """One container in a pod."""
        with self.pod(**(pod or {})) as pod:
            yield pod.run(*command, **config)

    def remove_all(self):
        """After a failure, of which nothing may be in the way of the next check."""
        if self.daemon.process is None or self.daemon.process.poll() is not None:
            self.daemon.start()
        for item in self("ListPodSandbox").items:
            try:
                self.remove_pod(item.id)
            except Refused as refused:
                record(f"clean-up: {refused}")
        for folder in hierarchies().values():
            for path, _, _ in os.walk(f"{folder}/kubepods", topdown=False):
                if path != f"{folder}/kubepods":
                    try:
                        os.rmdir(path)
                    except OSError as error:
                        record(f"clean-up: {error}")

    def state_folders(self):
        plugin = "io.containerd.grpc.v1.cri"
        return [*self.daemon.folders(), f"{SECOND_ROOT}/k8s.io", "/run/netns", "/var/lib/cni/networks/box", "/var/lib/cni/results",
                *(f"{place}/{plugin}/{kind}" for place in (self.daemon.state, self.daemon.root) for kind in ("sandboxes", "containers")),
                f"{self.daemon.root}/io.containerd.runtime.v2.task/k8s.io", *(f"/run/{name}" for name in ("apus", "crun", "runc"))]

    def set_up(self):
        self.daemon.configure()
        os.makedirs("/srv/logs")
        self.daemon.start()
        tree = image_tree()
        self.daemon.load(tree, BOX, Cmd=["/bin/sh"], Env=[PATH])
        self.daemon.load(tree, PAUSE, Entrypoint=["/bin/sleep", "1000000"], Env=[PATH])
        for name in (BOX, PAUSE):
            until(f"the CRI knows {name}", lambda name=name: self("ImageStatus", image={"image": name}).image.id)
        if "cpu" in self.controllers:
            # What stays of the first pod is containerd's own.
            with self.pod(network=0, port_mappings=[{"container_port": 80, "host_port": 8079}]) as pod:
                expect(pod.output("echo there") == "there", "the first container says something else")
