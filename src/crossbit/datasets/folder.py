"""A folder of a person's own: pictures, and beside each a text file with its caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from crossbit.datasets.dataset import Dataset
from crossbit.encoders import EfficientNetLite0, encode_cached, load_text_encoder
from crossbit.encoders.encoder import Skipped
from crossbit.errors import DataError
from crossbit.pairs import PairedFeatures, Split, row_digests
from crossbit.progress import Progress, silent

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class PictureFolder:
    """What was found in a folder. paths, captions: the pairs, by path. skipped: pictures without a usable caption.

    The row of a skipped picture is its place among all pictures of the folder, in the order of their paths.
    """

    paths: tuple[Path, ...]
    captions: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def read_folder(folder: str | Path) -> PictureFolder:
    """The pictures in a folder and below whose caption stands beside them: photo.jpg with photo.txt, in UTF-8.

    Hidden files are left out. A picture is not opened here. Raises DataError where there is no such folder or it
    holds no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not found:
        raise DataError(f"{folder} holds no pictures ({', '.join(sorted(ENDINGS))}).")
    paths: list[Path] = []
    captions: list[str] = []
    skipped: list[Skipped] = []
    for row, path in enumerate(found):
        try:
            captions.append(_caption(path.with_suffix(".txt")))
            paths.append(path)
        except DataError as error:
            skipped.append(Skipped(row, f"{path.relative_to(folder).as_posix()}: {error}"))
    return PictureFolder(tuple(paths), tuple(captions), tuple(skipped))


def folder_dataset(
    folder: str | Path,
    *,
    text_encoder: str = "minilm",
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """A folder of captioned pictures as a Dataset without labels; a tenth (1000 at most) are queries, drawn by seed.

    Pictures that cannot be opened, and pairs with the features of an earlier pair, are left out and named in
    `skipped`, where row is the place among the pairs of `read_folder` (or among all pictures, for one without a
    caption). Raises DataError where fewer than two pairs are left.
    """
    found = read_folder(folder)
    painter, writer = EfficientNetLite0(), load_text_encoder(text_encoder, found.captions)
    image = encode_cached(painter, found.paths, cache, progress, stage="encode pictures")
    text = encode_cached(writer, found.captions, cache, progress, stage="encode texts")
    skipped = [*found.skipped, *(Skipped(s.row, f"{found.paths[s.row]}: {s.reason}") for s in image.skipped)]
    if len(image.kept) < 2:
        raise DataError(f"{folder} gives {len(image.kept)} pairs that can be used; at least 2 are needed.")
    pairs = PairedFeatures(image.features, text.features[image.kept])
    first: dict[bytes, int] = {}
    rows: list[int] = []
    for row, digest in enumerate(row_digests(pairs)):
        path = found.paths[image.kept[row]]
        if digest in first:
            twin = found.paths[image.kept[first[digest]]]
            skipped.append(Skipped(int(image.kept[row]), f"{path}: the same picture and caption as {twin}"))
        else:
            first[digest] = row
            rows.append(row)
    if len(rows) < 2:
        raise DataError(f"{folder} gives {len(rows)} pairs that differ; at least 2 are needed.")
    places = image.kept[rows]
    kept = pairs[np.array(rows)]
    split = _draw(len(kept), seed)
    return Dataset(
        name=Path(folder).resolve().name,
        pairs=kept,
        split=split,
        captions=tuple(found.captions[place] for place in places),
        pictures=Files(tuple(found.paths[place] for place in places)),
        encoders={"image": painter.fingerprint(), "text": writer.fingerprint()},
        skipped=tuple(skipped),
        revision=f"{kept.fingerprint()}-{split.fingerprint()}",
    )


@dataclass(frozen=True)
class Files(Sequence[bytes]):
    """The contents of files, each read when it is asked for."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        """The content of one file, or files of a part of the paths."""
        if isinstance(place, slice):
            return Files(self.paths[place])
        return self.paths[place].read_bytes()


def _draw(n: int, seed: int) -> Split:
    n_queries = min(max(1, n // 10), 1000)
    order = np.random.default_rng(seed).permutation(n)
    others = np.sort(order[n_queries:])
    return Split(train=others, query=np.sort(order[:n_queries]), database=others)


def _caption(path: Path) -> str:
    """The text of a caption file; raises DataError with the reason where there is none."""
    try:
        caption = path.read_text("utf-8-sig").strip()
    except FileNotFoundError as error:
        raise DataError(f"there is no caption {path.name} beside it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"its caption {path.name} cannot be read as UTF-8 text ({error})") from error
    if not caption:
        raise DataError(f"its caption {path.name} is empty")
    return caption
