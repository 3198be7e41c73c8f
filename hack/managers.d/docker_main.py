import sys

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


def main():
    chosen = checks.options()
    docker = Docker(checks.paths())
    try:
        docker.set_up()
        template = "client {{.Client.Version}}{{range .Server.Components}}, {{.Name}} {{.Version}}{{end}}"
        print("-- docker:", docker("version", "--format", template).out.strip())
        if chosen.time:
            names = [docker.default, *(docker.named(path) for path in docker.runtimes[1:])]
            checks.compare("docker run --rm --network none IMAGE true", names, lambda name: docker.run("--runtime", name, IMAGE, "true"))
            return
        status = checks.run(chosen, checks.Machine(state_folders(docker), KEPT), Docker.remove_all, docker)
    finally:
        if docker.daemon and docker.daemon.poll() is None:
            docker.stop()
    sys.exit(status)
