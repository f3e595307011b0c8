"""WebDataset shards: .tar archives in which the files of one item share their name up to the first dot."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crossbit.errors import DataError, FileFormatError
from crossbit.sources.cells import lines_of, metadata_of, tags_of, texts_of
from crossbit.sources.columns import Columns
from crossbit.sources.content import common_folder, files_fingerprint
from crossbit.sources.folder import described
from crossbit.sources.places import ENDINGS, MAX_BYTES, shortened
from crossbit.sources.record import Record, Value

_TEXT = ("txt", "caption", "text")
_LARGEST_TEXT = 1 << 20  # bytes of a caption, a description or a header that precedes a member
_WANTED = frozenset({*(ending[1:] for ending in ENDINGS), *_TEXT, "json", "cls"})


@dataclass
class _Sample:
    """The members of one item. parts: contents by ending, None where only the ending is wanted."""

    key: str
    parts: dict[str, bytes] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class ShardSource:
    """Archives in the order of their names. columns: which fields of a .json member hold texts and tags, where named.

    Nothing is ever unpacked to the disk. Members that are links or devices, whose names lead out of the archive or
    that are larger than 256 MiB make their item a record with a problem. An archive that ends early gives the items
    before its end, and a record that says so. Ids are the items' names, with the shard's before them where there are
    several shards.
    """

    name: str
    shards: tuple[Path, ...]
    columns: Columns = field(default_factory=Columns)

    @property
    def layout(self) -> str:
        """What is read, in words."""
        read = f"; {self.columns.told()} of the .json members" if self.columns.given() else ""
        return f"WebDataset, {len(self.shards)} .tar shard{'s' if len(self.shards) > 1 else ''}{read}"

    def count(self) -> None:
        """None: only reading all archives would tell."""
        return None

    def records(self, start: int = 0) -> Iterator[Record]:
        """The records, shard after shard; of those before `start` only the headers are read."""
        number = 0
        for shard in self.shards:
            seen: set[str] = set()
            for sample in _samples(shard, start - number):
                number += 1
                known = sample.key in seen
                seen.add(sample.key)
                if number > start:
                    yield self._record(shard, sample, number - 1 if known else None)

    def fingerprint(self) -> str:
        """A hash of the shards' names, sizes and times of change."""
        return files_fingerprint(self.shards, common_folder(self.shards), "shards", self.columns)

    def _record(self, shard: Path, sample: _Sample, again: int | None) -> Record:
        key = sample.key.encode("utf-8", "replace").decode("utf-8")
        name = key if len(self.shards) == 1 else f"{shard.stem}/{key}"
        problem = sample.problem
        if again is not None:
            problem = problem or f"its name {shortened(key)} was there before in {shard.name}"
            name = f"{name} (item {again})"
        picture = self._picture(sample)
        texts: tuple[str, ...] = ()
        tags: tuple[str, ...] = ()
        metadata: dict[str, Value] = {}
        try:
            written = next((texts_of(sample.parts[end]) for end in _TEXT if end in sample.parts), ())
            texts = tuple(line for text in written for line in lines_of(text))
            beside, tags, metadata = self._described(sample)
            texts = beside if self.columns.text or not texts else texts
            if not problem and picture is None and not any(texts) and not tags:
                problem = "it has neither picture nor text"
        except DataError as error:
            problem = problem or str(error)
        return Record(name, picture, texts, tags, metadata, problem)

    def _picture(self, sample: _Sample) -> bytes | None:
        if self.columns.image:
            return sample.parts.get(self.columns.image) or None
        return next((content for end, content in sample.parts.items() if f".{end}" in ENDINGS and content), None)

    def _described(self, sample: _Sample) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Value]]:
        """Texts, tags and metadata of the .json member, and the class of the .cls member."""
        about: object = {}
        metadata: dict[str, Value] = {}
        if "json" in sample.parts:
            try:
                about = json.loads(sample.parts["json"].decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise DataError(f"its .json member is no JSON ({error})") from error
        if "cls" in sample.parts:
            metadata["cls"] = metadata_of(sample.parts["cls"].decode("utf-8", "replace").strip())
        if not isinstance(about, dict):
            about = {}
        texts, tags, further = described(about)
        if self.columns.text:
            if not any(name in about for name in self.columns.text):
                raise DataError(f"its .json member has no {' and no '.join(self.columns.text)}")
            texts = tuple(text for column in self.columns.text for text in texts_of(about.get(column)))
        if self.columns.tags:
            tags = tags_of(about.get(self.columns.tags))
        return texts, tags, metadata | further


def _samples(shard: Path, skipped: int) -> Iterator[_Sample]:
    """The items of an archive; of the first `skipped` no content is read. One that ends early ends with a problem."""
    current: _Sample | None = None
    number = 0
    try:
        with open_archive(shard) as archive:
            for member in _members(archive):
                if member.isdir():
                    continue
                folder, _, file = member.name.rpartition("/")
                stem, _, ending = file.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                if current is None or current.key != key:
                    if current is not None:
                        yield current
                        number += 1
                    current = _Sample(key)
                if number >= skipped:
                    _take(archive, member, ending.lower().rpartition(".")[2], current)
    except (tarfile.TarError, OSError, FileFormatError, EOFError, ValueError) as error:
        if current is not None:
            yield current
        yield _Sample("(the rest)", {}, f"{shard.name} is damaged or cut off here; what follows is not read ({error})")
        return
    if current is not None:
        yield current


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, ending: str, sample: _Sample) -> None:
    """Read a member into its item, or note why it is refused."""
    unsafe = _refused(member)
    if unsafe:
        sample.problem = sample.problem or unsafe
        return
    if ending not in _WANTED or ending in sample.parts:
        return
    limit = MAX_BYTES if f".{ending}" in ENDINGS else _LARGEST_TEXT
    if member.size > limit:
        sample.problem = sample.problem or f"its member {shortened(member.name)} is larger than {limit >> 20} MiB"
        return
    opened = archive.extractfile(member)
    content = b"" if opened is None else opened.read()
    if len(content) < member.size:
        raise tarfile.ReadError("unexpected end of data")
    sample.parts[ending] = content


