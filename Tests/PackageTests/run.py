"""Runs the tests of this folder. The last line is `N passed, M failed`.
usage: python3 Tests/PackageTests/run.py [REGEX]   only those whose name it is in, as PackageTests.SUITE/FUNCTION()"""

import os
import re
import sys
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)


def each(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from each(item)
        else:
            yield item


def name(test):
    return f"PackageTests.{type(test).__name__}/{test._testMethodName}()"


def main():
    wanted = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    found = unittest.TestSuite()
    for file in sorted(os.listdir(FOLDER)):
        if file.endswith(".py") and file not in ("run.py", "support.py"):
            for test in each(unittest.defaultTestLoader.loadTestsFromName(file.removesuffix(".py"))):
                # What cannot be loaded is no test with a name that a filter could leave out.
                if isinstance(test, unittest.loader._FailedTest) or wanted.search(name(test)):
                    found.addTest(test)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(found)
    bad = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    for test, why in result.skipped:
        print(f"{name(test)} is left out: {why}")
    print(f"{result.testsRun - len(bad) - len(result.skipped)} passed, {len(bad)} failed")
    return 1 if bad else 0


sys.exit(main())
