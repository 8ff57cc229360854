"""A virtual machine that wamr-lab starts, reaches and ends."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from driver.machine import TIMED_OUT

# The smallest profile, and room for what else runs.
MEMORY_GIB = 6


class LabError(RuntimeError):
    """wamr-lab itself failed, not the command in the machine."""


class Lab:
    """Implements `Power` by `wamr-lab node`."""

    def __init__(
        self, program: Path, name: str, experiment: str, profile: str, bare: bool = False
    ) -> None:
        self._program = program
        self._name = name
        self._up = ["--provider", "vm", "--no-wait", "--for", experiment, "--profile", profile]
        if bare:
            self._up.append("--bare")
        self._owner: subprocess.Popen[str] | None = None

    def lacking(self) -> str | None:
        """Why no machine can be started here, if so."""
        if os.geteuid() != 0:
            return "a virtual machine of the lab needs root"
        if shutil.which("qemu-system-x86_64") is None:
            return "qemu-system-x86_64 is not installed (apt-get install qemu-system-x86)"
        memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        if memory_gib < MEMORY_GIB:
            return f"{memory_gib:.1f} GiB of memory are too few for a machine with a node"
        return None

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

    def send(self, source: Path, target: str) -> None:
        """Copies a file or a directory of this machine to `target`."""
        words = [str(Path(target).parent), source.name, target]
        folder, name, place = (shlex.quote(word) for word in words)
        script = (
            f"set -e; mkdir --parents {folder}; into=$(mktemp --directory {folder}/.XXXXXX); "
            f'tar --extract --no-same-owner --file=- --directory="$into"; '
            f'mv --no-target-directory "$into"/{name} {place}; rmdir "$into"'
        )
        pack = ["tar", "--create", "--file=-", "--directory", str(source.parent), "--", source.name]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
            argv = self._argv("exec", "--", "bash", "-c", script)
            unpacked = subprocess.run(argv, stdin=packing.stdout, check=False)
        if packing.returncode != 0 or unpacked.returncode != 0:
            raise LabError(f"copy {source}: tar {packing.returncode}, {unpacked.returncode} there")

    def stop(self) -> None:
        """Ends the machine and removes what it left on this one."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        owner.terminate()
        owner.communicate()
        if owner.returncode != 0:
            raise LabError(f"ending the machine: exit status {owner.returncode}")
