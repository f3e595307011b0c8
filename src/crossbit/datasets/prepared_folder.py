"""A prepared folder of a public data set as a Dataset: what `crossbit data prepare` wrote, read back."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from crossbit.datasets.dataset import Dataset, without_duplicates
from crossbit.datasets.parts import Contents, LeftOut, paths_of, picture_parts
from crossbit.datasets.prepared import FORMAT, ITEMS, MANIFEST, SPLITS, VERSION
from crossbit.datasets.reading import Reading, is_vocabulary, text_features
from crossbit.datasets.sentences import Sentences, encode_sentences
from crossbit.encoders import BagOfWords, Encoder, TfIdf, load_image_encoder, load_text_encoder
from crossbit.encoders.bag_of_words import words as words_of
from crossbit.errors import DataError, FileFormatError, SplitError
from crossbit.hierarchy import label_levels
from crossbit.pairs import Features, Labels, PairedFeatures, Rows, Split, check_features
from crossbit.progress import Progress, silent
from crossbit.sources import Columns, OpenedSource, Record, open_source

_SAMPLE = 200  # items by which a table tells its columns


def is_prepared(path: Path) -> bool:
    """Whether a path is a prepared folder, or the file of one of its splits."""
    return (path / MANIFEST).is_file() or (path.parent.name == SPLITS and (path.parent.parent / MANIFEST).is_file())


def read_prepared(
    path: str | Path,
    *,
    text_encoder: str | Encoder = "minilm",
    image_encoder: str | Encoder = "efficientnet-lite0",
    duplicates: str = "refuse",
    cache: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """The Dataset of a prepared folder with its usual split, or with that of the file `folder/splits/NAME.json`.

    Image features are the rows of `image.npy` in the folder, one a line of items.jsonl, where that is there (put your
    own there to use them), else the pictures encoded by image_encoder; text features likewise those of `text.npy`.
    text_encoder "bag-of-words" means the data set's named vocabulary. Pairs whose picture is missing are left out and
    named in `skipped`; one without words stays, as a row of zeros. duplicates: as in `read_features`.

    Raises FileFormatError for files that are missing, damaged or of another revision, and what encoders raise.
    """
    folder, split_file = _places(Path(path))
    about = _json(folder / MANIFEST, FORMAT)
    records = _records(folder, about)
    source = _source(folder, about, records)
    image, rows, skipped, names = _image(folder, source, records, image_encoder, cache, progress)
    records = [records[row] for row in rows]
    split = _split(split_file, about, [record.id for record in records])
    text, encoder = _text(folder, split_file.stem, records, rows, split, text_encoder, cache, progress)
    vocabulary = encoder if isinstance(encoder, BagOfWords | TfIdf) else None
    labels, label_names = _labels(folder / "labels.npz", rows)
    coarse, _ = _labels(folder / "coarse.npz", rows)
    pairs = PairedFeatures(image, text, labels, label_levels(coarse, labels))
    if duplicates == "drop":
        split, same = without_duplicates(split, pairs)
        skipped = (*skipped, *(LeftOut.of(int(rows[s.row]), records[s.row], s.reason) for s in same))
    reading = Reading()
    try:
        return Dataset(
            name=f"{folder.resolve().name}-{split_file.stem}",
            pairs=pairs,
            split=split,
            captions=tuple(reading.caption(record) for record in records),
            label_names=label_names,
            pictures=Contents(source, rows, paths_of(records)),
            encoders=names | ({"text": encoder.fingerprint()} if encoder else {}),
            skipped=skipped,
            revision=f"{about['revision']}-{split.fingerprint()}",
            ids=tuple(record.id for record in records),
            vocabulary=vocabulary if names else None,  # with rows from elsewhere a hasher is bound to no encoder
            sentences=None if encoder is None or labels is not None else _sentences(records, split, encoder, cache),
        )
    except SplitError as error:
        hint = ' Or read it with duplicates="drop".' if "same content" in str(error) else ""
        raise SplitError(f"{path}: {error}{hint}") from error


def _places(path: Path) -> tuple[Path, Path]:
    """The folder and the file of the split."""
    if path.suffix == ".json" and path.is_file():
        return path.parent.parent, path
    about = _json(path / MANIFEST, FORMAT)
    return path, path / SPLITS / f"{about['split']}.json"


def _json(path: Path, kind: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (kind, VERSION):
            raise FileFormatError(f"{path} is not a {kind} file of version {VERSION}; prepare the data again.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path} is no whole {kind} file ({error}); prepare the data again.") from error
    return dict(content)


def _records(folder: Path, about: Mapping[str, Any]) -> list[Record]:
    """The items as records; whether their pictures are there is found out when these are opened."""
    pictures = Path(about["pictures"])
    records = []
    try:
        with (folder / ITEMS).open(encoding="utf-8") as file:
            for line in file:
                item = json.loads(line)
                picture = pictures / item["image"] if item["image"] else None
                texts = tuple(map(str, item.get("captions", ())))
                records.append(Record(str(item["id"]), picture, texts, tuple(map(str, item.get("tags", ())))))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{folder / ITEMS} is not whole ({error}); prepare the data again.") from error
    if len(records) != about["pairs"]:
        raise FileFormatError(f"{folder / ITEMS} has {len(records)} items, not {about['pairs']}; prepare it again.")
    return records


def _source(folder: Path, about: Mapping[str, Any], records: list[Record]) -> OpenedSource:
    """The items as a source whose pictures can be encoded; none may lie outside the folder of the originals."""
    pictures = Path(about["pictures"])
    columns = Columns(
        image="image",
        text=("captions",) if any(record.texts for record in records[:_SAMPLE]) else (),
        tags="tags" if any(record.tags for record in records[:_SAMPLE]) else None,
        id="id",
    )
    return open_source(folder / ITEMS, columns=columns, image_folder=pictures if pictures.is_dir() else folder)


def _image(
    folder: Path,
    source: OpenedSource,
    records: list[Record],
    image_encoder: str | Encoder,
    cache: Path | None,
    progress: Progress,
) -> tuple[Features, NDArray[np.int64], tuple[LeftOut, ...], dict[str, str]]:
    """Image features, the rows of items.jsonl they belong to, what is left out, and the encoder."""
    shipped = _rows(folder / "image.npy", len(records))
    if shipped is not None:
        return shipped, np.arange(len(records)), (), {}
    painter = load_image_encoder(image_encoder) if isinstance(image_encoder, str) else image_encoder
    image, rows, left_out = [], list[int](), list[LeftOut]()
    for part in picture_parts(source, painter, cache, progress):
        image.append(part.image[part.has_image])
        rows += part.rows[part.has_image].tolist()
        left_out += part.left_out
        left_out += [
            LeftOut.of(int(part.rows[place]), part.records[place], "it has no picture")
            for place in np.flatnonzero(~part.has_image)
        ]
    if not rows:
        raise DataError(
            f"{folder} has no picture that can be opened, so there is nothing to encode; prepare it again from a "
            "folder with pictures, or put your own image features, a row an item, into its image.npy."
        )
    return (
        np.concatenate(image),
        np.array(rows, dtype=np.int64),
        tuple(sorted(left_out, key=lambda item: item.row)),
        {"image": painter.fingerprint()},
    )


def _text(
    folder: Path,
    split_name: str,
    records: list[Record],
    rows: NDArray[np.int64],
    split: Split,
    text_encoder: str | Encoder,
    cache: Path | None,
    progress: Progress,
) -> tuple[Features, Encoder | None]:
    """Text features and their encoder, None where it is not known."""
    shipped = _rows(folder / "text.npy", None)
    if shipped is not None:
        return shipped[rows], None
    matrix, named = _words(folder / "words.npz")
    bag = BagOfWords(named) if named and all(words_of(word) == [word] for word in named) else None
    if matrix is not None and text_encoder in ("bag-of-words", bag):
        features = np.asarray(matrix[rows].toarray(), dtype=np.float32)
        return features, bag
    reading = Reading()
    joined = is_vocabulary(text_encoder)
    texts = [reading.texts(record, joined=joined) for record in records]
    fitted = folder / f"vocabulary-{split_name}.json"
    if text_encoder == "bag-of-words" and fitted.is_file():
        text_encoder = BagOfWords.load(fitted)
    if isinstance(text_encoder, str):
        text_encoder = load_text_encoder(text_encoder, [text for row in split.train for text in texts[row]])
    return text_features(texts, text_encoder, cache, progress), text_encoder


def _sentences(records: list[Record], split: Split, encoder: Encoder, cache: Path | None) -> Sentences | None:
    """The captions of the query pairs one by one: without labels, what is measured is whether the own one is found."""
    return encode_sentences([record.texts for record in records], split.query, encoder, cache)


def _rows(path: Path, n: int | None) -> Features | None:
    """Features that lie in the folder, or None."""
    if not path.is_file():
        return None
    try:
        rows = check_features(np.load(path, allow_pickle=False), f"the rows of {path}")
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise FileFormatError(f"{path} is not a whole .npy file of numbers ({error}); write it again.") from error
    if n is not None and len(rows) != n:
        raise DataError(f"{path} has {len(rows)} rows for {n} items; it needs one for each line of {ITEMS}.")
    return rows


def _words(path: Path) -> tuple[scipy.sparse.csr_matrix | None, tuple[str, ...]]:
    if not path.is_file():
        return None, ()
    arrays = _arrays(path, ("indptr", "indices", "words"))
    words = tuple(map(str, arrays["words"]))
    ones = np.ones(len(arrays["indices"]), np.float32)
    shape = (len(arrays["indptr"]) - 1, len(words))
    try:
        matrix = scipy.sparse.csr_matrix((ones, arrays["indices"], arrays["indptr"]), shape=shape)
        matrix.check_format()
    except ValueError as error:
        raise FileFormatError(f"{path} does not hold a matrix ({error}); prepare the data again.") from error
    return matrix, words


def _labels(path: Path, rows: Rows) -> tuple[Labels | None, tuple[str, ...]]:
    if not path.is_file():
        return None, ()
    arrays = _arrays(path, ("labels", "n", "names"))
    labels = np.unpackbits(arrays["labels"], axis=1, count=int(arrays["n"])).astype(np.bool_)
    return labels[rows], tuple(map(str, arrays["names"]))


def _arrays(path: Path, needed: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in needed}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise FileFormatError(f"{path} is not whole ({error}); prepare the data again.") from error


def _places_of(names: Any, row: Mapping[str, int], path: Path) -> Rows:
    """The rows of ids; those that were left out have none."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FileFormatError(f"{path} is no whole split file; prepare the data again.")
    return np.array(sorted(row[name] for name in names if name in row), dtype=np.int64)


def _split(path: Path, about: Mapping[str, Any], ids: list[str]) -> Split:
    """The split by ids; items that were left out are in none of its parts."""
    content = _json(path, "crossbit-split")
    if content.get("revision") != about["revision"]:
        raise FileFormatError(
            f"{path} is a split of revision {content.get('revision')}; the items beside it are {about['revision']}. "
            "Prepare the data again, or take the split file that belongs to it."
        )
    row = {name: place for place, name in enumerate(ids)}
    query, train = (_places_of(content.get(part), row, path) for part in ("query", "train"))
    database = content.get("database")
    rest = np.setdiff1d(np.arange(len(ids)), query)
    return Split(train, query, rest if isinstance(database, str) else _places_of(database, row, path))
