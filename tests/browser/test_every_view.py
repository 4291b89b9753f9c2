"""Every view in a real browser: both themes, a phone's width, no error, nobody else asked, axe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser_support import DESK, FACT, PHONE, Tab, let_in
from support import Installation

pytestmark = pytest.mark.browser

#: Every view, and each in the states that look otherwise.
VIEWS = {
    "now": "/",
    "timeline": "/memory",
    "search": "/memory?q=when+does+the+ledger+close",
    "nothing found": "/memory?q=zzzz+qqqq",
    "filters": "/memory?kind=semantic&tag=ledger&source=notes&in=all&by=person&state=all",
    "entry": "/memory/m1",
    "document": "/memory/k54",
    "no entry": "/memory/m999999",
    "review": "/memory/review",
    "profiles": "/profiles",
    "agents": "/agents",
    "task": "/agents?task=t1",
    "reload": "/agents?plan=1",
    "role": "/agents?role=reviewer",
    "failed task": "/agents?task=t5",
    "workflows": "/workflows",
    "run": "/workflows?run=w1",
    "channels": "/channels",
    "channel": "/channels?channel=ops",
    "audit": "/audit",
    "verified": "/audit?verify=1",
    "health": "/health",
}
_RUN_AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html} ${node.failureSummary}`))"""


@pytest.fixture(scope="module")
def shown(browser: Any, fleet: Installation) -> Iterator[Tab]:
    """One tab for all views: they only look."""
    with let_in(browser, fleet) as found:
        yield found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("address", VIEWS.values(), ids=list(VIEWS))
def test_nobody_is_kept_from_reading_it(shown: Tab, axe: str, address: str, theme: str) -> None:
    shown.complaints.clear()
    shown.page.emulate_media(color_scheme=theme)
    shown.page.set_viewport_size(DESK)
    shown.go(address)
    shown.page.evaluate(axe)
    assert shown.page.evaluate(_RUN_AXE) == []
    shown.clean()


@pytest.mark.parametrize("address", VIEWS.values(), ids=list(VIEWS))
def test_it_fits_a_phone(shown: Tab, address: str) -> None:
    shown.complaints.clear()
    shown.page.set_viewport_size(PHONE)
    shown.go(address)
    wide = shown.page.evaluate(
        "[...document.querySelectorAll('body *')].filter((one) => one.offsetParent &&"
        " one.getBoundingClientRect().right > innerWidth + 1 &&"
        " !one.closest('nav, pre, thead, .hidden'))"
        ".map((one) => one.outerHTML.slice(0, 120))"
    )
    assert wide == []
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    here = shown.page.locator("nav a[aria-current]").bounding_box()
    assert 0 <= here["x"] <= here["x"] + here["width"] <= PHONE["width"], "one sees where one is"
    shown.clean()


def test_a_memory_is_found_and_why(shown: Tab) -> None:
    shown.page.set_viewport_size(DESK)
    shown.go(VIEWS["search"])
    assert FACT in shown.text()
    assert shown.page.locator("mark").count() > 0
    shown.page.locator("details.why summary").first.click()
    assert shown.page.locator("details.why dl").first.is_visible()
    why = shown.page.inner_text("details.why >> nth=0")
    assert "share words with the question" in why
    assert "mean something like it; the likeness is 0." in why


def test_reading_needs_no_script(browser: Any, fleet: Installation) -> None:
    with let_in(browser, fleet, java_script_enabled=False) as tab:
        for address in VIEWS.values():
            answer = tab.page.goto(tab.base + address)
            assert answer.status == 200, address
        tab.page.goto(tab.base + "/memory")
        tab.page.fill("#q", "flamingo")
        tab.page.get_by_role("button", name="Search").click()
        assert FACT in tab.text()
