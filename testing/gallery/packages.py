"""Fetches packages from registries by their own clients, into the cache, by version and digest."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("WAMR_LAB_CACHE") or "/var/cache/wamr-lab") / "gallery"


class Lacking(Exception):
    """What a module needs and cannot be had; the text says what to do."""


def ran(words: list, **more) -> subprocess.CompletedProcess:
    """Runs a program to its end; what it says is part of the error."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                              check=False, **more)
    except FileNotFoundError as error:
        raise Lacking(f"{words[0]}: {error.strerror}; install it") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise Lacking(f"{' '.join(map(str, words))}: status {done.returncode}\n{said}")
    return done


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(package: dict, into: Path) -> None:
    """Has the registry's client put one file into an empty folder."""
    name, version = package["name"], package["version"]
    match package["registry"]:
        case "pypi":
            ran([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                 "--disable-pip-version-check", "--only-binary", ":all:", "--dest", into,
                 f"{name}=={version}"])
        case "npm":
            ran(["npm", "pack", "--silent", "--pack-destination", into, f"{name}@{version}"])
        case "debian":
            ran(["apt-get", "download", "--quiet", f"{name}={version}"], cwd=into)
        case "go":
            told = ran(["go", "mod", "download", "-json", f"{name}@{version}"], cwd=into)
            shutil.copy(json.loads(told.stdout)["Zip"], into)
        case other:
            raise Lacking(f"there is no registry {other}; see modules.toml")


def unpack(file: Path, into: Path) -> None:
    """Unpacks a wheel, a module of Go, a package of npm or of Debian."""
    if file.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                made = Path(archive.extract(member, into))
                if made.is_file():
                    made.chmod(member.external_attr >> 16 & 0o777 or 0o644)
    elif file.suffix == ".tgz":
        with tarfile.open(file) as archive:
            archive.extractall(into, filter="data")
    else:
        ran(["dpkg-deb", "--extract", file, into])


def package_file(package: dict) -> Path:
    """The package's file in the cache, fetched if it is not there; its digest is the pinned one."""
    store = CACHE / "packages"
    store.mkdir(parents=True, exist_ok=True)
    kept = next(store.glob(f"{package['sha256']}-*"), None)
    if kept:
        return kept
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        print(f"  fetching {package['name']} {package['version']}", flush=True)
        download(package, Path(folder))
        files = list(Path(folder).iterdir())
        if len(files) != 1:
            raise Lacking(f"{package['name']}: the registry gave {len(files)} files for one")
        got = digest(files[0])
        if got != package["sha256"]:
            raise Lacking(f"{files[0].name}: its SHA-256 is {got}, pinned is {package['sha256']}; "
                          "find out what changed before you change modules.toml")
        kept = store / f"{got}-{files[0].name}"
        shutil.move(files[0], kept)
    return kept


def unpacked(package: dict) -> Path:
    """The folder of a package's content."""
    folder = CACHE / "unpacked" / package["sha256"]
    if not folder.exists():
        file = package_file(package)
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        unpack(file, part)
        part.rename(folder)
    return folder


def reference_python(package: dict) -> Path:
    """The interpreter of an environment that holds the reference engine."""
    folder = CACHE / f"reference-{package['version']}"
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        wheel = package_file(package)
        with tempfile.TemporaryDirectory(dir=CACHE) as named:
            plain = shutil.copy(wheel, Path(named) / wheel.name.split("-", 1)[1])
            ran([sys.executable, "-m", "venv", folder])
            ran([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
                 "--disable-pip-version-check", plain])
        (folder / "complete").touch()
    return python
