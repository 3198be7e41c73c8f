import sys

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


def main(rootless):
    chosen = checks.options()
    runtimes = checks.paths()
    podman = Podman(runtimes[0], rootless)
    podman.set_up()
    print("--", command("podman", "--version").out.strip(), "and", command("conmon", "--version").out.split("\n")[0])
    if chosen.time:
        podmans = {path: Podman(path) for path in runtimes}
        checks.compare("podman run --rm IMAGE true", runtimes, lambda path: podmans[path].run(IMAGE, "true"))
        return
    # Where the runtimes keep their state without --root.
    folders = [f"/run/{name}" for name in ("apus", "crun", "runc", podman.name)] + ["/run/netns"]
    if rootless:
        folders = [f"{podman.environment['XDG_RUNTIME_DIR']}/{name}" for name in ("apus", "crun", "runc", podman.name, "netns")]
    sys.exit(checks.run(chosen, checks.Machine(folders, KEPT), Podman.remove_all, podman))
