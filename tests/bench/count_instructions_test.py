"""What count_instructions.py makes of callgrind's pages and of counts; and the table of
docs/performance.md is that of instruction_counts.json."""
import json
import unittest

import count_instructions as counting

PAGE = """\
--------------------------------------------------------------------------------
Ir
--------------------------------------------------------------------------------
2,000 (100.0%)  PROGRAM TOTALS

--------------------------------------------------------------------------------
Ir             file:function
--------------------------------------------------------------------------------
  200 (10.0%)  ???:std::vector<int, std::allocator<int> >::push_back(int const&) [/bin/hot_paths]
1,000 (50.0%)  ./malloc/malloc.c:_int_malloc [/lib/libc.so.6]
  100 ( 5.0%)  ./malloc/malloc.c:_int_malloc'2 [/lib/libc.so.6]
  100 ( 5.0%)  ???:operator new(unsigned long) [/bin/hot_paths]
  100 ( 5.0%)  ???:0x00000000006d9940 [???]
  300 (15.0%)  ???:clusterd::(anonymous namespace)::print(clusterd::v1::Job const&) [/bin/hot_paths]
"""


def record_of(**counts):
    return {"tolerance": 0.05,
            "counts": {name: {"instructions": count} for name, count in counts.items()}}


class CountInstructionsTest(unittest.TestCase):
    def test_functions_of_a_page(self):
        total, functions = counting.functions_of(PAGE)

        self.assertEqual(total, 2000)
        self.assertEqual(functions, [("malloc and free", 0.6), ("clusterd::print", 0.15),
                                     ("vector::push_back", 0.1)])

    def test_a_page_without_counts_is_no_answer(self):
        with self.assertRaises(counting.Failure):
            counting.functions_of("")

    def test_more_than_the_tolerance_is_told(self):
        counts = record_of(slow=1051, same=1049, fast=900, new=7)["counts"]

        lines, grown = counting.judge(record_of(slow=1000, same=1000, fast=1000), counts)

        self.assertEqual(grown, ["slow"])
        self.assertIn("MORE", lines[0])
        self.assertIn("--record", lines[2])
        self.assertIn("not recorded", lines[3])

    def test_another_compiler_is_told(self):
        told = counting.differences({"build": "GNU 12", "SQLite": "3.40"},
                                    {"build": "GNU 13", "SQLite": "3.40"})

        self.assertEqual(told, ["build: GNU 12 when recorded, GNU 13 here"])

    def test_the_table_in_the_manual(self):
        record = json.loads(counting.RECORD.read_text())
        manual = counting.MANUAL.read_text()

        shown = manual.split(counting.BEGIN)[1].split(counting.END)[0].strip()

        self.assertEqual(shown, counting.markdown(record), "--record makes both")


if __name__ == "__main__":
    unittest.main(verbosity=2)
