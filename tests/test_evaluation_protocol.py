"""Protocols: their rules, their ids and the presets."""

from dataclasses import FrozenInstanceError, replace

import pytest

from crossbit.errors import SettingsError
from crossbit.evaluation import FIRST_50, P50, PALL, PROTOCOLS, PUKD, TEXTBOOK_50, EvaluationProtocol


def test_presets_are_what_the_literature_does():
    assert (P50.cutoff, P50.divide_by, P50.ties, P50.without_relevant) == (50, "found", "expected", "zero")
    assert (PALL.cutoff, PALL.divide_by, PALL.ties, PALL.without_relevant) == (None, "relevant", "expected", "zero")
    assert (TEXTBOOK_50.cutoff, TEXTBOOK_50.divide_by) == (50, "reachable")
    assert (FIRST_50.cutoff, FIRST_50.divide_by) == (50, "first_relevant")
    assert PUKD.rules() == PALL.rules()
    assert len({protocol.name for protocol in PROTOCOLS.values()}) == len(PROTOCOLS) == 9


def test_the_id_changes_with_every_rule_the_split_and_the_relevance():
    changed = [
        replace(P50, cutoff=51),
        replace(P50, cutoff=None),
        replace(P50, divide_by="relevant"),
        replace(P50, ties="id"),
        replace(P50, without_relevant="skip"),
    ]
    ids = [protocol.id("a split") for protocol in [P50, *changed]]
    ids += [P50.id("another split"), P50.id("a split", relevance="same pair")]
    assert len(set(ids)) == len(ids)


def test_the_id_is_the_same_today_and_tomorrow_and_ignores_the_name():
    # A number that was published under an id must keep it: change this only with the rules' version.
    assert P50.id("0123456789abcdef") == "cbb2efa901"
    assert replace(P50, name="another name").id("x") == P50.id("x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": 0}, "cutoff"),
        ({"cutoff": -5}, "cutoff"),
        ({"cutoff": 2.5}, "cutoff"),
        ({"cutoff": True}, "cutoff"),
        ({"divide_by": "hits"}, "divide_by is one of found, relevant, reachable, first_relevant"),
        ({"ties": "stable"}, "ties is one of expected, best, worst, id"),
        ({"without_relevant": "nan"}, "without_relevant is one of zero, skip"),
    ],
)
def test_unknown_rules_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        replace(P50, **change)


def test_protocols_are_immutable_values():
    with pytest.raises(FrozenInstanceError):
        P50.cutoff = 5
    assert EvaluationProtocol("mAP@50", 50, "found") == P50
    assert hash(EvaluationProtocol("mAP@50", 50, "found")) == hash(P50)
