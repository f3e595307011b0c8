"""The conformance suite that every method passes, one check a rule. It needs no test framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crossbit.errors import CrossbitError, SettingsError
from crossbit.method import Method
from crossbit.testing.rules_of_codes import CODE_RULES
from crossbit.testing.rules_of_fitting import FIT_RULES
from crossbit.testing.rules_of_input import INPUT_RULES
from crossbit.testing.rules_of_settings import SETTINGS_RULES
from crossbit.testing.subject import Subject

_RULES: dict[str, Callable[[Subject], None]] = {
    rule.__name__: rule for rules in (SETTINGS_RULES, FIT_RULES, CODE_RULES, INPUT_RULES) for rule in rules
}


@dataclass(frozen=True)
class Outcome:
    """How a check ended without an error. reason: why the method was declared to fail it, or "" where it passed."""

    check: str
    reason: str = ""

    @property
    def expected_failure(self) -> bool:
        """Whether the method failed, as it was declared to."""
        return bool(self.reason)


@dataclass(frozen=True, eq=False)
class MethodCheck:
    """One check on one method; call it to run it. reason: why the method is known to fail it, "" if it is not."""

    name: str
    subject: Subject
    reason: str = ""

    def __call__(self) -> Outcome:
        """Run the check; raises AssertionError (or the method's own error) with what is wrong.

        A check that is declared to fail gives an Outcome with the reason when it fails, and raises AssertionError
        when it passes: the declaration is then out of date.
        """
        if not self.reason:
            _RULES[self.name](self.subject)
            return Outcome(self.name)
        try:
            _RULES[self.name](self.subject)
        except (AssertionError, CrossbitError):
            return Outcome(self.name, self.reason)
        raise AssertionError(f"{self.subject} passes {self.name}, which it is declared to fail ({self.reason}).")


def method_checks() -> tuple[str, ...]:
    """The names of all checks, in order; loads no method, so that tests can be listed without torch."""
    return tuple(_RULES)


def check_method(
    method_class: type[Method], *, expected_failures: Mapping[str, str] | None = None, **quick_settings: Any
) -> Iterator[MethodCheck]:
    """The whole suite for one method: call each check that it yields.

        for check in check_method(MyMethod, epochs=5):
            check()

    quick_settings: settings in which the method still learns the small planted world (240 pairs of 24 and 16
    features) but takes a second or two; n_bits and seed are set by the checks. expected_failures: check name ->
    reason, for what the method cannot do by its nature. The checks share one fitted hasher.

    Raises SettingsError for an expected failure that is no check or has no reason.
    """
    declared = dict(expected_failures or {})
    unknown = sorted(set(declared) - set(_RULES))
    if unknown:
        raise SettingsError(f"There is no check {', '.join(unknown)}; there are {', '.join(_RULES)}.")
    if not all(declared.values()):
        raise SettingsError("A check is declared to fail with a reason; an empty one was given.")
    subject = Subject(method_class, quick_settings)
    return (MethodCheck(name, subject, declared.get(name, "")) for name in _RULES)
