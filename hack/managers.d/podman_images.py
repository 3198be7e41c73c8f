"""Images: made, loaded, built, committed, copied from and to."""

import hashlib
import io
import json
import os
import shutil
import tarfile

from checks import check, equal, expect, matches, read, until, write
from podman_setup import IMAGE, PATH, image_tree


def layout(tree):
    """An image of one layer in a tar, laid out as the image specification says."""
    blobs = {}

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    def encode(value):
        return json.dumps(value).encode()

    layer = blob(tree, "layer.v1.tar")
    config = blob(encode({
        "architecture": "amd64" if os.uname().machine == "x86_64" else os.uname().machine, "os": "linux",
        "config": {"Env": [PATH, "WORD=said"], "Cmd": ["sh", "-c", "echo $WORD by $(id -u) in $(pwd)"], "User": "1000", "WorkingDir": "/tmp"},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }), "config.v1+json")
    manifest = blob(encode({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]}), "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "localhost/laid:1"}
    blobs["index.json"] = encode({"schemaVersion": 2, "manifests": [manifest]})
    blobs["oci-layout"] = encode({"imageLayoutVersion": "1.0.0"})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in blobs.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@check(short=True)
def load(podman):
    with open("/srv/data/layout.tar", "wb") as file:
        file.write(layout(image_tree()))
    podman("load", "-q", "-i", "/srv/data/layout.tar")
    os.remove("/srv/data/layout.tar")
    try:
        equal(podman.run("localhost/laid:1").out, "said by 1000 in /tmp\n", "output")
    finally:
        podman("rmi", "-f", "localhost/laid:1")


@check
def save(podman):
    path = f"{podman.home}/saved.tar"
    podman("save", "-q", "-o", path, IMAGE)
    with tarfile.open(path) as tar:
        expect("manifest.json" in tar.getnames(), "no manifest")
    os.remove(path)


def build(podman, text, *options, status=0):
    folder = "/srv/data/build"
    shutil.rmtree(folder, ignore_errors=True)
    write(f"{folder}/Containerfile", text)
    # Newer ones open it to write, too.
    write(f"{folder}/file", "copied\n", 0o666)
    os.chmod(folder, 0o755)
    return podman("build", "--network", "none", "-t", "localhost/built:1", *options, folder, status=status)


@check(short=True)
def build_image(podman):
    result = build(podman, f"""FROM {IMAGE} AS first
RUN echo made >/made && id -u
FROM {IMAGE}
ARG WORD=none
ENV KEPT=$WORD
COPY file /copied
COPY --from=first /made /made
RUN cat /made /copied >/both && chown 1000 /both
USER 1000
WORKDIR /srv/work
RUN echo user=$(id -u) in=$(pwd) && test -w /both
CMD ["sh", "-c", "cat /both; echo $KEPT; id -u; pwd"]
""", "--build-arg", "WORD=kept")
    try:
        expect("user=1000 in=/srv/work" in result.out, result)
        equal(podman.run("localhost/built:1").out, "made\ncopied\nkept\n1000\n/srv/work\n", "output")
    finally:
        podman("rmi", "-f", "localhost/built:1")
        podman("image", "prune", "-f")


@check
def build_that_fails(podman):
    result = build(podman, f"FROM {IMAGE}\nRUN echo before; exit 7\n", status=None)
    expect(result.status == 7 and "before" in result.out, result)
    result = build(podman, f'FROM {IMAGE}\nRUN ["/bin/nosuch"]\n', status=None)
    expect(result.status not in (0, None), result)
    matches(result.err, "(?i)no such file|not found", "the error")
    podman("image", "prune", "-f")


@check
def build_with_mounts_and_secrets(podman):
    write("/srv/data/secret", "hidden", 0o644)
    result = build(podman, f"""FROM {IMAGE}
RUN --mount=type=secret,id=mine cat /run/secrets/mine
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && grep ' /scratch tmpfs' /proc/mounts
RUN --mount=type=bind,source=file,target=/given cat /given
RUN test ! -e /run/secrets/mine && ! test -s /given && echo clean
""", "--secret", "id=mine,src=/srv/data/secret", "--no-cache")
    try:
        for word in ("hidden", " /scratch tmpfs", "copied", "clean"):
            expect(word in result.out, result)
    finally:
        podman("rmi", "-f", "localhost/built:1")
        podman("image", "prune", "-f")


@check
def build_with_options(podman):
    result = build(podman, f"FROM {IMAGE}\nRUN hostname; ulimit -n; grep CapEff /proc/self/status\n", "--cap-drop", "all", "--ulimit", "nofile=200:300", "--no-cache")
    try:
        matches(result.out, "\n200\n.*0000000000000000", "output")
    finally:
        podman("rmi", "-f", "localhost/built:1")
        podman("image", "prune", "-f")


@check(short=True)
def commit(podman):
    with podman.container(process=("sh", "-c", "echo text >/made; sleep 1000")) as container:
        until("it is made", lambda: container.exec("cat", "/made", status=None).out == "text\n")
        podman("commit", "-q", "-p" if not podman.rootless or podman.v2 else "-q", "--change", 'CMD ["cat", "/made"]', container.name, "localhost/kept:1")
        equal(container.status, "running", "the status afterwards")
    try:
        equal(podman.run("localhost/kept:1").out, "text\n", "output")
    finally:
        podman("rmi", "-f", "localhost/kept:1")


@check(short=True)
def cp(podman):
    write("/srv/data/file", "outside", 0o644)
    with podman.container("--tmpfs", "/scratch") as container:
        podman("cp", "/srv/data/file", f"{container.name}:/etc/file")
        equal(container.exec("cat", "/etc/file").out, "outside", "the file inside")
        # What is mounted only inside is reached through the process.
        podman("cp", "/srv/data/file", f"{container.name}:/scratch/file")
        equal(container.exec("cat", "/scratch/file").out, "outside", "the file on the tmpfs")
        container.exec("sh", "-c", "echo inside >/scratch/other")
        podman("cp", f"{container.name}:/scratch/other", f"{podman.home}/other")
        equal(read(f"{podman.home}/other"), "inside\n", "the file outside")
        podman("stop", "-t", "0", container.name)
        podman("cp", f"{container.name}:/etc/file", f"{podman.home}/again")
        equal(read(f"{podman.home}/again"), "outside", "the file of the stopped container")


@check
def diff_and_export(podman):
    with podman.container(process=("sh", "-c", "echo text >/made; rm /etc/group")) as container:
        podman("wait", container.name)
        said = podman("diff", container.name).out.splitlines()
        expect("A /made" in said and "D /etc/group" in said, f"the differences are {said}")
        podman("export", "-o", f"{podman.home}/out.tar", container.name)
        with tarfile.open(f"{podman.home}/out.tar") as tar:
            expect("made" in tar.getnames() and "etc/group" not in tar.getnames(), "the tar is another")
        os.remove(f"{podman.home}/out.tar")


@check
def run_label(podman):
    build(podman, f'FROM {IMAGE}\nLABEL RUN="podman run --rm --network none IMAGE echo labelled"\nSTOPSIGNAL USR2\n')
    try:
        equal(podman("inspect", "--format", "{{.Config.StopSignal}}", "localhost/built:1").out, "USR2\n", "the signal")
    finally:
        podman("rmi", "-f", "localhost/built:1")
