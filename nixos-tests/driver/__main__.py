"""The command line: runs one scenario and says what came of it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driver.lab import Lab
from driver.machine import Machine


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python3 -m driver", description=__doc__)
    parser.add_argument("script", type=Path, help="the scenario")
    parser.add_argument("-o", "--output", type=Path, required=True, help="an existing directory")
    parser.add_argument("--lab", type=Path, required=True, help="the program wamr-lab")
    parser.add_argument("--name", default="smoke", help="name of the node [smoke]")
    parser.add_argument("--for", dest="experiment", default="vm", help="experiment [vm]")
    parser.add_argument("--bare", action="store_true", help="a machine without Kubernetes")
    parser.add_argument("--profile", default="small", help="size of the machine [small]")
    return parser.parse_args(arguments)


class Story:
    """What the scenario says while it runs: lines with the time since its begin."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.passed = 0

    def line(self, text: str) -> None:
        """Prints a line."""
        print(f"[{time.monotonic() - self._begun:7.1f} s] {text}", file=sys.stderr, flush=True)

    @contextmanager
    def subtest(self, name: str) -> Iterator[None]:
        """A named part of the scenario."""
        self.line(f"subtest: {name}")
        try:
            yield
        except Exception as error:
            self.line(f"subtest FAILED: {name}: {error}")
            raise
        self.passed += 1
        self.line(f"subtest passed: {name}")


def run(script: Path, machine: Machine, story: Story) -> bool:
    """Runs the scenario's text; true if it came to its end."""
    names = {
        "machine": machine,
        "start_all": machine.start,
        "subtest": story.subtest,
        "__name__": "scenario",
    }
    try:
        code = compile(script.read_text(encoding="utf-8"), str(script), "exec")
        exec(code, names)  # pylint: disable=exec-used
    except Exception:  # pylint: disable=broad-exception-caught
        traceback.print_exc()
        return False
    return True


def stop_at_sigterm() -> None:
    """Lets `finally` run when somebody ends the driver."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)


def main(arguments: list[str]) -> int:
    """Runs the scenario and ends the machine, whatever came of it."""
    options = parse(arguments)
    if not options.output.is_dir():
        print(f"error: {options.output} is no directory", file=sys.stderr)
        return 2
    stop_at_sigterm()
    os.environ["out"] = str(options.output)
    story = Story()
    program, name = options.lab.absolute(), options.name
    power = Lab(program, name, options.experiment, options.profile, options.bare)
    reason = power.lacking()
    if reason is not None:
        print(f"skipped: {options.script.stem}: {reason}")
        return 1 if "WAMR_TEST_REQUIRED" in os.environ else 0
    machine = Machine(options.name, power, options.output.absolute(), story.line)
    try:
        fine = run(options.script, machine, story)
    finally:
        machine.shutdown()
    word, failed = ("ok", 0) if fine else ("FAILED", 1)
    print(f"test result: {word}. {story.passed} passed; {failed} failed ({options.script.stem})")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
