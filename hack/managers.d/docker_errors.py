"""What a user sees of what cannot be: exit statuses 125, 126 and 127, and words that say why."""

import os

from checks import check, command, equal, expect, matches, write
from docker_setup import DATA, IMAGE


def refused(result, status, pattern):
    """By the client's first line; what follows may be its hint."""
    expect(result.status in (status if isinstance(status, tuple) else (status,)), f"{result}, expected {status}")
    matches(result.err, pattern, "the error")
    expect('"level"' not in result.err and "panic" not in result.err, f"the error is for programs: {result.err}")


@check(short=True, differs={"crun": "its texts are not those that docker knows"})
def command_not_found(docker):
    refused(docker.run(IMAGE, "nosuch", status=None), 127, r"nosuch.*executable file not found in \$PATH")


@check(short=True, differs={"crun": "its texts are not those that docker knows"})
def path_not_found(docker):
    refused(docker.run(IMAGE, "/bin/nosuch", status=None), 127, "(?i)/bin/nosuch.*no such file or directory")


@check(short=True, differs={"crun": "its texts are not those that docker knows"})
def command_without_permission(docker):
    refused(docker.run(IMAGE, "/etc/unreadable", status=None), 126, "(?i)/etc/unreadable.*permission denied")


@check(short=True, differs={"crun": "the status is that of a missing command"})
def command_is_a_folder(docker):
    refused(docker.run(IMAGE, "/etc", status=None), 126, "(?i)/etc.*(permission denied|is a directory)")


@check(differs={"crun": "its texts are not those that docker knows"})
def command_through_a_file(docker):
    refused(docker.run(IMAGE, "/etc/passwd/x", status=None), (125, 126, 127), "(?i)/etc/passwd/x.*not a directory")


@check(differs={"crun": "writes JSON to the standard error of the container"})
def command_with_missing_interpreter(docker):
    with docker.container() as container:
        container.exec("sh", "-c", "printf '#!/bin/nosuch\\n' >/script; chmod 755 /script; printf 'no program' >/data; chmod 755 /data")
        docker("commit", container.name, "broken:1")
    try:
        refused(docker.run("broken:1", "/script", status=None), (1, 127), "(?i)/script.*no such file|/bin/nosuch.*no such file|no such file or directory")
        result = docker.run("broken:1", "/data", status=None)
        expect(result.status != 0 and "exec format error" in result.err.lower(), result)
    finally:
        docker("rmi", "-f", "broken:1")


@check(short=True)
def exec_command_not_found(docker):
    with docker.container() as container:
        for arguments in (("nosuch",), ("/bin/nosuch",)):
            result = container.exec(*arguments, status=None)
            expect(result.status in (126, 127), result)
            matches(result.out + result.err, "(?i)nosuch.*(not found in \\$PATH|no such file or directory)", "the error")


@check(short=True, differs={"crun": "its texts are not those that docker knows"})
def exec_without_permission(docker):
    with docker.container() as container:
        for path in ("/etc/unreadable", "/etc"):
            result = container.exec(path, status=None)
            equal(result.status, 126, f"the status of {path} ({result})")
            matches(result.out + result.err, "(?i)permission denied|is a directory", "the error")


@check
def exec_terminal_not_found(docker):
    with docker.container() as container:
        result = docker("exec", "-t", container.name, "nosuch", status=None)
        expect(result.status in (126, 127), result)
        matches(result.out + result.err, "(?i)nosuch.*not found in \\$PATH", "the error")


@check(short=True)
def exec_in_stopped(docker):
    with docker.container() as container:
        docker("kill", container.name)
        docker.ended(container)
        refused(container.exec("true", status=None), 1, "(?i)is not running")


@check
def exec_while_it_ends(docker):
    for _ in range(5):
        with docker.container(process=("sh", "-c", "exit 0")) as container:
            result = container.exec("true", status=None)
            expect(result.status in (0, 1, 126, 128, 137), result)


@check(differs={"crun": "its texts are not those that docker knows"})
def terminal_not_found(docker):
    result = docker.run("-t", IMAGE, "nosuch", status=127)
    matches(result.out + result.err, r"nosuch.*executable file not found in \$PATH", "the error")


