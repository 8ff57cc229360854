"""Which tests a tier has. A test's lowest tier stands at the head of its file, `//! Tier: test`.

Unit tests, in `src`, are of the tier `quick`. An integration test's first file names the tier of
all its modules; a module may name another for itself.

    tiers.py filter quick|test|full      the filterset of cargo-nextest that selects them
    tiers.py only full                   those whose lowest tier it is
    tiers.py list                        each file that names a tier
"""

import re
import subprocess
import sys
from pathlib import Path

TIERS = ["quick", "test", "full"]
ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"^//! Tier: (\S+)$", re.MULTILINE)


def package(manifest: Path) -> str:
    """The name that a Cargo.toml gives its package."""
    found = re.search(r'^name = "(.*)"$', manifest.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{manifest} names no package"
    return found.group(1)


def tier(path: Path) -> str | None:
    """The tier that a file names; a word that is none ends the program."""
    found = MARK.findall(path.read_text(encoding="utf-8"))
    if not found:
        return None
    if len(found) > 1 or found[0] not in TIERS:
        sys.exit(f"error: {path}: names {found}\n\nhint: name one of {', '.join(TIERS)}, once")
    return found[0]


def is_first(path: Path) -> bool:
    """Whether cargo makes a test program of this file: tests/NAME.rs or tests/NAME/main.rs."""
    return path.parent.name == "tests" or path.name == "main.rs"


def tests() -> list[tuple[str, str, str]]:
    """File, filterset and tier of each integration test and of each module with its own tier."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*/tests/*.rs"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    paths = [ROOT / name for name in sorted(listed) if (ROOT / name).exists()]
    found = []
    for path in paths:
        folder = next(parent for parent in path.parents if parent.name == "tests")
        manifest = folder.parent / "Cargo.toml"
        named = tier(path)
        if not manifest.exists() or path.relative_to(folder).parts[0] == "tidy":
            continue
        inside = path.relative_to(folder).parts
        name = inside[0].removesuffix(".rs")
        whole = f"binary_id({package(manifest)}::{name})"
        if is_first(path):
            if named is None:
                sys.exit(f"error: {path}: names no tier\n\nhint: add a line `//! Tier: test`")
            found.append((str(path.relative_to(ROOT)), whole, named))
        elif named is not None:
            module = "::".join(inside[1:]).removesuffix(".rs").removesuffix("::mod")
            part = f"({whole} & test(/^{module}::/))"
            found.append((str(path.relative_to(ROOT)), part, named))
    return found


def lowest(wanted: str) -> str:
    """The filterset of the tests whose lowest tier is `wanted`, `quick` apart."""
    found = tests()
    firsts = {whole: named for _, whole, named in found if whole.startswith("binary")}
    parts = []
    for _, whole, named in found:
        if whole.startswith("binary"):
            inner = [part for _, part, other in found if part.startswith(f"({whole} ")
                     and other != named]
            if named == wanted:
                parts.append(f"({whole}{''.join(f' - {part}' for part in inner)})")
        elif named == wanted and firsts[whole.split(" ")[0][1:]] != wanted:
            parts.append(whole)
    return " + ".join(parts) or "none()"


def up_to(wanted: str) -> str:
    """The filterset of all tests of a tier."""
    higher = TIERS[TIERS.index(wanted) + 1:]
    return "all()" + "".join(f" - ({lowest(name)})" for name in higher)


def main(words: list[str]) -> int:
    """Prints what is asked for."""
    match words:
        case ["filter", wanted] if wanted in TIERS:
            print(up_to(wanted))
        case ["only", wanted] if wanted in TIERS[1:]:
            print(lowest(wanted))
        case ["list"]:
            for path, _, named in tests():
                print(f"{named:6} {path}")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
