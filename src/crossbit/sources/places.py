"""Where a picture that a table names lies: beneath one folder, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossbit.errors import DataError

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
"""The endings of picture files."""

MAX_BYTES = 1 << 28
"""The largest content of one picture or one member of an archive that is read: 256 MiB."""


@dataclass(frozen=True)
class Root:
    """The folder that relative paths start from and that no path may leave. folder: as it was given."""

    folder: Path

    def find(self, written: str) -> Path:
        """The file that a path names; raises DataError, with the reason, where it lies outside or is missing."""
        try:
            return self._found(written)
        except DataError:  # which is a ValueError too
            raise
        except (OSError, ValueError) as error:  # a null byte, a name too long, a loop of links
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"its picture {shortened(written)} cannot be looked up ({reason})") from error

    def holds(self, path: Path) -> bool:
        """Whether a path, all links followed, lies in the folder."""
        return path.resolve().is_relative_to(self.folder.resolve())

    def _found(self, written: str) -> Path:
        found = self.folder / written
        if "\\" in written and not found.exists():  # written on Windows
            found = self.folder / written.replace("\\", "/")
        if not self.holds(found):
            raise DataError(
                f"its picture {shortened(written)} lies outside the folder of the source and is not read; "
                "say where pictures lie with --image-folder"
            )
        if not found.is_file():
            raise DataError(f"there is no file {shortened(written)} in the folder that paths start from")
        if found.stat().st_size > MAX_BYTES:
            raise DataError(f"its picture {shortened(written)} is larger than {MAX_BYTES >> 20} MiB")
        return found.resolve() if ".." in found.parts else found


def shortened(text: str, length: int = 120) -> str:
    """A text for a message, in quotes, cut where it is long."""
    return repr(text if len(text) <= length else text[: length - 3] + "...")
