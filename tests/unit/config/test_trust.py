"""Each thing that a configuration can say declares whose word it takes; nothing does by default."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from khive_supervisor import config
from khive_supervisor.config.project.text import PROJECT, read
from khive_supervisor.config.settings.model import TABLES
from khive_supervisor.config.settings.values import Setting

#: All that a project's file may set, with the class that declares it.
PROJECTS = {
    ("SearchSettings", "candidates"),
    ("SearchSettings", "max_query_characters"),
    ("SearchSettings", "floor"),
    ("ProfileSettings", "implicit_feedback"),
}


def declarations() -> Iterator[tuple[type, str, Setting]]:
    """Every declared key in every class of the configuration, those of other tables included."""
    for found in pkgutil.walk_packages(config.__path__, f"{config.__name__}."):
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                for item in dataclasses.fields(value):
                    if isinstance(setting := item.metadata.get("setting"), Setting):
                        yield value, item.name, setting


def test_a_setting_without_a_decision_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="trust"):
        Setting("text", "A new one.")  # type: ignore[call-arg]  # that is what is tested


def test_every_key_of_every_table_has_a_trust_and_few_are_a_projects() -> None:
    found = {(kind.__name__, name): setting for kind, name, setting in declarations()}
    assert len(found) > 80
    assert {setting.trust for setting in found.values()} <= {"user", "project"}
    assert {key for key, setting in found.items() if setting.trust == "project"} == PROJECTS


def test_what_can_name_a_program_a_file_or_an_endpoint_is_the_users() -> None:
    for kind, name, setting in declarations():
        names_something = setting.kind in ("path", "command", "list", "lines") or setting.private
        if names_something or setting.supervisor_only:
            assert setting.trust == "user", f"{kind.__name__}.{name}"


def test_what_a_project_may_set_is_no_text_of_the_configuration() -> None:
    """A number or a switch can be bounded; what a text may do depends on who reads it."""
    for kind, name, setting in declarations():
        if setting.trust == "project":
            assert setting.kind in ("boolean", "integer", "number"), f"{kind.__name__}.{name}"


@pytest.mark.parametrize("table", [*TABLES, "roles", "confine", "anything"])
@pytest.mark.parametrize("form", ["[{}]\nx = 1\n", "[[{}]]\nx = 1\n", "{} = 1\n", "{}.x.y = 1\n"])
def test_a_table_that_a_project_has_in_any_form_changes_nothing(table: str, form: str) -> None:
    found = read(form.format(table), "/p/khive.toml", "/p")
    assert (found.name, dict(found.settings)) == ("", {})
    assert len(found.ignored) == 1


def test_the_projects_own_table_is_no_table_of_a_configuration() -> None:
    assert "project" not in TABLES
    assert all(setting.trust == "project" for setting in PROJECT.values())
