"""Networks, names, published ports."""

import contextlib
import os
import socket

from checks import check, command, equal, expect, matches, until, write
from docker_setup import DATA, IMAGE
from networks import SERVER, ask


def fetched(docker, name, network, *options):
    # wget of a static busybox looks for libraries.
    address, _, port = name.partition(":")
    script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} {port or 80} | tail -n 1"
    return docker.run(*options, IMAGE, "sh", "-c", script, network=network, status=None).out


@contextlib.contextmanager
def network(docker, name, *options):
    docker("network", "create", *options, name)
    try:
        yield name
    finally:
        docker("network", "rm", name)


@check(short=True)
def network_none(docker):
    equal(docker.shell("ls /sys/class/net; ip -o address show lo | grep -c 127.0.0.1"), "lo\n1", "the links, and addresses of lo")


@check(short=True)
def network_host(docker):
    equal(docker.shell("readlink /proc/self/ns/net; hostname", network="host"), f"{os.readlink('/proc/self/ns/net')}\n{socket.gethostname()}", "the namespace and the name")


@check(short=True)
def network_bridge(docker):
    with docker.container(process=SERVER, network="bridge") as container:
        address = container.inspect("{{.NetworkSettings.IPAddress}}")
        matches(address, r"^172\.17\.0\.\d+$", "the address")
        equal(container.exec("ls", "/sys/class/net").out.split(), ["eth0", "lo"], "the links")
        equal(until("an answer over the bridge", lambda: ask(80, address)), "answer\n", "the answer to the host")
        equal(fetched(docker, address, "bridge"), "answer\n", "the answer to another container")
        equal(docker.json("stats", "--no-stream", container.name)[0]["NetIO"].startswith("0B"), False, "no traffic")


@check(short=True)
def port(docker):
    with docker.container("-p", "127.0.0.1:8080:80", process=SERVER, network=None) as container:
        equal(until("an answer at the port", lambda: ask(8080)), "answer\n", "the answer")
        equal(docker("port", container.name).out, "80/tcp -> 127.0.0.1:8080\n", "what docker port says")
        docker("restart", "-t", "0", container.name)
        equal(until("an answer after another start", lambda: ask(8080)), "answer\n", "the answer")
        docker("stop", "-t", "0", container.name)
        equal(ask(8080), "", "the answer of the stopped")


@check
def port_of_any_address(docker):
    with docker.container("-P", "--expose", "80", process=SERVER, network=None) as container:
        number = int(docker("port", container.name, "80").out.splitlines()[0].rsplit(":", 1)[1])
        gateway = container.inspect("{{.NetworkSettings.Gateway}}")
        for address in ("127.0.0.1", gateway):
            equal(until("an answer at the port", lambda: ask(number, address)), "answer\n", "the answer")
        # From another container by way of the host.
        equal(fetched(docker, f"{gateway}:{number}", "bridge"), "answer\n", "the answer to another container")


@check
def port_in_use(docker):
    with socket.create_server(("127.0.0.1", 8083)):
        result = docker("run", "--rm", "-p", "127.0.0.1:8083:80", IMAGE, "true", status=125)
        matches(result.err, "(?i)already in use", "the error")
    docker("run", "--rm", "-p", "127.0.0.1:8083:80", IMAGE, "true")


@check(short=True)
def network_of_a_container(docker):
    with docker.container("--name", "server", process=SERVER) as container:
        until("an answer", lambda: fetched(docker, "127.0.0.1", "container:server") == "answer\n")
        equal(docker.shell("readlink /proc/self/ns/net", network="container:server"), os.readlink(f"/proc/{container.pid}/ns/net"), "the namespace")


@check(short=True)
def network_of_users_with_names(docker):
    with network(docker, "mine", "--subnet", "10.77.1.0/24") as name:
        with docker.container("--name", "server", "--network-alias", "also", "--ip", "10.77.1.5", process=SERVER, network=name):
            until("an answer", lambda: fetched(docker, "10.77.1.5", name) == "answer\n")
            equal(docker.shell("cat /etc/resolv.conf | grep nameserver", network=name), "nameserver 127.0.0.11", "the server of names")
            for known in ("server", "also"):
                result = docker.run(IMAGE, "nslookup", known, network=name, status=None)
                expect("10.77.1.5" in result.out, result)


@check
def network_connect(docker):
    with network(docker, "one"), network(docker, "two"):
        with docker.container(network="one") as container:
            docker("network", "connect", "two", container.name)
            equal(container.exec("ls", "/sys/class/net").out.split(), ["eth0", "eth1", "lo"], "the links")
            docker("network", "disconnect", "two", container.name)
            equal(container.exec("ls", "/sys/class/net").out.split(), ["eth0", "lo"], "the links")


@check
def address_and_hardware(docker):
    with network(docker, "mine", "--subnet", "10.77.2.0/24") as name:
        matches(docker.shell("ip address show eth0", "--mac-address", "92:d0:c6:0a:29:33", "--ip", "10.77.2.9", network=name), "92:d0:c6:0a:29:33.*10.77.2.9/24", "the link")


@check
def networks_are_apart(docker):
    with network(docker, "one"), network(docker, "two"):
        with docker.container("--name", "server", process=SERVER, network="one") as container:
            address = container.inspect("{{.NetworkSettings.Networks.one.IPAddress}}")
            until("an answer in its own", lambda: fetched(docker, address, "one") == "answer\n")
            equal(docker.run(IMAGE, "nc", "-w", "1", address, "80", network="two", status=1).out, "", "what the other network gets")


@check(short=True)
def names_and_servers(docker):
    equal(docker.shell("grep -h other /etc/hosts; grep -v '^#' /etc/resolv.conf | sort", "--add-host", "other:10.9.8.7", "--dns", "10.9.8.6", "--dns-search", "example", "--dns-option",
                       "ndots:3", network="bridge").split(), ["10.9.8.7", "other", "nameserver", "10.9.8.6", "options", "ndots:3", "search", "example"], "names and servers")
    matches(docker.shell("cat /etc/hosts", "--add-host", "up:host-gateway", "--hostname", "box", network="bridge"), r"172\.17\.0\.1\s+up\n172\.17\.0\.\d+\s+box", "the names")


@check
def links(docker):
    with docker.container("--name", "server", "-e", "WORD=said", process=SERVER, network=None):
        equal(docker.shell("grep -c '^172.17.*web' /etc/hosts", "--link", "server:web", network=None), "1", "entries of the link")
        equal(docker.shell("echo $WEB_ENV_WORD", "--link", "server:web", network=None), "said", "the variable of the link")


@check
def routes_to_the_host(docker):
    with socket.create_server(("0.0.0.0", 8085)) as server:
        server.settimeout(20)
        with docker.container(process=("sh", "-c", "echo hello | nc -w 5 172.17.0.1 8085"), network="bridge"):
            connection, peer = server.accept()
            with connection:
                equal(connection.recv(100), b"hello\n", "what is sent")
            matches(peer[0], r"^172\.17\.0\.", "the sender")


@check
def server_of_a_folder(docker):
    os.makedirs(f"{DATA}/www", exist_ok=True)
    write(f"{DATA}/www/index.html", "given\n")
    with docker.container("-p", "8086:80", "--read-only", "--cap-drop", "all", "--cap-add", "net_bind_service", "--user", "1000", "-v", f"{DATA}/www:/www:ro",
                          process=("httpd", "-f", "-p", "80", "-h", "/www"), network=None):
        equal(until("an answer at the port", lambda: ask(8086)), "given\n", "the answer")
    rules = command("iptables-save").out
    expect("8086" not in rules, f"rules are left: {rules}")
