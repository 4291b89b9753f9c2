"""What tokens cost: prices of the configuration, their age, and whose tokens have one."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.agents import claude, codex
from khive_supervisor.agents.model import AgentOutput
from khive_supervisor.budgets.pricing import PriceList
from khive_supervisor.budgets.usage import MOST, SaidUsage
from khive_supervisor.cli.doctor.prices import check_prices
from khive_supervisor.config.changes import diff
from khive_supervisor.config.load import from_dict, loads
from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.config.show import as_dict, as_toml
from khive_supervisor.errors import ConfigError
from khive_supervisor.tasks.model import TokenCounts, Usage

TODAY = dt.date(2026, 11, 30)
PRICE = ModelPrice("m", 2.0, 10.0, "2026-11-01", cached=0.2)
LINES = '[[prices]]\nmodel = "m"\ninput = 2\noutput = 10.0\ncached = 0.2\nas_of = 2026-11-01\n'
COUNTS = st.builds(TokenCounts, *[st.integers(0, 10**9)] * 3)


def test_a_price_is_read_written_and_read_again() -> None:
    config = loads(LINES, "khive.toml", {}).config
    assert config.prices == (PRICE,)
    assert loads(as_toml(config), "khive.toml", {}).config == config
    assert from_dict(as_dict(config)).prices == (PRICE,)
    plain = LINES.replace("cached = 0.2\n", "")
    assert loads(plain, "khive.toml", {}).config.prices[0].cached is None
    assert "cached" not in as_toml(loads(plain, "khive.toml", {}).config)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (LINES.replace("2026-11-01", '"2026-13-01"'), "prices[0].as_of: found"),
        (LINES.replace("2026-11-01", '"lately"'), "a day, such as 2026-11-30"),
        (LINES.replace("as_of = 2026-11-01\n", ""), "prices[0].as_of: is missing"),
        (LINES.replace("input = 2", "input = -2"), "prices[0].input"),
        (LINES + LINES, "two prices of one model"),
        (LINES.replace("cached", "cache"), "did you mean cached?"),
        ("prices = 1", "allowed: [[prices]]"),
    ],
)
def test_what_is_wrong_with_a_price_is_said(lines: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(lines, "khive.toml", {})
    assert told in str(caught.value)


def test_another_price_is_a_live_change() -> None:
    old = loads(LINES, "khive.toml", {}).config
    new = loads(LINES.replace("= 2\n", "= 3\n"), "khive.toml", {}).config
    (change,) = diff(old, new).settings
    assert (change.key, change.applies) == ("prices.m", "live")
    assert (change.old, change.new) == (
        "$2 in, $10 out (2026-11-01)",
        "$3 in, $10 out (2026-11-01)",
    )
    assert diff(old, new).digest != diff(old, old).digest


@given(COUNTS)
def test_a_million_tokens_cost_what_the_price_says(tokens: TokenCounts) -> None:
    found = PRICE.cost(tokens)
    exact = tokens.input * 2.0 + tokens.cached * 0.2 + tokens.output * 10.0
    assert found == pytest.approx(exact, abs=0.51)
    assert PRICE.cost(TokenCounts(1_000_000, 0, 100_000)) == 3_000_000  # 3 dollars


def test_only_tokens_without_dollars_are_priced() -> None:
    prices, tokens = PriceList([PRICE]), TokenCounts(1000, 0, 100)
    said = SaidUsage(Usage(0, 1100), "m", tokens)
    assert prices.priced(said) == Usage(3000, 1100)
    assert prices.priced(SaidUsage(Usage(7, 1100), "m", tokens)) == Usage(7, 1100)
    assert prices.priced(SaidUsage(Usage(0, 1100), "other", tokens)) == Usage(0, 1100)
    assert prices.priced(SaidUsage(Usage(0, MOST), "m", TokenCounts(MOST))).cost == MOST
    prices.replace([])
    assert prices.priced(said) == Usage(0, 1100)


def test_codex_tells_its_tokens_by_kind_and_of_a_session_that_goes_on_its_part() -> None:
    used = {"input_tokens": 900, "cached_input_tokens": 400, "output_tokens": 100}
    events = [
        {"type": "thread.started", "thread_id": "s"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "done"}},
        {"type": "turn.completed", "usage": used},
    ]
    output = "\n".join(map(json.dumps, events))
    first = codex.read(AgentOutput(0, output), 0)
    assert (first.usage, first.tokens) == (Usage(0, 1000), TokenCounts(500, 400, 100))
    later = codex.read(AgentOutput(0, output), 500)
    assert (later.usage, later.tokens) == (Usage(0, 500), TokenCounts(250, 200, 50))


def test_claude_tells_its_tokens_by_kind() -> None:
    usage = {
        "input_tokens": 5, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300,
        "output_tokens": 4000,
    }  # fmt: skip
    said = {"type": "result", "subtype": "success", "result": "x", "usage": usage}
    found = claude.read(AgentOutput(0, json.dumps(said)), 0)
    assert (found.usage, found.tokens) == (Usage(0, 4325), TokenCounts(25, 300, 4000))


def test_doctor_says_how_old_the_figures_are() -> None:
    config = loads(LINES, "khive.toml", {}).config
    (check,) = check_prices(config, TODAY)
    assert (check.status, check.what) == (
        "ok",
        "1 model; the oldest figures are 29 days old (m, 2026-11-01)",
    )
    (old,) = check_prices(config, TODAY + dt.timedelta(200))
    assert (old.status, "set its prices and as_of" in old.fix) == ("warn", True)
    assert not list(check_prices(from_dict({}), TODAY))
    assert PRICE.age(dt.date(2026, 1, 1)) == 0
