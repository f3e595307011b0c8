"""crossbit encode and index: codes of data, as a file of arrays or as a searchable collection."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import data_seed, encoders_for, left_out, listed, load_items, show_left_out
from crossbit.cli.options import AsJson, Data, DataSeed, HasherFile, KnownImageEncoder, KnownTextEncoder
from crossbit.cli.places import check_file_place, check_folder_place, own_command
from crossbit.codes import Codes
from crossbit.collection import Collection, Items, small_picture
from crossbit.collection.build import check_target
from crossbit.datasets import Dataset
from crossbit.datasets.folder import Files
from crossbit.errors import MismatchError, SettingsError
from crossbit.files import whole_file
from crossbit.hasher import Hasher
from crossbit.progress import Progress, Step


def encode(
    hasher: HasherFile,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Where the codes go (.npz).")] = Path("codes.npz"),
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    as_json: AsJson = False,
) -> None:
    """Write the codes of DATA to a .npz file.

    Its arrays: image and text, the codes of all pairs packed to bytes; ids, what the pairs are called; n_bits; hasher,
    the hasher's fingerprint.
    """
    if out.suffix != ".npz":
        raise SettingsError(f"Codes are written as a .npz file; got --out {out}. Give it that ending.")
    check_file_place(out)
    with when_stopped(f"No codes were written; what stood at {out} before is untouched."), progress_shown() as progress:
        loaded = Hasher.load(hasher)
        encoders = encoders_for(loaded, text_encoder, image_encoder)
        dataset = load_items(data, progress, seed=data_seed(seed, loaded), **encoders)
        image, text = codes_of(loaded, dataset)
        with whole_file(out) as part, part.open("wb") as file:
            np.savez(
                file,
                image=image.packed,
                text=text.packed,
                ids=np.array(names_of(dataset)[0]),
                n_bits=np.int64(loaded.n_bits),
                hasher=np.array(loaded.fingerprint()),
            )
    result = {"codes": str(out), "n": len(image), "n_bits": loaded.n_bits, "hasher": loaded.fingerprint()}
    result |= {"unique_image": image.n_unique(), "unique_text": text.n_unique(), "skipped": listed(left_out(dataset))}
    if as_json:
        show_json(result)
        return
    show(f"{out}: {len(image)} image and {len(text)} text codes of {loaded.n_bits} bits.")
    show_left_out(left_out(dataset))


def index(
    hasher: HasherFile,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="The collection's folder.")] = Path("collection"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a collection that stands there.")] = False,
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    as_json: AsJson = False,
) -> None:
    """Build a searchable collection of all pairs of DATA.

    The collection is a folder of its own: the hasher, the codes, captions and small pictures. It is built whole or
    not at all, and can be moved and copied.
    """
    check_target(out, overwrite=overwrite)  # before the long work, not after it
    check_folder_place(out)
    began = time.perf_counter()
    kept = f"No collection was built; what stood at {out} before is untouched."
    with when_stopped(kept), progress_shown() as progress:
        loaded = Hasher.load(hasher)
        encoders = encoders_for(loaded, text_encoder, image_encoder)
        dataset = load_items(data, progress, seed=data_seed(seed, loaded), **encoders)
        collection = build_collection(out, loaded, dataset, progress, overwrite=overwrite)
    result = {
        "collection": str(out),
        "n": len(collection),
        "n_bits": collection.n_bits,
        "hasher": collection.manifest.hasher,
        "skipped": listed(left_out(dataset)),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if as_json:
        show_json(result)
        return
    show(f"{out}: {len(collection)} items with codes of {collection.n_bits} bits.")
    show_left_out(left_out(dataset))
    show(f"Next:  {own_command()} search {shlex.quote(str(out))} {_example(collection, dataset)}")


def _example(collection: Collection, dataset: Dataset) -> str:
    """A query to try: words where they can be encoded, an item where hasher or data come from ready features."""
    if "text" in collection.hasher.encoders and "text" in dataset.encoders:
        return f'"{example_words(dataset)}"'
    row = next((int(rows[0]) for rows in (collection.rows["text"], collection.rows["image"]) if len(rows)), 0)
    return f"--item {shlex.quote(collection.items.id(row))}"


def build_collection(
    path: Path, hasher: Hasher, dataset: Dataset, progress: Progress, *, overwrite: bool = False
) -> Collection:
    """A collection of all pairs of a data set. A row of zeros is an item without that picture or text."""
    image, text = codes_of(hasher, dataset)
    n = len(dataset)

    def thumbnail(row: int) -> bytes | None:
        progress(Step("write items", row + 1, n))
        picture = dataset.image_bytes(row)
        return None if picture is None else small_picture(picture)

    ids, paths = names_of(dataset)
    return Collection.create(
        path,
        hasher,
        Items(ids, dataset.captions, paths, thumbnail),
        image=image,
        text=text,
        without_image=np.flatnonzero(~dataset.pairs.image.any(axis=1)),
        without_text=np.flatnonzero(~dataset.pairs.text.any(axis=1)),
        vocabulary=dataset.vocabulary,
        overwrite=overwrite,
    )


def names_of(dataset: Dataset) -> tuple[list[str], list[str]]:
    """An id and a picture's path for every pair: row numbers where it has no ids, and the paths of a folder."""
    ids = list(dataset.ids) or [str(row) for row in range(len(dataset))]
    paths = dataset.pictures.paths if isinstance(dataset.pictures, Files) else ()
    return ids, [str(path.absolute()) for path in paths]


def codes_of(hasher: Hasher, dataset: Dataset) -> tuple[Codes, Codes]:
    """Image and text codes of all pairs; raises MismatchError when the features come from other encoders."""
    check_encoders(hasher, dataset)
    return hasher.encode_images(dataset.pairs.image), hasher.encode_texts(dataset.pairs.text)


def check_encoders(hasher: Hasher, dataset: Dataset) -> None:
    """Raise MismatchError when hasher and data set both name their encoders and these differ."""
    for modality in ("image", "text"):
        wanted, given = hasher.encoders.get(modality), dataset.encoders.get(modality)
        if wanted and given and wanted != given:
            raise MismatchError(
                f"The hasher was fitted on {modality} features of {wanted}; those of {dataset.name} are of {given}. "
                "Encode the data with the same encoder, or fit a hasher on this data."
            )


_SPECIAL = frozenset('"$`\\!')
"""Signs that a shell reads within double quotes."""


def example_words(dataset: Dataset) -> str:
    """The first words of a caption, for an example that finds something."""
    caption = next((caption for caption in dataset.captions if caption.strip()), "words")
    return " ".join("".join(" " if sign in _SPECIAL else sign for sign in caption).split()[:3])
