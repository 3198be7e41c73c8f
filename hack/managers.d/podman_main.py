import os
import statistics
import sys
import time

import checks
from checks import command
from podman_setup import IMAGE, KEPT, Podman

# Registered in this order.
import podman_life  # noqa: F401
import podman_states  # noqa: F401
import podman_limits  # noqa: F401
import podman_kernel  # noqa: F401
import podman_places  # noqa: F401
import podman_network  # noqa: F401
import podman_images  # noqa: F401
import podman_errors  # noqa: F401
import podman_checkpoint  # noqa: F401
import podman_many  # noqa: F401

def compare(runtimes, rounds=15):
    """Wall times of `podman run`, one runtime after another in each round, as ratios to the last ones."""
    taken = {runtime: [] for runtime in runtimes}
    for _ in range(rounds):
        for runtime in runtimes:
            podman = Podman(runtime)
            start = time.monotonic()
            podman.run(IMAGE, "true")
            taken[runtime].append(time.monotonic() - start)
    for runtime in runtimes:
        mine = taken[runtime]
        print(f"podman run --rm IMAGE true, {os.path.basename(runtime)}: minimum {min(mine) * 1000:.0f} ms, median {statistics.median(mine) * 1000:.0f} ms")
    first = taken[runtimes[0]]
    for runtime in runtimes[1:]:
        other = taken[runtime]
        pairs = statistics.median(mine / their for mine, their in zip(first, other))
        print(f"{os.path.basename(runtimes[0])} / {os.path.basename(runtime)}: minima {min(first) / min(other):.2f}, "
              f"medians {statistics.median(first) / statistics.median(other):.2f}, median of the rounds' {pairs:.2f}")


def main(rootless):
    chosen = checks.options()
    runtimes = [f"/run/managers/bin/{os.path.basename(path)}" for path in os.environ["MANAGERS_RUNTIMES"].split()]
    podman = Podman(runtimes[0], rootless)
    podman.set_up()
    print("--", command("podman", "--version").out.strip(), "and", command("conmon", "--version").out.split("\n")[0])
    if chosen.time:
        compare(runtimes)
        return
    # Where the runtimes keep their state without --root.
    folders = [f"/run/{name}" for name in ("apus", "crun", "runc", podman.name)] + ["/run/netns"]
    if rootless:
        folders = [f"{podman.environment['XDG_RUNTIME_DIR']}/{name}" for name in ("apus", "crun", "runc", podman.name, "netns")]
    sys.exit(checks.run(chosen, checks.Machine(folders, KEPT), Podman.remove_all, podman))
