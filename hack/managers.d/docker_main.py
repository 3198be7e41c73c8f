import os
import statistics
import sys
import time

import checks
from docker_setup import IMAGE, KEPT, Docker, state_folders

# Registered in this order.
import docker_life  # noqa: F401
import docker_states  # noqa: F401
import docker_limits  # noqa: F401
import docker_kernel  # noqa: F401
import docker_places  # noqa: F401
import docker_network  # noqa: F401
import docker_images  # noqa: F401
import docker_errors  # noqa: F401
import docker_many  # noqa: F401


def compare(docker, rounds=15):
    """Wall times of `docker run` with one runtime after another in each round, as ratios to the last ones."""
    names = [docker.default if path == docker.path else "runc-itself" if os.path.basename(path) == "runc" else os.path.basename(path) for path in docker.runtimes]
    taken = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            start = time.monotonic()
            docker.run("--runtime", name, IMAGE, "true")
            taken[name].append(time.monotonic() - start)
    for name in names:
        mine = taken[name]
        print(f"docker run --rm --network none IMAGE true, {name}: minimum {min(mine) * 1000:.0f} ms, median {statistics.median(mine) * 1000:.0f} ms")
    first = taken[names[0]]
    for name in names[1:]:
        other = taken[name]
        pairs = statistics.median(mine / their for mine, their in zip(first, other))
        print(f"{names[0]} / {name}: minima {min(first) / min(other):.2f}, "
              f"medians {statistics.median(first) / statistics.median(other):.2f}, median of the rounds' {pairs:.2f}")


def main():
    chosen = checks.options()
    docker = Docker([f"/run/managers/bin/{os.path.basename(path)}" for path in os.environ["MANAGERS_RUNTIMES"].split()])
    try:
        docker.set_up()
        template = "client {{.Client.Version}}{{range .Server.Components}}, {{.Name}} {{.Version}}{{end}}"
        print("-- docker:", docker("version", "--format", template).out.strip())
        if chosen.time:
            compare(docker)
            return
        status = checks.run(chosen, checks.Machine(state_folders(docker), KEPT), Docker.remove_all, docker)
    finally:
        if docker.daemon and docker.daemon.poll() is None:
            docker.stop()
    sys.exit(status)
