"""Rules of what a method is before it learns anything: a frozen record of settings that cites its paper."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_origin, get_type_hints

from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.testing.settings import settings_from_toml, settings_to_toml
from crossbit.testing.subject import Subject
from crossbit.testing.verdict import must_raise, require


def settings_are_frozen(subject: Subject) -> None:
    """A setting cannot be changed in place; a changed copy leaves the method as it was."""
    method = subject.method()
    before = method.settings()
    try:
        method.seed = 99  # type: ignore[misc]  # the assignment that must fail
    except dataclasses.FrozenInstanceError:
        frozen = True
    else:
        frozen = False
    require(frozen, f"{subject} lets its settings be changed: make it @dataclass(frozen=True, kw_only=True).")
    require(method.with_settings({"seed": 99}).seed == 99, "with_settings does not change the setting")
    require(method.settings() == before, "with_settings changes the method itself")


def settings_round_trip_through_toml(subject: Subject) -> None:
    """Settings written as TOML and read back give an equal method."""
    for method in (subject.method(), subject.method_class()):
        text = settings_to_toml(method.settings())
        again = settings_from_toml(subject.method_class, text)
        require(again == method, f"these settings came back otherwise:\n{text}\nas {again}")
        require(again.settings() == method.settings(), "the settings came back otherwise")


def wrong_settings_raise(subject: Subject) -> None:
    """A code length or seed out of range, and a setting that does not exist, raise SettingsError."""
    wrong_settings: tuple[dict[str, int], ...] = ({"n_bits": 0}, {"seed": -1}, {"no_such_setting": 1})
    for wrong in wrong_settings:
        must_raise(SettingsError, subject.method().with_settings, wrong, words=tuple(wrong))


def unknown_words_raise(subject: Subject) -> None:
    """A setting that is one of a few words (a Literal) takes no other word, and the error names the setting."""
    kinds = get_type_hints(subject.method_class)
    for field in dataclasses.fields(subject.method_class):
        if get_origin(kinds[field.name]) is Literal:
            must_raise(SettingsError, subject.method().with_settings, {field.name: "nonsense"}, words=(field.name,))


def cites_its_paper(subject: Subject) -> None:
    """Authors, title, venue and year are given, and a link unless it is a reconstruction; the class is explained."""
    paper = subject.method_class.paper
    require(isinstance(paper, Paper), f"{subject}.paper is {paper!r}")
    require(all((paper.authors, paper.title, paper.venue)), f"the citation has gaps: {paper}")
    require(1900 < paper.year < 2100, f"the year is {paper.year}")
    require(
        paper.link.startswith("https://") or paper.reconstruction, "give the paper's link, or say reconstruction=True"
    )
    require(subject.method_class.name, "the method has no name")
    own_words = vars(subject.method_class).get("__doc__") or ""
    require(
        len(own_words) > 60, "the class docstring must say what the method does and where it departs from its paper"
    )


SETTINGS_RULES = (
    settings_are_frozen,
    settings_round_trip_through_toml,
    wrong_settings_raise,
    unknown_words_raise,
    cites_its_paper,
)
