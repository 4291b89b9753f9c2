"""A real browser before the page of a real supervisor: Chromium, led by Playwright.

Whatever a page shows, it never writes an error to the console and asks nobody else for anything:
each `Tab` notes both, and its test fails by them at the end.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from role_support import HANDLERS, command, table
from support import Installation, wait_until

#: The program that is started; another one can be named, and empty leaves the browser's tests out.
CHROMIUM = "KHIVE_TEST_CHROMIUM"
#: A file `axe.min.js` of the npm package axe-core; empty leaves out what needs it.
AXE = "KHIVE_TEST_AXE"
#: What npm installs where no file is named.
AXE_PACKAGE = "axe-core@4"
#: Seconds that npm may take.
INSTALL = 120
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: Milliseconds that a page may take for anything; a machine that is busy gets its time.
PATIENCE = 30_000
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1100, "height": 800}

FACT = "The flamingo ledger closes at noon."
OTHER = "The flamingo ledger closes at eleven in winter."


def chromium() -> str:
    """Return the browser's program; LookupError says why there is none."""
    named = os.environ.get(CHROMIUM)
    if named == "":
        raise LookupError(f"{CHROMIUM} is empty")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        raise LookupError("there is no chromium (apt-get install chromium)")
    return found


def axe(directory: Path) -> str:
    """Return the text of axe-core, which npm installs if no file is named."""
    named = os.environ.get(AXE)
    if named == "":
        raise LookupError(f"{AXE} is empty")
    if named:
        return Path(named).read_text(encoding="utf-8")
    if shutil.which("npm") is None:
        raise LookupError(f"there is no npm, and {AXE} names no axe.min.js")
    words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]
    done = subprocess.run(
        [*words, str(directory), AXE_PACKAGE], capture_output=True, text=True, timeout=INSTALL
    )
    if done.returncode:
        raise LookupError(f"npm could not install {AXE_PACKAGE}: {done.stderr[-300:]}")
    return (directory / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


class Tab:
    """One page of a browser, and all that it complained of or asked for."""

    def __init__(self, page: Any, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "about:")):
            self.strangers.append(request.url)

    def go(self, address: str) -> Any:
        """Show a view, and wait until it is live; the answer."""
        answer = self.page.goto(self.base + address)
        if answer is not None and answer.status == 200:
            self.live()
        return answer

    def live(self) -> None:
        """Wait until the page listens to what changes."""
        self.page.wait_for_selector("#live.on", state="attached")

    def text(self) -> str:
        """Return what is to be read."""
        return str(self.page.inner_text("main"))

    def press(self, words: str) -> None:
        """Press a button, and wait for the page that comes then."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=words, exact=True).first.click()

    def notice(self) -> str:
        """Return what the page says of the change before it."""
        return str(self.page.inner_text("p.notice"))

    def clean(self) -> None:
        """Fail if anything was complained of, or anybody else asked."""
        assert self.complaints == []
        assert self.strangers == []


def link_of(khive: Installation) -> str:
    """Return a link that lets one browser in."""
    return khive.run("open", "--print").stdout.strip()


def base_of(link: str) -> str:
    """Return the address before a link's path."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}"


@contextmanager
def let_in(browser: Any, khive: Installation, **settings: Any) -> Iterator[Tab]:
    """A tab of a browser's own profile that has logged in; clean at the end."""
    link = link_of(khive)
    context = browser.new_context(viewport=DESK, **settings)
    try:
        tab = Tab(context.new_page(), base_of(link))
        tab.page.goto(link)
        tab.page.wait_for_url(tab.base + "/")
        yield tab
        tab.clean()
    finally:
        context.close()


@contextmanager
def launched(browser: Any, *flags: str) -> Iterator[Any]:
    """Another browser of the same kind, with flags of its own."""
    kind = browser.browser_type
    found = kind.launch(executable_path=chromium(), args=[*FLAGS, *flags])
    try:
        yield found
    finally:
        found.close()


class Relay(threading.Thread):
    """Hands bytes to a port of this machine and back, until the connections are cut."""

    def __init__(self, target: int) -> None:
        super().__init__(daemon=True)
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._whole, self._over = True, False
        self.port = self._listening.getsockname()[1]

    def cut(self) -> None:
        """Take all connections away, and let nobody through."""
        self._whole = False

    def mend(self) -> None:
        """Let connections through again."""
        self._whole = True

    def close(self) -> None:
        """End."""
        self._over = True
        self.join()

    def run(self) -> None:
        """Pass on what comes."""
        while not self._over:
            ready, _, _ = select.select([self._listening, *self._pairs], [], [], 0.05)
            for one in ready:
                if one is self._listening:
                    self._accept()
                elif one in self._pairs:
                    self._pass_on(one)
            if not self._whole:
                self._drop_all()
        self._drop_all()
        self._listening.close()

    def _accept(self) -> None:
        near, _ = self._listening.accept()
        if not self._whole:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self._target))
        self._pairs |= {near: far, far: near}

    def _pass_on(self, one: socket.socket) -> None:
        other = self._pairs[one]
        try:
            data = one.recv(1 << 16)
            other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for end in (one, other):
                self._pairs.pop(end, None)
                end.close()

    def _drop_all(self) -> None:
        for one in self._pairs:
            one.close()
        self._pairs.clear()


@contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """A relay to a port, for as long as it is needed."""
    relay = Relay(port)
    relay.start()
    try:
        yield relay
    finally:
        relay.close()


# --- what there is to see -------------------------------------------------------------------------

#: Something in every view: roles that do well and badly, a workflow that waits, a channel.
CONFIGURATION = """
[[roles]]
role = "reviewer"
task_types = ["review", "second-look"]
handler = {{ python = "handlers:echo" }}
cwd = "{handlers}"
budget = {{ weekly = 5.0 }}

[[workflows]]
name = "release"
input = {{ version = "1.0" }}
[[workflows.steps]]
name = "build"
role = "reviewer"
task_type = "review"
payload = "{{{{input.version}}}}"
[[workflows.steps]]
name = "publish"
role = "reviewer"
task_type = "second-look"
payload = "{{{{steps.build.result}}}}"
approve = "operator"

[[channels]]
name = "ops"
kind = "command"
command = ["true"]
events = ["task.failed"]
"""


def fill(khive: Installation) -> None:
    """Have something to be seen in every view."""
    handlers = khive.home / "handlers"
    handlers.mkdir()
    (handlers / "handlers.py").write_text(HANDLERS)
    roles = command("talker", "sh", "-c", "echo working on it >&2; echo '\"done\"'")
    slow = table("sleeper", f'handler = {{ python = "handlers:until" }}\ncwd = "{handlers}"', {})
    fails = table("doubter", f'handler = {{ python = "handlers:fail" }}\ncwd = "{handlers}"', {})
    text = CONFIGURATION.format(handlers=handlers)
    khive.configure(text + "".join(f"\n[[roles]]\n{one}" for one in (roles, slow, fails)))
    khive.start()
    _remember(khive)
    _assign(khive)
    _sessions(khive)


def _remember(khive: Installation) -> None:
    first = khive.call("memory.remember", content=FACT, tags=["ledger"], source="notes/ledger.md")
    khive.call("memory.remember", content=OTHER, title="Winter", kind="episodic")
    for number in range(50):
        khive.call("memory.remember", content=f"Node {number} of the cluster is in rack {number}.")
    khive.call("memory.remember", content="Node 7 of the cluster is in rack 8 now.",
               tags=["infra"])  # fmt: skip
    khive.call("brain.feedback", target=first["id"], signal="useful")
    entries = [
        {"title": "Ledger handbook", "content": "The ledger is closed by a job.",
         "source": "docs/handbook.md"},
        {"title": "Ledger handbook, part 2", "content": "The job runs on node 3.",
         "source": "docs/handbook.md"},
    ]  # fmt: skip
    khive.call("knowledge.learn", entries=entries, replaces="nothing")


def _assign(khive: Installation) -> None:
    for _ in range(3):
        khive.call("agents.assign", role="reviewer", task_type="review", payload="a change")
    khive.call("agents.assign", role="talker", payload="anything")
    khive.call("agents.assign", role="doubter", payload="luck")
    khive.call("workflow.run", workflow="release", input={"version": "1.4"})
    khive.call("agents.assign", role="talker", every="0 6 * * 1", zone="UTC", payload="weekly")

    def settled() -> bool:
        asked = khive.call("workflow.approvals")["approvals"]
        counts = khive.call("agents.tasks", state="queued")["tasks"]
        return bool(asked) and not counts

    wait_until(settled, "the tasks are done, and one waits for an approval")


def _sessions(khive: Installation) -> None:
    for client, session, event, more in (
        ("claude-code", "one", "user-prompt-submit", {"prompt": "Look at the ledger."}),
        ("codex", "two", "user-prompt-submit", {"prompt": "Mend the build."}),
        ("codex", "two", "stop", {"last_assistant_message": "It builds again."}),
    ):
        said = json.dumps({"session_id": session, **more})
        khive.run("hook", event, "--client", client, stdin=said)

    def told() -> bool:
        shown = khive.call("sessions.list")["sessions"]
        return {one["state"] for one in shown} == {"working", "waiting"}

    wait_until(told, "two sessions are known")
    candidates(khive, "scripts")


def candidates(khive: Installation, *places: str) -> None:
    """Have sessions say what may be decisions, of which no rule is sure."""

    def known() -> int:
        return len(khive.call("review.list", scope="all", limit=100)["candidates"])

    wanted = known() + len(places)
    for place in places:
        said = {"session_id": place, "prompt": f"I think our convention is tabs in {place}."}
        khive.run("hook", "user-prompt-submit", "--client", "codex", stdin=json.dumps(said))
        khive.run("hook", "stop", "--client", "codex", stdin=json.dumps({"session_id": place}))
    wait_until(lambda: known() >= wanted, "all of them are to be reviewed")
