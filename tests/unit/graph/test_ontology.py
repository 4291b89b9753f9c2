"""The kinds of links: what each may join, and what a refusal says."""

from __future__ import annotations

import itertools

import pytest

from khive_supervisor.errors import InvalidInput
from khive_supervisor.graph import ontology
from khive_supervisor.graph.ontology import COLLECTIONS, INVERSES, KINDS, ONTOLOGY

M, K, E = "memory", "knowledge", "execution"
ALL = {(a, b) for a in COLLECTIONS for b in COLLECTIONS}
TEXTS = {(M, M), (M, K), (K, M), (K, K)}
JOINS = {
    "supersedes": {(M, M), (K, K)},
    "contradicts": TEXTS,
    "same_as": TEXTS,
    "about": {(a, b) for a in COLLECTIONS for b in (M, K)},
    "derived_from": ALL,
    "depends_on": ALL,
    "produced": {(E, M), (E, K)},
    "caused_by": {(a, b) for a in (M, E) for b in COLLECTIONS},
    "retry_of": {(E, E)},
    "follows": {(E, E)},
}


def test_the_table_has_every_kind() -> None:
    assert set(JOINS) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_joins_what_the_table_says_and_a_refusal_names_what_would_be_right(
    name: str,
) -> None:
    kind = ONTOLOGY[name]
    for start, end in ALL:
        if (start, end) in JOINS[name]:
            ontology.check(kind, start, end)
            continue
        with pytest.raises(InvalidInput, match=name) as refused:
            ontology.check(kind, start, end)
        right = [one for one in KINDS if (start, end) in JOINS[one] and one != "supersedes"]
        assert refused.value.hint is not None
        assert all(one in refused.value.hint for one in right)


def test_names_are_read_from_both_ends_and_never_mixed_up() -> None:
    symmetric = {kind.name for kind in ONTOLOGY.values() if kind.symmetric}
    assert symmetric == {"contradicts", "same_as"}
    assert not INVERSES.keys() & ONTOLOGY.keys()
    assert len(INVERSES) == len(KINDS) - len(symmetric)
    assert not any(kind.symmetric and kind.acyclic for kind in ONTOLOGY.values())


def test_what_is_no_kind_is_refused_with_the_right_ones() -> None:
    with pytest.raises(InvalidInput, match="loves") as refused:
        ontology.kind_of("loves")
    assert "depends_on" in str(refused.value.hint)
    with pytest.raises(InvalidInput) as turned:
        ontology.kind_of("needed_by")
    assert "depends_on" in str(turned.value.hint)


def test_each_pair_that_can_be_linked_has_a_kind() -> None:
    for start, end in itertools.product(COLLECTIONS, repeat=2):
        assert ontology.kinds_between(start, end)
