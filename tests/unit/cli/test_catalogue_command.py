"""catalog, catalog diff, config schema: what they print, and with which exit code they end."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from khive_supervisor import exitcodes
from khive_supervisor.catalogue.document import PARTS, released, written
from khive_supervisor.cli.main import cli


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_it_prints_what_there_is_and_all_of_it_as_json() -> None:
    text = run("catalog").output
    assert all(part in text for part in PARTS)
    assert "memory.recall" in run("catalog", "--part", "verbs").output
    document = json.loads(run("catalog", "--json").output)
    assert document["verbs"].keys() >= released()["verbs"].keys()
    assert json.loads(run("catalog", "--part", "links", "--json").output).keys() == {
        "version", "form", "links",
    }  # fmt: skip


def test_a_difference_that_breaks_is_named_and_is_an_exit_code(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(written(released()), encoding="utf-8")
    metrics = {**released()["metrics"]}
    del metrics["khive_info"]
    new.write_text(written(released() | {"version": "9", "metrics": metrics}), encoding="utf-8")
    done = run("catalog", "diff", str(old), str(new))
    assert done.exit_code == exitcodes.FAILURE
    assert "khive_info" in done.output
    found = json.loads(run("catalog", "diff", str(old), str(new), "--json").output)
    assert found["breaks"] == [{"part": "metrics", "name": "khive_info", "what": "is gone"}]
    assert run("catalog", "diff", str(new), str(old)).exit_code == exitcodes.OK
    assert run("catalog", "diff", str(old)).exit_code == exitcodes.OK


def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff")
    for name in ("x", "absent"):
        assert run("catalog", "diff", str(tmp_path / name)).exception is not None


def test_the_schema_of_the_configuration_is_a_valid_one() -> None:
    schema = json.loads(run("config", "schema").output)
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["roles"]["items"]["properties"]["role"]["description"]
