"""When a message is sent again, how it is signed, and what is kept out of what is said."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.channels import retrying, signing
from khive_supervisor.channels.addresses import Address, Unusable, resolve, variables_of
from khive_supervisor.channels.events import Event
from khive_supervisor.channels.hours import QuietHours, wait_of
from khive_supervisor.channels.messages import message_of
from khive_supervisor.channels.retrying import Attempt, Bounds, Verdict
from khive_supervisor.config.settings.channels import Channel

MESSAGE = message_of(Event("task.done", "task/t1", 1.5, "key"), contents=False)
BOUNDS = Bounds(5, 3600.0)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "delivered"), (204, "delivered"), (301, "never"), (400, "never"), (404, "never"),
     (408, "later"), (429, "later"), (500, "later"), (503, "later")],
)  # fmt: skip
def test_a_status_says_whether_another_attempt_can_help(status: int, verdict: str) -> None:
    assert retrying.of_status(status, None).verdict == verdict


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, 0), ("", 0), ("7", 7), ("999999999", 3600), ("-1", 0), ("1.5", 0), ("²", 0),
     ("Wed, 21 Oct 2026 07:28:00 GMT", 0)],
)  # fmt: skip
def test_retry_after_is_taken_within_bounds(text: str | None, seconds: float) -> None:
    assert retrying.of_status(429, text).retry_after == seconds


@given(
    st.sampled_from(list(Verdict)), st.integers(1, 8), st.floats(0, 7200),
    st.integers(1, 40), st.floats(0, 1), st.floats(0, 3600),
)  # fmt: skip
def test_every_attempt_leads_to_an_end_or_to_a_bounded_wait(
    verdict: Verdict, attempts: int, age: float, failures: int, jitter: float, asked: float
) -> None:
    step = retrying.after(Attempt(verdict, "w", asked), attempts, age, failures, BOUNDS, jitter)
    assert (step.state == "sent") is (verdict is Verdict.DELIVERED)
    if step.state == "waiting":
        assert attempts < BOUNDS.attempts
        assert age <= BOUNDS.age
        assert asked <= step.wait <= retrying.RETRY_AFTER_MAX
    assert step.pause >= asked or step.state != "waiting"
    assert bool(step.why) is (step.state != "sent")


def test_waits_double_and_never_grow_beyond_the_longest() -> None:
    waits = [retrying.backoff(number, 1.0) for number in range(1, 40)]
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == retrying.BACKOFF_MAX
    assert retrying.backoff(3, 0.0) == 2


# --- hours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "at", "left"),
    [
        ("22:00-07:00", "22:00", 9 * 3600),
        ("22:00-07:00", "06:59", 60),
        ("22:00-07:00", "07:00", 0),
        ("22:00-07:00", "21:59", 0),
        ("22:00-07:00", "00:00", 7 * 3600),
        ("12:00-13:30", "13:00", 1800),
        ("12:00-13:30", "11:59", 0),
    ],
)
def test_quiet_hours_end_when_they_should(hours: str, at: str, left: float) -> None:
    quiet = QuietHours.of(hours)
    assert quiet is not None
    local = dt.datetime.fromisoformat(f"2026-11-30T{at}:00")
    assert quiet.left(local) == left
    assert wait_of(600.0, quiet, local) == max(600.0, left)


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 86399))
def test_at_the_end_of_quiet_hours_it_is_not_quiet(start: int, end: int, second: int) -> None:
    quiet = QuietHours(start, end)
    local = dt.datetime(2026, 11, 30, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    left = quiet.left(local)
    assert 0 <= left < 86400
    assert quiet.left(local + dt.timedelta(seconds=left)) == 0 or start == end


BERLIN = ZoneInfo("Europe/Berlin")
#: A day before clocks go forward, and one before they go back.
CHANGES = (dt.datetime(2026, 3, 28, tzinfo=dt.UTC), dt.datetime(2026, 10, 24, tzinfo=dt.UTC))


@given(
    st.sampled_from(CHANGES), st.integers(0, 2 * 1440), st.integers(0, 1439), st.integers(0, 1439)
)
def test_quiet_hours_end_by_the_readers_clock_also_when_it_is_changed(
    day: dt.datetime, minute: int, start: int, end: int
) -> None:
    quiet = QuietHours(start, end)

    def left(moment: dt.datetime) -> float:
        return quiet.left(moment.astimezone(BERLIN))

    begin = moment = day + dt.timedelta(minutes=minute)
    waits = 0
    while (seconds := left(moment)) > 0:
        moment += dt.timedelta(seconds=seconds)
        waits += 1
        assert waits <= 61  # over an end that is skipped, or shown twice
    first = next(after for after in range(26 * 60) if not left(begin + dt.timedelta(minutes=after)))
    late = moment - begin - dt.timedelta(minutes=first)
    skipped = 120 <= end <= 180 and day is CHANGES[0]
    assert dt.timedelta(0) <= late <= dt.timedelta(minutes=60 if skipped else 0)


def test_a_night_in_which_clocks_go_forward_is_an_hour_shorter() -> None:
    quiet = QuietHours.of("22:00-07:00")
    assert quiet is not None
    assert quiet.left(dt.datetime(2026, 3, 28, 22, 0, tzinfo=BERLIN)) == 8 * 3600
    assert quiet.left(dt.datetime(2026, 10, 24, 22, 0, tzinfo=BERLIN)) == 10 * 3600


def test_no_hours_are_never_quiet() -> None:
    assert QuietHours.of("") is None
    assert QuietHours.of("07:00-07:00") is None
    assert wait_of(0.0, None, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) == 0


# --- signing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "raw"),
    [("plain", b"plain"), ("whsec_" + base64.b64encode(b"x" * 24).decode(), b"x" * 24),
     ("whsec_no base64", b"whsec_no base64")],
)  # fmt: skip
def test_a_receiver_can_check_the_signature(secret: str, raw: bytes) -> None:
    body = signing.body_of(MESSAGE)
    headers = signing.headers_of(MESSAGE, body, secret, 1700000000.9)
    signed = b"key.1700000000." + body
    expected = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == headers["Idempotency-Key"] == "key"


def test_nothing_is_signed_without_a_secret_and_the_body_is_always_the_same() -> None:
    body = signing.body_of(MESSAGE)
    assert "webhook-signature" not in signing.headers_of(MESSAGE, body, "", 1.0)
    assert body == signing.body_of(MESSAGE)


# --- addresses ------------------------------------------------------------------------------------


def webhook(**given: str) -> Channel:
    return Channel(name="a", kind="webhook", **given)  # type: ignore[arg-type]  # texts alone


def refuse(_path: str) -> str:
    raise FileNotFoundError(2, "No such file")


def test_variables_and_files_are_filled_in() -> None:
    channel = webhook(url="https://h/${TOKEN}", secret="${SECRET}")
    assert variables_of(channel) == {"TOKEN", "SECRET"}
    found = resolve(channel, {"TOKEN": "abc", "SECRET": "s"}, refuse)
    assert found == Address("https://h/abc", "s")
    assert resolve(webhook(url_file="/f"), {}, lambda _path: "http://h/x").url == "http://h/x"


@pytest.mark.parametrize(
    "channel",
    [webhook(url="${GONE}"), webhook(url_file="/gone"), webhook(url="${FTP}"),
     webhook(url="https://h/x", secret="${GONE}"), webhook(url="${BAD}")],
)  # fmt: skip
def test_what_cannot_be_used_says_why_and_names_no_secret(channel: Channel) -> None:
    with pytest.raises(Unusable) as raised:
        resolve(channel, {"FTP": "ftp://secret", "BAD": "http://a b/secret"}, refuse)
    assert "secret" not in str(raised.value).replace("secret_file", "")


@pytest.mark.parametrize(
    "part", ["https://u:passw0rd@h.example/services/T0123/abcdef", "passw0rd", "abcdef", "signing!"]
)
def test_no_part_of_an_address_is_said(part: str) -> None:
    address = Address("https://u:passw0rd@h.example/services/T0123/abcdef?key=k1k2k3k4", "signing!")
    assert part not in address.hide(f"failed for {part}: refused by h.example")
    assert "h.example" in address.hide("refused by h.example")
