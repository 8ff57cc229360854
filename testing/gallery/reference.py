"""Runs a module on the reference engine, in the environment that has the package `wasmtime`.

    reference.py REQUEST      a JSON file: module, root, arguments, environment, streams, kept

Prints a JSON object: `status`, as `wamr-crun run` would end (134 after a trap, 126 where the module
cannot be loaded), `seconds` from the instance's making to its end, and `says`, the engine's text.
Native code is kept in the folder `kept`, so compiling is in no figure.
"""

import hashlib
import importlib.metadata
import json
import sys
import time
from pathlib import Path

import wasmtime

# The most that the engine takes beside its default of 2 MiB for fibres.
STACK_BYTES = 3 << 19


def engine() -> wasmtime.Engine:
    """The engine, with the proposals that real modules use."""
    config = wasmtime.Config()
    config.wasm_exceptions = True
    config.wasm_multi_memory = True
    config.wasm_memory64 = True
    config.max_wasm_stack = STACK_BYTES
    return wasmtime.Engine(config)


def module(maker: wasmtime.Engine, path: Path, kept: Path) -> wasmtime.Module:
    """The module, compiled once."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    code = kept / f"{digest}-{importlib.metadata.version('wasmtime')}.cwasm"
    if not code.exists():
        made = wasmtime.Module.from_file(maker, str(path))
        part = code.with_suffix(".part")
        part.write_bytes(made.serialize())
        part.rename(code)
    return wasmtime.Module.deserialize_file(maker, str(code))


def run(request: dict) -> dict:
    """Loads and runs the guest."""
    maker = engine()
    store = wasmtime.Store(maker)
    wasi = wasmtime.WasiConfig()
    wasi.argv = request["args"]
    wasi.env = [tuple(pair.split("=", 1)) for pair in request["env"]]
    wasi.stdin_file = request["stdin"]
    wasi.stdout_file = request["stdout"]
    wasi.stderr_file = request["stderr"]
    wasi.preopen_dir(request["root"], "/")
    store.set_wasi(wasi)
    linker = wasmtime.Linker(maker)
    linker.define_wasi()
    try:
        loaded = module(maker, Path(request["module"]), Path(request["kept"]))
        linker.define_unknown_imports_as_traps(loaded)
        begun = time.monotonic()
        start = linker.instantiate(store, loaded).exports(store).get("_start")
    except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
        return {"status": 126, "seconds": 0.0, "says": str(error)}
    if start is None:
        return {"status": 126, "seconds": 0.0, "says": "the module exports no _start"}
    status, says = 0, ""
    try:
        start(store)
    except wasmtime.ExitTrap as end:
        status = end.code & 0xFF
    except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
        status, says = 134, str(error)
    return {"status": status, "seconds": time.monotonic() - begun, "says": says}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
