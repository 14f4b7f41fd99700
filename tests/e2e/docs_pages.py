"""What README and the manual show: blocks of commands, and links.

A block of commands is fenced as `console` (lines that begin with `$ ` are typed, the others are
what is printed) or as `sh` (all of it is typed). A comment above it may say more:

    <!-- own terminal until: TEXT -->   it goes on by itself once it has printed TEXT
    <!-- not run: REASON -->            it cannot be run by a test

And one on the page, above all blocks: `<!-- with: COMMAND -->` runs in a terminal of its own, as
`clusterd dev` does, before the first block.
"""
import dataclasses
import re
import subprocess

COMMANDS = {"console", "sh"}
OTHER_LANGUAGES = {"cmake", "cpp", "ini", "json", "python", "text", "toml"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
                   re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"<!-- (?P<name>own terminal until|not run): (?P<value>.+?) -->\n+ *\Z")
PAGE_DIRECTIVE = re.compile(r"^<!-- with: (.+?) -->$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclasses.dataclass
class Block:
    line: int
    language: str
    text: str
    directive: str = ""
    value: str = ""


@dataclasses.dataclass
class Command:
    line: int
    text: str
    shown: str  # what the page says is printed; empty: nothing is said


def blocks_of(page):
    """The fenced blocks of a page's text, in order, without their indentation."""
    blocks = []
    for fence in FENCE.finditer(page):
        indent = len(fence["indent"])
        text = "".join(line[indent:] if line.strip() else line
                       for line in fence["text"].splitlines(keepends=True))
        block = Block(page.count("\n", 0, fence.start()) + 1, fence["language"], text)
        before = DIRECTIVE.search(page, 0, fence.start())
        if before:
            block.directive, block.value = before["name"], before["value"]
        blocks.append(block)
    return blocks


def background_of(page):
    """The command that a page's other commands need beside them; empty: none."""
    found = PAGE_DIRECTIVE.search(page)
    return found[1] if found else ""


def is_whole(command):
    """Whether bash would run it, or ask for more: an open quote, a here-document, a backslash."""
    if command.endswith("\\"):
        return False
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
    return checked.returncode == 0 and not checked.stderr


def commands_of(block):
    """What is typed in a block, with what the page shows below it."""
    if block.language == "sh":
        return [Command(block.line + 1, block.text.strip(), "")]
    commands = []
    lines = block.text.splitlines()
    while lines:
        number = block.line + 1 + len(block.text.splitlines()) - len(lines)
        line = lines.pop(0)
        if not line.startswith("$ "):
            raise AssertionError(f"line {number}: a block of commands begins with `$ `: {line}")
        command = line[2:]
        while not is_whole(command) and lines:
            command += "\n" + lines.pop(0)
        shown = []
        while lines and not lines[0].startswith("$ "):
            shown.append(lines.pop(0))
        commands.append(Command(number, command, "\n".join(shown)))
    return commands


def without_blocks(page):
    return FENCE.sub("", page)


def anchors_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def links_of(page):
    """Links to other places of the manual and the repository."""
    return [link for link in LINK.findall(without_blocks(page)) if not re.match(r"\w+:", link)]
