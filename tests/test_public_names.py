"""What `import crossbit` offers."""

from __future__ import annotations

import pytest

import crossbit
from crossbit.testing.torch_free import run_without_torch


@pytest.mark.parametrize("name", crossbit.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(crossbit, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = crossbit.no_such_name


def test_no_public_name_needs_torch() -> None:
    run_without_torch("import crossbit\nfor name in crossbit.__all__: getattr(crossbit, name)")
