"""Values that are checked where they are used: each bad one is 64 and names its option.

What the parser itself refuses is walked by tests/unit/cli/usage_test.cc.
"""
import re
import unittest

from cluster import Cluster

# By the kind of value that --help shows.
BAD_VALUES = {
    "TIME": "soon", "SIZE": "much", "K=V": "=x", "K=V|K": "=x", "K[=V]": "=x", "STATE": "NONE",
    "EXPR": "a b", "[EXPR]": "a b", "SIGNAL": "NOPE", "MASK": "999", "END": "never",
    "FROM-TO[:STEP][%MAX]": "9-x", "JOB[:success|any|failure]": "x:sometimes",
    "HOST:PORT[,...]": "nowhere",
}
OPTION = re.compile(r"^  +(?:-\w,)?(--[a-z-]+) (\S+)", re.MULTILINE)
POSITIONAL = re.compile(r"^  ([A-Z]+)\b", re.MULTILINE)


class UsageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.cluster.script("hello.sh", "echo hello\n")
        cls.cluster.start_worker()
        job_id = cls.cluster.start("hello.sh")
        cls.cluster.wait(job_id)
        cls.values = {"JOB": job_id, "WORKER": "w1", "SIGNAL": "HUP", "NAME": "ann",
                      "PATH": "hello.sh", "SCHEDULE": "nightly", "QUEUE": "web"}
        cls.required = {("token", "create"): ("--role", "reader", "--file",
                                              str(cls.cluster.folder / "tokens")),
                        ("schedule", "create"): ("--cron", "@daily")}

    def help_of(self, path):
        result = self.cluster.cli(*path, "--help")
        self.assertEqual(result.returncode, 0, result)
        return result.stdout

    def commands(self, path=()):
        text = self.help_of(path)
        below = re.findall(r"^  ([a-z]+)\b", text.partition("\nSubcommands:\n")[2], re.MULTILINE)
        if not below:
            yield path, text
        for name in below:
            yield from self.commands((*path, name))

    def test_every_bad_value_is_refused_naming_its_option(self):
        tried = set()
        for path, text in self.commands():
            positionals = POSITIONAL.findall(text.partition("\nPositionals:\n")[2]
                                             .partition("\n\n")[0])
            after = [self.values[name] for name in positionals if name in self.values]
            for option, kind in OPTION.findall(text):
                bad = BAD_VALUES.get(kind.partition(":{")[0])
                if bad is None:
                    continue
                with self.subTest(command=" ".join(path), option=option):
                    result = self.cluster.cli(*path, *self.required.get(path, ()),
                                              f"{option}={bad}", *after)
                    self.assertEqual((result.returncode, result.stdout), (64, ""), result)
                    self.assertIn(option.lstrip("-").replace("-", "_"),
                                  result.stderr.replace("-", "_"), result)
                    tried.add((path, option))
        self.assertGreater(len(tried), 60)

    def test_arguments_are_named_too(self):
        for args, name in ((("job", "signal", self.values["JOB"], "NOPE"), "NOPE"),
                           (("tls", "issue", "nobody", "--dir", ".", "--name", "x"), "KIND"),
                           (("completion", "csh"), "SHELL"), (("job", "query"), "JOB"),
                           (("job", "start"), "PATH"), (("run", "--program"), "--program"),
                           (("cluster", "drain"), "WORKER")):
            with self.subTest(args=args):
                result = self.cluster.cli(*args)
                self.assertEqual((result.returncode, result.stdout), (64, ""), result)
                self.assertIn(name, result.stderr)


if __name__ == "__main__":
    unittest.main()
