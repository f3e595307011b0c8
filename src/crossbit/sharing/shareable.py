"""Saving a hasher for others, and loading one that others saved: a folder, or a repository of a hub."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from crossbit.errors import FileFormatError, SettingsError
from crossbit.files import write_whole
from crossbit.sharing.card import CardNotes, model_card
from crossbit.sharing.hub import download, upload
from crossbit.sharing.layout import CARD, HASHER, HUB, IMAGE_ENCODER, LARGEST, copy_export, is_repo_id


class Shareable:
    """What gives a hasher `save_pretrained`, `from_pretrained` and `push_to_hub`."""

    if TYPE_CHECKING:  # what a hasher has
        method: Any
        settings: Any
        encoders: Any
        report: Any

        @property
        def n_bits(self) -> int: ...  # noqa: D102

        def fingerprint(self) -> str: ...  # noqa: D102

        def save(self, path: str | Path) -> None: ...  # noqa: D102

        @classmethod
        def load(cls, path: str | Path) -> Self: ...  # noqa: D102

    def save_pretrained(
        self,
        folder: str | Path,
        notes: CardNotes | None = None,
        *,
        export: str | Path | None = None,
        image_encoder: str | Path | None = None,
        repo_id: str = "",
    ) -> Path:
        """Write the hasher with a model card to a folder, for others to load with `from_pretrained`.

        notes: what the card cannot know by itself. export: the folder of its ONNX export, to go with it. image_encoder:
        the file of its tuned image encoder. repo_id: where it will be shared, for the card's example.

        Raises MismatchError for an export or scores of another hasher, FileFormatError for a damaged export.
        """
        folder = Path(folder)
        if folder.is_file():
            raise SettingsError(f"{folder} is a file; say a folder.")
        if export is not None:
            copy_export(Path(export), folder, self.fingerprint())
        if image_encoder is not None:
            write_whole(folder / IMAGE_ENCODER, Path(image_encoder).read_bytes())
        files = [name for name in LARGEST if name in (HASHER, CARD) or (folder / name).is_file()]
        card = model_card(self, notes or CardNotes(), repo_id or folder.name, files)
        self.save(folder / HASHER)
        write_whole(folder / CARD, card.encode())
        return folder

    @classmethod
    def from_pretrained(
        cls,
        place: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        endpoint: str | None = None,
        cache: str | Path | None = None,
    ) -> Self:
        """Load a hasher from a folder or from a repository ("owner/name") of a hub; only arrays and JSON are read.

        revision, token, endpoint, cache: of the hub; see `crossbit.sharing.download`. A folder of the name comes first.

        Raises FileFormatError for what is no hasher, DataError where the hub cannot be reached or refuses.
        """
        kept = None if cache is None else Path(cache)
        return cls.load(fetch(place, (HASHER,), revision=revision, token=token, endpoint=endpoint, cache=kept) / HASHER)

    def push_to_hub(
        self,
        repo_id: str,
        notes: CardNotes | None = None,
        *,
        export: str | Path | None = None,
        image_encoder: str | Path | None = None,
        private: bool = False,
        token: str | None = None,
        endpoint: str | None = None,
    ) -> str:
        """Put what `save_pretrained` writes into a repository of a hub; returns its address.

        private: of a repository that is made now. Raises SettingsError for a name that no repository can have, and
        what `save_pretrained` and `crossbit.sharing.upload` raise.
        """
        check_repo_id(repo_id)
        with tempfile.TemporaryDirectory(prefix="crossbit-share-") as folder:
            self.save_pretrained(folder, notes, export=export, image_encoder=image_encoder, repo_id=repo_id)
            return upload(Path(folder), repo_id, private=private, token=token, endpoint=endpoint)


def check_repo_id(repo_id: str) -> None:
    """Raise SettingsError for a name that no repository can have."""
    if not is_repo_id(repo_id):
        raise SettingsError(f"A repository is named owner/name; got {repo_id!r}.")


def fetch(
    place: str | Path,
    names: tuple[str, ...] = tuple(LARGEST),
    *,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    cache: Path | None = None,
) -> Path:
    """The local folder of a shared hasher: `place` itself where that is a folder, else the repository downloaded.

    names: the files wanted. Raises FileFormatError where there is neither, and what `download` raises.
    """
    if Path(place).is_dir():
        if not (Path(place) / HASHER).is_file():
            raise FileFormatError(f"{place} holds no {HASHER}; share a hasher there with  crossbit share.")
        return Path(place)
    repo_id = str(place).removeprefix(HUB)
    if not is_repo_id(repo_id):
        raise FileFormatError(f"{place} is neither a folder nor the name of a repository (owner/name).")
    return download(repo_id, names, revision=revision, token=token, endpoint=endpoint, cache=cache)
