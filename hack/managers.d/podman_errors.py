"""What a user sees of what cannot be: exit statuses 125, 126 and 127, and words that say why."""

from checks import check, equal, expect, matches
from podman_setup import IMAGE


def refused(result, status, pattern):
    expect(result.status == status, f"{result}, expected {status}")
    matches(result.err, pattern, "the error")
    # One line for people: neither a dump nor the JSON that podman reads.
    expect('"level"' not in result.err and "panic" not in result.err, f"the error is for programs: {result.err}")


@check(short=True)
def command_not_found(podman):
    refused(podman.run(IMAGE, "nosuch", status=None), 127, "executable file (`?nosuch`? )?not found in \\$PATH")


@check(short=True)
def path_not_found(podman):
    refused(podman.run(IMAGE, "/bin/nosuch", status=None), 127, "(?i)/bin/nosuch.*no such file or directory|no such file or directory.*/bin/nosuch")


@check(short=True)
def command_without_permission(podman):
    refused(podman.run(IMAGE, "/etc/unreadable", status=None), 126, "(?i)permission denied")


@check(short=True)
def command_is_a_folder(podman):
    refused(podman.run(IMAGE, "/etc", status=None), 126, "(?i)permission denied|is a directory")


@check
def command_through_a_file(podman):
    result = podman.run(IMAGE, "/etc/passwd/x", status=None)
    expect(result.status in (126, 127), result)
    matches(result.err, "(?i)not a directory", "the error")


@check(differs={"crun": "the status is 1", "runc": "the status is 1"})
def command_with_missing_interpreter(podman):
    with podman.container() as container:
        container.exec("sh", "-c", "printf '#!/bin/nosuch\\n' >/script; chmod 755 /script; printf 'no program' >/data; chmod 755 /data")
        refused(container.exec("/script", status=None), 127, "(?i)/script.*no such file|no such file")
        result = container.exec("/data", status=None)
        expect(result.status != 0 and "exec format error" in result.err.lower(), result)


@check(short=True)
def exec_command_not_found(podman):
    with podman.container() as container:
        refused(container.exec("nosuch", status=None), 127, "(?i)not found in \\$PATH|no such file")
        refused(container.exec("/bin/nosuch", status=None), 127, "(?i)no such file or directory")


@check(short=True)
def exec_without_permission(podman):
    with podman.container() as container:
        refused(container.exec("/etc/unreadable", status=None), 126, "(?i)permission denied")
        refused(container.exec("/etc", status=None), 126, "(?i)permission denied|is a directory")


@check(short=True)
def exec_in_stopped(podman):
    with podman.container() as container:
        podman("kill", container.name)
        podman.ended(container)
        refused(container.exec("true", status=None), 255, "(?i)can only create exec sessions on running containers")


@check
def exec_while_it_ends(podman):
    with podman.container(process=("sh", "-c", "exit 0")) as container:
        result = container.exec("true", status=None)
        expect(result.status in (0, 125, 126, 127, 137, 255), result)


@check
def exec_terminal_not_found(podman):
    with podman.container() as container:
        result = podman("exec", "-t", container.name, "nosuch", status=None)
        expect(result.status == 127, result)
        matches(result.out + result.err, "(?i)not found in \\$PATH|no such file", "the error")


@check
def terminal_not_found(podman):
    result = podman.run("-t", IMAGE, "nosuch", status=None)
    expect(result.status == 127, result)
    matches(result.out + result.err, "executable file `?(nosuch)?`? ?not found in \\$PATH", "the error")


@check(short=True)
def working_directory(podman):
    # podman makes one that is not there; a file in its place it cannot.
    result = podman.run("-w", "/etc/passwd", IMAGE, "true", status=None)
    expect(result.status in (125, 126, 127), result)
    matches(result.err, "(?i)not a directory", "the error")
    with podman.container() as container:
        result = podman("exec", "-w", "/nosuch", container.name, "true", status=None)
        expect(result.status in (126, 127), result)
        matches(result.err, "(?i)(/nosuch|chdir|workdir).*no such file|no such file.*/nosuch", "the error")


@check
def working_directory_without_permission(podman):
    result = podman.run("-w", "/root/x", "--user", "1000", IMAGE, "sh", "-c", "pwd", status=None)
    expect(result.status in (0, 126), result)


@check
def unknown_user(podman):
    refused(podman.run("--user", "nosuch", IMAGE, "true", status=None), 126, "(?i)unable to find user nosuch")


@check(short=True)
def bad_option(podman):
    refused(podman.run("--nosuch", IMAGE, "true", status=None), 125, "unknown flag")


@check(short=True)
def bad_sysctl(podman):
    refused(podman.run("--sysctl", "kernel.shm_rmid_forced=word", IMAGE, "true", status=None), 126, "(?i)shm_rmid_forced")


@check
def bad_seccomp_profile(podman):
    result = podman.run("--security-opt", "seccomp=/srv/nosuch.json", IMAGE, "true", status=None)
    refused(result, 125, "(?i)/srv/nosuch.json.*no such file")


@check
def bad_mount_target(podman):
    # A file over a folder.
    from checks import write
    write("/srv/data/file", "x")
    result = podman.run("-v", "/srv/data/file:/etc", IMAGE, "true", status=None)
    expect(result.status in (125, 126, 127), result)
    matches(result.err, "(?i)not a directory|/etc", "the error")


@check
def bad_memory(podman):
    podman.needs("memory")
    result = podman.run("--memory", "1", IMAGE, "true", status=None)
    expect(result.status in (125, 126), result)


@check
def bad_cpuset(podman):
    podman.needs("cpuset")
    refused(podman.run("--cpuset-cpus", "4000", IMAGE, "true", status=None), 125, "(?i)cpus|4000|range")


@check(short=True)
def bad_runtime(podman):
    result = podman("run", "--rm", IMAGE, "true", runtime="/run/managers/nosuch", status=None)
    expect(result.status in (125, 126, 127), result)


@check
def bad_hook(podman):
    from checks import write
    write("/srv/data/hooks/bad.json", '{"version": "1.0.0", "hook": {"path": "/bin/false"}, "when": {"always": true}, "stages": ["createRuntime"]}')
    result = podman("--hooks-dir", "/srv/data/hooks", "run", "--rm", "--network", "none", IMAGE, "true", status=None)
    expect(result.status in (125, 126, 127), result)
    matches(result.err, "(?i)hook", "the error")


@check(short=True)
def hook(podman):
    from checks import read, write
    path = f"{podman.home}/hook.out"
    write("/srv/data/hooks2/good.json", '{"version": "1.0.0", "hook": {"path": "/bin/sh", "args": ["sh", "-c", "cat >' + path + '"]}, "when": {"always": true}, "stages": ["prestart"]}')
    podman("--hooks-dir", "/srv/data/hooks2", "run", "--rm", "--network", "none", IMAGE, "true")
    matches(read(path), '"pid": ?[1-9].*', "what the hook was told")
    matches(read(path), '"status": ?"creat', "what the hook was told")


@check
def name_in_use(podman):
    with podman.container("--name", "same"):
        refused(podman.run("--name", "same", IMAGE, "true", status=None), 125, "(?i)already in use")


@check
def unknown_container(podman):
    for verb in ("start", "stop", "kill", "pause", "exec"):
        more = ("true",) if verb == "exec" else ()
        refused(podman(verb, "nosuch", *more, status=None), 125, "(?i)no such container|no container with")
    equal(podman("container", "exists", "nosuch", status=None).status, 1, "the status of exists")
