"""What the tests of this folder share. They run by `hack/test --package`, which says where the binary is."""

import importlib.machinery
import importlib.util
import os
import shutil
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("APUS_BINARY", f"{ROOT}/.build-release/release/apus")


class Scratch:
    """A folder that is removed afterwards."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="apus-package.")

    def remove(self):
        shutil.rmtree(self.path)


def program(path):
    """A script of `hack` as a module, which costs no process each time."""
    loader = importlib.machinery.SourceFileLoader(os.path.basename(path), f"{ROOT}/{path}")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module
