"""A real Chromium without a window, steered by its DevTools protocol, with the standard library.

Browser() starts one with a profile of its own and ends it; page() opens a tab.
"""
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import tempfile
import time

NAMES = ("chromium-headless-shell", "chromium")
DEADLINE_SECONDS = 60
POLL_SECONDS = 0.05
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars=false", "--force-color-profile=srgb", "--remote-debugging-pipe",
         "--js-flags=--expose-gc", "--enable-precise-memory-info")


def executable():
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    raise SystemExit(f"none of {', '.join(NAMES)} is installed")


class BrowserError(Exception):
    """The browser answered a command with an error, or JavaScript threw."""


class Browser:
    """The process, and the two pipes to it: commands go down, answers and events come up."""

    def __init__(self, *flags):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="browser-"))
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        # Above 9, so that putting one at its place does not close the other.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (down_read, up_write)]
        log = str(self.folder / "log")
        self.pid = os.posix_spawn(
            executable(),
            ["chromium", *FLAGS, f"--user-data-dir={self.folder}/profile", *flags, "about:blank"],
            {**os.environ, "HOME": str(self.folder)},
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                          (os.POSIX_SPAWN_OPEN, 1, log, os.O_CREAT | os.O_WRONLY, 0o600),
                          (os.POSIX_SPAWN_DUP2, 1, 2),
                          (os.POSIX_SPAWN_DUP2, theirs[0], 3), (os.POSIX_SPAWN_DUP2, theirs[1], 4)],
            setsid=True)
        for end in (down_read, up_write, *theirs):
            os.close(end)
        self._down, self._up = down_write, up_read
        self._rest = b""
        self._last_id = 0
        self._answers = {}
        self._pages = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def close(self):
        with contextlib.suppress(OSError, BrowserError, AssertionError):
            self.command("Browser.close")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            time.sleep(POLL_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._down)
        os.close(self._up)
        shutil.rmtree(self.folder, ignore_errors=True)

    def page(self, width=1280, height=800, dark=False):
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        self._pages[session] = page
        page.set_up(width, height, dark)
        return page

    def command(self, method, session=None, **parameters):
        """Sends a command and returns its result."""
        self._last_id += 1
        number = self._last_id
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._down, data):]
        deadline = time.monotonic() + DEADLINE_SECONDS
        while number not in self._answers:
            if time.monotonic() > deadline:
                raise AssertionError(f"no answer to {method} within {DEADLINE_SECONDS} s")
            self.receive(1)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receive(self, seconds):
        """Takes in what the browser says within that time."""
        if not select.select([self._up], [], [], seconds)[0]:
            return
        data = os.read(self._up, 1 << 20)
        if not data:
            raise BrowserError("the browser has ended:\n" +
                               (self.folder / "log").read_text(errors="replace")[-2000:])
        *messages, self._rest = (self._rest + data).split(b"\0")
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                self._answers[message["id"]] = message
            elif message.get("sessionId") in self._pages:
                self._pages[message["sessionId"]].on_event(message["method"], message["params"])


class Page:
    """A tab. Whatever it complains of is in `complaints`: exceptions, errors on its console, requests
    that its policy forbade, and requests to another origin in `foreign`."""

    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target
        self.complaints = []
        self.foreign = []
        self.origin = None

    def set_up(self, width, height, dark):
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.command(f"{domain}.enable")
        self.resize(width, height)
        self.command("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def command(self, method, **parameters):
        return self.browser.command(method, self.session, **parameters)

    def on_event(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
            self.complaints.append(" ".join(
                str(one.get("value", one.get("description"))) for one in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["source"] in ("security", "violation"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent" and self.origin:
            url = parameters["request"]["url"]
            if not url.startswith((self.origin, "data:", "blob:", "about:")):
                self.foreign.append(url)

    def resize(self, width, height, mobile=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=1, mobile=mobile)

    def open(self, url):
        self.origin = "/".join(url.split("/")[:3])
        self.command("Page.navigate", url=url)

    def evaluate(self, expression):
        """The value of an expression in the page; of a promise, what it becomes."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True,
                              awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, expression, what=None, seconds=DEADLINE_SECONDS):
        """Polls until an expression is true in the page, and returns it."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(BrowserError):  # the page may be on its way to another
                value = self.evaluate(expression)
                if value:
                    return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what or expression}; complaints: "
                                     f"{self.complaints}; the page says:\n{self.text()[:2000]}")
            self.browser.receive(POLL_SECONDS)

    def text(self):
        return self.evaluate("document.body ? document.body.innerText : ''")

    def wait_for_text(self, text, seconds=DEADLINE_SECONDS):
        self.wait(f"document.body.innerText.includes({json.dumps(text)})", f"text {text!r}", seconds)

    def _element(self, selector, text=None):
        return (f"[...document.querySelectorAll({json.dumps(selector)})].find((e) => "
                f"e.checkVisibility() && (!{json.dumps(text)} || "
                f"e.textContent.trim().startsWith({json.dumps(text or '')})))")

    def click(self, selector, text=None):
        """Clicks an element with the mouse, where it is."""
        element = self._element(selector, text)
        self.wait(f"!!({element}) && !({element}).disabled", f"{selector} {text or ''} can be clicked")
        x, y = self.evaluate(
            f"(() => {{ const e = {element}; e.scrollIntoView({{block: 'nearest'}}); "
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, selector, text):
        """Puts the focus into a field and types."""
        self.wait(f"!!document.querySelector({json.dumps(selector)})", selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus(); "
                      f"document.querySelector({json.dumps(selector)}).select?.()")
        self.command("Input.insertText", text=text)

    def press(self, key, code=None, modifiers=0):
        codes = {"Enter": 13, "Tab": 9, "Home": 36, "End": 35, "Escape": 27, "PageDown": 34}
        number = codes.get(key, ord(key.upper()) if len(key) == 1 else 0)
        common = {"key": key, "code": code or key, "windowsVirtualKeyCode": number,
                  "modifiers": modifiers}
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    def wheel(self, selector, delta):
        x, y = self.evaluate(f"(() => {{ const r = document.querySelector({json.dumps(selector)})"
                             ".getBoundingClientRect(); return [r.x + 40, r.y + 40]; })()")
        self.command("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)

    def screenshot(self, path):
        data = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def memory_bytes(self):
        """What the tab's process has of memory of its own: its anonymous and private pages."""
        self.evaluate("gc()")
        ids = {info["type"]: info["id"] for info in
               self.browser.command("SystemInfo.getProcessInfo")["processInfo"]}
        status = pathlib.Path(f"/proc/{ids['renderer']}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines()
                    if line.startswith("VmRSS:"))

    def close(self):
        self.browser.command("Target.closeTarget", targetId=self.target)
