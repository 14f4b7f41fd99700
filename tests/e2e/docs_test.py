"""Every command that README and the manual show is run, and prints what is shown.

Each page has a reader of its own: an empty home, a copy of `examples`, `clusterd` on the PATH, one
shell in which commands run in the order in which they are shown. The documented ports and the
worker's name `web-1` are replaced by those of this machine; ids that are shown stand for those that
were printed in their place, and `…` for anything. A command must succeed. docs_pages.py has the
form of blocks.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import docs_pages
from cluster import executable, processes, wait_until
from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(MANUAL.rglob("*.md"))]
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PORTS = {"http": "3000", "grpc": "50000", "worker": "30000"}  # as documented
DEADLINE_SECONDS = 60
END_OF_COMMAND = "\x1e"


class Terminal:
    """A bash whose commands share variables and a working folder."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment,
            start_new_session=True)

    def run(self, command):
        """(what it printed, its exit code)."""
        watchdog = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(f"{{ {command}\n}} < /dev/null\n"
                                     f"printf '{END_OF_COMMAND}%s\\n' $?\n")
            self.process.stdin.flush()
            printed = ""
            while END_OF_COMMAND not in printed:
                line = self.process.stdout.readline()
                if not line:
                    raise AssertionError(f"not within {DEADLINE_SECONDS} s: {command}\n{printed}")
                printed += line
        finally:
            watchdog.cancel()
        printed, _, code = printed.rpartition(END_OF_COMMAND)
        return printed, int(code)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=DEADLINE_SECONDS)
        self.process.stdout.close()


class Running:
    """A command in a terminal of its own, until Ctrl-C."""

    def __init__(self, command, until, folder, environment):
        self.command = command
        self.log = tempfile.NamedTemporaryFile(mode="w+", dir=folder, prefix="terminal-")
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT, cwd=folder, env=environment, start_new_session=True)
        wait_until(lambda: self.has_printed(until), f"{command} prints {until!r}")

    def printed(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def has_printed(self, text):
        if text in self.printed():
            return True
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command} ended with {self.process.returncode}:\n"
                                 f"{self.printed()}")
        return False

    def close(self):
        """Ctrl-C, if it has not ended; the exit code."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
            return self.process.wait(timeout=DEADLINE_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()


class Reader:
    """Somebody who types what a page shows, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {name: str(free_port()) for name in PORTS}
        self.ids = {}  # those of the page to ours
        self.running = []
        (folder / "home").mkdir()
        self.environment = {
            "PATH": f"{folder}/build/release:{os.environ['PATH']}", "HOME": f"{folder}/home",
            "TMPDIR": str(folder), "LANG": "C.UTF-8", "USER": "reader", "NO_COLOR": "1",
            "CLUSTERD_ADDR": f"127.0.0.1:{self.ports['grpc']}"}
        self.copy_tree()
        self.terminal = Terminal(folder, self.environment)

    def copy_tree(self):
        for file in (ROOT / "examples").rglob("*"):
            copy = self.folder / "examples" / file.relative_to(ROOT / "examples")
            if file.is_file() and "__pycache__" not in file.parts:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(self.here(file.read_text()))
                copy.chmod(file.stat().st_mode & 0o755)
        clusterd = self.folder / "build" / "release" / "clusterd"
        clusterd.parent.mkdir(parents=True)
        ports = " ".join(f"--{name}-port {port}" for name, port in self.ports.items())
        clusterd.write_text(f'#!/bin/sh\nif [ "$1" = dev ]; then\n  shift\n  set -- dev {ports} '
                            f'"$@"\nfi\nexec {executable()} "$@"\n')
        clusterd.chmod(0o755)

    def here(self, text):
        """What the page means on this machine: addresses, the worker's name, ids."""
        for name, documented in PORTS.items():
            text = re.sub(rf"\b(localhost|127\.0\.0\.1):{documented}\b",
                          f"127.0.0.1:{self.ports[name]}", text)
        text = text.replace("web-1", socket.gethostname())
        return re.sub(UUID, lambda found: self.ids.get(found[0], found[0]), text)

    def pattern_of(self, shown):
        """A pattern for what the page shows. Columns may be wider, ids are any ids."""
        parts = re.split(rf"({UUID}|…)", self.here(shown))
        return "".join(re.sub(r"(\\ )+", " +", re.escape(part)) if index % 2 == 0 else
                       ".*" if part == "…" else UUID for index, part in enumerate(parts))

    def start(self, command, until):
        self.running.append(Running(self.here(command), self.here(until), self.folder,
                                    self.environment))

    def type(self, command):
        """Runs it and compares; AssertionError where it fails or prints something else."""
        printed, code = self.terminal.run(self.here(command.text))
        printed = "\n".join(line.rstrip() for line in printed.rstrip().split("\n"))
        if code != 0:
            raise AssertionError(f"exit code {code}:\n{printed}")
        if not command.shown:
            return
        if not re.fullmatch(self.pattern_of(command.shown), printed, re.DOTALL):
            raise AssertionError(f"shown:\n{command.shown}\nprinted:\n{printed}")
        self.ids.update(zip(re.findall(UUID, command.shown), re.findall(UUID, printed)))

    def leave(self):
        """Ends what the page has started; the exit codes that are not those of Ctrl-C."""
        self.terminal.close()
        return [f"{one.command}: {code}" for one in reversed(self.running)
                if (code := one.close()) not in (0, 130, -signal.SIGINT)]

    def leftovers(self):
        return [(pid, command) for pid, command, where in processes()
                if str(self.folder) in command + where]

    def kill_leftovers(self):
        for _ in range(2):  # a launcher may be on its way while its worker goes
            for pid, _ in self.leftovers():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


