"""Images: built by both builders, committed, saved, loaded, imported."""

import contextlib
import os
import shutil
import subprocess

from checks import SYSTEMD, check, command, equal, expect, matches, processes, read, until, write
from docker_setup import CALLS, DATA, IMAGE

BUILT = "built:1"

STAGES = f"""FROM {IMAGE} AS first
RUN echo made >/made && id -u
FROM {IMAGE}
ARG WORD=none
ENV KEPT=$WORD
COPY file /copied
COPY --from=first /made /made
RUN cat /made /copied >/both && chown 1000 /both
USER 1000
WORKDIR /srv/work
RUN echo user=$(id -u) in=$(pwd) word=$WORD && test -w /both
SHELL ["/bin/sh", "-ec"]
RUN echo shell; true
LABEL kind=test
HEALTHCHECK --interval=100ms CMD true
CMD ["sh", "-c", "cat /both; echo $KEPT; id -u; pwd"]
"""


def folder_of(text):
    folder = f"{DATA}/build"
    shutil.rmtree(folder, ignore_errors=True)
    write(f"{folder}/Dockerfile", text)
    write(f"{folder}/file", "copied\n")
    return folder


@contextlib.contextmanager
def built(docker, text, *options, buildkit=False, status=0):
    """What a build says; its image and the cache are gone in the end."""
    write(CALLS, "")
    more = ("--progress", "plain") if buildkit else ("--force-rm",)
    try:
        yield docker("build", "--network", "none", "-t", BUILT, *more, *options, folder_of(text), status=status, env={"DOCKER_BUILDKIT": "1" if buildkit else "0"})
    finally:
        docker("rmi", "-f", BUILT, status=None)
        docker("builder", "prune", "-af")
        docker("image", "prune", "-f")


def by_ours(verb="run"):
    """BuildKit calls the one in the PATH, which tells."""
    matches(read(CALLS), rf"(?m)^build .*\b{verb} ", "the calls of the builder")


@check(short=True)
def build(docker):
    with built(docker, STAGES, "--build-arg", "WORD=kept") as result:
        expect("user=1000 in=/srv/work word=kept" in result.out, result)
        equal(docker.run(BUILT).out, "made\ncopied\nkept\n1000\n/srv/work\n", "output")
        equal(docker("inspect", "--format", "{{.Config.Labels.kind}}", BUILT).out, "test\n", "the label")


@check
def build_by_another_runtime(docker):
    """The classic builder takes the default runtime: nobody else is called."""
    with built(docker, f"FROM {IMAGE}\nRUN echo done\n"):
        equal(read(CALLS), "", "calls of the builder's own runtime")


@check(short=True)
def build_that_fails(docker):
    with built(docker, f"FROM {IMAGE}\nRUN echo before; exit 7\n", status=7) as result:
        expect("before" in result.out, result)
        matches(result.err, "returned a non-zero code: 7", "the error")
    with built(docker, f'FROM {IMAGE}\nRUN ["/bin/nosuch"]\n', status=None) as result:
        expect(result.status != 0, result)
        matches(result.err, "(?i)/bin/nosuch.*no such file", "the error")
    with built(docker, f"FROM {IMAGE}\nUSER nosuch\nRUN true\n", status=None) as result:
        expect(result.status != 0, result)
        matches(result.err, "(?i)unable to find user nosuch", "the error")


@check
def build_with_options(docker):
    with built(docker, f"FROM {IMAGE}\nRUN hostname; ulimit -n; cat /proc/self/cgroup; grep extra /etc/hosts\n", "--ulimit", "nofile=200:300", "--add-host", "extra:10.1.2.3",
               *(() if SYSTEMD else ("--cgroup-parent", "/docker")), "--memory", "256m" if "memory" in docker.controllers else "0", "--no-cache") as result:
        matches(result.out, r"\n200\n.*/docker[/-][0-9a-f]{64}.*10\.1\.2\.3", "output")


@check(short=True)
def buildkit(docker):
    with built(docker, STAGES, "--build-arg", "WORD=kept", buildkit=True) as result:
        expect("user=1000 in=/srv/work word=kept" in result.err, result)
        by_ours()
        equal(docker.run(BUILT).out, "made\ncopied\nkept\n1000\n/srv/work\n", "output")


@check(short=True)
def buildkit_that_fails(docker):
    with built(docker, f"FROM {IMAGE}\nRUN echo before; exit 7\n", buildkit=True, status=1) as result:
        expect("before" in result.err, result)
        matches(result.err, "exit code: 7", "the error")
        by_ours()
    with built(docker, f'FROM {IMAGE}\nRUN ["/bin/nosuch"]\n', buildkit=True, status=1) as result:
        matches(result.err, "(?i)/bin/nosuch.*no such file|exit code: (1|127)", "the error")
    with built(docker, f"FROM {IMAGE}\nRUN sh -c 'kill -KILL $$'; exit $?\n", buildkit=True, status=1) as result:
        matches(result.err, "exit code: 137", "the error")


