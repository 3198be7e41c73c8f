import sys

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


def drive():
    chosen = checks.options()
    runtimes = checks.paths()
    ctr = begin(runtimes)
    print("--", " ".join(command("containerd", "--version").out.split()[:3:2]))
    try:
        if chosen.time:
            checks.compare("ctr run --rm IMAGE ID true", runtimes, lambda path: ctr.run("true", runtime=path))
            return 0
        return checks.run(chosen, Machine(ctr, ctr.daemon.folders(), KEPT), Ctr.remove_all, ctr)
    finally:
        ctr.daemon.stop()


def main():
    sys.exit(drive())
