from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from khive_supervisor import exitcodes
from khive_supervisor.attach import channel
from khive_supervisor.config.load import (
    MAX_FILE_BYTES,
    LoadedConfig,
    from_dict,
    load,
    namespace_allowed,
)
from khive_supervisor.config.settings.locate import line_numbers
from khive_supervisor.config.settings.model import TABLES, Config, every_setting, settings_of
from khive_supervisor.config.settings.service import (
    ENVIRONMENT_ALLOWED,
    SessionSettings,
    StoreSettings,
)
from khive_supervisor.config.show import as_dict, as_toml, fingerprint, loaded_as_dict
from khive_supervisor.errors import ConfigError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KHIVE_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


def load_text(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> LoadedConfig:
    file = tmp_path / "khive.toml"
    file.write_text(text, encoding="utf-8")
    return load(str(file), str(tmp_path), environ or {})


def problems(tmp_path: Path, text: str | bytes) -> tuple[str, ...]:
    file = tmp_path / "khive.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(str(file), str(tmp_path), {})
    assert caught.value.exit_code == exitcodes.CONFIG
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)
    return caught.value.problems


def test_without_a_file_everything_is_default(tmp_path: Path) -> None:
    found = load(None, str(tmp_path), {})
    assert found.file is None
    assert found.config == Config()
    assert set(found.origins.values()) == {"default"}
    assert found.config.store.path == str(tmp_path / "home/.local/share/khive/khive.db")


def test_values_come_with_their_line(tmp_path: Path) -> None:
    found = load_text(
        tmp_path,
        '[store]\npath = "~/m.db"\n\n[session]\nenv_allow = [\n "A",\n]\nnamespace = "n"\n'
        "[index]\ntrees = 7\n",
    )
    file = tmp_path / "khive.toml"
    assert found.config.store.path == str(tmp_path / "home/m.db")
    assert found.config.session == SessionSettings(namespace="n", env_allow=("A",))
    assert found.config.index.trees == 7
    assert found.origins["store.path"] == f"{file}:2"
    assert found.origins["session.env_allow"] == f"{file}:5"
    assert found.origins["session.namespace"] == f"{file}:8"
    assert found.origins["store.busy_timeout"] == "default"


def test_a_relative_path_starts_from_the_file(tmp_path: Path) -> None:
    found = load_text(tmp_path, '[store]\npath = "data/../m.db"\n')
    assert found.config.store.path == str(tmp_path / "m.db")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    environ = {"KHIVE_STORE": "e.db", "KHIVE_NAMESPACE": "env", "KHIVE_LOG_LEVEL": "debug"}
    found = load_text(tmp_path, '[store]\npath = "f.db"\n', environ)
    assert found.config.store.path == str(tmp_path / "e.db")
    assert (found.config.session.namespace, found.config.log.level) == ("env", "debug")
    assert found.origins["store.path"] == "environment KHIVE_STORE"


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert load_text(tmp_path, "", {"KHIVE_NAMESPACE": ""}).config == Config()


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"environment KHIVE_LOG_LEVEL: log\.level: found"):
        load(None, str(tmp_path), {"KHIVE_LOG_LEVEL": "loud"})


def test_discovery_never_looks_into_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "home/.config/khive/khive.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[index]\ntrees = 1\n")
    here = tmp_path / "work/khive.toml"
    here.parent.mkdir()
    here.write_text("[index]\ntrees = 2\n")
    assert load(None, str(here.parent), {}).file == str(user)
    monkeypatch.setenv("KHIVE_CONFIG", str(here))
    assert load(None, str(here.parent), {}).config.index.trees == 1
    assert load(None, str(tmp_path / "home"), {}).config.index.trees == 2
    # Typed, where there is no repository.
    assert load("khive.toml", str(here.parent), {}).config.index.trees == 2


@pytest.mark.parametrize("text", [".".join("a" * 3000) + " = 1", "[" + ".".join("a" * 3000) + "]"])
def test_a_file_that_is_nested_without_end_is_an_error_like_others(
    tmp_path: Path, text: str
) -> None:
    assert len(problems(tmp_path, text)) == 1


