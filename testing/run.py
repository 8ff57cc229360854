"""Runs the parts of a tier, one `make` target each, and says what became of them.

    run.py quick PART…         stops at the first part that fails
    run.py test PART…          the same; needs root
    run.py full PART…          all parts; those that passed for these very files are not run again
                               unless named in PARTS=; writes docs/test-full.md

Logs, JUnit files and the list of skipped tests are in $LOGS. The last line counts the tests.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
LOGS = Path(os.environ["LOGS"]).absolute()
SKIPPED = LOGS / "skipped.tsv"
PAGE = ROOT / "docs/test-full.md"
SLOWEST = 10


def git(*words: str) -> str:
    """What git prints; empty without git."""
    try:
        ran = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return ran.stdout


def state_of_files() -> str:
    """A digest of all files, committed or not; the page that is written here left out."""
    less = ["--", ".", ":!docs/test-full.md"]
    new = git("ls-files", "--others", "--exclude-standard", *less)
    text = git("ls-files", "--stage", *less) + git("diff", *less) + new
    return hashlib.sha256(text.encode()).hexdigest()


def cases(part: str) -> list[tuple[str, float, str]]:
    """Name, seconds and outcome of each test of a part, from its JUnit file."""
    path = LOGS / f"{part}.xml"
    if not path.exists():
        return []
    found = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None
        name = f"{case.get('classname')} {case.get('name')}"
        outcome = "failed" if failed else "passed"
        found.append((name, float(case.get("time", "0")), outcome))
    return found


def run(part: str) -> dict:
    """Runs `make PART`; its output goes to a log too."""
    print(f"== {part}", flush=True)
    SKIPPED.unlink(missing_ok=True)
    (LOGS / f"{part}.xml").unlink(missing_ok=True)
    begun = time.monotonic()
    with open(LOGS / f"{part}.log", "wb") as log:
        make = subprocess.Popen(["make", part], cwd=ROOT, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        assert make.stdout
        try:
            for line in make.stdout:
                log.write(line)
                sys.stdout.buffer.write(line)
                sys.stdout.flush()
        except KeyboardInterrupt:
            # A terminal has told it too; without one nobody else does.
            make.send_signal(signal.SIGINT)
            make.wait()
            raise
        code = make.wait()
    tests = cases(part) or [(part, time.monotonic() - begun, "passed" if code == 0 else "failed")]
    skipped = SKIPPED.read_text(encoding="utf-8").splitlines() if SKIPPED.exists() else []
    # A test that is skipped has ended well, as far as its harness knows.
    names = {line.split("\t")[0] for line in skipped}
    tests = [(name, s, "skipped" if name.split(" ")[-1] in names and outcome == "passed"
              else outcome) for name, s, outcome in tests]
    if code != 0 and all(outcome != "failed" for _, _, outcome in tests):
        tests.append((part, 0.0, "failed"))
    return {"part": part, "seconds": round(time.monotonic() - begun, 1), "ok": code == 0,
            "files": state_of_files(), "commit": git("rev-parse", "--short", "HEAD").strip(),
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
            "tests": tests, "skipped": skipped}


def count(results: list[dict], outcome: str) -> int:
    """How many tests of all parts ended so."""
    return sum(1 for result in results for test in result["tests"] if test[2] == outcome)


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def tell(results: list[dict]) -> None:
    """The end of a run: times, the slowest tests, what was skipped, what failed, the counts."""
    print("\nparts")
    for result in results:
        mark = "" if result["ok"] else "  FAILED"
        before = f"  (passed before, {result['date']} UTC)" if result.get("kept") else ""
        print(f"  {clock(result['seconds']):>6}  {result['part']}{mark}{before}")
    total = sum(result["seconds"] for result in results if not result.get("kept"))
    print(f"  {clock(total):>6}  in all")
    tests = [test for result in results for test in result["tests"]]
    print(f"slowest {SLOWEST} tests")
    for name, seconds, _ in sorted(tests, key=lambda test: -test[1])[:SLOWEST]:
        print(f"  {seconds:6.1f} s  {name}")
    skipped = sorted({line for result in results for line in result["skipped"]})
    print(f"skipped: {len(skipped) or 'nothing'}")
    for line in skipped:
        print("  " + ": ".join(line.split("\t")))
    for result in results:
        for name, _, outcome in result["tests"]:
            if outcome == "failed":
                print(f"FAILED: {name} (see {LOGS / result['part']}.log)")
    print(f"{count(results, 'passed')} passed, {count(results, 'failed')} failed, "
          f"{count(results, 'skipped')} skipped")


def page(results: list[dict], parts: list[str]) -> str:
    """The last full run, as a document."""
    lines = ["# The last full test run", "",
             "`make test-full` writes this page. A part that had passed for the same files is kept "
             "with its date.", "", "| part | passed | failed | skipped | minutes | date (UTC) "
             "| commit |", "|---|---:|---:|---:|---:|---|---|"]
    for result in results:
        counts = " | ".join(str(count([result], word)) for word in ["passed", "failed", "skipped"])
        lines.append(f"| {result['part']} | {counts} | {clock(result['seconds'])} "
                     f"| {result['date']} | {result['commit']} |")
    absent = [part for part in parts if part not in {result["part"] for result in results}]
    lines += ["", f"Not run: {', '.join(absent) or 'nothing'}."]
    skipped = sorted({tuple(line.split("\t")) for result in results for line in result["skipped"]})
    lines += ["", "Skipped, with the condition from `.config/skips.toml`:", ""]
    lines += [f"- `{test}`: {condition}" for test, condition, _ in skipped] or ["- nothing"]
    return "\n".join(lines) + "\n"


def write_page(results: list[dict], parts: list[str]) -> None:
    """The page of `results`, and of what earlier runs have left of the other parts."""
    by_part = {result["part"]: result for result in results}
    for part in parts:
        kept = LOGS / f"{part}.json"
        if part not in by_part and kept.exists():
            by_part[part] = json.loads(kept.read_text(encoding="utf-8"))
    known = [by_part[part] for part in parts if part in by_part]
    PAGE.write_text(page(known, parts), encoding="utf-8")


def main(words: list[str]) -> int:
    """Runs a tier."""
    tier, *parts = words
    if tier != "quick" and os.geteuid() != 0:
        print("error: nodes, boxes and containers need root\n\n"
              "hint: sudo make test; make quick has what needs none", file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    os.environ["WAMR_TEST_REQUIRED"] = "1"
    os.environ["WAMR_TEST_SKIPPED"] = str(SKIPPED)
    results, named = [], os.environ.get("PARTS", "").split()
    for part in parts:
        kept = LOGS / f"{part}.json"
        if tier == "full" and part not in named and kept.exists():
            before = json.loads(kept.read_text(encoding="utf-8"))
            if named or before["ok"] and before["files"] == state_of_files():
                results.append({**before, "kept": True})
                continue
        if named and part not in named:
            continue
        try:
            result = run(part)
        except KeyboardInterrupt:
            tell(results)
            print(f"error: interrupted in {part}\n\nhint: the same command goes on there",
                  file=sys.stderr)
            return 130
        results.append(result)
        kept.write_text(json.dumps(result), encoding="utf-8")
        if tier == "full":
            write_page(results, parts)
        if not result["ok"] and tier != "full":
            break
    tell(results)
    if tier == "full":
        write_page(results, parts)
    return 0 if all(result["ok"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