@check(short=True, differs={"crun": "its texts are not those that docker knows"})
def background_not_found(docker):
    result = docker("run", "-d", "--network", "none", "--name", "never", IMAGE, "nosuch", status=127)
    try:
        matches(result.err, r"nosuch.*executable file not found in \$PATH", "the error")
        equal(docker("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "never").out, "created 127\n", "status and exit code")
    finally:
        docker("rm", "-f", "never")


@check(short=True)
def working_directory(docker):
    refused(docker.run("-w", "/etc/passwd", IMAGE, "true", status=None), (125, 126, 127), "(?i)/etc/passwd.*not a directory|not a directory.*/etc/passwd")
    with docker.container() as container:
        result = docker("exec", "-w", "/nosuch", container.name, "true", status=None)
        expect(result.status in (126, 127), result)
        matches(result.out + result.err, "(?i)(/nosuch|chdir|cwd).*no such file|no such file.*/nosuch", "the error")


@check
def working_directory_without_permission(docker):
    with docker.container() as container:
        container.exec("sh", "-c", "mkdir /closed && chmod 700 /closed")
        # Root may go there, before it becomes the user.
        result = docker("exec", "-w", "/closed", "-u", "1000", container.name, "pwd", status=None)
        expect((result.status, result.out) == (0, "/closed\n") or result.status == 126 and "permission denied" in (result.out + result.err).lower(), result)


@check(short=True)
def unknown_user(docker):
    refused(docker.run("--user", "nosuch", IMAGE, "true", status=None), (125, 126), "(?i)unable to find user nosuch")


@check(short=True)
def bad_option(docker):
    refused(docker.run("--nosuch", IMAGE, "true", status=None), 125, "unknown flag")


@check(short=True, differs={"crun": "sets it in the namespace of the host"})
def bad_sysctl(docker):
    refused(docker.run("--sysctl", "kernel.shm_rmid_forced=word", IMAGE, "true", status=None), (125, 126, 127), "(?i)shm_rmid_forced.*invalid argument")
    refused(docker.run("--sysctl", "kernel.threads-max=1", IMAGE, "true", status=None), 125, "kernel.threads-max")
    refused(docker.run("--sysctl", "net.ipv4.ip_forward=1", IMAGE, "true", network="host", status=None), (125, 126, 127),
            "(?i)net.ipv4.ip_forward.*not allowed in|not allowed in .*network namespace.*net.ipv4.ip_forward")


@check
def bad_seccomp_profile(docker):
    refused(docker.run("--security-opt", "seccomp=/srv/nosuch.json", IMAGE, "true", status=None), 125, "(?i)/srv/nosuch.json.*no such file")
    path = write(f"{DATA}/bad.json", '{"defaultAction": "SCMP_ACT_NOSUCH", "syscalls": []}')
    refused(docker.run("--security-opt", f"seccomp={path}", IMAGE, "true", status=None), (125, 126, 127), "SCMP_ACT_NOSUCH")


@check(short=True, differs={"crun": "its text names the path without a slash"})
def file_on_a_folder(docker):
    write(f"{DATA}/file", "x")
    refused(docker.run("-v", f"{DATA}/file:/etc", IMAGE, "true", status=None), (125, 127), "(?i)/etc.*not a directory.*Are you trying to mount a directory onto a file")
    os.makedirs(f"{DATA}/folder", exist_ok=True)
    refused(docker.run("-v", f"{DATA}/folder:/etc/passwd", IMAGE, "true", status=None), (125, 127),
            "(?i)/etc/passwd.*not a directory.*Are you trying to mount a directory onto a file")


@check(short=True)
def device_that_is_not_there(docker):
    refused(docker.run("--device", "/dev/nosuch", IMAGE, "true", status=None), (125, 127), "(?i)/dev/nosuch.*no such file")


@check
def bad_memory(docker):
    docker.needs("memory")
    refused(docker.run("--memory", "1m", IMAGE, "true", status=None), 125, "(?i)minimum memory limit")


@check
def bad_cpuset(docker):
    docker.needs("cpuset")
    refused(docker.run("--cpuset-cpus", "4000", IMAGE, "true", status=None), 125, "(?i)cpus|4000|range")


@check(short=True)
def bad_runtime(docker):
    refused(docker.run("--runtime", "nosuch", IMAGE, "true", status=None), 125, "(?i)unknown or invalid runtime name: nosuch|runtime.*nosuch")
    refused(docker.run("--runtime", "missing", IMAGE, "true", status=None), (125, 127), "(?i)/run/managers/nosuch.*no such file")


@check
def name_in_use(docker):
    with docker.container("--name", "same"):
        refused(docker.run("--name", "same", IMAGE, "true", status=None), 125, "(?i)already in use")


@check
def unknown_container(docker):
    for verb in ("start", "stop", "kill", "pause", "exec", "wait", "top", "rm"):
        more = ("true",) if verb == "exec" else ()
        refused(docker(verb, "nosuch", *more, status=None), 1, "(?i)no such container")


@check
def checkpoint_is_done_or_refused_cleanly(docker):
    """The runtime says why, and the container goes on."""
    with docker.second("--experimental") as other, other.container() as container:
        result = other("checkpoint", "create", "--leave-running", container.name, "first", status=None)
        if result.status != 0:
            matches(result.err, r"did not terminate successfully: .*(?i:criu|checkpoint)", "the error")
        equal(container.status, "running", "the status afterwards")
        equal(container.exec("echo", "x").out, "x\n", "output of exec")


@check
def failures_leave_no_state(docker):
    for arguments in (("nosuch",), ("/etc",), ("/bin/nosuch",)):
        with docker.container(detach=False, process=arguments) as container:
            docker("start", container.name, status=1)
            equal(command(docker.path, "--root", docker.states, "list", "-q").out, "", "what the runtime knows")
            docker("start", container.name, status=1)
