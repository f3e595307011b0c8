"""The page of the family has every method, with what it was built on, and nothing without a result."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from crossbit.errors import FileFormatError, MismatchError
from crossbit.experiment import Result
from crossbit.method import Method
from crossbit.methods import METHODS, load_method, needs_labels
from test_tables import result

pytest.importorskip("torch", reason="methods that train are loaded for their docstrings")
ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "family.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def family() -> ModuleType:
    """benchmarks/family.py, which is no part of the package."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("family")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_facts_its_departures_and_its_row(name: str, family: ModuleType) -> None:
    facts = family.read_facts()
    assert name in facts, f"say in benchmarks/systems what {name} was built on"
    kind = load_method(name)
    assert kind.supervised == needs_labels(name), f"write  supervised: ClassVar[bool] = True  in the class of {name}"
    assert family.departures(kind, facts[name])
    assert f"\n### {name}\n" in PAGE
    assert f"| [{name}](#{name}) |" in PAGE


@pytest.mark.parametrize("name", METHODS)
def test_a_reconstruction_is_one_whose_text_and_code_nobody_read(name: str, family: ModuleType) -> None:
    evidence = set(family.read_facts()[name].evidence)
    if load_method(name).paper.reconstruction:
        assert not evidence & {"paper", "code", "port"}


def test_what_is_not_built_is_no_method_and_says_why(family: ModuleType) -> None:
    listed = family.not_built()
    assert len(listed) > 10
    for system in listed:
        assert str(system["name"]).lower() not in METHODS
        assert system["reason"]
        assert set(system["evidence"]) <= set(family.EVIDENCE)


def test_a_method_without_a_result_has_no_row(family: ModuleType) -> None:
    found = family.rows_of([result("kdcmh", 0.5), result("jdsh", 0.4, n_bits=16)], supervised=False)
    assert list(found) == ["kdcmh"]
    made = family.blocks([result("kdcmh", 0.5)])
    assert "[kdcmh](#kdcmh) | abstract | 0.500 |" in made["family unsupervised PALL"]()
    assert "jdsh" not in made["family unsupervised PALL"]()
    assert "kdcmh" not in made["family supervised PALL"]()


def test_two_protocols_never_share_a_column(family: ModuleType) -> None:
    mixed = [result("kdcmh", 0.5), result("jdsh", 0.4, protocol_id="another")]
    with pytest.raises(MismatchError, match="another"):
        family.blocks(mixed)["family unsupervised PALL"]()


def test_facts_that_do_not_fit_are_refused(family: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "supervised.toml").write_text("", encoding="utf-8")
    for wrong in ('read = "x"', 'evidence = ["hearsay"]\nread = "x"', 'evidence = ["code"]\nraed = "x"'):
        (tmp_path / "unsupervised.toml").write_text(f"[kdcmh]\n{wrong}\n", encoding="utf-8")
        with pytest.raises(FileFormatError, match="kdcmh"):
            family.read_facts(tmp_path)


def test_a_method_that_says_nothing_of_its_paper_is_refused(family: ModuleType) -> None:
    class Silent(Method):
        """A method."""

        name = "silent"

    facts = family.Facts(("code",), "its code")
    with pytest.raises(FileFormatError, match="silent says nowhere"):
        family.departures(Silent, facts)
    assert family.departures(Silent, family.Facts(("code",), "its code", "its layers.")) == "Its layers."


def test_two_levels_are_said_to_win_or_lose_as_the_results_have_it(family: ModuleType) -> None:
    def fine(row: str, score: float) -> Result:
        return replace(result(row, score), data="fashion6k-fine")

    others = [fine("hichnet", 0.8), fine("shdch@one-level", 0.7), fine("dcmh", 0.6)]
    won, lost = (family.levels_sentence([*others, fine("shdch", score)], "PALL") for score in (0.75, 0.5))
    assert "`shdch` on both levels 0.750" in won
    assert "SHDCH is 0.150 above DCMH on the same features; its coarse level makes +0.050 of that." in won
    assert "SHDCH is 0.100 below DCMH" in lost
    assert "DCMH" not in family.levels_sentence(others, "PALL")
