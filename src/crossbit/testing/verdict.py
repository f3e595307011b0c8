"""How a rule says that it does not hold. Plain `assert` would fall silent under `python -O`."""

from __future__ import annotations

from collections.abc import Callable

from crossbit.errors import CrossbitError


def require(holds: object, message: str) -> None:
    """Raise AssertionError with the message unless it holds."""
    if not holds:
        raise AssertionError(message)


def must_raise(
    kind: type[CrossbitError], call: Callable[..., object], *given: object, words: tuple[object, ...]
) -> None:
    """Require that call(*given) raises that kind of error with all the words in its message."""
    try:
        call(*given)
    except kind as error:
        message = str(error)
    else:
        raise AssertionError(f"{kind.__name__} was expected for a bad input; nothing was raised.")
    missing = [str(word) for word in words if str(word) not in message]
    require(not missing, f"the error does not say {', '.join(missing)}: {message}")
