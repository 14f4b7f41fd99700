"""The tables of docs/performance.md are those of latest.json, the figures of the latest run; and
what scale.py and the rounds write can be shown."""
import json
import pathlib
import unittest

import report

BENCH = pathlib.Path(__file__).resolve().parent
MANUAL = BENCH.parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.tree = json.loads((BENCH / "latest.json").read_text())

    def test_tables_in_the_manual(self):
        manual = MANUAL.read_text()
        shown = manual[manual.index(BEGIN) + len(BEGIN):manual.index(END)].strip()
        self.assertEqual(shown, report.markdown(self.tree).strip(),
                         "compare.py --from latest.json --markdown FILE makes them")

    def test_every_goal_was_measured(self):
        self.assertNotIn("not measured", report.text(self.tree))

    def test_without_what_grows(self):
        del self.tree["scale"]
        self.assertIn("not measured in this run", report.text(self.tree))


if __name__ == "__main__":
    unittest.main(verbosity=2)
