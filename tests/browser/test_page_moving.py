"""What moves by itself, keys, going back, a connection that is lost, and who is let in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from browser_support import Tab, base_of, launched, let_in, link_of, relayed
from support import Installation, installed, kill

pytestmark = pytest.mark.browser

#: What a browser writes of an answer that says that nobody is logged in.
_REFUSED = "401"


@pytest.fixture(scope="module")
def fleet(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with two memories and no role: it is there sooner."""
    with installed(tmp_path_factory.mktemp("m") / "h") as khive:
        khive.start()
        for content in ("The ledger closes at noon.", "The export runs at night."):
            khive.call("memory.remember", content=content)
        yield khive


def shows(tab: Tab, text: str) -> None:
    """Wait until the page shows a text, without being asked to."""
    tab.page.wait_for_function("(text) => document.body.innerText.includes(text)", arg=text)


def test_what_changes_is_seen_without_being_asked_for(tab: Tab, fleet: Installation) -> None:
    tab.go("/memory")
    fleet.call("memory.remember", content="The bittern is blue.")
    shows(tab, "The bittern is blue.")
    tab.go("/")
    said = {"session_id": "s1", "prompt": "Mend the bittern."}
    fleet.run("hook", "user-prompt-submit", "--client", "codex", stdin=json.dumps(said))
    shows(tab, "Mend the bittern.")
    assert tab.page.locator("tr.working").count() == 1
    fleet.run("hook", "permission-request", "--client", "codex", stdin='{"session_id": "s1"}')
    tab.page.wait_for_selector("tr.waiting")
    assert tab.page.locator(".tile.waiting b").first.inner_text() == "1"


def test_nothing_is_replaced_under_somebodys_hands(tab: Tab, fleet: Installation) -> None:
    name = fleet.call("memory.remember", content="The dunlin nests here.")["id"]
    tab.go(f"/memory/{name}")
    tab.page.get_by_text("Correct it").click()
    tab.page.fill("textarea[name=content]", "The dunlin nests there.")
    with tab.page.expect_response(lambda answer: answer.url.endswith(name)):
        fleet.call("memory.remember", content="Something else changes.")
    assert tab.page.input_value("textarea[name=content]") == "The dunlin nests there."
    assert tab.page.evaluate("document.activeElement.name") == "content"


def test_a_lost_connection_comes_back(browser: Any, fleet: Installation) -> None:
    link = link_of(fleet)
    port = int(base_of(link).rpartition(":")[2])
    with (
        relayed(port) as relay,
        launched(browser, f"--host-resolver-rules=MAP localhost:{port} 127.0.0.1:{relay.port}")
        as led,
    ):  # fmt: skip
        tab = Tab(led.new_page(), f"http://localhost:{port}")
        tab.page.goto(link.replace("127.0.0.1", "localhost"))
        tab.page.wait_for_url(tab.base + "/")
        tab.go("/memory")
        relay.cut()
        tab.page.wait_for_selector("#live.off")
        assert "trying again" in tab.page.inner_text("#live")
        fleet.call("memory.remember", content="The godwit flies by night.")
        relay.mend()
        tab.live()
        shows(tab, "The godwit flies by night.")
        assert tab.strangers == []


def test_a_page_whose_worker_is_another_one_says_how_to_get_in(
    tab: Tab, fleet: Installation
) -> None:
    tab.go("/memory")
    kill(int(fleet.child("http")["pid"]))
    shows(tab, "khive-supervisor open")
    tab.complaints.clear()  # the browser notes that it was refused


def test_what_is_written_is_kept_until_somebody_is_in_again(tab: Tab, fleet: Installation) -> None:
    name = fleet.call("memory.remember", content="The siskin sings at dawn.")["id"]
    tab.go(f"/memory/{name}#correct")
    tab.page.fill("textarea[name=content]", "The siskin sings at dusk.")
    kill(int(fleet.child("http")["pid"]))
    tab.page.wait_for_selector("#live:has-text('logged out')")
    with tab.page.context.expect_page():
        tab.page.evaluate("address => void open(address)", link_of(fleet))
    tab.live()
    tab.press("Replace it")
    assert "The siskin sings at dusk." in tab.text()
    tab.complaints.clear()  # the browser notes that it was refused


def test_all_views_are_reached_by_keys(tab: Tab) -> None:
    tab.go("/")
    for key, address in (
        ("m", "/memory"), ("p", "/profiles"), ("a", "/agents"), ("w", "/workflows"),
        ("c", "/channels"), ("u", "/audit"), ("h", "/health"),
        ("n", "/"),
    ):  # fmt: skip
        tab.page.keyboard.press("g")
        tab.page.keyboard.press(key)
        tab.page.wait_for_url(tab.base + address)
        tab.live()


