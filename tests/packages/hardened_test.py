"""The release program is built as hard as its flags say, seen on the file itself.

    CLUSTERD=build/release/clusterd tests/packages/hardened_test.py
"""
import os
import platform
import re
import subprocess
import unittest

PROGRAM = os.environ["CLUSTERD"]
# Of calls through pointers, which must lead to one of these; what comes from Debian's libraries, which
# are built without, are some thousands.
LEAST_LANDINGS = 20_000


def told_by(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class HardenedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.headers = told_by("readelf", "--wide", "--headers", PROGRAM)
        cls.dynamic = told_by("readelf", "--wide", "--dynamic", PROGRAM)
        cls.imports = told_by("readelf", "--wide", "--dyn-syms", PROGRAM)

    def test_it_lies_anywhere_in_memory(self):
        self.assertRegex(self.headers, r"Type:\s+DYN")
        self.assertRegex(self.dynamic, r"FLAGS_1\).*\bPIE\b")

    def test_its_table_of_calls_is_read_only_from_the_start(self):
        self.assertIn("GNU_RELRO", self.headers)
        self.assertRegex(self.dynamic, r"BIND_NOW|FLAGS_1\).*\bNOW\b")

    def test_its_stack_is_not_executable_and_nothing_is_writable_and_executable(self):
        self.assertRegex(self.headers, r"GNU_STACK.*\bRW\s")
        self.assertNotRegex(self.headers, r"LOAD.*\bRWE\b")

    def test_stacks_are_guarded(self):
        self.assertIn("__stack_chk_fail", self.imports)

    def test_copies_are_bounded(self):
        bounded = set(re.findall(r"\b__\w+_chk\b", self.imports)) - {"__stack_chk_fail"}
        self.assertGreater(len(bounded), 10, bounded)

    @unittest.skipUnless(platform.machine() == "x86_64", "an instruction of x86")
    def test_calls_through_pointers_land_where_a_function_begins(self):
        code = subprocess.Popen(["objdump", "--disassemble", "--no-show-raw-insn", PROGRAM],
                                stdout=subprocess.PIPE, text=True)
        with code, code.stdout:
            landings = sum("endbr64" in line for line in code.stdout)
        self.assertGreater(landings, LEAST_LANDINGS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
