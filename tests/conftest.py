"""Fixtures that all tests share. One thread, so that results do not hang on the machine's cores."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from hub_models import save_clip, save_sentences, save_siglip

# No test hangs on the clock or on chance: examples are the same in every run and may take as long as they need.
settings.register_profile("crossbit", deadline=None, derandomize=True)
settings.load_profile("crossbit")

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # read by torch and the processes that tests start

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Torch runs on one thread, before the test where it is loaded already and after it where the test loaded it."""
    _one_thread()
    yield
    _one_thread()


def _one_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture
def generator() -> np.random.Generator:
    """Random numbers of the test's own, the same in every run."""
    return np.random.default_rng(20210821)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real data sets, which are no part of the repository; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets stand beside the repository, in ../shared/data, and are not there")
    return SHARED_DATA


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP model of transformers, in the hub's layout."""
    return save_clip(tmp_path_factory.mktemp("hub") / "tiny-clip")


@pytest.fixture(scope="session")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SigLIP model of transformers, in the hub's layout."""
    return save_siglip(tmp_path_factory.mktemp("hub") / "tiny-siglip")


@pytest.fixture(scope="session")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of sentence-transformers, in the hub's layout."""
    return save_sentences(tmp_path_factory.mktemp("hub") / "tiny-sentences")
