"""The next settings to try, by Optuna's tree-structured Parzen estimator. The one file that imports Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from crossbit.errors import MissingExtraError
from crossbit.tuning.spaces import Choice, Range, Space, Spaces, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Judged = tuple[Mapping[str, Value], float | None]
"""Settings that were tried, and how good they were, greater is better; None where the fit failed."""

RANDOM_FIRST = 10
"""Until so many settings are judged, they are drawn at random."""


def check_optuna() -> None:
    """Raise MissingExtraError where Optuna is not installed: known before the first fit, not after it."""
    with _optuna_quiet():
        pass


def next_values(spaces: Spaces, judged: Sequence[Judged], seed: int) -> dict[str, Value]:
    """The settings to try next, from all that was judged so far.

    The same spaces, settings, figures and seed give the same draw, so that a search that was stopped goes on as if it
    had not been. Numbers have four significant digits. What does not lie in the spaces is not learned from.

    Raises MissingExtraError where Optuna is not installed.
    """
    with _optuna_quiet():
        import optuna  # noqa: PLC0415 - an optional package, imported where it is used
        from optuna.trial import TrialState, create_trial  # noqa: PLC0415 - as above

        distributions = {name: _distribution(space) for name, space in spaces.items()}
        state = np.random.SeedSequence([seed, len(judged)]).generate_state(1)
        sampler = optuna.samplers.TPESampler(seed=int(state[0]), n_startup_trials=RANDOM_FIRST)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for values, value in judged:
            if set(values) == set(spaces) and all(values[name] in spaces[name] for name in spaces):
                ended = TrialState.FAIL if value is None else TrialState.COMPLETE
                study.add_trial(
                    create_trial(state=ended, value=value, params=dict(values), distributions=distributions)
                )
        asked = study.ask(distributions)
        return {name: _plain(asked.params[name], space) for name, space in spaces.items()}


def _distribution(space: Space) -> BaseDistribution:
    from optuna.distributions import (  # noqa: PLC0415 - an optional package, imported where it is used
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(space, Choice):
        return CategoricalDistribution(space.values)
    if space.whole:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)


def _plain(value: Value, space: Space) -> Value:
    if isinstance(space, Range) and not space.whole and isinstance(value, float):
        return min(max(float(f"{value:.4g}"), space.low), space.high)
    return value


@contextmanager
def _optuna_quiet() -> Iterator[None]:
    """Optuna without its log, whose level is put back; raises MissingExtraError where it is not installed."""
    try:
        from optuna import logging  # noqa: PLC0415 - an optional package, imported where it is used
    except ModuleNotFoundError as error:
        raise MissingExtraError("Tuning settings", "tune") from error
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
