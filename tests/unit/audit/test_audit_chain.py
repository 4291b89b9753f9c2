"""The chain: whatever is changed in it is found, and the first entry that is wrong is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import (
    GENESIS,
    AuditEntry,
    Head,
    Stored,
    digest,
    keyed_digest,
    read_heads,
    sound_until,
)
from khive_supervisor.audit.verify import Fault, Report, verify, verify_chain
from khive_supervisor.errors import InvalidInput


def follow(chain: list[AuditEntry], **fields: Any) -> AuditEntry:
    """The entry that would come next."""
    last = Head(chain[-1].seq, chain[-1].hash) if chain else Head()
    given = {"at": 5.5, "kind": "task.done", "actor": "ada", "subject": "task/t1", "detail": "{}"}
    data = {**given, **fields}
    found = digest(last.seq + 1, **data, previous=last.hash)
    return AuditEntry(last.seq + 1, **data, previous=last.hash, hash=found)


def chain_of(count: int) -> list[AuditEntry]:
    chain: list[AuditEntry] = []
    for number in range(count):
        chain.append(follow(chain, at=float(number), subject=f"task/t{number}"))
    return chain


def renumbered(entries: list[AuditEntry]) -> list[AuditEntry]:
    return [replace(entry, seq=number) for number, entry in enumerate(entries, 1)]


def resealed(entry: AuditEntry) -> AuditEntry:
    """What somebody makes who knows how hashes are made."""
    return replace(entry, hash=entry.hash_as(entry.seq))


class Listed:
    """A chain that is in memory."""

    def __init__(self, entries: list[AuditEntry]) -> None:
        self._entries = entries

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        return iter([one for one in self._entries if after is None or one.seq > after])

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        for one in self.entries(after):
            texts = (one.kind, one.actor, one.subject, one.detail)
            kind, actor, subject, detail = (
                text.encode("utf-8", "surrogateescape") for text in texts
            )
            yield one.seq, one.at, kind, actor, subject, detail, one.previous, one.hash


def checked(entries: list[AuditEntry], *heads: Head) -> Report:
    """Check a chain as is done with few entries and with many, which comes to the same."""
    report = verify(entries, heads)
    numbers = [one.seq for one in entries]
    if numbers == sorted(set(numbers)):
        assert verify_chain(Listed(entries), heads) == report
    return report


def broken(entries: list[AuditEntry], *heads: Head) -> tuple[int, Fault]:
    problem = checked(entries, *heads).problem
    assert problem is not None
    assert problem.text
    return problem.seq, problem.fault


def test_a_chain_as_it_was_written_is_intact() -> None:
    chain = chain_of(7)
    report = checked(chain)
    assert report.intact
    assert checked(chain, Head(3, chain[2].hash), Head(7, chain[6].hash), Head()).heads == 3
    assert (report.entries, report.head) == (7, Head(7, chain[-1].hash))
    assert verify([]).intact
    assert verify([]).head == Head(0, GENESIS)


def test_the_hash_is_what_it_has_always_been() -> None:
    """Entries that were written by one release are checked by all later ones."""
    found = digest(1, 1.5, "task.done", "ada", "task/t1", "{}", GENESIS).hex()
    assert found == "6867a33058b74384c6cef728512f7262cc4650f8b8a056404e1cbaeae1235693"


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.data())
def test_any_change_of_any_field_is_found(data: st.DataObject) -> None:
    chain = chain_of(5)
    place = data.draw(st.integers(0, 4))
    entry = chain[place]
    name = data.draw(st.sampled_from(["at", "kind", "actor", "subject", "detail"]))
    value: Any = data.draw(
        st.floats(allow_nan=False).map(lambda number: number + 0.0) if name == "at" else texts
    )
    if value == getattr(entry, name):
        return
    chain[place] = replace(entry, **{name: value})
    assert broken(chain) == (place + 1, Fault.CHANGED)


@given(st.integers(0, 4), st.sampled_from(["previous", "hash"]), st.integers(0, 255))
def test_any_bit_of_a_hash_that_is_flipped_is_found(place: int, name: str, bit: int) -> None:
    chain = chain_of(5)
    value = bytearray(getattr(chain[place], name))
    value[bit // 8] ^= 1 << bit % 8
    chain[place] = replace(chain[place], **{name: bytes(value)})
    assert broken(chain) == (place + 1, Fault.CHANGED)


@given(st.integers(0, 4), st.sampled_from(["kind", "actor", "subject"]), st.integers(1, 3))
def test_text_that_moves_to_the_next_field_is_found(place: int, name: str, count: int) -> None:
    after = {"kind": "actor", "actor": "subject", "subject": "detail"}[name]
    chain = chain_of(5)
    entry = chain[place]
    text = getattr(entry, name)
    moved = {name: text[:-count], after: text[-count:] + getattr(entry, after)}
    chain[place] = replace(entry, **moved)
    assert broken(chain) == (place + 1, Fault.CHANGED)


@given(*[st.tuples(texts, texts, texts, texts)] * 2)
def test_other_fields_have_another_hash(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    same = digest(1, 0.0, *one, GENESIS) == digest(1, 0.0, *two, GENESIS)  # type: ignore[call-arg, arg-type]  # four texts each
    assert same == (one == two)


def test_an_entry_that_is_written_anew_does_not_fit_the_next_one() -> None:
    chain = chain_of(5)
    chain[2] = resealed(replace(chain[2], actor="eve"))
    assert broken(chain) == (4, Fault.DOES_NOT_FOLLOW)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_removed_entry_is_found_with_and_without_its_gap(place: int) -> None:
    chain = chain_of(5)
    del chain[place]
    assert broken(chain) == (place + 2, Fault.MISSING)
    assert broken(renumbered(chain)) == (place + 1, Fault.MISSING)


def test_several_removed_entries_are_named() -> None:
    chain = chain_of(6)
    del chain[1:4]
    problem = verify(chain).problem
    assert problem is not None
    assert "Entries 2 to 4 are missing" in problem.text


@pytest.mark.parametrize("place", [0, 1, 3])
def test_swapped_entries_are_found(place: int) -> None:
    chain = chain_of(5)
    chain[place : place + 2] = reversed(chain[place : place + 2])
    assert broken(renumbered(chain)) == (place + 1, Fault.OUT_OF_ORDER)
    assert broken(chain) == (place + 2, Fault.MISSING)


def test_entries_far_apart_that_are_swapped_are_found() -> None:
    chain = chain_of(6)
    chain[1], chain[4] = chain[4], chain[1]
    assert broken(renumbered(chain)) == (2, Fault.CHANGED)


def test_an_entry_that_comes_again_is_out_of_order() -> None:
    chain = chain_of(4)
    assert broken([*chain, chain[2]]) == (3, Fault.OUT_OF_ORDER)


@pytest.mark.parametrize("place", [0, 2, 4])
def test_an_entry_that_is_copied_is_inserted(place: int) -> None:
    chain = chain_of(5)
    chain.insert(place, chain[place])
    assert broken(renumbered(chain)) == (place + 2, Fault.INSERTED)


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("knows_how", [False, True])
def test_an_inserted_entry_is_named(place: int, *, knows_how: bool) -> None:
    chain = chain_of(5)
    foreign = replace(follow(chain[:place]), actor="eve")
    chain.insert(place, resealed(foreign) if knows_how else foreign)
    report = verify(renumbered(chain))
    assert report.problem is not None
    assert (report.problem.seq, report.problem.fault) == (place + 1, Fault.INSERTED)
    assert report.entries == place
    assert report.head == (verify(chain_of(5)[:place]).head)


def test_a_head_shows_that_the_end_was_cut() -> None:
    chain = chain_of(6)
    head = Head(6, chain[5].hash)
    assert verify(chain, [head]).heads == 1
    assert verify(chain[:4]).intact  # by itself it looks whole
    assert broken(chain[:4], head) == (5, Fault.CUT)
    assert broken([], head) == (1, Fault.CUT)


def test_a_head_shows_that_the_end_was_written_anew() -> None:
    chain = chain_of(6)
    other = chain[:3]
    while len(other) < 8:
        other.append(follow(other, actor="eve"))
    assert verify(other).intact
    heads = [Head(), Head(2, chain[1].hash), Head(5, chain[4].hash)]
    assert broken(other, *heads) == (5, Fault.REWRITTEN)
    assert verify(other, heads).heads == 2
    assert verify(other, heads).head == Head(4, other[3].hash)


def test_heads_of_the_beginning_are_in_every_chain() -> None:
    assert verify([], [Head()]).heads == 1
    assert verify(chain_of(2), [Head(), Head()]).heads == 2
    assert broken(chain_of(2), Head(0, bytes(32)))[1] is Fault.REWRITTEN


def test_a_part_can_be_checked_from_a_known_entry() -> None:
    chain = chain_of(6)
    start = Head(3, chain[2].hash)
    assert verify(chain[3:], start=start).entries == 6
    chain[4] = replace(chain[4], actor="eve")
    problem = verify(chain[3:], start=start).problem
    assert problem is not None
    assert problem.seq == 5


@given(st.integers(0, 1 << 60), st.binary(min_size=32, max_size=32))
def test_a_head_is_read_as_it_was_written(seq: int, value: bytes) -> None:
    head = Head(seq, value)
    text = f'{{"seq": {seq}, "hash": "{value.hex()}"}}'
    assert read_heads(str(head)) == read_heads(text) == [head]
    assert read_heads(f"\n{head}\n\n{head}\n") == [head, head]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "khive-audit-1 5 00",
        f"khive-audit-2 5 {'0' * 64}",
        f"khive-audit-1 -5 {'0' * 64}",
        f"khive-audit-1 5 {'x' * 64}",
        "{",
        "{}",
        '{"seq": null, "hash": null}',
        "{\n}",
        "[1]",
    ],
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no head"):
        read_heads(text)


def test_bytes_that_are_no_text_have_a_hash_of_their_own() -> None:
    """A flipped byte can make a text that is not UTF-8; it is found, not an error."""
    chain = chain_of(3)
    chain[1] = replace(chain[1], subject=b"task/t\xff".decode("utf-8", "surrogateescape"))
    assert broken(chain) == (2, Fault.CHANGED)


def test_actors_say_who_and_where_from() -> None:
    assert actors.user().startswith("user/")
    assert actors.session("1a2b", "ada") == "session/1a2b ada"
    assert actors.session("1a2b", "") == "session/1a2b"
    assert actors.session("", "ada") == f"{actors.user()} ada"
    assert actors.command(12) == f"{actors.user()} pid 12"
    assert actors.command(None) == actors.user()


# --- what is said of it ---------------------------------------------------------------------------


def problem_of(entries: list[AuditEntry], *heads: Head) -> str:
    found = verify(entries, heads).problem
    assert found is not None
    return found.text


def test_what_is_wrong_is_said_with_the_numbers_that_it_is_about() -> None:
    chain = chain_of(6)
    head = Head(6, chain[5].hash)
    gap, several = chain[:2] + chain[3:], chain[:1] + chain[4:]
    assert problem_of(gap) == "Entry 3 is missing before entry 4."
    assert problem_of(several) == "Entries 2 to 4 are missing before entry 5."
    assert problem_of([*chain, chain[1]]) == "Entry 2 comes after entry 6."
    swapped = renumbered([chain[0], chain[2], chain[1], *chain[3:]])
    assert problem_of(swapped) == "Entries 2 and 3 have changed places."
    assert "ends with entry 4, and the head is of entry 6" in problem_of(chain[:4], head)


def test_what_is_right_before_the_first_wrong_entry_is_told() -> None:
    chain = chain_of(5)
    chain[3] = replace(chain[3], actor="eve")
    report = verify(chain)
    assert (report.entries, report.head, report.intact) == (3, Head(3, chain[2].hash), False)
    assert verify([replace(chain[0], actor="eve")]).head == Head()


def test_a_report_is_plain_data() -> None:
    chain = chain_of(2)
    whole = verify(chain, [Head(1, chain[0].hash)]).as_dict()
    assert whole == {
        "intact": True, "entries": 2, "head": {"seq": 2, "hash": chain[1].hash.hex()},
        "heads_found": 1, "problem": None,
    }  # fmt: skip
    chain[1] = replace(chain[1], actor="eve")
    found = verify(chain).as_dict()
    assert (found["intact"], found["entries"]) == (False, 1)
    assert found["problem"] == {
        "seq": 2, "fault": "changed", "text": "Entry 2 is not as it was written.",
    }  # fmt: skip


def test_heads_are_looked_for_in_any_order_and_counted_up_to_the_first_that_is_wrong() -> None:
    chain = chain_of(5)
    heads = [Head(entry.seq, entry.hash) for entry in chain]
    assert verify(chain, heads[::-1]).heads == 5
    assert verify(chain, [heads[4], heads[4], heads[0]]).heads == 3
    wrong = Head(3, bytes(32))
    report = verify(chain, [heads[4], wrong, heads[0]])
    assert report.heads == 1
    assert report.problem is not None
    assert (report.problem.seq, report.problem.fault) == (3, Fault.REWRITTEN)
    assert report.head == heads[1]


def test_the_first_entry_can_be_the_wrong_one() -> None:
    chain = chain_of(3)
    rewritten = resealed(replace(chain[0], actor="eve"))
    assert broken([rewritten, *chain[1:]]) == (2, Fault.DOES_NOT_FOLLOW)
    assert broken(chain, Head(1, bytes(32))) == (1, Fault.REWRITTEN)
    assert verify(chain, [Head(1, bytes(32))]).head == Head()


def test_an_entry_with_another_past_does_not_follow() -> None:
    chain = chain_of(3)
    chain[2] = resealed(replace(chain[2], previous=bytes(32)))
    assert broken(chain) == (3, Fault.DOES_NOT_FOLLOW)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nothing_is_read_beyond_the_entry_after_the_first_wrong_one(count: int) -> None:
    chain = chain_of(9)
    chain[count] = replace(chain[count], actor="eve")
    read: list[int] = []

    def entries() -> Any:
        for entry in chain:
            read.append(entry.seq)
            yield entry

    assert verify(entries()).problem is not None
    assert len(read) <= count + 3


def test_a_head_of_nothing_is_number_zero() -> None:
    assert read_heads(str(Head())) == [Head(0, GENESIS)]
    assert Head().as_dict() == {"seq": 0, "hash": GENESIS.hex()}


def test_what_is_no_head_is_repeated_in_part_and_with_what_to_do() -> None:
    with pytest.raises(InvalidInput) as caught:
        read_heads("x" * 200)
    assert "x" * 80 in caught.value.message
    assert "x" * 81 not in caught.value.message
    assert "khive-supervisor audit head" in caught.value.hint


def test_a_long_chain_is_gone_through_quickly_up_to_what_is_wrong() -> None:
    chain = chain_of(6)
    ends = [Head(one.seq, one.hash) for one in chain]
    assert sound_until(Listed(chain).stored(), Head(), {}) == (ends[5], ends[4])
    assert sound_until(Listed(chain).stored(2), ends[1], {}) == (ends[5], ends[4])
    assert sound_until(iter(()), ends[1], {}) == (ends[1], ends[1])
    changed = [*chain[:3], replace(chain[3], subject="task/x"), *chain[4:]]
    assert sound_until(Listed(changed).stored(), Head(), {}) == (ends[2], ends[1])
    without = [*chain[:2], *chain[3:]]
    assert sound_until(Listed(without).stored(), Head(), {}) == (ends[1], ends[0])
    other = [*chain[:2], resealed(replace(chain[2], previous=GENESIS)), *chain[3:]]
    assert sound_until(Listed(other).stored(), Head(), {}) == (ends[1], ends[0])


def test_a_hash_that_is_wanted_has_to_be_that_one() -> None:
    chain = chain_of(4)
    third = Head(chain[2].seq, chain[2].hash)
    found, _ = sound_until(Listed(chain).stored(), Head(), {3: {chain[2].hash}})
    assert found.seq == 4
    found, before = sound_until(Listed(chain).stored(), third, {4: {b"another"}})
    assert (found, before) == (third, third)


@pytest.mark.parametrize("column", range(1, 8))
def test_rows_of_another_type_end_what_is_sound(column: int) -> None:
    rows = list(Listed(chain_of(2)).stored())
    rows[1] = tuple(None if n == column else one for n, one in enumerate(rows[1]))  # type: ignore[assignment]  # a damaged file
    found, _ = sound_until(iter(rows), Head(), {})
    assert found.seq == 1


def test_what_is_kept_of_a_content_depends_on_its_key() -> None:
    known = keyed_digest(b"k" * 32, b"content")
    assert len(bytes.fromhex(known)) == 32
    assert known == keyed_digest(b"k" * 32, b"content")
    assert known != keyed_digest(b"l" * 32, b"content")
    assert known != keyed_digest(b"k" * 32, b"other")


def test_heads_that_are_passed_already_are_looked_for_among_others() -> None:
    chain = chain_of(4)
    start = Head(2, chain[1].hash)
    heads = [start, Head(4, chain[3].hash)]
    assert verify_chain(Listed(chain), heads, start) == verify(chain[2:], heads, start)
    assert verify_chain(Listed(chain), heads, start).heads == 2
