"""A public data set written as crossbit takes it: a table of items, labels, text features, splits, and a manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crossbit.datasets.benchmark import Benchmark, BenchmarkItems, NamedSplit, Record
from crossbit.datasets.counts import Count, Tally, check_counts
from crossbit.datasets.drawing import ShareSplit
from crossbit.datasets.originals import Originals
from crossbit.encoders import BagOfWords
from crossbit.errors import DataError, SettingsError, SplitError
from crossbit.files import whole_file, write_whole
from crossbit.progress import Progress, Step, silent

FORMAT, VERSION = "crossbit-prepared", 1
MANIFEST, ITEMS, SPLITS = "prepared.json", "items.jsonl", "splits"


@dataclass(frozen=True)
class PreparedFolder:
    """What was written. counts: each beside its record. splits: names with their sizes. left_out: why others are not.

    missing_pictures: how many items have no picture file. revision: changes when items, labels or words do.
    """

    folder: Path
    n: int
    revision: str
    counts: tuple[Count, ...]
    splits: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, str]
    missing_pictures: int


def prepare_benchmark(
    benchmark: Benchmark,
    source: Path,
    out: Path,
    *,
    variant: str = "",
    record: Record | None = None,
    allow_counts: Collection[str] = (),
    pictures: bool = True,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> PreparedFolder:
    """Read a data set from the folder of its unpacked downloads, check it, and write it under `out`.

    variant: one of the data set's, by default the first. record: what it must hold, by default what is known of the
    variant. allow_counts: counts that may differ, by name, or "all"; the manifest keeps which did. pictures: whether
    the picture files must be there. seed: draws the splits that are not shipped.

    Raises DataError for a missing file (naming it, and the official page), CountsError for counts that differ,
    FileFormatError for a damaged file (naming the line), SettingsError for a variant that does not exist or an `out`
    that is taken.
    """
    variant = variant or next(iter(benchmark.variants))
    if variant not in benchmark.variants:
        raise SettingsError(f"{benchmark.title} has no variant {variant!r}; there are {', '.join(benchmark.variants)}.")
    if not source.is_dir():
        raise DataError(f"There is no folder {source} with the unpacked files of {benchmark.title}.")
    if out.exists() and not (overwrite and (out / MANIFEST).is_file()) and any(out.iterdir() if out.is_dir() else [1]):
        raise SettingsError(f"{out} is there and not empty; name another folder, or --overwrite what was prepared.")
    record = record or benchmark.records[variant]
    tally = Tally()
    progress(Step("read", 0, 4))
    found = benchmark.read(Originals(source, benchmark.title, benchmark.page), variant, tally, pictures)
    if not len(found):
        raise DataError(f"{benchmark.title} in {source} gives no pairs at all; see {benchmark.page}.")
    progress(Step("check", 1, 4))
    expected = _expected(record, tally, pictures)
    splits, left_out = _splits(found, record, seed, tally, expected)
    checked = check_counts(f"{benchmark.title} ({variant})", tally.found, expected, allow_counts, record.recalled)
    counts = tuple(
        one if one.expected is None else replace(one, evidence=record.evidence_of(one.what)) for one in checked
    )
    progress(Step("write", 2, 4))
    revision = revision_of(found)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    files = _write_parts(out, found, splits, revision, seed)
    written = PreparedFolder(
        out,
        len(found),
        revision,
        counts,
        {name: {part: len(getattr(split, part)) for part in _PARTS} for name, split in splits.items()},
        left_out,
        sum(not item.image for item in found.items),
    )
    about = _manifest(benchmark, variant, source, record, written, splits, files, seed)
    if found.pixels is not None:
        about["pictures"] = str(out.resolve())
    write_whole(out / MANIFEST, (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    progress(Step("write", 4, 4))
    return written


_PARTS = ("train", "query", "database")
_ANY = ShareSplit(1_000)  # where none of the record's splits can be drawn, since counts were allowed to differ


def _expected(record: Record, tally: Tally, pictures: bool) -> dict[str, int]:
    """The counts to check: all but those of pictures that nobody asked for, and of another layout of the files."""
    whole = {what: n for what, n in record.counts.items() if pictures or not what.startswith("pictures")}
    return whole | {what: n for what, n in record.where_noted.items() if what in tally.found}


def _splits(
    found: BenchmarkItems, record: Record, seed: int, tally: Tally, expected: dict[str, int]
) -> tuple[dict[str, NamedSplit], dict[str, str]]:
    """The splits that the data ships and those that the record's rules draw; too few pairs leave one out."""
    splits, left_out = dict(found.splits), dict[str, str]()
    for name, rule in record.splits.items():
        n_query, n_train = 0, 0
        try:
            drawn = rule.draw(len(found), found.labels, seed)
            splits[name] = NamedSplit(drawn.train, drawn.query, drawn.database, rule.told)
            n_query, n_train = len(drawn.query), len(drawn.train)
        except SplitError as error:
            left_out[name] = str(error)
        if rule.sizes is not None:
            expected |= {f"queries of {name}": rule.sizes[0], f"train pairs of {name}": rule.sizes[1]}
            tally.note(f"queries of {name}", n_query)
            tally.note(f"train pairs of {name}", n_train)
    if not splits:
        drawn = _ANY.draw(len(found), found.labels, seed)
        splits["drawn"] = NamedSplit(drawn.train, drawn.query, drawn.database, _ANY.told)
    return splits, left_out