class CommandsTest(unittest.TestCase):
    """One test a page, added below."""

    def check(self, page):
        text = page.read_text()
        blocks = [block for block in docs_pages.blocks_of(text)
                  if block.language in docs_pages.COMMANDS and block.directive != "not run"]
        if not blocks:
            return
        folder = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-e2e-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        reader = Reader(folder)
        self.addCleanup(reader.kill_leftovers)
        background = docs_pages.background_of(text)
        if background:
            reader.start(background, "Ctrl-C stops all")
        for block in blocks:
            for command in docs_pages.commands_of(block):
                self.follow(page, reader, block, command)
        self.assertEqual(reader.leave(), [])
        wait_until(lambda: not reader.leftovers(), f"all that {page.name} has started ends", 30)

    def follow(self, page, reader, block, command):
        with self.subTest(page=str(page.relative_to(ROOT)), line=command.line):
            try:
                if block.directive == "own terminal until":
                    reader.start(command.text, block.value)
                else:
                    reader.type(command)
            except AssertionError as error:
                logs = "".join(f"--- {one.command}\n{one.printed()[-2000:]}"
                               for one in reader.running)
                raise AssertionError(f"{command.text}\n{error}\n{logs}") from None


for _page in PAGES:
    _name = re.sub(r"\W", "_", str(_page.relative_to(ROOT).with_suffix("")))
    setattr(CommandsTest, f"test_{_name}", lambda self, page=_page: self.check(page))


class FormTest(unittest.TestCase):
    def test_every_block_says_what_it_is(self):
        """An unknown language, or none, could hide commands from the test above."""
        known = docs_pages.COMMANDS | docs_pages.OTHER_LANGUAGES
        for page in PAGES:
            for block in docs_pages.blocks_of(page.read_text()):
                with self.subTest(page=page.name, line=block.line):
                    self.assertIn(block.language, known)

    def test_every_link_leads_somewhere(self):
        for page in PAGES:
            for link in docs_pages.links_of(page.read_text()):
                with self.subTest(page=page.name, link=link):
                    path, _, anchor = link.partition("#")
                    target = (page.parent / path).resolve() if path else page
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, docs_pages.anchors_of(target.read_text()))

    def test_the_index_has_every_page_and_picture(self):
        linked = {(MANUAL / link.partition("#")[0]).resolve()
                  for link in docs_pages.links_of((MANUAL / "README.md").read_text())}
        pages = {page for page in MANUAL.rglob("*.md") if page.name != "README.md"}
        self.assertEqual(pages - linked, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
