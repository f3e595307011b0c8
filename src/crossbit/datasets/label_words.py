"""Taking the words that name a label out of a text, so that a text does not give its label away."""

from __future__ import annotations

import re
from collections.abc import Iterable

INFLECTIONS = """
    smile smiled sleep sleeping asleep rest rested drinking gesturing cloth clothes clothed locked unlock unlocked
    closing opening opened write written concern skeptic sceptical faced facing lighting sporty sporting costumed
    transportation geography geometry emotional natural personal musician mathematics scientist scientific medicine
    merperson tradesperson
"""
"""Other forms of label words in the emoji data, beside plurals; found by reading its vocabulary."""


def words(text: str) -> list[str]:
    """The words of a text: lower case, parted at everything that is no letter or figure (so at hyphens too)."""
    return re.findall(r"[^\W_]+", re.sub("['\u2019]s\\b", "", text.casefold()))


def singular(word: str) -> str:
    """A word without its plural ending and without figures at its end ("cats" and "cat2" are "cat")."""
    word = re.sub(r"(?<=[a-z])\d+$", "", word)
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")):
        return word[:-1]
    return word


def remove_label_words(texts: Iterable[str], own: Iterable[str], labels: Iterable[str]) -> list[str]:
    """The different words of some texts, in order of first use, without those that give a label away.

    labels: all labels; their words and the inflections of these go. own: the item's labels; a word that holds one of
    their words goes too ("sunflower" of a flower, "mailbox" of mail), while it may stay in other texts.
    """
    forbidden = label_words(labels) | label_words([INFLECTIONS])
    parts = {word for word in label_words(own) if len(word) > 2}
    kept = dict.fromkeys(word for text in texts for word in words(text))
    return [word for word in kept if singular(word) not in forbidden and not any(part in word for part in parts)]


def label_words(labels: Iterable[str]) -> set[str]:
    """The words of some labels, in the singular."""
    return {singular(word) for label in labels for word in words(label)}
