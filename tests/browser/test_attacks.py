"""What others may try on a browser that is logged in: their pages, and texts that are stored."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from browser_support import PHONE, Tab, link_of
from support import Installation, installed

pytestmark = pytest.mark.browser

#: Does something in each place of a page where a text may stand, if it is not a text there.
HOSTILE = (
    "</textarea></title></script></style>\"'><script>window.broken=1</script>"
    "<img src=x onerror=window.broken=1><svg onload=window.broken=1>"
    "<a href=javascript:window.broken=1>{{7*7}}${7*7}"
)
ADDRESSES = (
    "/", "/memory", "/memory?q=window", "/memory/m1", "/memory/k2", "/memory/review",
    "/profiles", "/profiles?name=hostile-v1", "/agents", "/agents?task=t1", "/agents?task=t2",
    "/agents?plan=1", "/agents?role=fails", "/workflows", "/channels",
    "/audit", "/audit?verify=1", "/health",
)  # fmt: skip
NAME = "img-src-x-onerror" + "-x" * 22


@pytest.fixture(scope="module")
def fleet(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose every stored text is hostile."""
    with installed(tmp_path_factory.mktemp("x") / "h") as khive:
        project = khive.home / "<img src=x onerror=window.broken=1>"
        project.mkdir()
        words = f"import sys; sys.stderr.write({HOSTILE!r}); print({json.dumps(HOSTILE)!r})"
        handler = json.dumps(["python3", "-c", words])
        fails = json.dumps(["python3", "-c", f"import sys; sys.exit({HOSTILE!r})"])
        khive.configure(
            f'[[roles]]\nrole = "{NAME}"\ntask_types = ["x"]\nhandler = {{ command = {handler} }}\n'
            f'[[roles]]\nrole = "fails"\ntask_types = ["y"]\nhandler = {{ command = {fails} }}\n'
        )
        khive.start()
        where = str(project)
        khive.call_from(where, "memory.remember", content=HOSTILE, title=HOSTILE[:200],
                        tags=[HOSTILE[:60]], source=HOSTILE, kind="semantic")  # fmt: skip
        learned = {"title": HOSTILE[:200], "content": HOSTILE, "source": HOSTILE}
        khive.call_from(where, "knowledge.learn", entries=[learned])
        for role in (NAME, "fails"):
            task = khive.call_from(where, "agents.assign", role=role, payload={HOSTILE: HOSTILE})
            khive.call("agents.wait", task=task["task"])
        said = {
            "session_id": HOSTILE[:150],
            "cwd": where,
            "prompt": f"I think our convention is {HOSTILE}",
        }
        for event in ("user-prompt-submit", "stop"):
            khive.run("hook", event, "--client", HOSTILE[:80], stdin=json.dumps(said))
        khive.call("brain.create_profile", name="hostile-v1", description=HOSTILE[:400])
        yield khive


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_stored_text_becomes_a_script(tab: Tab, address: str) -> None:
    tab.go(address)
    assert tab.page.evaluate("window.broken") is None
    assert tab.page.locator("main img, main script, main svg:not(.plot)").count() == 0
    assert tab.page.locator("a[href^='javascript:']").count() == 0


def test_no_stored_text_is_wider_than_a_phone(tab: Tab) -> None:
    tab.page.set_viewport_size(PHONE)
    for address in ADDRESSES:
        tab.go(address)
        over = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, address


@pytest.mark.parametrize(
    "address",
    [f"/memory?q={quote(HOSTILE)}", f"/memory?tag={quote(HOSTILE)}&source={quote(HOSTILE)}",
     f"/audit?kind={quote(HOSTILE)}&subject={quote(HOSTILE)}", f"/agents?role={quote(HOSTILE)}",
     f"/agents?task={quote(HOSTILE)}", f"/profiles?name={quote(HOSTILE)}", f"/{quote(HOSTILE)}"],
)  # fmt: skip
def test_no_address_becomes_a_script(tab: Tab, address: str) -> None:
    tab.page.goto(tab.base + address)
    assert tab.page.evaluate("window.broken") is None
    tab.complaints = [one for one in tab.complaints if "status of 4" not in one]


