"""A team's server in the configuration, put in and taken out again."""

from __future__ import annotations

import pytest

from khive_supervisor.cli.team.server_setting import changed

URL = "postgresql://db.example/khive"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mine\n[embedder]\nkind = 'none' # no model\n",
        "# only a word\n",
        "[log]\nlevel = 'info'\n\n\n# the end\n",
        "[store]\npath = '/a/b'\n",
        "[store]\npath = '/a/b'\n\n[log]\nlevel = 'info'\n",
    ],
)
def test_what_was_put_in_is_taken_out(text: str) -> None:
    joined = changed(text, URL)
    assert f'url = "{URL}"' in joined
    assert changed(joined, "") == text


def test_another_server_takes_the_place_of_the_first() -> None:
    assert changed(changed("", "postgresql://a/b"), URL) == changed("", URL)