def test_ten_errors_are_listed_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """\
[stroe]
[store]
path = 5
busy_timeout = "ten"
max_content_byte = "1MiB"
[session]
namespace = "a b"
[embedder]
kind = "minilmm"
threads = true
[index]
rebuild_share = nan
trees = 0
[log]
level = 1979-05-27
file = "~other/x"
""",
    )
    assert len(found) == 11
    expected = {
        1: "stroe: there is no such table; did you mean [store]?",
        3: "store.path: found 5; allowed: a path",
        7: 'session.namespace: found "a b"; allowed: a text (without spaces, *, ? and brackets)'
        " from 1 to 128 characters",
        9: 'embedder.kind: found "minilmm"; allowed: "minilm" or "openai" or "none"',
        13: "index.trees: found 0; allowed: a whole number from 1 to 1000",
    }
    file = tmp_path / "khive.toml"
    for line, text in expected.items():
        assert f"{file}:{line}: {text}" in found


def test_a_setting_outside_of_its_table_is_found(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, 'namespace = "x"\n')
    assert "did you mean session.namespace?" in found


def test_a_table_that_is_none_is_a_problem(tmp_path: Path) -> None:
    found = problems(tmp_path, "store = 5\n[[log]]\n")
    assert "store: found 5; allowed: a table, [store]" in found[0]
    assert "log: found a list; allowed: a table, [log]" in found[1]


def test_no_secret_is_repeated(tmp_path: Path) -> None:
    text = '[embedder]\napi_key = "s3cret"\napi_key_env = "s3cret-x"\nurl = "http://u:s3cret@h"\n'
    found = problems(tmp_path, text)
    assert len(found) == 3
    assert "s3cret" not in "".join(found)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[supervisor]\nrestart_backoff = "1m"\n', "supervisor.restart_backoff_max"),
        ('[session]\nallowed_namespaces = ["a*"]\n', "session.namespace"),
        ('[embedder]\nkind = "openai"\nurl = "http://h"\ndimensions = 3\n', "embedder.model"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path: Path, text: str, key: str) -> None:
    (found,) = problems(tmp_path, text)
    assert f": {key}: " in found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a = \xff\n", "is not UTF-8 (line 1)"),
        (b"[store\n", "is not valid TOML"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"a = " + b"[" * 5000, "is nested too deeply"),
        (b"a = " + b"9" * 5000, "is not valid TOML"),
        (b"#" * (MAX_FILE_BYTES + 1), "larger than"),
    ],
)
def test_an_unreadable_file_says_why(tmp_path: Path, content: bytes, why: str) -> None:
    (found,) = problems(tmp_path, content)
    assert why in found


def test_a_missing_file_a_directory_and_a_fifo_are_errors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    cases = {"none.toml": "No such file", ".": "a directory", "fifo": "not a regular file"}
    for name, why in cases.items():
        with pytest.raises(ConfigError, match=why):
            load(str(tmp_path / name), str(tmp_path), {})
    with pytest.raises(ConfigError, match="not a path"):
        load("a\0b", str(tmp_path), {})


def test_windows_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "khive.toml"
    file.write_bytes(b"\xef\xbb\xbf[store]\r\nbusy_timeout = 3\r\n")
    found = load(str(file), str(tmp_path), {})
    assert found.config.store.busy_timeout == 3
    assert found.origins["store.busy_timeout"] == f"{file}:2"


_KEYS = st.sampled_from(
    [*TABLES, *{name for _, name, _ in every_setting()}, "x", '"a.b"', '""', '"\\n"']
)
_VALUES = st.sampled_from(
    ["1", "-1", "nan", "inf", "1.5", "true", '"10s"', '"16MiB"', '"info"', '""', "[]", "{}",
     '["a"]', "[1]", "{a = 1}", "1979-05-27", "07:32:00", '"""\nx\n"""', '"~"', "'*'"]
)  # fmt: skip
_LINES = st.one_of(
    st.builds("[{}]".format, _KEYS),
    st.builds("[[{}]]".format, _KEYS),
    st.builds("[{}.{}]".format, _KEYS, _KEYS),
    st.builds("{} = {}".format, _KEYS, _VALUES),
    st.builds("{}.{} = {}".format, _KEYS, _KEYS, _VALUES),
    st.text(max_size=10),
    st.just("# comment"),
)