class Evil(http.server.BaseHTTPRequestHandler):
    """A page on another port of this machine: the same site, to which cookies are sent."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: object) -> None:
        """Say nothing of it."""


@pytest.fixture(scope="module")
def evil() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_page_of_others_changes_nothing(tab: Tab, fleet: Installation, evil: str) -> None:
    other = tab.page.context.new_page()
    for path in ("/desk/do/forget", "/logout", "/desk/do/reload"):
        Evil.body = (
            f'<form method=post action="{tab.base}{path}"><input name=id value=m1>'
            "<input name=csrf value=guess></form>"
        ).encode()
        other.goto(evil)
        with other.expect_navigation() as led:
            other.evaluate("document.forms[0].submit()")
        assert led.value.status == 403
    other.goto(evil)
    asked = other.evaluate(
        "(base) => fetch(base + '/desk/do/forget', {method: 'POST', mode: 'no-cors',"
        " credentials: 'include', body: new URLSearchParams({id: 'm1'})})"
        ".then((answer) => answer.type, (error) => 'refused')",
        tab.base,
    )
    assert asked in ("opaque", "refused")
    assert "forgotten_at" not in fleet.call("memory.get", ids=["m1"])["entries"][0]
    tab.go("/memory")
    assert "in all" in tab.text(), "the login is still there"


def test_a_page_of_others_reads_nothing(tab: Tab, evil: str) -> None:
    Evil.body = f'<iframe src="{tab.base}/memory"></iframe>'.encode()
    other = tab.page.context.new_page()
    other.goto(evil)
    other.wait_for_load_state("load")
    (framed,) = other.frames[1:]
    assert "window.broken" not in framed.content()
    for kind in ("script", "img", "link"):
        found = other.evaluate(
            "([kind, base]) => new Promise((done) => { const one = document.createElement(kind);"
            " one.onload = () => done('loaded'); one.onerror = () => done('refused');"
            " if (kind === 'link') { one.rel = 'stylesheet'; one.href = base + '/memory'; }"
            " else one.src = base + '/memory'; document.body.append(one); })",
            [kind, tab.base],
        )
        assert found == "refused", kind
    read = other.evaluate(
        "(base) => fetch(base + '/memory', {credentials: 'include'})"
        ".then((answer) => answer.text(), () => 'refused')",
        tab.base,
    )
    assert read == "refused"


def test_a_form_leads_nowhere_else(tab: Tab, fleet: Installation, evil: str) -> None:
    for back in (evil, "//127.0.0.1:1/", "/\\127.0.0.1:1/", "javascript:alert(1)", "/memory@evil"):
        tab.go("/memory/m1")
        tab.page.evaluate(
            "(back) => document.querySelectorAll('input[name=back]').forEach((one) =>"
            " { one.value = back; })",
            back,
        )
        tab.press("Pin" if tab.page.get_by_role("button", name="Pin", exact=True).count() else
                  "Unpin")  # fmt: skip
        assert tab.page.url == tab.base + "/"


def test_a_key_that_somebody_prepared_opens_nothing(browser: Any, fleet: Installation) -> None:
    link = link_of(fleet)
    base = link.partition("/login")[0]
    port = base.rpartition(":")[2]
    context = browser.new_context()
    prepared = {"name": f"khive-desk-{port}", "value": "prepared", "url": base}
    context.add_cookies([prepared])
    page = context.new_page()
    assert page.goto(base + "/memory").status == 401
    page.goto(link)
    page.wait_for_url(base + "/")
    (cookie,) = context.cookies()
    assert cookie["value"] != "prepared"
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    thief = browser.new_context()
    thief.add_cookies([prepared])
    assert thief.new_page().goto(base + "/memory").status == 401
    thief.close()
    context.close()
