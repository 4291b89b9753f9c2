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
    "ledger": "The ledger closes at noon; postings after that go to the next day.",
    "webshop": "Checkout stays behind the flag checkout_v2 until the tax service is quick enough.",
    "infra": "The nightly export fails when the disk of node 3 is above 90 %; clean /var/tmp.",
}
#: Each picture: its address, whether it is dark, and the width of the window.
PICTURES = {
    "now": ("/", False, 1100),
    "memory": ("/memory?q=when+does+the+ledger+close", False, 1100),
    "memory-phone-dark": ("/memory", True, 390),
}


def fill(env: dict[str, str], home: Path) -> None:
    """Store what the pictures show: memories of three projects, and a session in each."""
    for number, (project, fact) in enumerate(FACTS.items()):
        folder = home / project
        subprocess.run(["git", "init", "-q", "-b", "main", folder], check=True)
        said = {"session_id": f"s{number}", "cwd": str(folder), "prompt": f"Look at {project}."}
        call = [
            "call",
            "hooks.command",
            "client=claude-code",
            f"said={json.dumps(json.dumps(said))}",
        ]
        for words in (["remember", fact], [*call, "event=user-prompt-submit"]):
            subprocess.run([*KHIVE, *words], cwd=folder, env=env, check=True, capture_output=True)


def take(page: Page, base: str, folder: Path) -> list[str]:
    """Take all pictures; the errors that the console has shown."""
    errors: list[str] = []
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: errors.append(str(one)))
    for name, (address, dark, width) in PICTURES.items():
        page.set_viewport_size({"width": width, "height": 700})
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
