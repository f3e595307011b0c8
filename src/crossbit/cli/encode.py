"""crossbit encode: codes of data as a file of arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from crossbit.cli.coded import load_coded
from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import data_seed, encoders_for, keep_left_out, listed, show_left_out
from crossbit.cli.options import (
    AsJson,
    Data,
    DataSeed,
    HasherFile,
    KnownImageEncoder,
    KnownTextEncoder,
)
from crossbit.cli.places import check_file_place
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.datasets import Reading
from crossbit.errors import SettingsError
from crossbit.files import whole_file
from crossbit.hasher import Hasher


@reads_source
def encode(
    hasher: HasherFile,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Where the codes go (.npz).")] = Path("codes.npz"),
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Write the codes of DATA to a .npz file.

    Its arrays: image and text, the codes of all items packed to bytes; has_image, has_text, which items have which;
    ids, what the items are called; n_bits; hasher, the hasher's fingerprint.
    """
    if out.suffix != ".npz":
        raise SettingsError(f"Codes are written as a .npz file; got --out {out}. Give it that ending.")
    check_file_place(out)
    with when_stopped(f"No codes were written; what stood at {out} before is untouched."), progress_shown() as progress:
        loaded = Hasher.load(hasher)
        encoders = encoders_for(loaded, text_encoder, image_encoder, hasher)
        drawn = data_seed(seed, loaded)
        items = load_coded(data, loaded, progress, encoders=encoders, seed=drawn, reading=reading)
        with whole_file(out) as part, part.open("wb") as file:
            np.savez(
                file,
                image=items.image.packed,
                text=items.text.packed,
                has_image=items.has_image,
                has_text=items.has_text,
                ids=np.array(items.ids),
                n_bits=np.int64(loaded.n_bits),
                hasher=np.array(loaded.fingerprint()),
            )
    listing = keep_left_out(out, items.left_out)
    image, text = items.image[np.flatnonzero(items.has_image)], items.text[np.flatnonzero(items.has_text)]
    result = {"codes": str(out), "n": len(items), "n_bits": loaded.n_bits, "hasher": loaded.fingerprint()}
    result |= {"n_image": len(image), "n_text": len(text), "skipped": listed(items.left_out), "skipped_file": listing}
    result |= {"unique_image": image.n_unique(), "unique_text": text.n_unique()}
    if as_json:
        show_json(result)
        return
    show(f"{out}: {len(image)} image and {len(text)} text codes of {loaded.n_bits} bits.")
    show_left_out(items.left_out, listing)
