"""How a text is put before its tokenizer: constants that stand in the manifest, applied without torch."""

from __future__ import annotations

import html
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from crossbit.errors import FileFormatError, MissingExtraError

Clean = Literal["none", "whitespace", "lower", "canonicalize"]
"""What open_clip does to a text. All but none mend wrongly decoded letters (ftfy) and HTML's names of letters first.
whitespace: one blank between words. lower: that, in small letters. canonicalize: that, without punctuation."""

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class TextPreparation:
    """A text as its tokenizer takes it.

    max_tokens: how many tokens of it are read, for whoever looks; the tokenizer itself cuts. prefix: words that stand
    before every text, which some sentence models were trained with. clean: see `Clean`.

    Raises FileFormatError for what this crossbit does not know: another way of preparing would give other codes.
    """

    max_tokens: int
    prefix: str = ""
    clean: Clean = "none"

    def __post_init__(self) -> None:
        known = isinstance(self.max_tokens, int) and isinstance(self.prefix, str) and self.clean in get_args(Clean)
        if not known:
            raise FileFormatError(
                f"Texts are prepared in a way that this crossbit does not know (clean {self.clean!r}, prefix "
                f"{self.prefix!r}). Upgrade crossbit, or export again with  crossbit export."
            )

    def __call__(self, text: str) -> str:
        """The prepared text; raises MissingExtraError where ftfy is needed and not installed."""
        if self.clean == "none":
            return self.prefix + text
        text = " ".join(_mended(text).split())
        if self.clean == "lower":
            text = text.lower()
        if self.clean == "canonicalize":
            text = " ".join(text.replace("_", " ").translate(_NO_PUNCTUATION).lower().split())
        return self.prefix + text

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """From the plain values of a manifest; raises FileFormatError for other values."""
        try:
            return cls(**content)
        except TypeError as error:
            raise FileFormatError(
                f"The preparation of texts is not one that this crossbit knows ({error}). Upgrade crossbit, or export "
                "again with  crossbit export."
            ) from error


def _mended(text: str) -> str:
    try:
        import ftfy  # noqa: PLC0415 - an optional package, needed only for the texts of open_clip's models
    except ModuleNotFoundError as error:
        raise MissingExtraError("Preparing texts for a model of open_clip", "query") from error
    return html.unescape(html.unescape(ftfy.fix_text(text)))
