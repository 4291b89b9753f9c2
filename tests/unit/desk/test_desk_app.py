"""The page as an application: who gets in, what nobody else is shown, and what cannot be done."""

from __future__ import annotations

import re

import pytest
from desk_support import HOST, FakeBackend, desk
from khive_workers.desk import guard
from khive_workers.desk.live import settled
from khive_workers.desk.table import BY_PATH
from khive_workers.desk.views.wishes import STATUS, Failed

SECRET = "the flamingo ledger"
ENTRY = {"id": "m1", "content": SECRET, "kind": "semantic", "created_at": "2026-11-30T00:00:00Z"}


def backend() -> FakeBackend:
    return FakeBackend({"memory.list": {"entries": [ENTRY], "total": 1}})


def csrf_in(text: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', text)
    assert found is not None
    return found[1]


def test_nobody_is_shown_anything_before_a_login() -> None:
    browser = desk(fake := backend())
    for path in (*BY_PATH, "/memory/m1", "/desk/live", "/desk/nothing", "/logout"):
        for method in ("GET", "HEAD", "POST"):
            answer = browser.ask(method, path, {} if method == "POST" else None)
            assert answer.status == 401, path
            assert SECRET not in answer.text
            assert "set-cookie" not in answer.headers
    assert fake.wished == []
    assert "khive-supervisor open" in browser.ask("GET", "/").text


def test_a_link_lets_in_once() -> None:
    browser, other = desk(fake := backend()), desk(fake)
    assert browser.login().status == 200
    assert SECRET in browser.ask("GET", "/memory").text
    assert other.login().status == 401
    assert other.cookie == ""
    assert other.ask("GET", "/memory").status == 401


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_only_following_the_link_uses_it_up(method: str) -> None:
    browser = desk(backend())
    assert browser.ask(method, "/login?ticket=good").status == 401
    assert browser.login().status == 200


def test_the_cookie_is_a_new_one_and_only_ours_reads_it() -> None:
    browser = desk(fake := backend())
    browser.cookie = prepared = f"{guard.cookie_name(HOST.partition(':')[2])}=prepared"
    header = browser.login().headers["set-cookie"]
    assert browser.cookie != prepared
    for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in header
    assert "Domain" not in header
    first = browser.cookie
    fake.tickets.add("good")
    browser.login()
    assert browser.cookie != first
    browser.cookie = first
    assert browser.ask("GET", "/").status == 401  # the session of before has ended


@pytest.mark.parametrize("csrf", ["", "guessed"])
def test_a_change_needs_the_page_s_own_form(csrf: str) -> None:
    browser = desk(backend())
    browser.login()
    assert browser.ask("POST", "/logout", {"csrf": csrf}).status == 403
    good = csrf_in(browser.ask("GET", "/").text)
    other = browser.ask("POST", "/logout", {"csrf": good}, content_type="text/plain")
    assert other.status == 403
    foreign = browser.ask("POST", "/logout", {"csrf": good}, sec_fetch_site="same-site")
    assert foreign.status == 403
    assert browser.ask("GET", "/").status == 200


def test_a_logout_ends_the_session_not_only_the_cookie() -> None:
    browser = desk(backend())
    browser.login()
    kept = browser.cookie
    answer = browser.ask("POST", "/logout", {"csrf": csrf_in(browser.ask("GET", "/").text)})
    assert "Max-Age=0" in answer.headers["set-cookie"]
    browser.cookie = kept
    assert browser.ask("GET", "/").status == 401


@pytest.mark.parametrize("path", ["/", "/memory", "/login?ticket=bad", "/nothing", "/desk/nothing"])
@pytest.mark.parametrize("inside", [False, True])
def test_every_answer_is_guarded_and_kept_by_nobody(path: str, inside: bool) -> None:
    browser = desk(backend())
    if inside:
        browser.login()
    headers = browser.ask("GET", path).headers
    for name, value in guard.HEADERS.items():
        assert headers[name.lower()] == value
    assert "location" not in headers


def test_a_failure_is_told_and_a_bug_is_an_answer() -> None:
    browser = desk(FakeBackend({"memory.list": {"entries": [{}]}}))
    browser.login()
    assert browser.ask("GET", "/memory").status == 500


def test_what_is_too_much_is_left_out_and_never_a_fault() -> None:
    browser = desk(backend())
    browser.login()
    many = "&".join(f"a{number}=1" for number in range(200))
    assert browser.ask("GET", f"/health?{many}").status == 200


def test_own_files_are_named_by_their_content_and_need_no_login() -> None:
    browser = desk(backend())
    page = browser.ask("GET", "/").text
    found = re.findall(r'(?:src|href)="(/desk/static/[^"]+)"', page)
    assert found
    for address in found:
        answer = browser.ask("GET", address)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_page_names_another_server() -> None:
    browser = desk(backend())
    browser.login()
    for path in BY_PATH:
        text = browser.ask("GET", path).text
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', text)
        assert not re.findall(r"<script(?! src=)|\sstyle=|\son\w+=", text)


def test_health_shows_how_it_stands_with_a_team_where_there_is_one() -> None:
    team = {
        "state": "away", "problem": "Connection <refused>.", "node": "n1", "number": 7, "behind": 0,
        "waiting": 3, "waiting_seconds": 61, "put_aside": 1,
    }  # fmt: skip
    for status, there in (({"team": team}, True), ({"team": {"state": "off"}}, False), ({}, False)):
        browser = desk(FakeBackend({STATUS.verb: status}))
        browser.login()
        text = browser.ask("GET", "/health").text
        assert ("Connection &lt;refused&gt;." in text) is there
        assert ("3, for up to 1 min" in text) is there
        assert ('id="team-title"' in text) is there


def test_a_page_that_asks_by_itself_does_not_take_what_is_said_of_a_change() -> None:
    browser = desk(FakeBackend())
    browser.login()
    text = browser.ask("GET", "/health").text
    csrf = text.partition('name="csrf" value="')[2].partition('"')[0]
    browser.ask("POST", "/desk/do/pin", {"csrf": csrf, "id": "m1", "back": "/memory/m1"})
    assert "Pinned." not in browser.ask("GET", "/health", khive_part="1").text
    assert "Pinned." in browser.ask("GET", "/memory/m1").text


def test_no_page_is_told_that_memory_or_calls_are_others() -> None:
    one = {"state": "ready", "sessions": [{"id": "a", "calls": 1, "memory_bytes": 5, "cwd": "/"}]}
    two = {"state": "ready", "sessions": [{"id": "a", "calls": 9, "memory_bytes": 7, "cwd": "/"}]}
    assert settled(one) == settled(two)
    assert settled(one) != settled({**two, "state": "degraded"})
    assert settled(Failed("away")) != settled(one)
