"""Channels with real processes and a real receiver: what is promised in docs/channels.md."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from receivers import Receiver, mailbox, receiver
from support import Installation, kill, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.channels.signing import sign

SECRET = "a-secret-that-nobody-sees"
CONFIG = """
[embedder]
kind = "none"

[[roles]]
role = "reviewer"
task_types = ["review"]
handler = {{ command = ["/bin/sh", "-c", "exit 1"] }}
attempts = 1

[[channels]]
name = "hook"
kind = "webhook"
url = "{url}"
secret = "${{HOOK_SECRET}}"
events = ["task.failed", "memory.*"]
timeout = "1s"
"""


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def begin(khive: Installation, there: Receiver, more: str = "") -> None:
    khive.configure(CONFIG.format(url=there.url) + more)
    khive.env["HOOK_SECRET"] = SECRET
    khive.start()


def test_what_happens_is_told_signed_and_no_secret_is_anywhere(
    khive: Installation, there: Receiver
) -> None:
    begin(khive, there)
    khive.call("agents.assign", role="reviewer", payload="x")
    wait_until(lambda: "task.failed" in there.kinds(), "the failure to be told")
    (one,) = (one for one in there.taken if one["body"]["type"] == "task.failed")
    headers = one["headers"]
    stamp = int(headers["webhook-timestamp"])
    expected = sign(SECRET, headers["webhook-id"], stamp, one["raw"])
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert one["body"]["data"]["role"] == "reviewer"
    assert khive.json("channels", "test", "hook")["state"] == "sent"
    shown = khive.run("config", "show").stdout + khive.run("channels", "list").stdout
    shown += str(khive.status()) + khive.log.read_text()
    assert SECRET not in shown
    assert "/hook" not in shown
    assert khive.child("notifier")["state"] == "ready"


@pytest.mark.long
def test_a_receiver_that_hangs_and_fails_gets_each_in_order_though_the_notifier_is_killed(
    khive: Installation,
) -> None:
    answers = {2: None, 3: (503, {}), 4: (429, {"Retry-After": "1"})}
    with receiver(lambda number: answers.get(number, (200, {}))) as there:
        begin(khive, there)
        for number in range(8):
            khive.call("memory.remember", content=f"what number {number} was about {number * 7}")
            if number == 4:
                kill(khive.child("notifier")["pid"], signal.SIGKILL)
        wait_until(lambda: len({_key(one) for one in there.taken}) == 8, "all to be told")
        keys = list(dict.fromkeys(_key(one) for one in there.taken))
        subjects = [int(key.rpartition("-")[2]) for key in keys]
        assert sorted(subjects) == sorted(set(subjects))
        assert khive.json("channels", "list")["channels"][0]["dead"] == 0


def _key(request: dict[str, dict[str, str]]) -> str:
    return request["headers"]["webhook-id"]


def test_a_reload_begins_and_ends_channels_and_one_that_comes_back_is_not_told_of_the_past(
    khive: Installation, there: Receiver
) -> None:
    text = CONFIG.format(url=there.url)
    khive.configure(text.partition("[[channels]]")[0])
    khive.env["HOOK_SECRET"] = SECRET
    khive.start()
    assert not [one for one in khive.status()["children"] if one["name"] == "notifier"]
    for content in ("the first thing to know", "another matter altogether"):
        khive.call("memory.remember", content=content)
        khive.configure(text)
        assert khive.run("reload").returncode == exitcodes.OK
        wait_until(lambda: khive.child("notifier")["state"] == "ready", "the notifier")
        khive.configure(text.partition("[[channels]]")[0])
        assert khive.run("reload").returncode == exitcodes.OK
    khive.configure(text)
    assert khive.run("reload").returncode == exitcodes.OK
    khive.call("memory.remember", content="something that comes at last")
    wait_until(lambda: there.taken, "the last one to be told")
    assert [one["body"]["data"]["subject"] for one in there.taken] == ["entry/m3"]


def test_apprise_and_commands_are_sent_to_as_well(khive: Installation, there: Receiver) -> None:
    told = khive.home / "told"
    more = f"""
[[channels]]
name = "service"
kind = "apprise"
url = "json://127.0.0.1:{there.port}/apprise-token"
events = ["memory.*"]

[[channels]]
name = "command"
kind = "command"
command = ["/bin/sh", "-c", "cat > {told}; env > {told}.env"]
events = ["memory.*"]
"""
    begin(khive, there, more)
    khive.call("memory.remember", content="what services are told of")
    wait_until(lambda: [one for one in there.taken if "apprise" in one["path"]], "apprise")
    (one,) = (one for one in there.taken if "apprise" in one["path"])
    assert one["body"]["title"] == "m1: a memory was stored"
    wait_until(lambda: told.with_suffix(".env").exists() and told.read_text(), "the command")
    assert '"memory.remembered"' in told.read_text()
    assert SECRET not in told.with_suffix(".env").read_text()
    assert os.fsdecode(khive.home) in told.with_suffix(".env").read_text()


def test_services_of_apprise_are_reached(khive: Installation, there: Receiver) -> None:
    where = f"127.0.0.1:{there.port}"
    urls = {
        "xml": f"xml://{where}/xml",
        "form": f"form://{where}/form",
        "ntfy": f"ntfy://{where}/topic",
        "json": f"json://user:pass@{where}/json",
    }
    more = "".join(
        f'[[channels]]\nname = "{name}"\nkind = "apprise"\nurl = "{url}"\n'
        for name, url in urls.items()
    )
    begin(khive, there, more)
    for name in urls:
        before = len(there.taken)
        assert khive.json("channels", "test", name)["state"] == "sent"
        assert [one for one in there.taken[before:] if b"test" in one["raw"]], name


def test_mail_is_sent(khive: Installation, there: Receiver) -> None:
    with mailbox() as box:
        url = (
            f"mailto://127.0.0.1:{box.port}?from=khive@example.com&to=ada@example.com&mode=insecure"
        )
        more = f'[[channels]]\nname = "mail"\nkind = "apprise"\nurl = "{url}"\n'
        begin(khive, there, more)
        assert khive.json("channels", "test", "mail")["state"] == "sent"
        assert [one for one in box.letters if "test" in one and "ada@example.com" in one]


@pytest.mark.long
def test_a_channel_that_waits_is_tried_at_once_when_somebody_asks(khive: Installation) -> None:
    """A receiver that wanted to be left alone for an hour is asked by `test` and `retry`."""
    answers = {1: (503, {"Retry-After": "3000"}), 2: (503, {"Retry-After": "3000"})}
    with receiver(lambda number: answers.get(number, (200, {}))) as there:
        begin(khive, there)
        khive.call("memory.remember", content="what nobody takes at first")
        wait_until(lambda: len(there.requests) == 1, "the first attempt")
        wait_until(lambda: khive.json("channels", "list")["channels"][0]["problem"], "the trouble")
        done = khive.run("channels", "test", "hook", "--json", code=exitcodes.FAILURE)
        assert "503" in done.stdout
        assert khive.json("channels", "retry", "hook")["again"] == 2
        wait_until(lambda: len(there.taken) == 2, "both to be told")
