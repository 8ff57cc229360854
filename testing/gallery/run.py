"""Runs real modules of many toolchains, on both engines and a reference, and compares them.

    run.py RESULTS [NAME…]      writes RESULTS, a JSON file; NAMEs are words of modules' names

`modules.toml` is the table of modules, of what is pinned, and of the differences that are expected.
The status is 1 if anything else differs, also where a difference is expected and there is none.
"""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import containers
from compilers import built
from packages import CACHE, HERE, Lacking, digest, reference_python, unpacked

ENGINES = ("interpreted", "compiled")
ENVIRONMENT = ["PATH=/bin", "HOME=/", "PWD=/"]
# What takes less than this is run so often; the shortest time counts.
SHORT_S, TIMES = 1.0, 3


def module_file(case: dict, packages: dict) -> Path:
    """The module: of a package, or compiled here."""
    if "build" in case:
        return built(case["build"], packages)
    package, path = case["file"].split(":", 1)
    return unpacked(packages[package]) / path


def root(folder: Path, case: dict, module: Path, packages: dict) -> Path:
    """The container's root: the module, files of the table, and folders of packages."""
    made = folder / "rootfs"
    (made / "bin").mkdir(parents=True)
    (made / "tmp").mkdir()
    shutil.copy(module, made / "bin/module.wasm")
    for path, text in case.get("files", {}).items():
        (made / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (made / path.lstrip("/")).write_text(text, encoding="utf-8")
    for path, source in case.get("folders", {}).items():
        package, inside = source.split(":", 1)
        found = unpacked(packages[package]) / inside
        copy = shutil.copytree if found.is_dir() else shutil.copy
        (made / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        copy(found, made / path.lstrip("/"))
    (folder / "stdin").write_text(case.get("stdin", ""), encoding="utf-8")
    return made


def request(folder: Path, case: dict) -> dict:
    """What a guest gets, in a container and on the reference engine."""
    return {"args": ["/bin/module.wasm", *case.get("args", [])],
            "env": [*ENVIRONMENT, *case.get("env", [])], "stdin": str(folder / "stdin"),
            "annotations": case["annotations"]}


def on_reference(folder: Path, case: dict, python: Path) -> dict:
    """The module's result on the reference engine."""
    kept = CACHE / "reference"
    kept.mkdir(parents=True, exist_ok=True)
    asked = request(folder, case) | {
        "module": str(folder / "rootfs/bin/module.wasm"), "root": str(folder / "rootfs"),
        "stdout": str(folder / "stdout"), "stderr": str(folder / "stderr"), "kept": str(kept)}
    (folder / "request.json").write_text(json.dumps(asked), encoding="utf-8")
    done = subprocess.run([python, HERE / "reference.py", folder / "request.json"],
                          capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        raise Lacking(f"the reference engine ended with {done.returncode}: {done.stderr[-500:]}")
    said = folder / "stderr"
    wrote = {"stdout": (folder / "stdout").read_bytes() if (folder / "stdout").exists() else b"",
             "stderr": said.read_text("utf-8", "replace") if said.exists() else ""}
    return json.loads(done.stdout) | wrote


def written(folder: Path, case: dict) -> dict[str, str | None]:
    """The digests of the files that the guest has to write."""
    files = {path: folder / "rootfs" / path.lstrip("/") for path in case.get("writes", [])}
    return {path: digest(file) if file.exists() else None for path, file in files.items()}


def difference(reference: dict, got: dict) -> str:
    """In what a run differs from the reference's; nothing if it does not."""
    for key, what in [("status", "status {} for {}"), ("stdout", "other output"),
                      ("written", "other files")]:
        if got[key] != reference[key]:
            return what.format(got[key], reference[key])
    return ""


def verdict(case: dict, engine: str, reference: dict, got: dict) -> str:
    """What is unexpected of a run; nothing if all is as the table says."""
    found, wanted = difference(reference, got), case.get(engine) or case.get("nowhere")
    if wanted is None:
        return f"{found}: {got['says'][-600:]}" if found else ""
    if not refused(got):
        return f"it runs, but the table says that {wanted['because']}: take that out"
    if not re.search(wanted["says"], got["says"]):
        return f"refused as expected, but not for {wanted['says']!r}: {got['says'][-600:]}"
    return ""


def refused(got: dict) -> bool:
    """Whether the guest was not started: a status of the runtime's own, and no output."""
    return got["status"] in (1, 126) and not got["stdout"]


def sound(case: dict, reference: dict) -> str:
    """What is wrong with the reference's own run."""
    if "nowhere" in case:
        return "" if reference["status"] == 126 else "the reference starts it: take out `nowhere`"
    if reference["status"] != case.get("status", 0):
        return f"the reference ends with {reference['status']}: {reference['says']} " \
            f"{reference['stderr'][-600:]}"
    if not re.search(case["prints"].encode(), reference["stdout"]):
        return f"the reference printed {reference['stdout'][:300]!r}, not {case['prints']!r}"
    if None in reference["written"].values():
        return f"the reference did not write all of {case['writes']}"
    return ""


def shortest(run: Callable[[], dict]) -> dict:
    """The result of the first run, with the shortest time of several."""
    first = run()
    times = [first["seconds"]]
    while len(times) < TIMES and times[0] < SHORT_S:
        times.append(run()["seconds"])
    return first | {"seconds": min(times)}


def try_case(case: dict, packages: dict, python: Path) -> dict:
    """Runs one module on all engines."""
    module = module_file(case, packages)
    result = {"size_bytes": module.stat().st_size, "unexpected": []}
    with tempfile.TemporaryDirectory(prefix="wamr-gallery-") as place:
        folder = Path(place) / "reference"
        root(folder, case, module, packages)
        reference = shortest(lambda: on_reference(folder, case, python))
        reference["written"] = written(folder, case)
        result["reference_seconds"] = reference["seconds"]
        result["unexpected"] += [fault] if (fault := sound(case, reference)) else []
        containers.warm(module)
        for engine in ENGINES:
            folder = Path(place) / engine
            root(folder, case, module, packages)
            got = shortest(lambda: containers.run(folder, request(folder, case), engine))
            got["written"] = written(folder, case)
            fault = verdict(case, engine, reference, got)
            result["unexpected"] += [f"{engine}: {fault}"] if fault else []
            same = "nowhere" not in case and not difference(reference, got)
            result[engine] = {"same": same, "status": got["status"], "seconds": got["seconds"]}
            if result[engine]["same"]:
                result[engine]["private_bytes"] = containers.memory_at_first_output(
                    folder, request(folder, case), engine)
    return result


def machine(packages: dict) -> dict:
    """Where and when, and with what."""
    return {"runtime": containers.version(), "kernel": os.uname().release,
            "machine": os.uname().machine, "processors": os.cpu_count(),
            "reference": f"wasmtime {packages['wasmtime']['version']}",
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}


def tell(name: str, result: dict) -> None:
    """A line for each module, and what was unexpected."""
    times = [f"{result['reference_seconds']:7.2f} s"] if "reference_seconds" in result else []
    for engine in (engine for engine in ENGINES if engine in result):
        got = result[engine]
        kept = got.get("private_bytes")
        memory = f"{kept // 1024} kB" if kept else "-"
        times.append(f"{engine} {got['seconds']:.2f} s {memory}" if got["same"]
                     else f"{engine} {got['status']}")
    print(f"{'FAILED' if result['unexpected'] else 'ok':6} {name}: {', '.join(times)}", flush=True)
    for fault in result["unexpected"]:
        print(f"       {fault}", flush=True)


def main(words: list[str]) -> int:
    """Runs the modules that are named, or all."""
    out, names = Path(words[0]), [word.lower() for word in words[1:]]
    table = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
    packages = table["package"]
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        facts = machine(packages)
        python = reference_python(packages["wasmtime"])
    except Lacking as lacking:
        print(f"error: {lacking}", file=sys.stderr)
        return 2
    results = {}
    if names and out.exists():
        results = json.loads(out.read_text(encoding="utf-8"))["modules"]
    for case in table["module"]:
        name = case["name"]
        case["annotations"] = table.get("annotations", {}) | case.get("annotations", {})
        if names and not any(word in name.lower() for word in names):
            continue
        try:
            results[name] = try_case(case, packages, python)
        except (Lacking, subprocess.TimeoutExpired) as lacking:
            results[name] = {"unexpected": [str(lacking)]}
        tell(name, results[name])
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({**facts, "modules": results}, indent=1) + "\n",
                       encoding="utf-8")
    failed = sum(1 for result in results.values() if result["unexpected"])
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
