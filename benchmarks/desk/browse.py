"""Opens pages in one headless Chromium, in turns: run where Playwright is installed.

Takes JSON on stdin: `chromium`, the program; `rounds`; and `pages`, each with `name`, `url`, the
`selector` of what its first view is there for, and `cookies`. Prints JSON: for each name the
milliseconds from the navigation until that was in the document, `cold` in a context of its own and
`warm` when it is opened again there.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

#: Milliseconds for any page.
DEADLINE = 120_000
#: Nothing but the loopback is resolved: what a page asks of others fails at once.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # fmt: skip
#: Notes when the selector is in the document; the clock begins at the navigation.
_WATCH = """
(() => {
  const look = () => {
    if (window.khiveShown === undefined && document.querySelector(SELECTOR)) {
      window.khiveShown = performance.now();
      watch.disconnect();
    }
  };
  const watch = new MutationObserver(look);
  watch.observe(document, { childList: true, subtree: true });
})();
"""


def opened(browser: Browser, page: dict[str, Any]) -> tuple[float, float]:
    """Return the milliseconds of a page that was never opened, and of the same once more."""
    context = browser.new_context()
    context.add_cookies(page["cookies"])
    context.add_init_script(_WATCH.replace("SELECTOR", json.dumps(page["selector"])))
    tab = context.new_page()
    taken = []
    for _ in range(2):
        tab.goto(page["url"], wait_until="commit", timeout=DEADLINE)
        _await(tab, page["selector"])
        taken.append(float(tab.evaluate("() => window.khiveShown")))
        tab.wait_for_load_state("load", timeout=DEADLINE)
    context.close()
    return taken[0], taken[1]


def _await(tab: Page, selector: str) -> None:
    """Wait for what a view is there for; what is there instead is told."""
    try:
        tab.wait_for_selector(selector, state="attached", timeout=DEADLINE)
    except PlaywrightError as error:
        raise PlaywrightError(f"{error}; there is: {tab.inner_text('body')[:400]!r}") from error


def main() -> None:
    """Open all pages in turns; the first round is not measured."""
    asked = json.load(sys.stdin)
    found: dict[str, dict[str, list[float]]] = {
        page["name"]: {"cold": [], "warm": []} for page in asked["pages"]
    }
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=asked["chromium"], args=FLAGS)
        for number in range(asked["rounds"] + 1):
            for page in asked["pages"]:
                try:
                    cold, warm = opened(browser, page)
                except PlaywrightError as error:
                    sys.exit(f"{page['name']} was not shown in round {number}: {error}")
                if number:
                    found[page["name"]]["cold"].append(cold)
                    found[page["name"]]["warm"].append(warm)
        browser.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
