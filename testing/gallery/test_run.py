"""The gallery's judgement, without a registry or a container: python3 -m unittest test_run"""

import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import packages
import run

LACKS = {"says": "exception", "because": "exceptions"}
REFERENCE = {"status": 0, "stdout": b"1\n", "stderr": "", "says": "", "written": {}}
REFUSED = {**REFERENCE, "status": 126, "stdout": b"", "says": "uses exception handling"}


class Judgement(unittest.TestCase):
    """What is expected, and what fails the target."""

    def test_each_run_is_compared_with_the_table(self) -> None:
        """A difference has to be in the table, and what is in the table has to differ."""
        table = [
            ("the same", {}, REFERENCE, ""),
            ("a status", {}, {**REFERENCE, "status": 134}, "status 134 for 0"),
            ("output", {}, {**REFERENCE, "stdout": b"2\n"}, "other output"),
            ("a file", {}, {**REFERENCE, "written": {"/a": "b"}}, "other files"),
            ("no end", {}, {**REFERENCE, "status": None}, "status None for 0"),
            ("refused, as expected", {"compiled": LACKS}, REFUSED, ""),
            ("on no engine", {"nowhere": LACKS}, REFUSED, ""),
            ("refused by the other alone", {"interpreted": LACKS}, REFUSED, "status 126 for 0"),
            ("runs by now", {"compiled": LACKS}, REFERENCE, "it runs, but"),
            ("traps instead", {"compiled": LACKS}, {**REFUSED, "status": 134}, "it runs, but"),
            ("for another reason", {"compiled": LACKS}, {**REFUSED, "says": "no memory"},
             "refused as expected, but not"),
        ]
        for case, expected, got, want in table:
            found = run.verdict(expected, "compiled", REFERENCE, got)
            self.assertTrue(found.startswith(want) if want else not found, f"{case}: {found}")

    def test_two_failures_are_no_success(self) -> None:
        """The reference itself has to run, or not to, as the table says."""
        table = [
            ("as it has to", {"prints": "^1"}, REFERENCE, ""),
            ("another status", {"prints": "^1"}, {**REFERENCE, "status": 1}, "the reference ends"),
            ("no output", {"prints": "^1"}, {**REFERENCE, "stdout": b""}, "the reference printed"),
            ("no file", {"prints": "", "writes": ["/a"]}, {**REFERENCE, "written": {"/a": None}},
             "the reference did not write"),
            ("it starts", {"nowhere": LACKS}, REFERENCE, "the reference starts it"),
        ]
        for case, expected, got, want in table:
            found = run.sound(expected, got)
            self.assertTrue(found.startswith(want) if want else not found, f"{case}: {found}")

    def test_results_of_modules_that_are_not_named_are_kept(self) -> None:
        """One module is run again; the page needs the results of all."""
        done = {"size_bytes": 1, "unexpected": []}
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(run, "CACHE", Path(folder)), \
                mock.patch.object(run, "machine", lambda _: {}), \
                mock.patch.object(run, "reference_python", lambda _: None), \
                mock.patch.object(run, "tell", lambda *_: None), \
                mock.patch.object(run, "try_case", lambda *_: done):
            out = Path(folder) / "results.json"
            self.assertEqual(run.main([str(out)]), 0)
            everything = list(json.loads(out.read_text(encoding="utf-8"))["modules"])
            self.assertEqual(run.main([str(out), "quickjs"]), 0)
            kept = list(json.loads(out.read_text(encoding="utf-8"))["modules"])
            self.assertEqual(kept, everything)

    def test_a_file_of_another_digest_is_not_taken(self) -> None:
        """Nothing that a registry gives is used before its digest is the pinned one."""
        package = {"registry": "pypi", "name": "a", "version": "1", "sha256": "0" * 64}

        def give(_package: dict, into: Path) -> None:
            (into / "a.whl").write_bytes(b"another")

        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(packages, "CACHE", Path(folder)), \
                mock.patch.object(packages, "download", give):
            with self.assertRaisesRegex(packages.Lacking, "its SHA-256 is .* pinned is 000"):
                packages.package_file(package)
            self.assertEqual(list((Path(folder) / "packages").iterdir()), [])


if __name__ == "__main__":
    unittest.main()
