"""One-time tickets for the page."""

from __future__ import annotations

import pytest
from support import Clock

from khive_supervisor.access.tickets import AT_ONCE, LIFETIME, LoginTickets


@pytest.mark.parametrize(("after", "good"), [(0.0, True), (LIFETIME - 1, True), (LIFETIME, False)])
def test_a_ticket_is_good_once_and_for_a_while(after: float, good: bool) -> None:
    clock = Clock(100.0)
    tickets = LoginTickets(clock)
    ticket = tickets.issue()
    clock.now += after
    assert tickets.redeem(ticket) is good
    assert not tickets.redeem(ticket)


@pytest.mark.parametrize("wrong", ["", "x", "\udcff", "0" * 10_000])
def test_what_was_never_given_is_not_good(wrong: str) -> None:
    tickets = LoginTickets(Clock(0.0))
    ticket = tickets.issue()
    assert not tickets.redeem(wrong)
    assert not tickets.redeem(ticket + "x")
    assert tickets.redeem(ticket)


def test_tickets_differ_have_enough_chance_and_are_bounded() -> None:
    tickets = LoginTickets(Clock(0.0))
    given = [tickets.issue() for _ in range(AT_ONCE + 1)]
    assert len(set(given)) == len(given)
    assert min(map(len, given)) * 6 >= 128  # 6 bits a character
    assert [tickets.redeem(one) for one in given] == [False] + [True] * AT_ONCE
    assert given[0] not in repr(vars(tickets))
