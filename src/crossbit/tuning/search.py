"""Settings tried one after the other, each judged by the codes of pairs that were held out. No label is read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossbit.errors import CrossbitError, DataError, SettingsError
from crossbit.evaluation import PROXIES, CodeProxies, code_proxies
from crossbit.method import Method
from crossbit.pairs import PairedFeatures, row_digests
from crossbit.progress import Progress, Step, silent
from crossbit.tuning.draws import Judged, check_optuna, next_values
from crossbit.tuning.spaces import Spaces, Value, check_spaces, spaces_of, value_at, with_values
from crossbit.tuning.study import Study, Trial, begun

PROXY = "together"
"""The figure to choose by unless another is asked for; see docs/choosing.md for why."""
FEWEST_HELD_OUT = 20


@dataclass(frozen=True, eq=False)
class Parts:
    """The pairs that are fitted on, and those that are held out; neither has labels."""

    kept: PairedFeatures
    held_out: PairedFeatures


def tune(
    method: Method,
    pairs: PairedFeatures,
    *,
    spaces: Spaces | None = None,
    trials: int = 20,
    timeout: float | None = None,
    proxy: str = PROXY,
    held_out: float = 0.2,
    at_most: int | None = None,
    seed: int = 0,
    study: Path | None = None,
    progress: Progress = silent,
) -> Study:
    """Look for settings of a method whose codes of new pairs are judged best, without labels.

    The method is fitted with its settings as they are, and then with as many drawn settings as there are trials, each
    time on the same part of the pairs, and judged by `code_proxies` on the other part. Labels of the pairs are taken
    away before anything else.

    method: what is tuned, with the code length and all settings that are not looked for. pairs: training pairs; never
    queries. spaces: where settings are looked for, `spaces_of(method)` without. timeout: begin no trial after so many
    seconds. proxy: a name of `crossbit.evaluation.PROXIES`. held_out: share of the pairs that is judged on, above 0
    and at most .5; pairs whose content is also among the others leave it. at_most: take so many random pairs, since
    each trial is a fit. study: a file that is written after each trial and gone on from; a search that was stopped
    ends as if it had not been, up to what the clock says. seed: draws the parts and the settings.

    Raises SettingsError for a supervised method, a setting, a proxy or a share that cannot be, and where the file is a
    study of something else; MissingExtraError without Optuna; DataError for too few pairs. A fit that fails is noted.
    """
    if trials < 1:
        raise SettingsError(f"trials must be 1 or more; got {trials!r}.")
    chosen = check_asked(method, spaces, proxy=proxy, held_out=held_out)
    parts = parted(pairs.without_labels(), held_out, at_most, seed)
    about = {
        "method": method.name,
        "settings": method.settings(),
        "spaces": {name: space.to_json() for name, space in chosen.items()},
        "pairs": {"fitted": len(parts.kept), "held_out": len(parts.held_out), "features": pairs.fingerprint()},
        "share": held_out,
        "proxy": proxy,
        "seed": seed,
    }
    found, start = begun(study, about), time.monotonic()
    while len(found.trials) <= trials and (timeout is None or time.monotonic() - start < timeout):
        found = found.with_trial(_tried(method, chosen, found, parts, seed))
        if study is not None:
            study.parent.mkdir(parents=True, exist_ok=True)
            found.write(study)
        values = [value for trial in found.trials if (value := trial.judged(proxy)) is not None]
        progress(Step("trials", len(found.trials), trials + 1, {"best": max(values)} if values else {}))
    return found


def tuned(method: Method, study: Study) -> Method:
    """The method with the best settings of a study of it; raises DataError where every fit failed."""
    return with_values(method, study.best.values)


def check_asked(method: Method, spaces: Spaces | None, *, proxy: str, held_out: float) -> Spaces:
    """The spaces that a search would go through; raises what `tune` raises for what needs no pairs to be seen."""
    check_unsupervised(method)
    chosen = dict(spaces_of(method) if spaces is None else spaces)
    check_spaces(method, chosen)
    if proxy not in PROXIES or proxy == "teacher_agreement":
        known = ", ".join(name for name in PROXIES if name != "teacher_agreement")
        raise SettingsError(f"There is no figure {proxy!r} to choose by; there are {known}.")
    if not 0 < held_out <= 0.5:
        raise SettingsError(f"held_out is a share above 0 and at most .5; got {held_out!r}.")
    check_optuna()
    return chosen


def check_unsupervised(method: Method) -> None:
    """Raise SettingsError for a method that learns with labels, or that has such a one in its settings."""
    parts = [method, *(part for part in vars(method).values() if isinstance(part, Method))]
    for part in parts:
        if part.supervised:
            raise SettingsError(
                f"{part.name} learns with labels, which tuning takes away: with labels at hand, compare settings by "
                "mAP on labelled pairs that are no queries. Choose a method without labels (crossbit methods)."
            )


def parted(pairs: PairedFeatures, share: float, at_most: int | None, seed: int) -> Parts:
    """The pairs in two random parts; raises DataError for too few pairs."""
    if at_most is not None and at_most < 2:
        raise SettingsError(f"at_most is a number of pairs, 2 or more; got {at_most!r}.")
    order = np.random.default_rng(seed).permutation(len(pairs))[:at_most]
    held, kept = np.split(order, [round(len(order) * share)])
    digests = row_digests(pairs)
    seen = {digests[row] for row in kept}
    held = np.array([row for row in held if digests[row] not in seen], dtype=np.int64)
    if len(held) < FEWEST_HELD_OUT:
        raise DataError(
            f"Of {len(order)} pairs {len(held)} would be held out, and {FEWEST_HELD_OUT} or more are needed to judge "
            "by; give more pairs or a greater share."
        )
    return Parts(pairs[kept], pairs[held])


def _tried(method: Method, spaces: Spaces, study: Study, parts: Parts, seed: int) -> Trial:
    number = len(study.trials)
    values: Mapping[str, Value] = next_values(spaces, _judged(method, spaces, study), seed) if number else {}
    began = time.perf_counter()
    problem, proxies = "", None
    try:
        proxies = _proxies(with_values(method, values), parts)
    except (CrossbitError, ArithmeticError, np.linalg.LinAlgError) as error:
        problem = str(error) or type(error).__name__
    return Trial(number, values, proxies, round(time.perf_counter() - began, 3), problem)


def _judged(method: Method, spaces: Spaces, study: Study) -> list[Judged]:
    """What the next draw learns from; the settings as they were count too."""
    given = {name: value_at(method, name) for name in spaces}
    return [(trial.values if trial.number else given, trial.judged(study.proxy)) for trial in study.trials]


def _proxies(method: Method, parts: Parts) -> CodeProxies:
    hasher = method.fit(parts.kept)
    codes = hasher.encode_images(parts.held_out.image), hasher.encode_texts(parts.held_out.text)
    return code_proxies(*codes, parts.held_out)
