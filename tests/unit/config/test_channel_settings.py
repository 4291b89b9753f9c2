"""`[[channels]]`: what is valid, what is said of the rest, and that no secret is ever shown."""

from __future__ import annotations

import json

import pytest

from khive_supervisor.config import snapshot
from khive_supervisor.config.changes import diff, digest_of, in_force
from khive_supervisor.config.load import from_dict, loads
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.show import as_dict, as_toml, loaded_as_dict
from khive_supervisor.errors import ConfigError

HOOK = '[[channels]]\nname = "ops"\nkind = "webhook"\nurl = "https://u:hidden1@h/hidden2"\n'
SECRET = HOOK + 'secret = "hidden3"\nevents = ["task.*"]\n'


def config(text: str) -> Config:
    return loads(text, "khive.toml", {}).config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels = 1", "a table for each channel"),
        ("channels = [1]", "allowed: a table"),
        ('[[channels]]\nname = "a"', "channels[0].kind: is missing"),
        ('[[channels]]\nkind = "desktop"', "channels[0].name: is missing"),
        ('[[channels]]\nname = "a"\nkind = "fax"', '"webhook" or "apprise"'),
        ('[[channels]]\nname = "a"\nkind = "desktop"\nurll = "hidden"', "did you mean url?"),
        ('[[channels]]\nname = "a"\nkind = "webhook"', "has neither url and url_file"),
        ('[[channels]]\nname = "a"\nkind = "webhook"\nurl = "ntfy://hidden"', "not http(s)"),
        ('[[channels]]\nname = "a"\nkind = "webhook"\nurl = "hidden"', "found a text"),
        ('[[channels]]\nname = "a"\nkind = "command"', "has no command"),
        ('[[channels]]\nname = "a"\nkind = "desktop"\nurl = "json://hidden"', "does not use"),
        ('[[channels]]\nname = "a"\nkind = "desktop"\nquiet = "25:00-07:00"', "22:00-07:00"),
        ('[[channels]]\nname = "a"\nkind = "desktop"\nevents = ["task"]', "a kind, or a group"),
        (HOOK + HOOK, "two channels of one name"),
        (HOOK + "[audit]\nenabled = false", "channels tell of what the audit chain records"),
        (SECRET + 'secret_file = "/f"', "has both secret and secret_file"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config(text)
    assert said in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_a_secret_is_shown_nowhere_and_crosses_only_where_it_is_needed() -> None:
    found = config(SECRET)
    change = diff(Config(), found)
    for shown in (
        as_toml(found),
        json.dumps(loaded_as_dict(loads(SECRET, "khive.toml", {}))),
        snapshot.dumps(found),
        change.describe(),
        json.dumps(change.as_dict()),
    ):
        assert "hidden" not in shown
        assert "ops" in shown
    assert from_dict(as_dict(found)).channels[0].events == ("task.*",)
    assert from_dict(as_dict(found, private=True)) == found
    assert "hidden3" in snapshot.dumps(found, private=True)


def test_what_is_shown_can_be_read_again_and_a_variable_is_shown_as_it_is_written() -> None:
    found = config(SECRET.replace("https://u:hidden1@h/hidden2", "${HOOK}"))
    assert config(as_toml(found)).channels[0].url == "${HOOK}"


@pytest.mark.parametrize("other", [HOOK.replace("hidden2", "hidden4"), ""])
def test_another_secret_is_a_change_that_takes_effect_now(other: str) -> None:
    old, new = config(HOOK), config(other)
    assert [(one.key, one.applies) for one in diff(old, new).settings] == [("channels.ops", "live")]
    assert digest_of(old) != digest_of(new)
    assert in_force(old, new).channels == new.channels
    assert "hidden" not in diff(old, new).describe()
