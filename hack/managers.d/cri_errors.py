"""What cannot be run: the texts and reasons that `kubectl describe` shows, and that nothing of it is left."""

import os

from checks import check, equal, expect, matches, until, write
from cri_messages import EXITED, POD, RUNNING
from cri_setup import SLEEP
from podman_setup import PATH, image_tree


def fails_to_start(cri, pod, pattern, command, **config):
    """A container that is made and not started keeps the reason."""
    container = pod.create(*command, **config)
    text = cri.refused(pattern, container.start)
    status = container.status
    equal((status.state, status.exit_code, status.reason), (EXITED, 128, "StartError"), "the status")
    matches(status.message, pattern, "the message")
    expect(status.finished_at > 0, "it has no end")
    matches(text, "OCI runtime create failed", "the error")
    cri.refused("not running|CONTAINER_EXITED", container.exec, "true")
    container.remove()


@check(short=True, differs={"crun": "has the name in the middle of `executable file not found`"})
def command_not_found(cri):
    with cri.pod() as pod:
        fails_to_start(cri, pod, 'exec: "?nosuch"?: executable file not found in \\$PATH', ("nosuch",))
        fails_to_start(cri, pod, "no such file or directory", ("/bin/nosuch",))
        # The pod is as good as before.
        equal(pod.output("echo well"), "well", "output")


@check(short=True, differs={"crun": "says `Operation not permitted`"})
def command_that_may_not_be_run(cri):
    with cri.pod() as pod:
        fails_to_start(cri, pod, "(?i)permission denied", ("/etc/unreadable",))
        fails_to_start(cri, pod, "(?i)permission denied|is a directory", ("/tmp",))


@check
def working_directory(cri):
    with cri.pod() as pod:
        equal(pod.output("pwd", working_dir="/made/for/it"), "/made/for/it", "one that was not there")
        fails_to_start(cri, pod, "(?i)not a directory", SLEEP, working_dir="/etc/passwd")


@check(short=True)
def mount_source(cri):
    with cri.pod() as pod:
        # containerd makes the folder.
        equal(pod.output("ls -A /data | wc -l", mounts=[{"container_path": "/data", "host_path": "/srv/data/new"}]), "0", "files in a folder that was not there")
        os.rmdir("/srv/data/new")
        path = write("/srv/data/file", "text")
        cri.refused("(?i)not a directory", lambda: pod.run(mounts=[{"container_path": "/data", "host_path": path + "/below"}]))
        below = [{"container_path": "/data", "host_path": path}, {"container_path": "/data/below", "host_path": "/srv/data"}]
        fails_to_start(cri, pod, "(?i)not a directory", SLEEP, mounts=below)
        fails_to_start(cri, pod, "(?i)not a directory|is a directory", SLEEP, mounts=[{"container_path": "/etc/passwd", "host_path": "/srv/data"}])


@check(short=True, differs={"crun": "has the name in the middle of `executable file not found`"})
def exec_errors(cri):
    with cri.pod() as pod:
        container = pod.run()
        cri.refused('OCI runtime exec failed.*exec: "?nosuch"?: executable file not found in \\$PATH', container.exec, "nosuch")
        cri.refused("(?i)OCI runtime exec failed.*permission denied", container.exec, "/etc/unreadable")
        cri.refused("(?i)OCI runtime exec failed.*no such file or directory", container.exec, "/bin/nosuch")
        equal((container.exec("echo", "well"), container.status.state), ("well", RUNNING), "after that")
        container.stop()
        cri.refused("not running|CONTAINER_EXITED", container.exec, "true")


@check
def names_that_nobody_has(cri):
    for method, field in (("ContainerStatus", "container_id"), ("StartContainer", "container_id"), ("ExecSync", "container_id"), ("ContainerStats", "container_id"),
                          ("UpdateContainerResources", "container_id"), ("PodSandboxStatus", "pod_sandbox_id"), ("PodSandboxStats", "pod_sandbox_id")):
        cri.refused("not found|does not exist", cri, method, **{field: "nosuch"})
    for method, field in (("StopContainer", "container_id"), ("StopPodSandbox", "pod_sandbox_id")):
        if cri.version < (2,):
            cri.refused("not found|does not exist", cri, method, **{field: "nosuch"})
        else:
            cri(method, **{field: "nosuch"})
    for method, field in (("RemoveContainer", "container_id"), ("RemovePodSandbox", "pod_sandbox_id")):
        cri(method, **{field: "nosuch"})


@check
def image_that_is_missing(cri):
    with cri.pod() as pod:
        cri.refused("not found", lambda: pod.create("true", image={"image": "localhost/nosuch:1"}))


@check
def image_without_a_command(cri):
    cri.daemon.load(image_tree(), "localhost/bare:1", Env=[PATH])
    try:
        until("the CRI knows the image", lambda: cri("ImageStatus", image={"image": "localhost/bare:1"}).image.id)
        with cri.pod() as pod:
            cri.refused("no command specified", lambda: pod.create(command=[], image={"image": "localhost/bare:1"}))
    finally:
        cri("RemoveImage", image={"image": "localhost/bare:1"})


@check
def container_that_is_started_twice(cri):
    with cri.container() as container:
        cri.refused("CONTAINER_RUNNING", container.start)
        equal(container.status.state, RUNNING, "the state")
        container.stop()
        cri.refused("CONTAINER_EXITED", container.start)


@check
def sandbox_that_cannot_be_made(cri):
    """A sysctl that is not there fails the pod's own container, and nothing of the pod is left."""
    cri.refused("(?i)OCI runtime create failed.*net.ipv4.nosuch|net/ipv4/nosuch", cri.run_pod, network=POD, linux={"sysctls": {"net.ipv4.nosuch": "1"}})
    equal(len(cri("ListPodSandbox").items), 0, "the pods")


@check
def user_that_is_unknown(cri):
    with cri.pod() as pod:
        cri.refused("no users found|unable to find user|nosuch", lambda: pod.run(security={"run_as_username": "nosuch"}))


@check
def privileged_container_of_an_ordinary_pod(cri):
    with cri.pod() as pod:
        cri.refused("no privileged container allowed in sandbox", lambda: pod.create(*SLEEP, security={"privileged": True}))


@check
def seccomp_profile_that_is_broken(cri):
    with cri.pod() as pod:
        path = write("/srv/data/broken.json", "{")
        cri.refused("(?i)seccomp|unexpected end of JSON", lambda: pod.run(security={"seccomp": {"profile_type": 2, "localhost_ref": path}}))
        cri.refused("(?i)no such file", lambda: pod.run(security={"seccomp": {"profile_type": 2, "localhost_ref": "/srv/data/nosuch.json"}}))
        path = write("/srv/data/unknown.json", '{"defaultAction": "SCMP_ACT_NOSUCH"}')
        fails_to_start(cri, pod, "(?i)SCMP_ACT_NOSUCH|seccomp", SLEEP, security={"seccomp": {"profile_type": 2, "localhost_ref": path}})
