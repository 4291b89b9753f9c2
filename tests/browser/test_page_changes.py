"""Every change that the page offers, by clicks in a real browser, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest
from browser_support import PHONE, Tab, candidates, let_in
from support import Installation, installed, wait_until

from benchmarks.team.nodes import postgres
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.team.waiting import waiting_file

pytestmark = pytest.mark.browser


def entry(khive: Installation, name: str) -> dict[str, Any]:
    (found,) = khive.call("memory.get", ids=[name])["entries"]
    return dict(found)


def remember(khive: Installation, content: str, **more: Any) -> str:
    return str(khive.call("memory.remember", content=content, **more)["id"])


def role(khive: Installation, name: str) -> dict[str, Any]:
    return next(one for one in khive.status()["roles"] if one["role"] == name)


def test_a_wrong_memory_is_repaired(tab: Tab, fleet: Installation) -> None:
    told = {"tags": ["archive"], "kind": "episodic", "salience": 0.9, "source": "notes/heron.md"}
    wrong = remember(fleet, "The heron archive is kept for four years.", **told)
    tab.go("/memory?q=how+long+is+the+heron+archive+kept")
    tab.page.get_by_role("link", name=f"Correct {wrong}", exact=True).click()
    assert tab.page.input_value("textarea[name=content]") == (
        "The heron archive is kept for four years."
    )
    tab.page.fill("textarea[name=content]", "The heron archive is kept for ten years.")
    tab.press("Replace it")
    assert "replaced" in tab.notice()
    new = entry(fleet, wrong)["superseded_by"]
    assert tab.page.url == f"{tab.base}/memory/{new}"
    kept = entry(fleet, new)
    assert kept["content"] == "The heron archive is kept for ten years."
    assert {name: kept[name] for name in told} == told
    tab.go(f"/memory/{wrong}")
    assert f"replaced by {new}" in tab.text(), "the old one says what took its place"


def test_what_two_tabs_correct_is_not_lost(tab: Tab, fleet: Installation) -> None:
    name = remember(fleet, "The plover sleeps in hall four.")
    tab.go(f"/memory/{name}#correct")
    tab.page.fill("textarea[name=content]", "The plover sleeps in hall five.")
    new = fleet.call("memory.supersede", id=name, content="The plover sleeps in hall six.")["id"]
    tab.press("Replace it")
    assert "no longer live" in tab.text()
    assert tab.page.input_value("textarea[name=content]") == "The plover sleeps in hall five."
    tab.complaints.clear()  # the browser notes that a form was refused
    tab.press(f"Replace {new}")
    assert entry(fleet, entry(fleet, new)["superseded_by"])["content"] == (
        "The plover sleeps in hall five."
    )


def test_what_was_written_is_not_lost_when_it_is_refused(tab: Tab, fleet: Installation) -> None:
    name = remember(fleet, "The crane is in hall two.")
    tab.go(f"/memory/{name}")
    tab.page.get_by_text("Correct it").click()
    tab.page.fill("textarea[name=content]", "The crane is in hall three.")
    tab.page.fill("input[name=tags]", "x" * 70)
    tab.press("Replace it")
    assert tab.page.locator("[role=alert]").count() > 0
    assert tab.page.input_value("textarea[name=content]") == "The crane is in hall three."
    tab.complaints.clear()  # the browser notes that a form was refused


def test_an_entry_is_pinned_judged_forgotten_brought_back_and_purged(
    tab: Tab, fleet: Installation
) -> None:
    name = remember(fleet, "The stork has a spare key.")
    tab.go(f"/memory/{name}")
    for words, done in (
        ("Pin", "Pinned."),
        ("Unpin", "No longer pinned."),
        ("Was useful", "Noted."),
        ("Was wrong", "Noted."),
        ("Forget", "Forgotten"),
        ("Restore", "It is back."),
    ):
        tab.press(words)
        assert done in tab.notice()
    assert "forgotten_at" not in entry(fleet, name)
    tab.page.once("dialog", lambda asked: asked.dismiss())
    tab.page.get_by_role("button", name="Purge").click()
    assert entry(fleet, name)["id"] == name, "no is no"
    tab.page.once("dialog", lambda asked: asked.accept())
    tab.press("Purge")
    assert "Removed for good" in tab.notice()
    with pytest.raises(KhiveError, match="purged"):
        fleet.call("memory.get", ids=[name])


def test_what_sessions_may_have_decided_is_kept_in_other_words_or_dropped(
    tab: Tab, fleet: Installation
) -> None:
    candidates(fleet, "makefiles", "notebooks", "diagrams")
    tab.go("/memory/review")
    first, second, third = (
        str(one["id"]) for one in fleet.call("review.list", scope="all")["candidates"][:3]
    )
    tab.page.locator(f"#{first}").get_by_text("Keep", exact=True).click()
    tab.page.wait_for_selector(f"#{first}", state="detached")
    tab.page.locator(f"#{second}").get_by_text("In other words").click()
    tab.page.locator(f"#{second} textarea").fill("Uploads are tried at most five times.")
    tab.page.locator(f"#{second}").get_by_text("Keep so").click()
    tab.page.wait_for_selector(f"#{second}", state="detached")
    tab.page.locator(f"#{third}").get_by_text("Drop").click()
    tab.page.wait_for_selector(f"#{third}", state="detached")
    assert "tried at most five times" in str(fleet.call("memory.list", scope="all"))


def test_what_is_said_twice_is_merged_and_undone(tab: Tab, fleet: Installation) -> None:
    remember(fleet, "The pelican server runs Debian twelve.")
    twice = remember(fleet, "The pelican server runs Debian 12.", both_hold=[])
    found = fleet.call("memory.tidy")["proposals"]
    if not any(one["id"] == twice for one in found):
        remember(fleet, "The pelican server runs debian twelve!")
    tab.go("/memory/review")
    tab.page.once("dialog", lambda asked: asked.accept())
    tab.press("Merge them")
    assert "Tidied up" in tab.notice()
    tab.press("Undo the last one")
    assert tab.notice() == "Undone."


def test_a_role_is_drained_and_resumed(tab: Tab, fleet: Installation) -> None:
    tab.go("/agents?role=reviewer")
    card = tab.page.locator(".entry", has=tab.page.get_by_text("reviewer", exact=True)).first
    asked: list[str] = []
    tab.page.once("dialog", lambda one: (asked.append(one.message), one.accept()))
    with tab.page.expect_navigation():
        card.get_by_role("button", name="Drain").click()
    assert "takes no more" in asked[0], "what it will do is said before"
    wait_until(lambda: not role(fleet, "reviewer")["in_service"], "it is out of service")
    with tab.page.expect_navigation():
        card.get_by_role("button", name="Resume").click()
    wait_until(lambda: role(fleet, "reviewer")["in_service"], "it serves again")
    tab.go("/agents")
    with tab.page.expect_navigation():
        card.get_by_role("button", name="Replace workers").click()
    assert "replaced" in tab.notice()


def test_a_task_is_cancelled_and_tried_again(tab: Tab, fleet: Installation) -> None:
    name = fleet.call("agents.assign", role="talker", payload="later", at="12h")["task"]
    tab.go(f"/agents?task={name}")
    tab.press("Cancel")
    assert fleet.call("agents.task", task=name)["state"] == "cancelled"
    tab.press("Try again")
    assert fleet.call("agents.task", task=name)["state"] != "cancelled"


def test_a_reload_is_seen_before_it_is_done(tab: Tab, fleet: Installation) -> None:
    file = fleet.home / ".config/khive/khive.toml"
    kept = file.read_text()
    try:
        file.write_text(kept + "\n[search]\nfloor = 0.31\n")
        tab.go("/agents")
        tab.page.get_by_text("What would a reload change?").click()
        assert "search.floor" in tab.text()
        tab.page.once("dialog", lambda asked: asked.accept())
        tab.press("Take it over")
        assert "read again" in tab.notice()
        file.write_text("no = such\n")
        tab.go("/agents?plan=1")
        assert tab.page.locator(".problem").count() > 0
    finally:
        file.write_text(kept)
        fleet.run("reload")


def test_an_approval_is_given_and_refused(tab: Tab, fleet: Installation) -> None:
    (asked,) = fleet.call("workflow.approvals")["approvals"]
    tab.go("/")
    tab.page.get_by_role("link", name="to approve").click()
    card = tab.page.locator(f"#{asked['approval']}")
    card.locator("input[name=note]").fill("The build is good.")
    with tab.page.expect_navigation():
        card.get_by_role("button", name="Approve").click()
    assert "Approved" in tab.notice()
    answer = fleet.call("workflow.approvals", all=True)["approvals"][0]
    assert (answer["state"], answer["note"]) == ("given", "The build is good.")
    tab.page.once("dialog", lambda one: one.accept())
    tab.press("Run it")
    card = tab.page.locator("#approvals .entry").first
    card.wait_for()
    with tab.page.expect_navigation():
        card.get_by_role("button", name="Refuse").click()
    assert "Refused" in tab.notice()
    last = fleet.call("workflow.approvals", all=True)["approvals"][0]
    assert last["state"] == "refused"


def test_a_run_is_cancelled_and_a_schedule_removed(tab: Tab, fleet: Installation) -> None:
    run = fleet.call("workflow.run", workflow="release", input={"version": "2"}, at="12h")["run"]
    tab.go(f"/workflows?run={run}")
    assert "publish" in (tab.page.get_attribute("#run svg", "aria-label") or ""), "its graph"
    tab.page.once("dialog", lambda one: one.accept())
    tab.press("Cancel it")
    assert fleet.call("workflow.show", run=run)["state"] == "cancelled"
    tab.press("Go on with it")
    assert fleet.call("workflow.show", run=run)["state"] == "running"
    tab.page.once("dialog", lambda one: one.accept())
    tab.press("Remove")
    assert fleet.call("workflow.schedules")["schedules"] == []


def test_a_channel_is_tried_out(tab: Tab, fleet: Installation) -> None:
    tab.go("/channels")
    tab.press("Send a test")
    assert "given to it" in tab.notice()
    tab.page.wait_for_selector("#messages .state.sent")
    assert "ops" in tab.page.inner_text("#messages")


def test_a_write_that_waits_is_tried_again_and_dropped(browser: Any, tmp_path: Path) -> None:
    with postgres() as server, installed(tmp_path / "h") as khive:
        khive.configure(
            f'[embedder]\nkind = "none"\n[store]\nurl = "{server.url}"\naway = "wait"\n'
        )
        khive.start()
        server.stop()
        for word in ("gull", "tern", "skua"):
            khive.call("memory.remember", content=f"The {word} came back.")
        with apsw.Connection(waiting_file(khive.status()["store"])) as connection:
            connection.execute("UPDATE calls SET error = 'It is refused.' WHERE number < 3")
        with let_in(browser, khive) as tab:
            tab.page.set_viewport_size(PHONE)
            tab.go("/health")
            assert "It could not be stored: It is refused." in tab.text()
            tab.press("Try again: write 1")
            assert tab.notice() == "It waits again, behind the others."
            tab.page.once("dialog", lambda asked: asked.dismiss())
            tab.page.get_by_role("button", name="Drop: write 2").click()
            assert len(khive.json("team", "waiting")["writes"]) == 3, "no is no"
            tab.page.once("dialog", lambda asked: asked.accept())
            tab.page.get_by_role("button", name="Drop: write 2").focus()
            with tab.page.expect_navigation():
                tab.page.keyboard.press("Enter")
            assert tab.notice() == "Forgotten: it will not be stored."
            wide = "document.documentElement.scrollWidth > innerWidth"
            assert not tab.page.evaluate(wide), "it fits a phone"
        left = [(one["number"], one["error"]) for one in khive.json("team", "waiting")["writes"]]
        assert left == [(3, ""), (4, "")]
