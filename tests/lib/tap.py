# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests written in Python: each is a function marked @test, says what is wrong by check, and run_tests prints TAP."""
import re
import sys

WAIT_S = 60  # for things that take milliseconds: a bound on hanging, not a measurement
TESTS = []


class Skip(Exception):
    """Raised by a test that can't be made here; its text says why."""


def test(function):
    TESTS.append(function)
    return function


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(map(str, what)))


def check_equal(got, wanted, *what):
    check(got == wanted, *what, "is", got, "rather than", wanted)


def run_tests(pattern=""):
    """Runs those whose names match, in the order in which they stand, and ends the process."""
    failed = False
    tests = [function for function in TESTS if re.search(pattern, function.__name__)]
    print(f"1..{len(tests)}", flush=True)
    for number, function in enumerate(tests, 1):
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception as why:  # whatever it is, the others are still worth running
            failed = True
            text = f"{type(why).__name__}: {why}".replace("\n", "\n# ")
            print(f"not ok {number} - {name}\n# {text}", flush=True)
    sys.exit(failed)