def _outcome(file: Path) -> LoadedConfig | ConfigError:
    try:
        return load(str(file), str(file.parent), {})
    except ConfigError as error:
        return error


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_LINES, max_size=12).map("\n".join))
@example("[store]\n[store.path]\nx = 1")
def test_any_file_is_a_configuration_or_a_list_of_problems(tmp_path: Path, text: str) -> None:
    file = tmp_path / "any.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = _outcome(file)
    if isinstance(found, LoadedConfig):
        assert from_dict(as_dict(found.config)) == found.config
    else:
        assert found.problems
        for problem in found.problems:
            assert problem.startswith(str(file))
            assert len(problem.splitlines()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.binary(max_size=60))
def test_any_bytes_never_crash(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.toml"
    file.write_bytes(content)
    found = _outcome(file)
    assert isinstance(found, LoadedConfig) or found.problems


def test_what_is_shown_is_a_file_that_says_the_same(tmp_path: Path) -> None:
    changed = {"store": {"path": '/a "b"\\c.db', "busy_timeout": 1.25}, "log": {"max_bytes": 65537}}
    config = from_dict(changed)
    origins = dict.fromkeys(load(None, str(tmp_path), {}).origins, "some\nwhere")
    assert load_text(tmp_path, as_toml(config, origins)).config == config


def test_show_as_json_has_every_setting(tmp_path: Path) -> None:
    data = json.loads(json.dumps(loaded_as_dict(load(None, str(tmp_path), {}))))
    assert set(data["settings"]) == {f"{table}.{name}" for table, name, _ in every_setting()}
    assert data["settings"]["store.busy_timeout"] == {"value": 10.0, "origin": "default"}


def test_the_fingerprint_follows_what_workers_depend_on() -> None:
    config = Config()
    assert fingerprint(config) == fingerprint(Config())
    other = dataclasses.replace(config, store=StoreSettings(path="/other.db"))
    assert fingerprint(other) != fingerprint(config)
    for table, name, setting in every_setting():
        assert setting.supervisor_only == (
            fingerprint(_changed(table, name)) == fingerprint(config)
        )


def _changed(table: str, name: str) -> Config:
    config = Config()
    section = getattr(config, table)
    value: Any = getattr(section, name)
    setting = settings_of(table)[name]
    other: Any
    if setting.choices:
        other = next(choice for choice in setting.choices if choice != value)
    elif isinstance(value, bool):
        other = not value
    else:
        other = value + 1 if isinstance(value, int | float) else value + type(value)("x")
    return dataclasses.replace(config, **{table: dataclasses.replace(section, **{name: other})})


def test_namespaces_are_matched_whole_and_with_case() -> None:
    config = from_dict({"session": {"namespace": "team", "allowed_namespaces": ["team", "p/*"]}})
    allowed = [
        n for n in ("team", "Team", "team2", "p/x", "p/", "p") if namespace_allowed(config, n)
    ]
    assert allowed == ["team", "p/x", "p/"]


def test_attach_forwards_what_the_configuration_allows_by_default() -> None:
    assert channel.FORWARDED == ENVIRONMENT_ALLOWED


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().store.path = "x"  # type: ignore[misc]  # that it cannot be assigned is the point


def test_lines_are_found_in_every_form_of_toml() -> None:
    text = (
        "# head\n\nx.y = 1\n[a]\nb = '''\n[c]\n'''\nd = [ # no\n 1,\n]\n[[r]]\nn = 1\n[[r]]\n"
        'n = 2\n[r.s]\nt = {u = 1}\n["q.q"]\nz = "#"\n'
    )
    assert line_numbers(text) == {
        "x": 3, "x.y": 3, "a": 4, "a.b": 5, "a.d": 8, "r[0]": 11, "r[0].n": 12, "r[1]": 13,
        "r[1].n": 14, "r[1].s": 15, "r[1].s.t": 16, "r[1].s.t.u": 16, "q.q": 17, "q.q.z": 18,
    }  # fmt: skip


def test_a_very_long_value_ends_the_search_for_lines() -> None:
    text = "a = 1\nb = [\n" + "1,\n" * 5000 + "]\nc = 1\n"
    assert line_numbers(text) == {"a": 1}
