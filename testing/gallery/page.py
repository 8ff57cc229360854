"""Writes docs/gallery.md of the results of `run.py`.

    page.py RESULTS PAGE
"""

import json
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENGINES = ("interpreted", "compiled")
# Below this a container's own start is most of its time, and a ratio would say nothing.
SHORTEST_S = 0.05

HEAD = """# A gallery of real modules

{count} modules of {toolchains} toolchains and releases, most of them built by others and taken
as registries serve them, run in containers on [both engines](engines.md). Standard output,
written files and exit status are compared, byte for byte, with those of a reference,
{reference} of PyPI. Interpreted, {interpreted} give the same; compiled, {compiled}. Why the
others do not stands below; `make gallery` fails on anything else.
"""

MEASURED = """## Time and memory

Measured on one day, {date}, with {processors} processors of {machine} and Linux {kernel},
whatever else the machine did: read the ratios as a rough order. Time is of the whole container,
from create to its end, in multiples of what the reference takes for the guest alone, the
shortest of three runs where they take less than a second, compiling left out of both; there is
no ratio where the reference takes less than {shortest_ms} ms. Memory is private (Private_Clean
and Private_Dirty of smaps) and of the moment when the guest first writes to standard output;
"–" means that it writes to files alone, or does not run. [engines.md](engines.md) has the
memory of idle guests.
"""

FOOT = """## How it is done

`make gallery` fetches the packages by their registries' own clients, checks the SHA-256 that
`testing/gallery/modules.toml` pins, compiles what comes as source, and runs everything anew;
downloads and native code are kept in `$WAMR_LAB_CACHE`, 3 GB of them. It needs root, and beside
what `make setup` installs: pip and venv of Python, Node and npm. `make gallery NAMES=yq` runs
one. `make gallery-page` writes this page of the results. A module is added by an entry of the
table: what is fetched, its arguments and input, what the reference has to print, and what
differs, with the reason.

Not to be had from registries, and so not here: TinyGo, PHP for WASI (PHP's packages are those
of Emscripten, which need JavaScript), Ruby and Perl as commands.
"""


def ratio(result: dict, engine: str) -> str:
    """The container's time in multiples of the reference's."""
    reference, got = result["reference_seconds"], result[engine]
    if not got["same"] or reference < SHORTEST_S:
        return "–"
    times = got["seconds"] / reference
    return f"{times:.1f}" if times < 10 else f"{times:.0f}"


def memory(result: dict, engine: str) -> str:
    """Private memory in kB."""
    kept = result[engine].get("private_bytes")
    return f"{kept // 1024:,}" if kept else "–"


def outcome(case: dict, result: dict, engine: str) -> str:
    """How a run ended, in a word."""
    return "same" if result[engine]["same"] else "no"


def outcomes(cases: list[dict], results: dict) -> list[str]:
    """The table of what runs."""
    lines = ["| module | toolchain | size, kB | interpreted | compiled |", "|---|---|---:|---|---|"]
    for case in cases:
        result = results[case["name"]]
        ends = " | ".join(outcome(case, result, engine) for engine in ENGINES)
        lines.append(f"| {case['name']} | {case['toolchain']} | {result['size_bytes'] // 1000:,} "
                     f"| {ends} |")
    return lines


def reasons(cases: list[dict]) -> list[str]:
    """What does not run, and why."""
    lines = ["## What does not run", ""]
    for case in cases:
        for key, where in [("nowhere", "on no engine"), *((engine, engine) for engine in ENGINES)]:
            if key in case:
                lines.append(f"- {case['name']}, {where}: {case[key]['because']}.")
    return lines


def measures(cases: list[dict], results: dict) -> list[str]:
    """The table of time and memory."""
    lines = ["| module | reference, s | interpreted, × | compiled, × | interpreted, kB "
             "| compiled, kB |", "|---|---:|---:|---:|---:|---:|"]
    for case in cases:
        result = results[case["name"]]
        if not any(result[engine]["same"] for engine in ENGINES):
            continue
        cells = [f"{result['reference_seconds']:.2f}",
                 *(ratio(result, engine) for engine in ENGINES),
                 *(memory(result, engine) for engine in ENGINES)]
        lines.append(f"| {case['name']} | {' | '.join(cells)} |")
    return lines


def page(facts: dict, cases: list[dict]) -> str:
    """The document."""
    results = facts["modules"]
    same = {engine: sum(1 for case in cases
                        if outcome(case, results[case["name"]], engine) == "same")
            for engine in ENGINES}
    head = HEAD.format(count=len(cases), reference=facts["reference"], **same,
                       toolchains=len({case["toolchain"] for case in cases}))
    measured = MEASURED.format(shortest_ms=int(SHORTEST_S * 1000), **facts)
    parts = [head, *outcomes(cases, results), "", *reasons(cases), "", measured,
             *measures(cases, results), "", FOOT]
    return "\n".join(parts)


def main(words: list[str]) -> int:
    """Reads the results, writes the page."""
    facts = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    cases = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))["module"]
    lacking = [case["name"] for case in cases
               if "size_bytes" not in facts["modules"].get(case["name"], {})]
    if lacking:
        print(f"error: no results of {', '.join(lacking)}\n\nhint: make gallery", file=sys.stderr)
        return 1
    Path(words[1]).write_text(page(facts, cases), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
