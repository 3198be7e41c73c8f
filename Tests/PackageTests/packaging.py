"""hack/install, hack/deb: what they put where, that it is the same each time, and that nothing is left of it."""

import hashlib
import os
import shutil
import stat
import subprocess
import tarfile
import unittest

from support import BINARY, ROOT, Scratch

EXPECTED = {
    "usr/bin/apus", "usr/share/bash-completion/completions/apus", "usr/share/zsh/vendor-completions/_apus",
    "usr/share/fish/vendor_completions.d/apus.fish", "usr/share/man/man8/apus.8.gz", "usr/share/man/man8/apus-run.8.gz",
    "usr/share/doc/apus/copyright", "usr/share/doc/apus/changelog.gz", "usr/share/doc/apus/examples/podman.conf",
    "usr/share/doc/apus/examples/containerd.toml", "usr/share/doc/apus/examples/daemon.json",
    "usr/share/doc/apus/examples/runtimeclass.yaml",
}


def run(*arguments, status=0, **more):
    environment = {**os.environ, "APUS_BINARY": BINARY, **more}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    if done.returncode != status:
        raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout if status == 0 else done.stderr


def files(folder):
    return {
        os.path.relpath(os.path.join(path, name), folder) for path, _, names in os.walk(folder) for name in names}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Install(unittest.TestCase):
    def setUp(self):
        self.scratch = Scratch()
        self.root = self.scratch.path

    def tearDown(self):
        self.scratch.remove()

    def test_nothing_is_left_of_it(self):
        run(f"{ROOT}/hack/install", "--root", self.root)
        found = files(self.root)
        for path in ("bin/apus", "share/man/man8/apus.8", "share/man/man8/apus-exec.8",
                     "share/bash-completion/completions/apus", "share/zsh/site-functions/_apus",
                     "share/fish/vendor_completions.d/apus.fish"):
            self.assertIn(f"usr/local/{path}", found)
        self.assertEqual(stat.S_IMODE(os.stat(f"{self.root}/usr/local/bin/apus").st_mode), 0o755)
        run(f"{ROOT}/hack/install", "--uninstall", "--root", self.root)
        self.assertEqual(files(self.root), set())

    def test_the_prefix_and_destdir(self):
        run(f"{ROOT}/hack/install", "--prefix=/opt/a", DESTDIR=self.root)
        self.assertIn("opt/a/bin/apus", files(self.root))

    def test_managers(self):
        before = files(self.root)
        run(f"{ROOT}/hack/install", "--root", self.root, "--podman", "--docker", "--containerd", "--ctr")
        self.assertIn("etc/docker/daemon.json", files(self.root))
        said = run(f"{ROOT}/hack/install", "--uninstall", "--root", self.root, status=1)
        self.assertIn("still the runtime of: podman containerd ctr docker", said)
        run(f"{ROOT}/hack/install", "--undo", "--docker", "--root", self.root)
        self.assertNotIn("etc/docker/daemon.json", files(self.root))
        self.assertIn("etc/containers/containers.conf.d/apus.conf", files(self.root))
        run(f"{ROOT}/hack/install", "--undo", "--root", self.root)
        run(f"{ROOT}/hack/install", "--uninstall", "--root", self.root)
        self.assertEqual(files(self.root), before)

    def test_bad_arguments(self):
        for arguments in (["--prefix"], ["--prefix", "relative"], ["--podmann"], ["--undo", "--uninstall"]):
            self.assertIn("hack/install: ", run(f"{ROOT}/hack/install", *arguments, status=2))


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = Scratch()
        cls.package = run(f"{ROOT}/hack/deb", "--output", f"{cls.scratch.path}/one").strip()

    @classmethod
    def tearDownClass(cls):
        cls.scratch.remove()

    def test_twice_the_same_bytes(self):
        old = os.umask(0o077)
        try:
            again = run(f"{ROOT}/hack/deb", "--output", f"{self.scratch.path}/two", TZ="Asia/Tokyo", LC_ALL="C").strip()
        finally:
            os.umask(old)
        self.assertEqual(os.path.basename(again), os.path.basename(self.package))
        self.assertEqual(digest(again), digest(self.package))

    def test_fields_and_owners(self):
        fields = dict(
            line.split(": ", 1) for line in run("dpkg-deb", "-f", self.package).splitlines() if not line.startswith(" "))
        self.assertEqual((fields["Package"], fields["Section"]), ("apus", "admin"))
        self.assertEqual(fields["Architecture"], run("dpkg", "--print-architecture").strip())
        self.assertNotIn("Depends", fields)
        for line in run("dpkg-deb", "-c", self.package).splitlines():
            words = line.split()
            self.assertEqual(words[1], "root/root", line)
            self.assertIn(words[0], ("drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"), line)
            self.assertEqual(words[0] == "-rwxr-xr-x", words[5] == "./usr/bin/apus", line)
            self.assertFalse(words[5].startswith("./etc"), line)

    def database(self):
        root = f"{self.scratch.path}/root"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("info", "updates", "triggers"):
            os.makedirs(f"{root}/var/lib/dpkg/{name}")
        for name in ("status", "available"):
            open(f"{root}/var/lib/dpkg/{name}", "w").close()
        return root

    @unittest.skipUnless(os.getuid() == 0, "it needs root")
    def test_installed_run_and_purged(self):
        for arguments, extra in ([], set()), (["--podman"], {"etc/containers/containers.conf.d/apus.conf"}):
            package = self.package
            if arguments:
                package = run(f"{ROOT}/hack/deb", *arguments, "--output", f"{self.scratch.path}/three").strip()
            root = self.database()
            run("dpkg", "--root", root, "-i", package)
            self.assertTrue(EXPECTED | extra <= files(root), EXPECTED | extra - files(root))
            self.assertEqual(extra, {path for path in files(root) if path.startswith("etc/")})
            self.assertTrue(run("chroot", root, "/usr/bin/apus", "--version").startswith("apus version "))
            run("dpkg", "--root", root, "--purge", "apus")
            shutil.rmtree(f"{root}/var")
            self.assertEqual(os.listdir(root), [])

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian_has_nothing_to_say(self):
        self.assertEqual(run("lintian", "--allow-root", "--no-cfg", "--tag-display-limit", "0", self.package), "")

    def test_tarball(self):
        one, two = (
            run(f"{ROOT}/hack/deb", "--tarball", "--output", f"{self.scratch.path}/{name}").strip() for name in ("four", "five"))
        self.assertEqual(digest(one), digest(two))
        with open(f"{one}.sha256") as file:
            self.assertEqual(file.read(), f"{digest(one)}  {os.path.basename(one)}\n")
        with tarfile.open(one) as archive:
            for member in archive:
                self.assertEqual((member.uid, member.gid), (0, 0))
            names = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
        self.assertTrue({"bin/apus", "share/man/man8/apus.8", "share/doc/apus/LICENSE"} <= names)
