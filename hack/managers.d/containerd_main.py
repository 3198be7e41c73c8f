import os
import statistics
import sys
import time

import checks
from checks import command
from containerd_setup import KEPT, Ctr, begin

# Registered in this order.
import containerd_life  # noqa: F401
import containerd_limits  # noqa: F401
import containerd_places  # noqa: F401
import containerd_network  # noqa: F401
import containerd_errors  # noqa: F401
import containerd_many  # noqa: F401


class Machine(checks.Machine):
    """What is left of containers in containerd's own books too."""

    def __init__(self, ctr, folders, kept):
        self.ctr = ctr
        super().__init__(folders, kept)

    def now(self):
        known = {f"container {id}" for id in self.ctr.containers()} | {f"task {id}" for id in self.ctr.tasks()}
        snapshots = {"snapshot " + line.split()[0] for line in self.ctr("snapshots", "ls").out.splitlines()[1:] if "Active" in line}
        return super().now() | known | snapshots


def compare(ctr, runtimes, rounds=15):
    """Wall times of `ctr run`, one runtime after another in each round, as ratios to the last ones."""
    taken = {runtime: [] for runtime in runtimes}
    for _ in range(rounds):
        for runtime in runtimes:
            id = ctr.name()
            start = time.monotonic()
            ctr.run("true", id=id, runtime=runtime)
            taken[runtime].append(time.monotonic() - start)
    for runtime in runtimes:
        mine = taken[runtime]
        print(f"ctr run --rm IMAGE ID true, {os.path.basename(runtime)}: minimum {min(mine) * 1000:.0f} ms, median {statistics.median(mine) * 1000:.0f} ms")
    first = taken[runtimes[0]]
    for runtime in runtimes[1:]:
        other = taken[runtime]
        pairs = statistics.median(mine / their for mine, their in zip(first, other))
        print(f"{os.path.basename(runtimes[0])} / {os.path.basename(runtime)}: minima {min(first) / min(other):.2f}, "
              f"medians {statistics.median(first) / statistics.median(other):.2f}, median of the rounds' {pairs:.2f}")


def drive():
    chosen = checks.options()
    runtimes = [f"/run/managers/bin/{os.path.basename(path)}" for path in os.environ["MANAGERS_RUNTIMES"].split()]
    ctr = begin(runtimes)
    print("--", " ".join(command("containerd", "--version").out.split()[:3:2]))
    try:
        if chosen.time:
            compare(ctr, runtimes)
            return 0
        return checks.run(chosen, Machine(ctr, ctr.daemon.folders(), KEPT), Ctr.remove_all, ctr)
    finally:
        ctr.daemon.stop()


def main():
    sys.exit(drive())
