"""What a user sees of what cannot be: ctr ends with 1, and its words are those of the runtime's log."""

import os
import shutil

from checks import Terminal, check, equal, expect, matches, write

NOT_FOUND = r"executable file (`?nosuch`? )?not found in \$PATH"


def refused(result, pattern):
    """One line, which says what is wrong; a command that cannot be run leaves no task."""
    expect(result.status == 1, f"{result}, expected 1")
    matches(result.err, pattern, "the error")
    expect('"level"' not in result.err and "panic" not in result.err, f"the error is for programs: {result.err}")
    # What containerd says where the runtime's log cannot be read.
    expect("unable to retrieve OCI runtime error" not in result.err, f"the error of the runtime is lost: {result.err}")


@check(short=True)
def command_not_found(ctr):
    refused(ctr.run("nosuch", status=None), "OCI runtime create failed.*" + NOT_FOUND)


@check
def path_not_found(ctr):
    refused(ctr.run("/bin/nosuch", status=None), "(?i)/bin/nosuch.*no such file or directory")


@check(short=True, differs={"crun": "does not name the file"})
def command_without_permission(ctr):
    refused(ctr.run("/etc/unreadable", status=None), "(?i)/etc/unreadable.*permission denied")


@check(short=True, differs={"crun": "does not name the file"})
def command_is_a_folder(ctr):
    refused(ctr.run("/etc", status=None), "(?i)/etc.*(permission denied|is a directory)")


@check(differs={"crun": "does not name the file"})
def command_through_a_file(ctr):
    refused(ctr.run("/etc/passwd/x", status=None), "(?i)/etc/passwd/x.*not a directory")


@check(differs={"crun": "another error for a script without its interpreter"})
def command_that_is_no_program(ctr):
    with ctr.container() as container:
        container.exec("sh", "-c", "printf '#!/bin/nosuch\\n' >/script; chmod 755 /script; printf 'no program' >/data; chmod 755 /data")
        expect("no such file" in container.exec("/script", status=1).err, "the error of a script")
        matches(container.exec("/data", status=1).err, "(?i)exec format error", "the error of what is no program")


@check(short=True)
def exec_command_not_found(ctr):
    with ctr.container() as container:
        refused(container.exec("nosuch", status=None), "OCI runtime exec failed.*" + NOT_FOUND)
        refused(container.exec("/bin/nosuch", status=None), "(?i)/bin/nosuch.*no such file or directory")
        refused(container.exec("/etc/unreadable", status=None), "(?i)permission denied")
        refused(container.exec("/etc", status=None), "(?i)permission denied|is a directory|operation not permitted")
        equal(container.status, "RUNNING", "the status of the container")


@check
def exec_in_the_background_not_found(ctr):
    with ctr.container() as container:
        refused(container.exec("nosuch", options=("--detach", "--fifo-dir", "/srv/data/fifos"), status=None), "OCI runtime exec failed.*" + NOT_FOUND)
        equal(container.status, "RUNNING", "the status of the container")


@check
def exec_terminal_not_found(ctr):
    with ctr.container() as container:
        with Terminal(*ctr.arguments("t", "exec", "-t", "--exec-id", "e", container.id, "nosuch"), env=ctr.daemon.environment) as terminal:
            terminal.until("not found in \\$PATH")
            equal(terminal.wait(), 1, "the status")


@check
def terminal_not_found(ctr):
    with Terminal(*ctr.run_arguments("--rm", "-t", id=ctr.name(), process=("nosuch",)), env=ctr.daemon.environment) as terminal:
        terminal.until("not found in \\$PATH")
        equal(terminal.wait(), 1, "the status")


@check
def working_directory(ctr):
    refused(ctr.run("true", options=("--cwd", "/etc/passwd"), status=None), "(?i)/etc/passwd.*not a directory")
    with ctr.container() as container:
        refused(container.exec("true", options=("--cwd", "/nosuch"), status=None), "(?i)/nosuch.*no such file")
        refused(container.exec("true", options=("--cwd", "/etc/passwd"), status=None), "(?i)/etc/passwd.*not a directory")


@check(short=True)
def mount_of_nothing(ctr):
    result = ctr.run("true", options=("--mount", "type=bind,src=/srv/nosuch,dst=/data,options=rbind:ro"), status=None)
    refused(result, "(?i)/srv/nosuch.*no such file or directory")
    refused(ctr.run("true", options=("--mount", "type=nosuchfs,src=x,dst=/data,options=ro"), status=None), "(?i)(nosuchfs|data).*no such device")


@check
def mount_of_a_folder_on_a_file(ctr):
    refused(ctr.run("true", options=("--mount", "type=bind,src=/srv/data,dst=/etc/passwd,options=rbind:ro"), status=None), "(?i)etc/passwd.*not a directory")


@check(differs={"crun": "does not name the option"})
def mount_with_a_bad_option(ctr):
    result = ctr.run("true", options=("--mount", "type=tmpfs,src=x,dst=/data,options=nosuch=1"), status=None)
    refused(result, "/data.*nosuch=1: invalid argument")


