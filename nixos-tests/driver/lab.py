"""A virtual machine that wamr-lab starts, reaches and ends."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from driver.machine import TIMED_OUT


class LabError(RuntimeError):
    """wamr-lab itself failed, not the command in the machine."""


class Lab:
    """Implements `Power` by `wamr-lab node`."""

    def __init__(self, program: Path, name: str, experiment: str, profile: str) -> None:
        self._program = program
        self._name = name
        self._up = ["--provider", "vm", "--no-wait", "--for", experiment, "--profile", profile]
        self._owner: subprocess.Popen[str] | None = None

    def _argv(self, verb: str, *rest: str) -> list[str]:
        return [str(self._program), "node", verb, "--name", self._name, *rest]

    def start(self) -> None:
        """Starts the machine; it runs commands afterwards.

        It ends with the process that started it, and that one with this driver, even a killed one.
        """
        tie = ["setpriv", "--pdeathsig", "TERM", "--"]
        self._owner = subprocess.Popen(
            [*tie, *self._argv("up", *self._up)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for line in self._owner.stdout or []:
            if line.startswith(f"{self._name} is up"):
                return
        owner, self._owner = self._owner, None
        owner.communicate()
        raise LabError(f"the machine did not start: exit status {owner.returncode}")

    def run(self, script: str, timeout_s: float | None) -> tuple[int, str]:
        """Runs a bash script in the machine; its standard error is shown."""
        argv = self._argv("exec", "--", "bash", "-c", script)
        try:
            ended = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return TIMED_OUT, (late.stdout or b"").decode(errors="replace")
        return ended.returncode, ended.stdout.decode(errors="replace")

    def fetch(self, source: str, target: Path) -> None:
        """Copies a file or a directory of the machine to `target`, which must not exist."""
        path = Path(source)
        script = f"tar --create --file=- --directory={shlex.quote(str(path.parent))} -- "
        argv = self._argv("exec", "--", "bash", "-c", script + shlex.quote(path.name))
        unpack = ["tar", "--extract", "--no-same-owner", "--file=-", "--directory"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as packing:
            unpacked = subprocess.run(
                [*unpack, str(target.parent)], stdin=packing.stdout, check=False
            )
        if packing.returncode != 0 or unpacked.returncode != 0:
            raise LabError(f"copy {source}: {packing.returncode}, tar {unpacked.returncode}")

    def stop(self) -> None:
        """Ends the machine and removes what it left on this one."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        owner.terminate()
        owner.communicate()
        if owner.returncode != 0:
            raise LabError(f"ending the machine: exit status {owner.returncode}")