def _refused(member: tarfile.TarInfo) -> str:
    """Why a member is not read, or "" for a plain file at a sound place."""
    if member.name.startswith(("/", "\\")) or ".." in member.name.replace("\\", "/").split("/"):
        return f"its member {shortened(member.name)} leads out of the archive"
    if not member.isreg() or member.issparse():
        return f"its member {shortened(member.name)} is a link or a special file, which is not read"
    return ""


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The headers, one at a time; raises tarfile.ReadError where the archive does not end as archives do."""
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # untyped: the archive would keep every header it ever met
        yield member
    file = archive.fileobj
    if file is not None:
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes a damaged header for the end
            raise tarfile.ReadError("the archive has no end mark")


class _Bounded(io.BufferedReader):
    """A file whose reads are bounded: a header that claims to be gigabytes long is refused, not read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes; raises tarfile.ReadError for more than a member may have."""
        if size is None or size < 0 or size > MAX_BYTES + 1024:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        return super().read(size)


@contextmanager
def open_archive(path: Path) -> Iterator[tarfile.TarFile]:
    """An archive open for reading, without compression; raises FileFormatError for what is none."""
    with _Bounded(io.FileIO(path)) as file:
        try:
            archive = tarfile.TarFile.open(fileobj=file, mode="r:")
        except (tarfile.TarError, EOFError, ValueError) as error:
            packed = " It is compressed; unpack it to a plain .tar first." if _compressed(path) else ""
            raise FileFormatError(f"{path} is not a whole .tar archive ({error}).{packed}") from error
        with archive:
            yield archive


def _compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