def revision_of(found: BenchmarkItems) -> str:
    """A hash of the items in their order, their words and their labels: 16 digits."""
    digest = hashlib.sha256()
    for item in found.items:
        digest.update(json.dumps([item.id, item.image, item.captions, item.tags]).encode())
    for labels in (found.labels, found.coarse):
        digest.update(b"-" if labels is None else np.packbits(labels, axis=1).tobytes())
    digest.update(json.dumps([found.label_names, found.coarse_names, found.words]).encode())
    if found.text is not None:
        digest.update(found.text.indptr.astype(np.int64).tobytes() + found.text.indices.astype(np.int64).tobytes())
    for rows in (found.image_features, found.text_features):
        digest.update(b"-" if rows is None else np.ascontiguousarray(rows, dtype=np.float32).tobytes())
    return digest.hexdigest()[:16]


def _write_parts(
    out: Path, found: BenchmarkItems, splits: Mapping[str, NamedSplit], revision: str, seed: int
) -> dict[str, str]:
    """Everything but the manifest; the names of the files with what they hold."""
    if found.pixels is not None:
        _write_pictures(out, found)
    _write_items(out / ITEMS, found)
    files = {ITEMS: "one JSON object a pair: id, image (a path), captions, tags, labels"}
    for name, labels, names in (
        ("labels.npz", found.labels, found.label_names),
        ("coarse.npz", found.coarse, found.coarse_names),
    ):
        if labels is not None:
            _save(out / name, labels=np.packbits(labels, axis=1), n=np.int64(labels.shape[1]), names=np.array(names))
            files[name] = "labels of the pairs, packed bits, and their names"
    if found.text is not None:
        text = found.text
        _save(out / "words.npz", indptr=text.indptr, indices=text.indices, words=np.array(found.words))
        files["words.npz"] = "the bag of words of the pairs, sparse, and the named vocabulary"
    for name, rows in (("image.npy", found.image_features), ("text.npy", found.text_features)):
        if rows is not None:
            with whole_file(out / name) as part, part.open("wb") as file:
                np.save(file, np.ascontiguousarray(rows, dtype=np.float32))
            files[name] = "features as the data set ships them, one row a pair"
    ids = [item.id for item in found.items]
    for name, split in splits.items():
        _write_split(out / SPLITS / f"{name}.json", name, split, ids, revision, seed)
        files[f"{SPLITS}/{name}.json"] = f"the ids of a split: {split.told}"
        if found.text is None and found.text_features is None and found.max_words:
            texts = [" ".join((*found.items[row].captions, *found.items[row].tags)) for row in split.train]
            BagOfWords.fit(texts, max_words=found.max_words).save(out / f"vocabulary-{name}.json")
            files[f"vocabulary-{name}.json"] = (
                f"the {found.max_words} most frequent words of the split's train captions"
            )
    return files


def _write_items(path: Path, found: BenchmarkItems) -> None:
    names = found.label_names
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        for row, item in enumerate(found.items):
            about: dict[str, Any] = {"id": item.id, "image": item.image or None}
            about |= {key: list(value) for key in ("captions", "tags") if (value := getattr(item, key))}
            if found.labels is not None:
                about["labels"] = [names[column] for column in np.flatnonzero(found.labels[row])]
            file.write(json.dumps(about, ensure_ascii=False) + "\n")


def _write_pictures(out: Path, found: BenchmarkItems) -> None:
    """Pictures that lay in an array, as PNG files, where the items say they are."""
    for item, picture in zip(found.items, found.pixels or (), strict=True):
        with whole_file(out / item.image) as part:
            Image.fromarray(picture).save(part, "PNG")


def _write_split(path: Path, name: str, split: NamedSplit, ids: list[str], revision: str, seed: int) -> None:
    """A split as ids; a database of all pairs that are no queries is said so and not listed."""
    others = np.setdiff1d(np.arange(len(ids)), split.query)
    whole = np.array_equal(np.sort(split.database), others)
    about = {
        "format": "crossbit-split",
        "version": 1,
        "name": name,
        "rule": split.told,
        "seed": seed,
        "revision": revision,
        "query": [ids[row] for row in split.query],
        "train": [ids[row] for row in split.train],
        "database": "all pairs that are no queries" if whole else [ids[row] for row in split.database],
    }
    write_whole(path, (json.dumps(about, ensure_ascii=False, indent=0) + "\n").encode())


def _save(path: Path, **arrays: Any) -> None:
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _manifest(
    benchmark: Benchmark,
    variant: str,
    source: Path,
    record: Record,
    written: PreparedFolder,
    splits: Mapping[str, NamedSplit],
    files: Mapping[str, str],
    seed: int,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": benchmark.name,
        "title": benchmark.title,
        "variant": variant,
        "variant_told": benchmark.variants[variant],
        "page": benchmark.page,
        "revision": written.revision,
        "pairs": written.n,
        "pictures": str(source.resolve()),
        "missing_pictures": written.missing_pictures,
        "seed": seed,
        "split": next(iter(splits)),
        "splits": {
            name: {"rule": split.told, "used_by": record.used_by.get(name, ""), **written.splits[name]}
            for name, split in splits.items()
        },
        "splits_left_out": dict(written.left_out),
        "counts": {
            count.what: {
                "expected": count.expected,
                "found": count.found,
                **({"allowed_to_differ": True} if count.differs else {}),
                **({"evidence": count.evidence} if count.evidence else {}),
            }
            for count in written.counts
        },
        "files": dict(files),
    }
