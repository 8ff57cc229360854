"""Runs a module in a container of `wamr-crun`, and measures its private memory."""

import json
import os
import subprocess
import time
from pathlib import Path

from packages import CACHE, Lacking

PROGRAM = os.environ.get("WAMR_TEST_RUNTIME", "wamr-crun")
ENGINE = "org.wamr-crun.wasm.engine"
PATIENCE_S = 300
# Numbers of Linux: write and writev; then poll and ppoll, for guests whose streams never block.
WRITES, POLLS = {"x86_64": (("1", "20"), ("7", "271")), "aarch64": (("64", "66"), ("73",))}[
    os.uname().machine]
STDOUT = "0x1"
# A thread that waits shows the same call so often.
SAMPLES, SAMPLE_S = 5, 0.02


def bundle(folder: Path, request: dict, engine: str) -> None:
    """Writes config.json beside the root file system."""
    config = {
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": request["args"],
                    "env": request["env"], "noNewPrivileges": True},
        "annotations": {ENGINE: engine, **request["annotations"]},
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def environment() -> dict[str, str]:
    """Native code is kept in the gallery's cache, so a second run compiles nothing."""
    return os.environ | {"WAMR_CRUN_COMPILED": str(CACHE / "compiled")}


def crun(folder: Path, *words: str, **more) -> subprocess.CompletedProcess:
    """`wamr-crun` with a state directory of this folder."""
    return subprocess.run([PROGRAM, "--root", folder / "state", *words], check=False,
                          env=environment(), timeout=PATIENCE_S, **more)


def warm(module: Path) -> str:
    """Has the module compiled; the reason where it cannot be, else nothing."""
    done = subprocess.run([PROGRAM, "cache", "warm", module], check=False, env=environment(),
                          capture_output=True, text=True, timeout=PATIENCE_S)
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip()


def run(folder: Path, request: dict, engine: str) -> dict:
    """The guest's status, the seconds from create to its end, and what it wrote."""
    bundle(folder, request, engine)
    out, err = folder / "stdout", folder / "stderr"
    name = f"gallery-{os.getpid()}-{folder.name}"
    with open(request["stdin"], "rb") as stdin, open(out, "wb") as stdout, \
            open(err, "wb") as stderr:
        begun = time.monotonic()
        try:
            done = crun(folder, "run", "--bundle", str(folder), name, stdin=stdin, stdout=stdout,
                        stderr=stderr)
        except subprocess.TimeoutExpired:
            crun(folder, "delete", "--force", name)
            return {"status": None, "seconds": PATIENCE_S, "says": f"no end in {PATIENCE_S} s",
                    "stdout": out.read_bytes()}
        seconds = time.monotonic() - begun
    return {"status": done.returncode, "seconds": seconds, "stdout": out.read_bytes(),
            "says": err.read_text("utf-8", "replace").strip()}


def full_pipe() -> tuple[int, int]:
    """A pipe that takes no byte more: who writes to it waits."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(write, bytes(size))
        except BlockingIOError:
            pass
    os.set_blocking(write, True)
    return read, write


def waits(pid: int) -> str | None:
    """The call in which a thread may wait for standard output, "" if none does; None at the end."""
    tasks = Path(f"/proc/{pid}/task")
    try:
        calls = [(task / "syscall").read_text(encoding="ascii") for task in tasks.iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return None
    for call in calls:
        number, *arguments = call.split()
        if number in POLLS or number in WRITES and arguments[:1] == [STDOUT]:
            return call
    return ""


def wait_for_output(pid: int) -> bool:
    """Returns when the process has waited for its output for a while; false if it ends before."""
    end = time.monotonic() + PATIENCE_S
    last, seen = "", 0
    while time.monotonic() < end and seen < SAMPLES:
        call = waits(pid)
        if call is None:
            return False
        seen = seen + 1 if call and call == last else 0
        last = call
        time.sleep(SAMPLE_S)
    return seen == SAMPLES


def private_bytes(pid: int) -> int:
    """The sum of Private_Clean and Private_Dirty."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    lines = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(words[1]) for words in lines if words[0] != "Private_Hugetlb:") * 1024


def memory_at_first_output(folder: Path, request: dict, engine: str) -> int | None:
    """Private memory of the guest's process while its first write to standard output waits."""
    bundle(folder, request, engine)
    name = f"gallery-{os.getpid()}-{folder.name}-memory"
    pid_file = folder / "pid"
    read, write = full_pipe()
    try:
        with open(request["stdin"], "rb") as stdin, open(folder / "stderr", "wb") as stderr:
            made = crun(folder, "create", "--bundle", str(folder), "--pid-file", str(pid_file),
                        name, stdin=stdin, stdout=write, stderr=stderr)
        if made.returncode != 0:
            return None
        crun(folder, "start", name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pid = int(pid_file.read_text(encoding="ascii"))
        return private_bytes(pid) if wait_for_output(pid) else None
    finally:
        crun(folder, "delete", "--force", name, stderr=subprocess.DEVNULL)
        os.close(read)
        os.close(write)


def version() -> str:
    """What `wamr-crun` calls itself; an error says how to make one."""
    try:
        done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Lacking(f"{PROGRAM}: {error}; make resident makes one") from error
    return done.stdout.splitlines()[0]
