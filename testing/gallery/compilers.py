"""Makes modules of sources by compilers of registries; what was made is kept in the cache."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from packages import CACHE, HERE, Lacking, ran, unpacked

SOURCES = HERE / "sources"
DEBIAN_LIBC = Path("/usr/include/wasm32-wasi")


def clang(build: dict, packages: dict[str, Path], out: Path) -> None:
    """C by Debian's clang, wasi-libc and lld."""
    if not DEBIAN_LIBC.is_dir():
        raise Lacking(f"{DEBIAN_LIBC} is not there; install wasi-libc (make setup)")
    ran(["clang", "--target=wasm32-wasi", "-O2", "-s", *flags(build, packages), "-o", out,
         *sources(build, packages)])


def clang_with_libcxx(build: dict, packages: dict[str, Path], out: Path) -> None:
    """C++ by the same and Debian's libc++ for WASI, unpacked and not installed."""
    library, abi = (packages[name] for name in build["libraries"])
    headers = next(library.glob("usr/lib/llvm-*/include/wasm32-wasi/c++/v1"), None) or \
        next(library.glob("usr/include/wasm32-wasi/c++/v1"), None)
    archives = [next(folder.rglob(name)).parent for folder, name in
                [(library, "libc++.a"), (abi, "libc++abi.a")]]
    if headers is None:
        raise Lacking(f"{library}: there are no headers of libc++ in it")
    ran(["clang++", "--target=wasm32-wasi", "-O2", "-s", "-fno-exceptions", "-nostdinc++",
         "-isystem", headers, *[f"-L{folder}" for folder in archives], *flags(build, packages),
         "-o", out, *sources(build, packages)])


def rustc(build: dict, packages: dict[str, Path], out: Path) -> None:
    """Rust by Debian's compiler, which is unpacked and not installed."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        prefix = Path(folder)
        for name in build["packages"]:
            shutil.copytree(packages[name], prefix, symlinks=True, dirs_exist_ok=True)
        libraries = {"LD_LIBRARY_PATH": f"{prefix}/usr/lib/x86_64-linux-gnu:{prefix}/usr/lib"}
        ran([prefix / "usr/bin/rustc", "--sysroot", prefix / "usr", "--target", "wasm32-wasi",
             "--edition", "2021", "-O", "-C", "linker=wasm-ld", "-C", "strip=symbols", "-o", out,
             *sources(build, packages)], env=os.environ | libraries)


def go(build: dict, _packages: dict[str, Path], out: Path) -> None:
    """A program of a Go module; its go.mod and go.sum here pin the versions and digests."""
    target = {"GOOS": "wasip1", "GOARCH": "wasm", "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    ran(["go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, build["program"]],
        cwd=HERE / "go", env=os.environ | target)


def zig(build: dict, packages: dict[str, Path], out: Path) -> None:
    """Zig, by its package of PyPI."""
    program = packages[build["compiler"]] / "ziglang/zig"
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"), "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig")}
    ran([program, "build-exe", "-target", "wasm32-wasi", "-O", "ReleaseSafe",
         f"-femit-bin={out}", *sources(build, packages)], env=os.environ | caches)


def assemblyscript(build: dict, packages: dict[str, Path], out: Path) -> None:
    """AssemblyScript, run by Node on the packages it names."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        for name in build["packages"]:
            place = Path(folder) / "node_modules" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(packages[name] / "package", place)
        (source,) = sources(build, packages)
        shutil.copy(source, folder)
        ran(["node", "node_modules/assemblyscript/bin/asc.js", source.name, "--optimize",
             "--config", "node_modules/@assemblyscript/wasi-shim/asconfig.json",
             "--outFile", out], cwd=folder)


def sources(build: dict, packages: dict[str, Path]) -> list[Path]:
    """The files that are compiled: of the folder here, or `PACKAGE:path` of a package."""
    return [located(name, packages) for name in build["sources"]]


def flags(build: dict, packages: dict[str, Path]) -> list[str]:
    """Words for the compiler; `{PACKAGE}` stands for its folder."""
    return [word.format_map(packages) for word in build.get("flags", [])]


def located(name: str, packages: dict[str, Path]) -> Path:
    """A file by its name in the table."""
    package, _, path = name.rpartition(":")
    return packages[package] / path if package else SOURCES / path


COMPILERS = {"clang": clang, "clang++": clang_with_libcxx, "rustc": rustc, "go": go, "zig": zig,
             "asc": assemblyscript}


def names(build: dict) -> list[str]:
    """The packages that a build takes anything from."""
    found = [*build.get("packages", []), *build.get("libraries", [])]
    found += [build["compiler"]] if "compiler" in build else []
    return found + [name.rpartition(":")[0] for name in build.get("sources", []) if ":" in name]


def built(build: dict, table: dict[str, dict]) -> Path:
    """The module that a build makes."""
    packages = {name: unpacked(table[name]) for name in names(build)}
    parts = [json.dumps(build, sort_keys=True), *map(str, packages.values())]
    parts += [located(name, packages).read_text("utf-8", "replace")
              for name in build.get("sources", [])]
    parts += [file.read_text(encoding="utf-8") for file in sorted((HERE / "go").glob("go.*"))] \
        if build["by"] == "go" else []
    out = CACHE / "built" / f"{hashlib.sha256(repr(parts).encode()).hexdigest()}.wasm"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        print(f"  compiling by {build['by']}", flush=True)
        part = out.with_suffix(".part.wasm")
        COMPILERS[build["by"]](build, packages, part)
        part.rename(out)
    return out
