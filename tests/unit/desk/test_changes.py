"""What the page's forms do, and where they lead."""

from __future__ import annotations

from typing import Any

import pytest
from desk_support import FakeBackend, FakeBrowser, desk
from khive_workers.desk.changes import CHANGES, address_after
from khive_workers.desk.views.wishes import WAITING, Failed, Wish

from khive_supervisor.packs import loading

FORM = {"id": "m1", "role": "r", "task": "t1", "target": "m1", "signal": "useful", "only": "same",
        "content": "x", "tags": "a, b", "decision": "drop", "digest": "d", "text": "",
        "approval": "a1", "run": "w1", "workflow": "w", "schedule": "s1",
        "channel": "c", "number": "7"}  # fmt: skip


def logged_in(answers: dict[str, Any]) -> tuple[FakeBrowser, FakeBackend, str]:
    browser = desk(fake := FakeBackend(answers))
    browser.login()
    text = browser.ask("GET", "/health").text
    fake.wished.clear()
    return browser, fake, text.partition('name="csrf" value="')[2].partition('"')[0]


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_change_is_a_verb_s_and_leads_back(name: str) -> None:
    browser, fake, csrf = logged_in({})
    answer = browser.ask("POST", f"/desk/do/{name}", {**FORM, "csrf": csrf, "back": "/health"})
    assert (answer.status, answer.headers["location"]) == (303, "/health")
    (wish,) = fake.wished
    if not wish.supervisor:
        schema = loading.load().get(wish.verb).input_schema
        assert set(wish.args) <= set(schema["properties"])
        assert set(schema["required"]) <= set(wish.args)
    assert CHANGES[name].done in browser.ask("GET", "/health").text
    assert CHANGES[name].done not in browser.ask("GET", "/health").text


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_no_change_is_made_without_the_form_s_token(name: str) -> None:
    browser, fake, csrf = logged_in({})
    path = f"/desk/do/{name}"
    for form, headers in (
        ({**FORM}, {}),
        ({**FORM, "csrf": csrf + "x"}, {}),
        ({**FORM, "csrf": csrf}, {"sec_fetch_site": "cross-site"}),
        ({**FORM, "csrf": csrf}, {"content_type": "application/json"}),
    ):
        assert browser.ask("POST", path, form, **headers).status == 403
    assert browser.ask("GET", path).status == 404
    assert fake.wished == []


def test_what_is_refused_is_said_and_what_was_written_is_kept() -> None:
    entry = {"id": "m1", "content": "old", "created_at": "2026-11-30T00:00:00Z"}
    answers = {"memory.get": {"entries": [entry]}, "memory.supersede": Failed("It is a secret.")}
    browser, _, csrf = logged_in(answers)
    form = {"id": "m1", "content": "my new words", "csrf": csrf, "back": "/memory/m1"}
    answer = browser.ask("POST", "/desk/do/edit", form)
    assert answer.status == 400
    assert "It is a secret." in answer.text
    assert "my new words" in answer.text


@pytest.mark.parametrize(
    ("name", "answer", "why"),
    [
        ("reload", {"state": "failed", "errors": ["the plan p was asked for"]}, "plan p was asked"),
        ("reload", {"state": "rolled_back", "errors": ["it fails"]}, "taken back: it fails"),
        ("forget", {"forgotten": [], "not_live": ["m1"]}, "Nothing was changed"),
        ("restore", {"restored": [], "unchanged": ["m1"]}, "Nothing was changed"),
        ("tidy", {"applied": 0}, "Nothing was changed"),
        ("cancel", {"state": "done", "note": "It has ended already"}, "ended already"),
    ],
)
def test_what_was_not_done_is_not_said_to_be(
    name: str, answer: dict[str, object], why: str
) -> None:
    browser, fake, csrf = logged_in({})
    fake.answers[CHANGES[name].wish(FORM).verb] = answer
    said = browser.ask("POST", f"/desk/do/{name}", {**FORM, "csrf": csrf, "back": "/health"})
    assert (said.status, why in said.text) == (400, True)
    assert CHANGES[name].done not in browser.ask("GET", "/health").text


@pytest.mark.parametrize(
    "back",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)",
     "", "/tasks",
     "/memory\r\nSet-Cookie: a=b", "/memory/../../x y", "/memory/../..//evil.example",
     "/memory//evil.example", "\\\\evil", "/%0d%0a\n"],
)  # fmt: skip
def test_a_form_leads_nowhere_else(back: str) -> None:
    assert address_after({"back": back}) == "/"


@pytest.mark.parametrize("back", ["/", "/memory?q=a", "/memory/m1", "/agents?task=t1"])
def test_a_form_leads_back(back: str) -> None:
    assert address_after({"back": back}) == back


def test_a_write_that_was_put_aside_can_be_tried_again_and_each_be_dropped() -> None:
    write = {"at": "2026-11-30T00:00:00Z", "by": "ada", "verb": "memory.pin", "gist": "m1"}
    browser, fake, _ = logged_in({})
    fake.answers["status"] = {
        "team": {"state": "away", "waiting": 1, "put_aside": 1, "waiting_seconds": 9.0}
    }
    fake.answers[WAITING.verb] = {
        "writes": [
            {**write, "number": 3, "error": "It is gone."},
            {**write, "number": 4, "error": ""},
        ]
    }
    text = browser.ask("GET", "/health").text
    assert 'aria-label="Try again: write 3"' in text
    assert "It could not be stored: It is gone." in text
    assert 'aria-label="Try again: write 4"' not in text, "it is tried by itself"
    for number in (3, 4):
        assert f'data-ask="Forget write {number}? It will not be stored."' in text


def test_a_wish_is_not_made_of_what_is_not_there() -> None:
    assert CHANGES["review"].wish({"id": "c1"}) == Wish("review.decide", {"id": "c1"})
