"""The driver's calls, against a machine that is this one's own shell: nothing of a VM is needed."""

from __future__ import annotations

import re
import shutil
import tempfile
import unittest
from pathlib import Path

from driver.__main__ import Story, run
from driver.lab import Lab, LabError
from driver.machine import TIMED_OUT, Machine, RequestedAssertionFailed

# Runs what it is asked to by the shell here; `systemctl` is a function that reads a file.
STUB = """#!/bin/bash
case $2 in
up) sleep 1000 >/dev/null & trap 'kill $!; echo down >>"$STUB_DIR/calls"; exit 0' TERM
    echo "$4 is up"; wait ;;
exec) shift 5; PATH=$STUB_DIR:$PATH exec "$@" ;;
esac
"""

SYSTEMCTL = """#!/bin/bash
case "$*" in
*list-jobs*) cat "$STUB_DIR/jobs" ;;
*show*) echo "ActiveState=$(head -n 1 "$STUB_DIR/states")"
    [ "$(wc -l <"$STUB_DIR/states")" = 1 ] || sed -i 1d "$STUB_DIR/states" ;;
esac
"""


class TestMachine(unittest.TestCase):
    """Each call succeeds and fails as the NixOS driver's does."""

    def setUp(self) -> None:
        self.dir = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)
        self._program("stub-lab", STUB.replace("$STUB_DIR", str(self.dir)))
        self._program("systemctl", SYSTEMCTL.replace("$STUB_DIR", str(self.dir)))
        (self.dir / "out").mkdir()
        self.lines: list[str] = []
        lab = Lab(self.dir / "stub-lab", "m", "vm", "small")
        self.machine = Machine("m", lab, self.dir / "out", self.lines.append)
        self.addCleanup(self.machine.shutdown)

    def _program(self, name: str, text: str) -> None:
        (self.dir / name).write_text(text, encoding="utf-8")
        (self.dir / name).chmod(0o755)

    def _states(self, jobs: str, *states: str) -> None:
        (self.dir / "jobs").write_text(jobs, encoding="utf-8")
        (self.dir / "states").write_text("".join(f"{s}\n" for s in states), encoding="utf-8")

    def test_commands_give_status_and_output(self) -> None:
        self.assertEqual(self.machine.execute("echo a; exit 3"), (3, "a\n"))
        self.assertEqual(self.machine.execute("exit 3", check_return=False), (-1, ""))
        self.assertEqual(self.machine.succeed("echo a", "echo 'b c'"), "a\nb c\n")
        self.assertEqual(self.machine.execute("false | true")[0], 1, "pipefail is set")
        self.assertEqual(self.machine.execute("false; true")[0], 1, "errexit is set")
        self.assertNotEqual(self.machine.execute("echo $nothing_of_this_name")[0], 0)

    def test_a_wrong_outcome_is_an_error_with_the_command(self) -> None:
        with self.assertRaisesRegex(RequestedAssertionFailed, "exit 7.*ended with 7"):
            self.machine.succeed("exit 7")
        with self.assertRaisesRegex(RequestedAssertionFailed, "succeeded"):
            self.machine.fail("true")
        self.assertEqual(self.machine.fail("echo why; false"), "why\n")

    def test_a_command_that_takes_too_long_is_ended(self) -> None:
        self.assertEqual(self.machine.execute("echo a; sleep 100", timeout=1)[0], TIMED_OUT)

    def test_waiting_ends_when_it_comes_true_or_is_late(self) -> None:
        flag = self.dir / "flag"
        command = f"test -e {flag} || {{ touch {flag}; false; }}"
        self.assertEqual(self.machine.wait_until_succeeds(command), "")
        self.machine.wait_until_fails(f"test -e {flag} && rm {flag}")
        with self.assertRaisesRegex(RequestedAssertionFailed, "still ends with 1"):
            self.machine.wait_until_succeeds("false", timeout=0)

    def test_units(self) -> None:
        self._states("1 x.service start running", "inactive", "activating", "active")
        self.machine.wait_for_unit("x.service")
        self._states("", "failed")
        with self.assertRaisesRegex(RequestedAssertionFailed, "failed"):
            self.machine.wait_for_unit("x.service")
        self._states("No jobs running.", "inactive")
        with self.assertRaisesRegex(RequestedAssertionFailed, "nothing starts it"):
            self.machine.wait_for_unit("x.service")
        self._states("1 x.service start running", "activating")
        with self.assertRaisesRegex(RequestedAssertionFailed, "activating after 0 s"):
            self.machine.wait_for_unit("x.service", timeout=0)

    def test_trees_are_copied_below_the_output_directory(self) -> None:
        tree = self.dir / "a tree"
        (tree / "inner").mkdir(parents=True)
        (tree / "inner" / "file").write_text("text", encoding="utf-8")
        self.machine.copy_from_machine(str(tree), "below")
        copied = self.dir / "out" / "below" / "a tree" / "inner" / "file"
        self.assertEqual(copied.read_text(encoding="utf-8"), "text")
        with self.assertRaises(LabError):
            self.machine.copy_from_vm("/no/such/file")

    def test_trees_are_copied_to_the_machine_under_another_name(self) -> None:
        tree = self.dir / "a tree"
        tree.mkdir()
        (tree / "file").write_text("text", encoding="utf-8")
        there = self.dir / "new" / "its copy"
        self.machine.copy_from_host(str(tree), str(there))
        self.assertEqual((there / "file").read_text(encoding="utf-8"), "text")
        self.assertEqual([path.name for path in there.parent.iterdir()], ["its copy"])
        with self.assertRaises(LabError):
            self.machine.copy_from_host("/no/such/file", str(self.dir / "x"))

    def test_the_machine_is_started_once_and_ended(self) -> None:
        self.machine.start()
        self.machine.start()
        self.machine.shutdown()
        self.machine.shutdown()
        self.assertEqual((self.dir / "calls").read_text(encoding="utf-8"), "down\n")

    def test_a_machine_that_does_not_start_is_an_error(self) -> None:
        self._program("stub-lab", "#!/bin/sh\nexit 4\n")
        with self.assertRaisesRegex(LabError, "exit status 4"):
            self.machine.start()

    def test_scenarios_pass_and_fail(self) -> None:
        script = self.dir / "scenario.py"
        story = Story()
        text = "start_all()\nwith subtest('x'):\n    machine.succeed('{}')\n"
        script.write_text(text.format("true"), encoding="utf-8")
        self.assertTrue(run(script, self.machine, story))
        self.assertEqual(story.passed, 1)
        script.write_text(text.format("false"), encoding="utf-8")
        self.assertFalse(run(script, self.machine, story))


class TestScripts(unittest.TestCase):
    """The shipped scenarios use documented calls only."""

    def test_every_call_is_the_drivers(self) -> None:
        folder = Path(__file__).resolve().parent.parent
        for script in sorted(folder.glob("*.py")):
            text = script.read_text(encoding="utf-8")
            compile(text, str(script), "exec")
            called = set(re.findall(r"\bmachine\.(\w+)\(", text))
            self.assertTrue(called, script.name)
            for name in called:
                self.assertTrue(hasattr(Machine, name), f"{script.name}: machine.{name}")


if __name__ == "__main__":
    unittest.main()
