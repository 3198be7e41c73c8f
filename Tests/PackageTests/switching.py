"""hack/install --podman --containerd --ctr --docker and its undoing, in a folder that stands for /."""

import contextlib
import io
import json
import os
import tomllib
import unittest

from support import Scratch, program

PROGRAM = program("hack/switch")

ALL = ("--podman", "--containerd", "--ctr", "--docker")
BINARY = "/usr/local/bin/apus"
DAEMON = "/etc/docker/daemon.json"
CONTAINERD = "/etc/containerd/config.toml"
DROPIN = "/etc/containerd/conf.d/apus.toml"
PODMAN = "/etc/containers/containers.conf.d/apus.conf"
SERVICE = "/etc/systemd/system/containerd.service.d/apus.conf"

# What Debian ships.
DEBIAN = """version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"""
# What `containerd config default` begins with, and kubeadm's advice.
WHOLE = """version = 2
# the administrator's
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "pause:3.9"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc" # as ever
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
          SystemdCgroup = true
[timeouts]
  "io.containerd.timeout.shim.load" = "5s"
"""
NEWER = """version = 3
imports = [
  '/etc/containerd/other/*.toml',
]

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = true
"""


class Switching(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch()
        self.root = f"{self.scratch.path}/root"
        self.put(BINARY, "#!/bin/sh\n")
        os.chmod(self.root + BINARY, 0o755)

    def tearDown(self):
        self.scratch.remove()

    def put(self, path, text):
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w", newline="") as file:
            file.write(text)

    def text(self, path):
        with open(self.root + path, newline="") as file:
            return file.read()

    def switch(self, *arguments, version="1", status=0):
        os.environ["APUS_CONTAINERD_VERSION"] = version
        said, refused, ended = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(refused):
            try:
                PROGRAM.main(["--root", self.root, *arguments])
            except SystemExit as end:
                ended = end.code
        self.assertEqual(ended, status, said.getvalue() + refused.getvalue())
        return said.getvalue() if status == 0 else refused.getvalue()

    def tree(self):
        """Every file with mode and bytes, every folder and link."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                content = os.readlink(path) if os.path.islink(path) else None
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        content = file.read()
                found[path.removeprefix(self.root)] = (status.st_mode, content)
        return found

    def back_and_forth(self, *arguments, version="1"):
        """Switches twice and undoes it: the second time changes nothing, and in the end all is as it was."""
        before = self.tree()
        self.switch(*arguments, version=version)
        after = self.tree()
        self.assertNotEqual(before, after)
        said = self.switch(*arguments, version=version)
        self.assertEqual(after, self.tree())
        self.assertNotIn("restart", said)
        self.switch(*arguments, "--undo", version=version)
        self.assertEqual(before, self.tree())
        self.switch(*arguments, "--undo", version=version)
        self.assertEqual(before, self.tree())

    def test_where_nothing_is(self):
        self.back_and_forth(*ALL)
        self.back_and_forth(*ALL, version="2")
        self.switch(*ALL)
        self.assertEqual(
            json.loads(self.text(DAEMON)), {"runtimes": {"apus": {"path": BINARY}}, "default-runtime": "apus"})
        podman = tomllib.loads(self.text(PODMAN))["engine"]
        self.assertEqual((podman["runtime"], podman["runtimes"]), ("apus", {"apus": [BINARY]}))
        self.assertTrue({"apus", "crun", "runc"} <= set(podman["runtime_supports_json"]))
        self.assertIn("Environment=PATH=/usr/local/lib/apus:", self.text(SERVICE))
        self.assertEqual(os.readlink(f"{self.root}/usr/local/lib/apus/runc"), BINARY)

    def test_daemon_keeps_what_it_has(self):
        for text in [
            '{\n  "log-level": "warn",\n  "runtimes": {\n    "other": { "path": "/o" }\n  },\n  "default-runtime": "other"\n}\n',
            '{"bip":"10.0.0.1/24","unknown":{"a":[1,2 , 3]}}',
            '{\r\n\t"x": 1e3,\r\n\t"runtimes": {}\r\n}\r\n',
            "{}", "", "{\n}\n", '{"runtimes":{"apus":{"runtimeArgs":["--debug"]}}}',
            '{ "a": "\\u00e4/\\/" ,\n\n  "default-runtime" : "runc" }',
        ]:
            with self.subTest(text):
                self.put(DAEMON, text)
                os.chmod(self.root + DAEMON, 0o600)
                self.back_and_forth("--docker")
                self.switch("--docker")
                now, before = json.loads(self.text(DAEMON)), json.loads(text or "{}")
                self.assertEqual(now["default-runtime"], "apus")
                for path in (DAEMON, DAEMON + ".before-apus"):
                    self.assertEqual(os.stat(self.root + path).st_mode & 0o777, 0o600)
                self.assertEqual(now["runtimes"].pop("apus")["path"], BINARY)
                self.assertEqual(now["runtimes"], {k: v for k, v in before.get("runtimes", {}).items() if k != "apus"})
                for name in set(before) - {"runtimes", "default-runtime"}:
                    self.assertEqual(now[name], before[name])
                self.assertEqual(self.text(DAEMON + ".before-apus"), text)
                self.switch("--docker", "--undo")

    def test_lines_of_the_daemon_stay(self):
        self.put(DAEMON, '{\n  "b": 1,\n\n  "a": { "x":1 }\n}\n')
        self.switch("--docker")
        self.assertTrue(self.text(DAEMON).startswith('{\n  "b": 1,\n\n  "a": { "x":1 },\n  "runtimes": {\n    "apus": {\n'))

    def test_broken_files_are_refused_by_name(self):
        for path, manager, texts in [
            (DAEMON, "--docker", [
                "{", "[]", '{"a": 1, }', '{"runtimes": []}', '{"a": NaN}', '{"a": 1, "a": 2}', "\x00",
                '{"runtimes": {"apus": {"runtimeType": "x"}}}']),
            (CONTAINERD, "--containerd", [
                "version = ", "[plugins]\n", "version = 2\nplugins = {'io.containerd.grpc.v1.cri' = {containerd = {}}}\n"]),
            (PODMAN, "--podman", ["[engine", "[engine]\nruntime = 'crun'\n"]),
        ]:
            for text in texts:
                with self.subTest(text):
                    self.put(path, text)
                    before = self.tree()
                    self.assertIn(path, self.switch(manager, status=1))
                    self.assertEqual(before, self.tree())

    def test_one_that_is_refused_does_not_stop_the_others(self):
        self.put(DAEMON, "{")
        self.switch(*ALL, status=1)
        self.assertTrue(os.path.exists(self.root + PODMAN))

    def test_containerd_of_version_2_keeps_what_it_has(self):
        for text in [DEBIAN, WHOLE, "version = 2\n", 'version = 2\ndisabled_plugins = ["cri"]', WHOLE.rstrip("\n")]:
            with self.subTest(text):
                self.put(CONTAINERD, text)
                self.back_and_forth("--containerd")
                self.switch("--containerd")
                now, before = tomllib.loads(self.text(CONTAINERD)), tomllib.loads(text)
                cri = now["plugins"]["io.containerd.grpc.v1.cri"]
                self.assertEqual(cri["containerd"].pop("default_runtime_name"), "apus")
                own = cri["containerd"]["runtimes"].pop("apus")
                self.assertEqual((own["runtime_type"], own["options"]["BinaryName"]), ("io.containerd.runc.v2", BINARY))
                # The kubelet and the runtime must make cgroups the same way.
                self.assertEqual(own["options"].get("SystemdCgroup"), True if text.startswith(WHOLE[:30]) else None)
                for name in ("cni", "sandbox_image"):
                    old = before.get("plugins", {}).get("io.containerd.grpc.v1.cri", {})
                    self.assertEqual(cri.get(name), old.get(name))
                # Without an entry it would be gone.
                self.assertEqual(cri["containerd"]["runtimes"]["runc"]["runtime_type"], "io.containerd.runc.v2")
                # All lines but the one of the default are there.
                for line in text.splitlines():
                    if "default_runtime_name" not in line:
                        self.assertIn(line, self.text(CONTAINERD).splitlines())
                self.switch("--containerd", "--undo")

    def test_containerd_of_version_3_gets_a_drop_in(self):
        for text in [NEWER, "version = 3\n", 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n', 'version = 3\nimports = ["conf.d/*.toml"]\n']:
            with self.subTest(text):
                self.put(CONTAINERD, text)
                self.back_and_forth("--containerd")
                self.switch("--containerd")
                dropin = tomllib.loads(self.text(DROPIN))["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]
                self.assertEqual(dropin["default_runtime_name"], "apus")
                self.assertEqual(dropin["runtimes"]["apus"]["options"].get("SystemdCgroup"), True if text == NEWER else None)
                imports = tomllib.loads(self.text(CONTAINERD))["imports"]
                self.assertEqual(len(imports), 2 if text == NEWER else 1)
                self.assertEqual("conf.d" in text, self.text(CONTAINERD) == text)
                self.switch("--containerd", "--undo")

    def test_what_others_have_changed_stays(self):
        self.put(DAEMON, '{\n  "default-runtime": "crun"\n}\n')
        self.put(CONTAINERD, WHOLE)
        self.switch(*ALL)
        self.put(DAEMON, self.text(DAEMON).replace("{\n", '{\n  "debug": true,\n', 1))
        self.put(CONTAINERD, self.text(CONTAINERD).replace("overlayfs", "native") + "[debug]\n  level = 'info'\n")
        self.put(PODMAN, self.text(PODMAN) + '[network]\nnetwork_backend = "cni"\n')
        self.switch(*ALL, "--undo")
        self.assertEqual(json.loads(self.text(DAEMON)), {"debug": True, "default-runtime": "crun"})
        self.assertEqual(tomllib.loads(self.text(PODMAN)), {"network": {"network_backend": "cni"}})
        meant = tomllib.loads(WHOLE.replace("overlayfs", "native") + "[debug]\n  level = 'info'\n")
        self.assertEqual(tomllib.loads(self.text(CONTAINERD)), meant)
        self.assertEqual([path for path in self.tree() if path.endswith(".before-apus")], [])
        # No trace, and nothing more to undo.
        for path in (DAEMON, CONTAINERD, PODMAN):
            self.assertNotIn("apus", self.text(path))

    def test_another_place_of_the_binary(self):
        self.put(DAEMON, '{"a":1}')
        self.put(CONTAINERD, DEBIAN)
        before = self.tree()
        self.switch("--podman", "--docker", "--containerd")
        self.put("/opt/bin/apus", "#!/bin/sh\n")
        os.chmod(f"{self.root}/opt/bin/apus", 0o755)
        self.switch("--podman", "--docker", "--containerd", "--binary", "/opt/bin/apus")
        for path in (DAEMON, CONTAINERD, PODMAN):
            self.assertIn("/opt/bin/apus", self.text(path))
            self.assertNotIn(BINARY, self.text(path))
        used = self.switch("--used", "--binary", "/opt/bin/apus")
        self.assertEqual(used.split(), ["podman", "containerd", "docker"])
        self.switch("--podman", "--docker", "--containerd", "--undo")
        os.remove(f"{self.root}/opt/bin/apus")
        os.removedirs(f"{self.root}/opt/bin")
        self.assertEqual(before, self.tree())

    def test_a_binary_that_is_not_there_is_refused(self):
        os.remove(self.root + BINARY)
        before = self.tree()
        self.assertIn(BINARY, self.switch(*ALL, status=1))
        self.assertEqual(before, self.tree())

    def test_a_link_out_of_the_root_is_not_followed(self):
        os.makedirs(f"{self.root}/etc")
        os.symlink(self.scratch.path, f"{self.root}/etc/docker")
        self.assertIn("leads out", self.switch("--docker", status=1))
        self.assertFalse(os.path.exists(f"{self.scratch.path}/daemon.json"))