def test_a_memory_is_found_read_and_pinned_by_keys(tab: Tab) -> None:
    keys = tab.page.keyboard
    tab.go("/")
    keys.press("/")
    tab.page.wait_for_url("**/memory#q")
    tab.page.wait_for_function("() => document.activeElement.id === 'q'")
    keys.type("when does the ledger close")
    keys.press("Enter")
    tab.page.wait_for_url("**/memory?q=*")
    tab.live()
    keys.press("j")
    assert tab.page.evaluate("document.activeElement.textContent") == "m1"
    keys.press("Enter")
    tab.page.wait_for_url("**/memory/m1")
    for _ in range(60):
        keys.press("Tab")
        if tab.page.evaluate("document.activeElement.textContent") == "Pin":
            break
    with tab.page.expect_navigation():
        keys.press("Enter")
    assert tab.notice() == "Pinned."


def test_the_help_opens_and_closes_by_keys(tab: Tab) -> None:
    tab.go("/")
    tab.page.keyboard.press("?")
    assert tab.page.locator("#help").is_visible()
    tab.page.keyboard.press("Escape")
    assert not tab.page.locator("#help").is_visible()
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "main"


def test_the_theme_is_kept(tab: Tab) -> None:
    tab.go("/")
    tab.page.keyboard.press("t")
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "light"
    tab.page.keyboard.press("t")
    tab.go("/memory")
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_going_back_and_loading_again(tab: Tab, fleet: Installation) -> None:
    tab.go("/memory?q=ledger")
    tab.page.get_by_role("link", name="m1", exact=True).click()
    tab.page.wait_for_url("**/memory/m1")
    tab.press("Was useful")
    tab.page.go_back()  # a change goes back to its view, which is a visit of its own
    tab.page.go_back()
    tab.page.wait_for_url("**/memory?q=ledger")
    tab.live()
    assert tab.page.input_value("#q") == "ledger"
    tab.page.go_forward()
    tab.live()
    tab.page.reload()
    tab.live()
    assert tab.page.locator("p.notice").count() == 0, "a notice is of one change, and shown once"


def test_a_link_is_good_once_and_a_login_ends(browser: Any, fleet: Installation) -> None:
    link = link_of(fleet)
    with let_in(browser, fleet) as tab:
        late = browser.new_context()
        other = Tab(late.new_page(), tab.base)
        assert other.page.goto(link).status == 200
        other.page.wait_for_url(base_of(link) + "/")
        again = browser.new_context().new_page()
        assert again.goto(link).status == 401
        assert "used, or is older" in again.inner_text("main")
        assert again.goto(tab.base + "/memory").status == 401
        again.context.close()
        tab.go("/")
        tab.press("Log out")
        assert "logged out" in tab.text()
        assert tab.page.goto(tab.base + "/memory").status == 401
        assert "ledger" not in tab.page.content()
        other.go("/memory")
        assert "ledger" in other.text(), "another browser's login is its own"
        late.close()
        tab.complaints = [one for one in tab.complaints if _REFUSED not in one]


def test_a_page_that_was_logged_out_elsewhere_says_so(tab: Tab, fleet: Installation) -> None:
    tab.go("/memory")
    second = tab.page.context.new_page()
    second.goto(tab.base + "/")
    second.get_by_role("button", name="Log out").click()
    fleet.call("memory.remember", content="The wren is not for everybody.")
    shows(tab, "khive-supervisor open")
    assert "wren" not in tab.page.content()
    tab.complaints.clear()


def test_the_first_page_is_light(browser: Any, fleet: Installation) -> None:
    with let_in(browser, fleet) as tab:
        sizes: list[int] = []
        fresh = browser.new_context()
        page = fresh.new_page()
        page.goto(link_of(fleet))
        page.wait_for_url(tab.base + "/")
        fresh.close()
        tab.page.on("response", lambda answer: sizes.append(_weight(answer)))
        tab.page.context.clear_cookies()
        tab.page.goto(link_of(fleet))
        tab.page.wait_for_url(tab.base + "/")
        tab.live()
        assert 0 < sum(sizes) <= 150_000


def _weight(answer: Any) -> int:
    sizes = answer.request.sizes()
    return int(sizes["responseBodySize"] + sizes["responseHeadersSize"])
