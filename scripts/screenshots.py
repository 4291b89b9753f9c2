"""Pictures of the page, from a store that is made for them; needs playwright and Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

KHIVE = [sys.executable, "-P", "-m", "khive_supervisor"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip
FACTS = {
    "ledger": "The ledger closes at noon.",
    "webshop": "Checkout stays behind the flag checkout_v2 until the tax service is quick enough.",
    "infra": "The nightly export fails when the disk of node 3 is above 90 %; clean /var/tmp.",
}
#: What was said since, and is shown beside what it contradicts.
SINCE = "The ledger closes at eleven in winter."
#: What the session of each project has told by its hooks, in order: it waits, works, and waits.
SAID = {
    "ledger": ("claude-code", (
        ("session-start", {"source": "startup"}),
        ("user-prompt-submit", {"prompt": "Why is the closing balance a day late?"}),
        ("stop", {"last_assistant_message": "Postings after noon go to the next day."}),
    )),
    "webshop": ("codex", (
        ("session-start", {"source": "startup"}),
        ("user-prompt-submit", {"prompt": "Take checkout_v2 out from behind its flag."}),
    )),
    "infra": ("claude-code", (
        ("session-start", {"source": "startup"}),
        ("user-prompt-submit", {"prompt": "Free space on node 3."}),
        ("permission-request", {"tool_name": "Bash"}),
    )),
}  # fmt: skip
CONFIGURATION = """
[[roles]]
role = "reviewer"
task_types = ["review"]
handler = { command = ["sh", "-c", "echo '\\"No findings.\\"'"] }
budget = { weekly = 20.0 }

[[roles]]
role = "deployer"
task_types = ["deploy"]
handler = { command = ["sh", "-c", "echo '\\"deployed\\"'"] }

[[workflows]]
name = "release"
[[workflows.steps]]
name = "review"
role = "reviewer"
payload = "release 1.4"
[[workflows.steps]]
name = "notes"
role = "reviewer"
payload = "notes of release 1.4"
[[workflows.steps]]
name = "publish"
role = "deployer"
payload = { review = "{{steps.review.result}}", notes = "{{steps.notes.result}}" }
approve = "operator"
"""
#: Each picture: its address, whether it is dark, and the window's width and height.
PICTURES = {
    "now": ("/", False, 1100, 820),
    "now-dark": ("/", True, 1100, 820),
    "memory": ("/memory?q=when+does+the+ledger+close", False, 1100, 700),
    "workflows": ("/workflows?run=w1", False, 1100, 760),
    "memory-phone-dark": ("/memory", True, 390, 700),
}


def fill(env: dict[str, str], home: Path) -> None:
    """Store what the pictures show: memories of three projects, a session in each, a workflow."""
    file = home / ".config/khive/khive.toml"
    file.parent.mkdir(parents=True)
    file.write_text(CONFIGURATION, encoding="utf-8")

    def khive(*words: str, cwd: Path = home, said: str = "") -> None:
        run = subprocess.run
        run(
            [*KHIVE, *words],
            cwd=cwd,
            env=env,
            check=True,
            capture_output=True,
            input=said,
            text=True,
        )

    khive("start", "--background", "--quiet")
    for project, fact in FACTS.items():
        folder = home / project
        subprocess.run(["git", "init", "-q", "-b", "main", folder], check=True)
        khive("remember", fact, cwd=folder)
        client, events = SAID[project]
        for event, more in events:
            said = json.dumps({"session_id": project, **more})
            khive("hook", event, "--client", client, cwd=folder, said=said)
    khive("remember", SINCE, cwd=home / "ledger")
    for number in range(4):
        khive("assign", f'"change {number}"', "--role", "reviewer", "--wait")
    khive("workflow", "run", "release")


def take(page: Page, base: str, folder: Path) -> list[str]:
    """Take all pictures; the errors that the console has shown."""
    errors: list[str] = []
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: errors.append(str(one)))
    for name, (address, dark, width, height) in PICTURES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto(base + address)
        page.wait_for_selector("#live.on")
        page.screenshot(path=folder / f"{name}.png")
    return errors


def main(folder: Path) -> int:
    """Take the pictures; 1 if the console has shown an error."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory(prefix="khive-pictures-") as home:
        env = {**os.environ, "HOME": home, "XDG_RUNTIME_DIR": ""}
        try:
            fill(env, Path(home))
            asked = [*KHIVE, "open", "--print"]
            link = subprocess.run(asked, env=env, check=True, capture_output=True, text=True).stdout
            base = link.partition("/login")[0]
            with sync_playwright() as player:
                browser = player.chromium.launch(executable_path=chromium, args=FLAGS)
                page = browser.new_page()
                page.goto(link.strip())
                page.wait_for_url(base + "/")
                errors = take(page, base, folder)
                browser.close()
        finally:
            subprocess.run([*KHIVE, "stop", "--sessions"], env=env, check=False)
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
