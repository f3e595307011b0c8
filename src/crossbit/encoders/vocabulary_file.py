"""The JSON file of a fitted vocabulary: written whole, closed by the fingerprint of the encoder it makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossbit.errors import FileFormatError
from crossbit.files import write_whole

FORMAT = "crossbit-vocabulary"
VERSION = 1


def write_vocabulary(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write what an encoder says of itself (`to_json`) as JSON, whole or not at all."""
    write_whole(Path(path), (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


def read_vocabulary(path: str | Path) -> dict[str, Any]:
    """What `write_vocabulary` wrote; raises FileFormatError for a file that is missing, damaged or not ours."""
    path = Path(path)
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise FileFormatError(f"There is no vocabulary at {path}; make one with BagOfWords.save.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a whole vocabulary file ({error}); fit it again.") from error
    return check_vocabulary(content, str(path))


def check_vocabulary(content: Any, where: str) -> dict[str, Any]:
    """The content, where it is a vocabulary of ours and of a version known; raises FileFormatError naming `where`."""
    if not isinstance(content, dict) or "format" not in content or "version" not in content:
        raise FileFormatError(f"{where} is not a whole vocabulary file (it has no format); fit it again.")
    if content["format"] != FORMAT:
        raise FileFormatError(f"{where} is no vocabulary of crossbit; make one with BagOfWords.fit.")
    if content["version"] != VERSION:
        raise FileFormatError(
            f"{where} has vocabulary version {content['version']}; this crossbit reads version {VERSION}. "
            "Upgrade crossbit (pip install -U crossbit), or fit the vocabulary again."
        )
    return content
