"""A folder of a person's own: pictures, and beside each a text file with its caption."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from crossbit.datasets.dataset import Dataset, without_duplicates
from crossbit.encoders import BagOfWords, Encoder, TfIdf, encode_cached, load_image_encoder, load_text_encoder
from crossbit.encoders.encoder import Encoded, Skipped
from crossbit.errors import DataError
from crossbit.pairs import PairedFeatures, Rows, Split
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
    text_encoder: str | Encoder = "minilm",
    image_encoder: str | Encoder = "efficientnet-lite0",
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """A folder of captioned pictures as a Dataset without labels; a tenth (1000 at most) are queries, drawn by seed.

    text_encoder, image_encoder: by name, as `load_text_encoder` knows it (a vocabulary is that of the train captions),
    or the encoders themselves. A pair's id is its picture's path below the folder. Pictures that cannot be opened, and
    pairs with the picture and caption of an earlier one, are left out and named in `skipped`, where row is the place
    among the pairs of `read_folder` (or among all pictures, for one without a caption). Raises DataError where fewer
    than two pairs are left.
    """
    found = read_folder(folder)
    painter = load_image_encoder(image_encoder) if isinstance(image_encoder, str) else image_encoder
    image = encode_cached(painter, found.paths, cache, progress, stage="encode pictures")
    rows, doubles = _different(image, found)
    unopened = [Skipped(skip.row, f"{found.paths[skip.row]}: {skip.reason}") for skip in image.skipped]
    if len(rows) < 2:
        left_out = [*found.skipped, *unopened, *doubles]
        why = f" Left out: {len(left_out)}, the first: {left_out[0].reason}." if left_out else ""
        raise DataError(f"{folder} gives {len(rows)} pairs that can be used and differ; at least 2 are needed.{why}")
    places = image.kept[rows]
    captions = tuple(found.captions[place] for place in places)
    split = _draw(len(rows), seed)
    train = [captions[row] for row in split.train]
    writer = load_text_encoder(text_encoder, train) if isinstance(text_encoder, str) else text_encoder
    text = encode_cached(writer, captions, cache, progress, stage="encode texts")
    pairs = PairedFeatures(image.features[rows], text.features)
    # Captions that differ only in what the encoder does not read still make two pairs the same.
    split, same = without_duplicates(split, pairs)
    same_places = [Skipped(int(places[skip.row]), f"{found.paths[places[skip.row]]}: {skip.reason}") for skip in same]
    return Dataset(
        name=Path(folder).resolve().name,
        pairs=pairs,
        split=split,
        captions=captions,
        pictures=Files(tuple(found.paths[place] for place in places)),
        encoders={"image": painter.fingerprint(), "text": writer.fingerprint()},
        skipped=(*found.skipped, *unopened, *doubles, *same_places),
        revision=f"{pairs.fingerprint()}-{split.fingerprint()}",
        ids=tuple(found.paths[place].relative_to(folder).as_posix() for place in places),
        vocabulary=writer if isinstance(writer, BagOfWords | TfIdf) else None,
    )


def _different(image: Encoded, found: PictureFolder) -> tuple[Rows, list[Skipped]]:
    """The rows of the picture features without those whose picture and caption stood before, and which those were."""
    first: dict[tuple[bytes, str], Path] = {}
    rows: list[int] = []
    doubles: list[Skipped] = []
    for row, place in enumerate(image.kept):
        path = found.paths[place]
        content = (hashlib.sha256(image.features[row].tobytes()).digest(), found.captions[place])
        if content in first:
            doubles.append(Skipped(int(place), f"{path}: the same picture and caption as {first[content]}"))
        else:
            first[content] = path
            rows.append(row)
    return np.array(rows, dtype=np.int64), doubles


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
