"""One machine with the calls of the NixOS test driver, as far as the scenarios use them.

Source: NixOS manual, "Writing Tests", machine objects. Messages are this driver's own.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

# What the NixOS driver waits unless told otherwise.
TIMEOUT_S = 900
# Exit status of a command that took too long, as timeout(1) has it.
TIMED_OUT = 124


class RequestedAssertionFailed(AssertionError):
    """What a scenario asked for is not so."""


class Power(Protocol):
    """What starts, reaches and ends a machine."""

    def start(self) -> None:
        """Starts it; it runs commands afterwards."""

    def run(self, script: str, timeout_s: float | None) -> tuple[int, str]:
        """Runs a bash script in it: exit status and standard output."""

    def fetch(self, source: str, target: Path) -> None:
        """Copies a file or a directory of the machine."""

    def send(self, source: Path, target: str) -> None:
        """Copies a file or a directory into the machine."""

    def stop(self) -> None:
        """Ends it and removes what it left."""


class Machine:
    """A machine under test."""

    def __init__(self, name: str, power: Power, out_dir: Path, log: Callable[[str], None]) -> None:
        self.name = name
        self.out_dir = out_dir
        self._power = power
        self._log = log
        self._started = False

    def start(self) -> None:
        """Starts the machine unless it runs."""
        if not self._started:
            self._started = True
            self._log(f"{self.name}: starting")
            self._power.start()

    def execute(
        self,
        command: str,
        check_return: bool = True,
        check_output: bool = True,
        timeout: float | None = TIMEOUT_S,
    ) -> tuple[int, str]:
        """Runs a command; its exit status, or -1 unless `check_return`, and its output."""
        self.start()
        status, output = self._power.run(f"set -euo pipefail; {command}", timeout)
        return (status if check_return else -1, output if check_output else "")

    def succeed(self, *commands: str, timeout: float | None = None) -> str:
        """Runs commands that must succeed; their output."""
        output = ""
        for command in commands:
            self._log(f"{self.name}: must succeed: {command}")
            status, text = self.execute(command, timeout=timeout)
            if status != 0:
                raise RequestedAssertionFailed(f"`{command}` ended with {status}: {text.strip()}")
            output += text
        return output

    def fail(self, *commands: str, timeout: float | None = None) -> str:
        """Runs commands that must fail; their output."""
        output = ""
        for command in commands:
            self._log(f"{self.name}: must fail: {command}")
            status, text = self.execute(command, timeout=timeout)
            if status == 0:
                raise RequestedAssertionFailed(f"`{command}` succeeded: {text.strip()}")
            output += text
        return output

    def wait_until_succeeds(self, command: str, timeout: float = TIMEOUT_S) -> str:
        """Repeats a command until it succeeds; its output."""
        self._log(f"{self.name}: waiting for success: {command}")
        return self._repeat(command, timeout, lambda status: status == 0)

    def wait_until_fails(self, command: str, timeout: float = TIMEOUT_S) -> str:
        """Repeats a command until it fails; its output."""
        self._log(f"{self.name}: waiting for failure: {command}")
        return self._repeat(command, timeout, lambda status: status != 0)

    def _repeat(self, command: str, timeout: float, wanted: Callable[[int], bool]) -> str:
        begun = time.monotonic()
        while True:
            status, output = self.execute(command, timeout=timeout)
            if wanted(status):
                return output
            if time.monotonic() - begun > timeout:
                text = f"`{command}` still ends with {status} after {timeout:.0f} s"
                raise RequestedAssertionFailed(f"{text}: {output.strip()}")
            time.sleep(1)

    def systemctl(self, command: str, user: str | None = None) -> tuple[int, str]:
        """Runs systemctl."""
        if user is not None:
            raise NotImplementedError("units of users")
        return self.execute(f"systemctl {command}")

    def get_unit_info(self, unit: str, user: str | None = None) -> dict[str, str]:
        """The properties of a unit."""
        status, output = self.systemctl(f"--no-pager show {shlex.quote(unit)}", user)
        if status != 0:
            raise RequestedAssertionFailed(f"systemctl cannot show {unit}: status {status}")
        pairs = (line.partition("=") for line in output.splitlines())
        return {key: value for key, equals, value in pairs if equals}

    def wait_for_unit(
        self, unit: str, user: str | None = None, timeout: float = TIMEOUT_S
    ) -> None:
        """Waits until a unit is active; one that failed, or that nothing starts, is an error."""
        self._log(f"{self.name}: waiting for the unit {unit}")
        begun = time.monotonic()
        while True:
            state = self.get_unit_info(unit, user).get("ActiveState", "unknown")
            if state == "active":
                return
            if state == "failed":
                raise RequestedAssertionFailed(f"the unit {unit} failed")
            if state == "inactive" and not self._has_jobs():
                # It may have become active between the two questions.
                state = self.get_unit_info(unit, user).get("ActiveState", "unknown")
                if state == "inactive":
                    raise RequestedAssertionFailed(f"{unit} is inactive and nothing starts it")
            if time.monotonic() - begun > timeout:
                text = f"the unit {unit} is {state} after {timeout:.0f} s"
                raise RequestedAssertionFailed(text)
            time.sleep(1)

    def _has_jobs(self) -> bool:
        _, output = self.systemctl("list-jobs --full --no-pager")
        return "No jobs" not in output

    def wait_for_open_port(
        self, port: int, addr: str = "localhost", timeout: float = TIMEOUT_S
    ) -> None:
        """Waits until something listens on a TCP port."""
        probe = f"timeout 5 bash -c {shlex.quote(f'true </dev/tcp/{addr}/{port}')} 2>/dev/null"
        self.wait_until_succeeds(probe, timeout)

    def wait_for_file(self, filename: str, timeout: float = TIMEOUT_S) -> None:
        """Waits until a file exists."""
        self.wait_until_succeeds(f"test -e {shlex.quote(filename)}", timeout)

    def sleep(self, secs: int) -> None:
        """Sleeps by the machine's clock."""
        self.succeed(f"sleep {secs}")

    def copy_from_machine(self, source: str, target_dir: str = "") -> None:
        """Copies a file or a directory below the driver's output directory."""
        target = self.out_dir / target_dir / Path(source).name
        self._log(f"{self.name}: copying {source} to {target}")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._power.fetch(source, target)

    def copy_from_host(self, source: str, target: str) -> None:
        """Copies a file or a directory of this machine to the path `target` of that one."""
        self._log(f"{self.name}: copying {source} to {target} of the machine")
        self.start()
        self._power.send(Path(source), target)

    # The name before NixOS 26.05.
    copy_from_vm = copy_from_machine

    def shutdown(self) -> None:
        """Ends the machine."""
        if self._started:
            self._log(f"{self.name}: shutting down")
            self._power.stop()
            self._started = False