@check(short=True)
def buildkit_mounts_and_secrets(docker):
    write(f"{DATA}/secret", "hidden", 0o644)
    with built(docker, f"""FROM {IMAGE}
RUN --mount=type=secret,id=mine cat /run/secrets/mine
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && grep ' /scratch tmpfs' /proc/mounts
RUN --mount=type=bind,source=file,target=/given cat /given
RUN --mount=type=cache,target=/cache echo stored >/cache/file
RUN --mount=type=cache,target=/cache cat /cache/file
RUN test ! -e /run/secrets/mine && ! test -s /given && echo clean
""", "--secret", f"id=mine,src={DATA}/secret", "--no-cache", buildkit=True) as result:
        for word in ("hidden", " /scratch tmpfs", "copied", "stored", "clean"):
            expect(word in result.err, result)
        by_ours()


@check
def buildkit_steps_at_once(docker):
    stages = "".join(f"FROM {IMAGE} AS s{number}\nRUN echo {number} >/out\n" for number in range(8))
    copies = "".join(f"COPY --from=s{number} /out /out{number}\n" for number in range(8))
    with built(docker, f"{stages}FROM {IMAGE}\n{copies}RUN cat /out* >/all\nCMD [\"cat\", \"/all\"]\n", buildkit=True):
        equal(docker.run(BUILT).out.split(), [str(number) for number in range(8)], "output")


@check
def buildkit_networks(docker):
    with built(docker, f"FROM {IMAGE}\nRUN --mount=type=tmpfs,target=/x echo links=$(ls /sys/class/net | tr '\\n' ,)\n", buildkit=True) as result:
        matches(result.err, "links=lo,", "the links of none")
    with built(docker, f"FROM {IMAGE}\nRUN echo links=$(ls /sys/class/net | tr '\\n' ,)\n", "--network", "host", buildkit=True) as result:
        matches(result.err, "links=[a-z0-9,]*docker0,", "the links of the host")
    with built(docker, f"FROM {IMAGE}\nRUN echo links=$(ls /sys/class/net | tr '\\n' ,)\n", "--network", "default", buildkit=True) as result:
        matches(result.err, "links=eth0,lo,", "the links of the default")


@check
def buildkit_is_interrupted(docker):
    """The step ends with the build."""
    folder = folder_of(f"FROM {IMAGE}\nRUN echo be''gun; sleep 1000\n")
    process = subprocess.Popen(docker.arguments("build", "--network", "none", "--progress", "plain", "--no-cache", folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env={**docker.environment, "DOCKER_BUILDKIT": "1"}, text=True)
    begun = any("begun" in line for line in process.stdout)
    process.terminate()
    process.stdin.close()
    process.stdout.read()
    status = process.wait(60)
    expect(begun, "the step has not begun")
    expect(status != 0, "the build has ended well")
    until("the step has ended", lambda: not [name for name in processes() if "sleep 1000" in name])
    docker("builder", "prune", "-af")


@check(short=True)
def commit(docker):
    with docker.container(process=("sh", "-c", "echo text >/made; sleep 1000")) as container:
        until("it is made", lambda: container.exec("cat", "/made", status=None).out == "text\n")
        # It pauses meanwhile.
        docker("commit", "--change", 'CMD ["cat", "/made"]', container.name, "kept:1")
        equal(container.status, "running", "the status afterwards")
    try:
        equal(docker.run("kept:1").out, "text\n", "output")
    finally:
        docker("rmi", "-f", "kept:1")


@check(short=True)
def save_and_load(docker):
    with docker.container(process=("sh", "-c", "echo text >/made")) as container:
        docker("wait", container.name)
        docker("commit", "--change", 'CMD ["cat", "/made"]', container.name, "kept:1")
    path = f"{DATA}/saved.tar"
    docker("save", "-o", path, "kept:1")
    docker("rmi", "-f", "kept:1")
    matches(docker("load", "-i", path).out, "Loaded image: kept:1", "what load says")
    os.remove(path)
    try:
        equal(docker.run("kept:1").out, "text\n", "output")
    finally:
        docker("rmi", "-f", "kept:1")


@check
def image_of_a_container(docker):
    with docker.container(process=("sh", "-c", "echo text >/made")) as container:
        docker("wait", container.name)
        docker("export", "-o", f"{DATA}/out.tar", container.name)
    docker("import", "-c", 'ENTRYPOINT ["cat"]', f"{DATA}/out.tar", "kept:1")
    os.remove(f"{DATA}/out.tar")
    try:
        equal(docker.run("kept:1", "/made").out, "text\n", "output")
    finally:
        docker("rmi", "-f", "kept:1")


@check
def image_in_use(docker):
    with docker.container():
        matches(docker("rmi", IMAGE, status=1).err, "(?i)is using|being used", "the error")
    equal(command("sh", "-c", "ls /var/lib/docker/containers").out, "", "what is left")
