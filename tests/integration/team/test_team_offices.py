"""What only one node does at a time: one holds the office, another one takes it when that dies."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from benchmarks.team.nodes import Node, wait_until
from khive_supervisor.channels.events import Event
from khive_supervisor.channels.messages import message_of
from khive_supervisor.channels.stored import new_delivery
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.channels.deliveries import NewDelivery
from khive_supervisor.store.workflows.offices import SCHEDULES, Office, Superseded
from khive_supervisor.supervision.roles import clockwork
from khive_supervisor.workflows.model import NewSchedule


def act(store: SqliteStore, office: Office) -> None:
    with store.transaction(), office.acting(store.offices):
        store.audit.record("schedule.fired", "schedule/s1", {})


def test_the_next_node_takes_over_and_the_one_before_does_nothing_more(pair: list[Node]) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(node.open()) for node in pair]
        for store in stores:
            store.offices.want([SCHEDULES])
        wait_until(lambda: any(store.offices.holds(SCHEDULES) for store in stores))
        first = next(n for n, store in enumerate(stores) if store.offices.holds(SCHEDULES))
        one, other = stores[first], stores[1 - first]
        held, waiting = Office(SCHEDULES), Office(SCHEDULES)
        assert held.held(one.offices)
        assert not waiting.held(other.offices)
        act(one, held)
        pair[first].stop(kill=True)
        wait_until(lambda: waiting.held(other.offices))
        act(other, waiting)
        with pytest.raises(StoreUnavailable):
            act(one, held)  # without its replicator it can do nothing at all
        pair[first].start()
        wait_until(lambda: not one.offices.holds(SCHEDULES))
        with pytest.raises(Superseded):
            act(one, held)
        assert not held.held(one.offices)
        rows = other.database.rows("SELECT office, term, node FROM terms")
        assert rows == [(f"postgres/{SCHEDULES}", 2, other.node)]
        stores[1 - first].offices.want([])
        one.offices.want([SCHEDULES, "channel/y"])
        wait_until(lambda: one.offices.holds(SCHEDULES) and one.offices.holds("channel/y"))


def test_a_node_that_had_noted_no_member_has_the_offices_of_the_one_it_connects_as(
    pair: list[Node],
) -> None:
    one = pair[0]
    one.stop()
    with one.plain() as store:
        store.database.rows("UPDATE replica SET member = ''")
        store.database.rows("INSERT INTO offices (office, held) VALUES (?, 1)", [f"/{SCHEDULES}"])
    one.start()
    with one.open() as store:
        wait_until(lambda: store.offices.holds(SCHEDULES))
        rows = store.database.rows("SELECT office, held FROM offices")
        assert rows == [(f"postgres/{SCHEDULES}", 1)]


def schedule(name: str) -> NewSchedule:
    definition = {"name": name, "steps": [{"name": "a", "role": "echo"}]}
    return NewSchedule(name, "* * * * *", definition, {}, "UTC", "none", configured=True)


def test_a_schedule_goes_when_no_node_s_configuration_names_it(pair: list[Node]) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(node.open()) for node in pair)
        one.schedules.configure([schedule("nightly"), schedule("weekly")])
        two.schedules.configure([schedule("nightly")])
        assert [each.new.name for each in two.schedules.all()] == ["nightly", "weekly"]
        two.schedules.configure([])
        assert [each.new.name for each in two.schedules.all()] == ["nightly", "weekly"]
        one.schedules.configure([schedule("nightly")])
        one.schedules.configure([])
        assert one.schedules.all() == []


def test_a_node_that_stands_by_fires_nothing(pair: list[Node]) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(node.open()) for node in pair]
        for store in stores:
            store.offices.want([SCHEDULES])
        wait_until(lambda: any(store.offices.holds(SCHEDULES) for store in stores))
        stores[0].schedules.add(schedule("nightly"))
        wait_until(lambda: stores[1].schedules.all() != [])
        looked = [clockwork.look(store, 0.0, Office(SCHEDULES)) for store in stores]
        assert clockwork.STAND_BY in looked
        assert [each for each in looked if each != clockwork.STAND_BY]


def delivery(key: str) -> NewDelivery:
    return new_delivery(message_of(Event("task.done", f"task/{key}", 1.0, key), contents=False))


def test_messages_of_a_channel_are_those_of_all_nodes(pair: list[Node]) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(node.open()) for node in pair)
        for number, store in enumerate((one, two)):
            store.audit.record("task.done", f"task/t{number}", {})
        wait_until(lambda: len(one.audit.origins()) == 2 == len(two.audit.origins()))
        one.deliveries.keep_only(["ops"])
        wait_until(lambda: [each.name for each in two.deliveries.subscriptions()] == ["ops"])
        assert two.deliveries.subscriptions()[0].places == {one.node: 1, two.node: 1}
        one.deliveries.feed("ops", 2, [delivery("k1")], origin=one.node)
        two.deliveries.feed("ops", 2, [delivery("k1"), delivery("k2")], origin=two.node)
        found = two.deliveries.following("ops")
        assert found is not None
        assert (found.key, found.channel) == ("k1", "ops")
        two.deliveries.end(found.id, "sent")
        wait_until(lambda: one.deliveries.counts() == {("ops", "sent"): 1, ("ops", "waiting"): 1})
        two.deliveries.keep_only([])
        assert [each.name for each in one.deliveries.subscriptions()] == ["ops"]
        assert two.deliveries.signal("disk/x", "low", {"ops": delivery("k3")})
        wait_until(lambda: not one.deliveries.signal("disk/x", "low", {"ops": delivery("k4")}))