@check
def root_that_is_not_there(ctr):
    refused(ctr.run("true", options=("--rootfs",), root="/srv/nosuch", status=None), "(?i)/srv/nosuch.*no such file or directory")


@check(differs={"crun": "the error is that of its own socket", "runc": "the error is that of its own pipe"})
def namespace_that_is_not_there(ctr):
    refused(ctr.run("true", options=("--with-ns", "ipc:/srv/nosuch"), status=None), "(?i)/srv/nosuch.*no such file or directory")
    write("/srv/data/file", "no namespace", 0o644)
    refused(ctr.run("true", options=("--with-ns", "ipc:/srv/data/file"), status=None), "/srv/data/file.*invalid argument")
    refused(ctr.run("true", options=("--with-ns", "ipc:/proc/self/ns/net"), status=None), "/proc/self/ns/net.*invalid argument")


@check
def name_that_is_taken(ctr):
    with ctr.container() as container:
        result = ctr.run("true", id=container.id, status=None)
        expect(result.status == 1 and "already exists" in result.err, result)
        equal(container.status, "RUNNING", "the status of the first one")


@check
def state_of_the_runtime_is_taken(ctr):
    """A container that containerd does not know, under the same name."""
    folder = f"{ctr.daemon.state}/runc/default/other"
    os.makedirs(folder)
    try:
        refused(ctr.run("true", id="other", status=None), "OCI runtime create failed.*(with given ID|`other`) already exists")
        equal(ctr.tasks(), {}, "the tasks")
    finally:
        # What has no state in it may be gone: containerd asks for a forced delete afterwards.
        shutil.rmtree(folder, ignore_errors=True)


@check
def exec_in_one_that_has_ended(ctr):
    with ctr.container("true") as container:
        container.ended()
        result = container.exec("true", status=None)
        expect(result.status == 1, result)
        matches(result.err, "cannot exec in a stopped", "the error")
        equal(container.status, "STOPPED", "the status of the container")


@check
def nobody(ctr):
    for arguments in (("t", "kill", "nobody"), ("t", "pause", "nobody"), ("t", "metrics", "nobody"), ("c", "info", "nobody")):
        result = ctr(*arguments, status=1)
        expect("not found" in result.err, result)


@check
def signal_that_there_is_not(ctr):
    with ctr.container() as container:
        result = container.kill("SIGNOSUCH", status=None)
        refused(result, "invalid signal: SIGNOSUCH")
        # A number is left to the runtime.
        refused(container.kill("200", status=None), '(?i)exit status 1: .*(unknown signal "200"|invalid argument)')
        equal(container.status, "RUNNING", "the status of the container")


@check
def pause_twice(ctr):
    with ctr.container() as container:
        refused(ctr("t", "resume", container.id, status=None), "cannot resume a running")
        equal(container.status, "RUNNING", "the status")
        ctr("t", "pause", container.id)
        refused(ctr("t", "pause", container.id, status=None), "cannot pause a paused")
        equal(container.status, "PAUSED", "the status")
        ctr("t", "resume", container.id)


@check(short=True)
def runtime_that_is_not_there(ctr):
    matches(ctr.run("true", runtime="/srv/nosuch", status=1).err, "/srv/nosuch: no such file or directory", "the error")


@check
def limit_that_cannot_be(ctr):
    ctr.needs("memory")
    result = ctr.run("true", options=("--memory-limit", "1"), status=None)
    # One byte: the kernel takes it and ends whoever comes in, or the runtime says no before.
    refused(result, "OCI runtime create failed.*(killed it for (want of memory|exceeding its memory limit)|the memory limit could be too low|unable to set memory limit to 1 )")


@check(differs={"crun": "leaves the cgroup of a container that it could not make"})
def quota_that_cannot_be(ctr):
    ctr.needs("cpu")
    result = ctr.run("true", options=("--cpu-quota", "1", "--cpu-period", "100000"), status=None)
    refused(result, "(?i)(cfs_quota_us|cpu\\.max|quota)")
    refused(result, "(?i)(invalid argument|out of range)")


@check
def configuration_that_cannot_be(ctr):
    def mounts(spec):
        spec["mounts"].append({"destination": "/data", "type": "bind", "source": "/srv/nosuch", "options": ["rbind"]})

    def rlimit(spec):
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}]

    def sysctl(spec):
        spec["linux"]["sysctl"] = {"kernel.nosuch": "1"}

    def hook(spec):
        spec["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}

    for change, pattern in ((mounts, "/srv/nosuch.*no such file"), (rlimit, "(unknown|invalid|wrong) .*RLIMIT_NOSUCH"),
                            (sysctl, "kernel.nosuch.*(in a separate kernel namespace|not namespaced)"), (hook, "hook.*(status|exit code:) 1")):
        refused(ctr.configured(change, "true", status=None), "(?i)OCI runtime create failed.*" + pattern)
