"""A folder of encoded items: what an encoding of any size leaves behind, read through memory maps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.encoders.shards import MODALITIES, Left, Modality, Shard, read_shard, shard_path
from crossbit.errors import FileFormatError, MismatchError, SettingsError
from crossbit.files import write_whole
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures, Rows

FORMAT, VERSION = "crossbit-encoded", 1
MANIFEST, SKIPPED = "manifest.json", "skipped.jsonl"


@dataclass(frozen=True)
class Manifest:
    """What a folder of encoded items holds. encoders: fingerprints by modality. widths: features a row, by modality.

    source, source_fingerprint: what was encoded. shard_size: items a shard, but for the last. n: items, or None while
    the encoding is not finished.
    """

    encoders: Mapping[str, str]
    widths: Mapping[str, int]
    source: str
    source_fingerprint: str
    shard_size: int
    n: int | None = None

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        write_whole(folder / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a folder; raises FileFormatError where there is no sound one."""
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
            if content.pop("format") != FORMAT:
                raise FileFormatError(f"{path} is not the manifest of encoded items; give another folder.")
            if content.pop("version") != VERSION:
                raise FileFormatError(f"{path} has another version than {VERSION}: upgrade crossbit, or encode again.")
            manifest = cls(**content)
            numbers = [manifest.shard_size, *dict(manifest.widths).values(), manifest.n or 0]
            if not all(isinstance(number, int) for number in numbers) or manifest.shard_size < 1:
                raise TypeError("its numbers are none")
        except FileNotFoundError as error:
            raise FileFormatError(f"{folder} holds no encoded items: it has no {MANIFEST}.") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(f"{path} is not a whole manifest ({error}); encode again.") from error
        return manifest

    def check_same(self, other: Manifest, folder: Path) -> None:
        """Raise MismatchError where the folder was begun (other) with what is not wanted now (self)."""
        ours, theirs = asdict(replace(self, n=None)), asdict(replace(other, n=None))
        differing = [name for name in ours if ours[name] != theirs[name]]
        if differing:
            told = "; ".join(f"{name} {theirs[name]!r}, now {ours[name]!r}" for name in differing)
            raise MismatchError(
                f"{folder} was begun with other settings ({told}). Give the same again to go on, or another folder."
            )


@dataclass(frozen=True, eq=False)
class EncodedStore:
    """Features of the items of a source, in its order. folder: where they are. manifest: what they are.

    An item may lack a modality: `rows(modality)` tells which item each feature row belongs to.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a finished encoding; raises FileFormatError for one that is unfinished, damaged or not ours."""
        folder = Path(folder)
        manifest = Manifest.read(folder)
        if manifest.n is None:
            raise FileFormatError(f"The encoding in {folder} is not finished; run the same encoding again to go on.")
        store = cls(folder, manifest)
        missing = [path for path in store.paths if not path.is_file()]
        if missing:
            raise FileFormatError(f"{missing[0]} is missing; run the same encoding again after deleting {MANIFEST}.")
        return store

    def __len__(self) -> int:
        return self.manifest.n or 0

    @property
    def encoders(self) -> Mapping[str, str]:
        """The fingerprints of the encoders, by modality."""
        return self.manifest.encoders

    @property
    def paths(self) -> tuple[Path, ...]:
        """The shards' files, in order."""
        return tuple(shard_path(self.folder, number) for number in range(-(-len(self) // self.manifest.shard_size)))

    def shards(self, *, verify: bool = False) -> Iterator[Shard]:
        """The shards, one after the other. verify: compare each with its checksum, which reads all of it."""
        for number, path in enumerate(self.paths):
            shard = read_shard(path, verify=verify)
            expected = min(self.manifest.shard_size, len(self) - number * self.manifest.shard_size)
            if shard.start != number * self.manifest.shard_size or len(shard) != expected:
                raise FileFormatError(f"{path} holds other items than the manifest says; encode again.")
            yield shard

    def ids(self) -> tuple[str, ...]:
        """The names of all items, in order."""
        return tuple(name for shard in self.shards() for name in shard.ids)

    def rows(self, modality: Modality) -> Rows:
        """(k,) the items that the feature rows belong to, ascending."""
        parts = [shard.rows[self._known(modality)] for shard in self.shards()]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def features(self, modality: Modality) -> MappedRows:
        """(k, d) features on disk, read as far as they are asked for."""
        self._known(modality)
        lengths = [len(shard.rows[modality]) for shard in self.shards()]
        return MappedRows(self, modality, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def skipped(self) -> Iterator[Left]:
        """What was left out, in order, with the reasons; the same as in skipped.jsonl."""
        for shard in self.shards():
            yield from shard.skipped

    def pairs(self) -> tuple[Rows, PairedFeatures]:
        """The items that have both modalities, and their features, read into memory."""
        rows = {modality: self.rows(modality) for modality in MODALITIES}
        both, image, text = np.intersect1d(rows["image"], rows["text"], assume_unique=True, return_indices=True)
        return both, PairedFeatures(self.features("image")[image], self.features("text")[text])

    def codes(self, hasher: Hasher, modality: Modality) -> Codes:
        """Codes of all feature rows of a modality, made shard by shard.

        Raises MismatchError where the hasher was fitted on the features of another encoder.
        """
        wanted, given = hasher.encoders.get(modality), self.encoders[self._known(modality)]
        if wanted is not None and wanted != given:
            raise MismatchError(
                f"The hasher was fitted on {modality} features of {wanted}; {self.folder} holds those of {given}. "
                "Encode again with the hasher's encoder, or fit a hasher on these features."
            )
        encode = hasher.encode_images if modality == "image" else hasher.encode_texts
        packed = [encode(np.asarray(shard.features[modality])).packed for shard in self.shards()]
        return Codes(np.concatenate([np.zeros((0, (hasher.n_bits + 7) // 8), np.uint8), *packed]), hasher.n_bits)

    def _known(self, modality: Modality) -> Modality:
        if modality not in self.encoders:
            raise SettingsError(f"{self.folder} holds {', '.join(self.encoders)}, no {modality!r}; encode that too.")
        return modality


@dataclass(frozen=True, eq=False)
class MappedRows:
    """Feature rows (k, d) that stay on disk. `rows[i]`, `rows[i:j]` and `rows[indices]` read what they name.

    starts: where each shard's rows begin, and the end.
    """

    store: EncodedStore
    modality: Modality
    starts: NDArray[np.int64]
    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(k, d)."""
        return int(self.starts[-1]), int(self.store.manifest.widths[self.modality])

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The rows shard by shard, each (k_i, d) as a memory map."""
        for shard in self.store.shards():
            yield shard.features[self.modality]

    def __getitem__(self, chosen: int | slice | NDArray[Any]) -> NDArray[np.float32]:
        """Rows by number, slice, or an array of numbers or of k booleans; raises IndexError outside."""
        n = len(self)
        if isinstance(chosen, int | np.integer):
            if not -n <= chosen < n:
                raise IndexError(f"row {chosen} of {n}")
            row: NDArray[np.float32] = self[np.array([chosen % n])][0]
            return row
        wanted = np.arange(n)[chosen]
        outcome = np.empty((len(wanted), self.shape[1]), np.float32)
        places = np.searchsorted(self.starts, wanted, side="right") - 1
        for number in np.unique(places):
            here = places == number
            part = read_shard(shard_path(self.store.folder, int(number))).features[self.modality]
            outcome[here] = part[wanted[here] - self.starts[number]]
        return outcome

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows in memory."""
        return np.asarray(self[:], dtype=dtype)
