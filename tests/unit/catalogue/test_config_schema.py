"""The configuration's JSON Schema: valid itself, and of one mind with the loader."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support import ROOT

from khive_supervisor.catalogue.config_schema import config_schema, setting_schema
from khive_supervisor.config.load import loads
from khive_supervisor.config.settings.model import every_setting
from khive_supervisor.config.settings.roles import every_key
from khive_supervisor.config.settings.values import Setting, Unfit
from khive_supervisor.config.show import as_toml
from khive_supervisor.errors import ConfigError

SCHEMA = config_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
SETTINGS = [(f"{table}.{name}", setting) for table, name, setting in every_setting()]
SETTINGS += [(f"roles.{name}", setting) for name, setting in every_key()]
EXAMPLES = [
    (document.name, block)
    for document in sorted((ROOT / "docs").glob("*.md"))
    for block in re.findall(r"```toml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
]
VALUES = st.one_of(
    st.booleans(), st.integers(-(10**12), 10**12), st.text(max_size=20), st.just(""),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.from_regex(r"[0-9]{1,4}(ms|s|m|h|d|B|KiB|MiB|GiB)", fullmatch=True),
    st.lists(st.text(max_size=10), max_size=4),
)  # fmt: skip


def test_it_is_a_valid_schema_with_all_tables() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert {"store", "roles", "confine", "log"} <= SCHEMA["properties"].keys()


def test_every_setting_is_described() -> None:
    for table, name, setting in every_setting():
        assert SCHEMA["properties"][table]["properties"][name]["description"] == setting.help


def test_the_defaults_are_what_the_schema_takes() -> None:
    for table, name, _ in every_setting():
        rule = SCHEMA["properties"][table]["properties"][name]
        if "default" in rule:
            Draft202012Validator(rule).validate(rule["default"])


def as_editors_see(text: str) -> Any:
    """JSON has no dates: those of TOML are texts to a schema."""
    return json.loads(json.dumps(tomllib.loads(text), default=str))


@pytest.mark.parametrize(("document", "text"), EXAMPLES)
def test_examples_of_the_documents_are_taken(document: str, text: str) -> None:
    content = as_editors_see(text)
    if not content.keys() <= SCHEMA["properties"].keys():
        return  # not of the configuration
    try:
        loaded = loads(text, "khive.toml", {})
    except ConfigError:
        return  # an example of what is wrong, or of a part
    assert list(VALIDATOR.iter_errors(content)) == []
    assert list(VALIDATOR.iter_errors(as_editors_see(as_toml(loaded.config, {})))) == []


def _takes(setting: Setting, value: Any) -> bool:
    try:
        setting.parse(value)
    except (Unfit, ValueError):
        return False
    return True


@pytest.mark.parametrize(("name", "setting"), SETTINGS, ids=[name for name, _ in SETTINGS])
@given(value=VALUES)
def test_what_the_loader_takes_the_schema_takes(name: str, setting: Setting, value: Any) -> None:
    if _takes(setting, value):
        assert Draft202012Validator(setting_schema(setting)).is_valid(value)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", True),
        ("[store]\npath = 1", False),
        ("[stoer]\n", False),
        ("[session]\nnamespaec = 'x'", False),
        ('[[roles]]\nrole = "a"\ntask_types = ["t"]\nhandler = { command = ["cat"] }', True),
        ('[[roles]]\ncapability = "code-reviewer"', True),
        ('[[roles]]\nrole = "a"', False),
        ('[[roles]]\nrole = "a"\ntask_types = ["t"]\nhandler = {}', False),
    ],
)
def test_what_it_refuses(text: str, valid: bool) -> None:
    assert VALIDATOR.is_valid(tomllib.loads(text)) is valid
