"""The log of a collection: small changes appended one after another, each on the disk before it is acknowledged.

    head:   b"CBLOG2\\n\\0", 16 random bytes (nonce), CRC-32 of both
    record: kind (1 byte), length of the payload (8), CRC-32 of the payload (4), CRC-32 of number and these (4); payload
    mark:   8 bytes derived from nonce and record number, written once the record is flushed: it was acknowledged

A record that is not whole and has no mark was never acknowledged: the process or the power ended while it was written,
so it is passed over, and cut off by the next change. One that is not whole although its mark is there was damaged
later, which is an error and not passed over. The nonce keeps a payload from imitating a mark.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from crossbit.collection.batches import WHAT_TO_DO
from crossbit.errors import FileFormatError
from crossbit.files import flush

_MAGIC = b"CBLOG2\n\0"
_HEAD = len(_MAGIC) + 16 + 4
_RECORD = struct.Struct("<BQII")
_MARK = 8


@dataclass(frozen=True)
class Record:
    """One change. kind: which. payload: what."""

    kind: int
    payload: bytes


@dataclass(frozen=True)
class Place:
    """Where reading a log has come to. end: the byte after the last whole record and its mark. number: of the next one.

    unmarked: whether the last record is whole but lacks its mark: the mark is then written before the next record.
    """

    end: int = _HEAD
    number: int = 0
    unmarked: bool = False


def create_log(path: Path) -> None:
    """Make an empty log, flushed to the disk; the caller flushes the folder."""
    head = _MAGIC + secrets.token_bytes(16)
    with path.open("xb") as file:
        file.write(head + struct.pack("<I", zlib.crc32(head)))
    flush(path)


def read_log(path: Path, place: Place = Place()) -> tuple[list[Record], Place]:  # frozen
    """The whole records from a place on, and the place after them.

    Raises FileFormatError where an acknowledged record is damaged, FileNotFoundError where there is no such log.
    """
    content = path.read_bytes()
    nonce = _nonce(path, content)
    records: list[Record] = []
    if place.unmarked:
        place = _after_mark(path, content, nonce, place)
    while not place.unmarked and place.end < len(content):
        record = _record_at(content, place)
        mark = _mark(nonce, place.number)
        if record is None:
            if mark in content[place.end :] or _mark(nonce, place.number + 1) in content[place.end :]:
                raise FileFormatError(f"{path} is damaged at byte {place.end}. {WHAT_TO_DO}")
            break
        records.append(record)
        end = place.end + _RECORD.size + len(record.payload)
        place = _after_mark(path, content, nonce, Place(end, place.number + 1, unmarked=True))
    return records, place


def records_before_damage(path: Path) -> list[Record]:
    """The records of a log up to where it is damaged: none for one whose beginning is, or that is not there."""
    try:
        content = path.read_bytes()
        nonce = _nonce(path, content)
    except (FileFormatError, OSError):
        return []
    records: list[Record] = []
    place = Place()
    while (record := _record_at(content, place)) is not None:
        records.append(record)
        place = Place(place.end + _RECORD.size + len(record.payload), place.number + 1, unmarked=True)
        try:
            place = _after_mark(path, content, nonce, place)
        except FileFormatError:
            place = Place(place.end + _MARK, place.number)
    return records


def _after_mark(path: Path, content: bytes, nonce: bytes, place: Place) -> Place:
    """The place behind the mark of the record that ends here, if the mark is there."""
    found = content[place.end : place.end + _MARK]
    if found == _mark(nonce, place.number - 1):
        return Place(place.end + _MARK, place.number)
    if len(found) == _MARK and found != bytes(_MARK):
        raise FileFormatError(f"{path} is damaged at byte {place.end}: it has no mark there. {WHAT_TO_DO}")
    return place


def _nonce(path: Path, content: bytes) -> bytes:
    head = content[: _HEAD - 4]
    if (
        len(content) < _HEAD
        or not head.startswith(_MAGIC)
        or content[_HEAD - 4 : _HEAD] != struct.pack("<I", zlib.crc32(head))
    ):
        raise FileFormatError(f"{path} is damaged: it does not begin as a log does. {WHAT_TO_DO}")
    return head[len(_MAGIC) :]


def _record_at(content: bytes, place: Place) -> Record | None:
    """The whole record that begins at a place, or None where there is none."""
    start = place.end + _RECORD.size
    if start > len(content):
        return None
    kind, length, checksum, check = _RECORD.unpack_from(content, place.end)
    if check != _head_checksum(place.number, kind, length, checksum) or start + length > len(content):
        return None
    payload = content[start : start + length]
    return Record(kind, payload) if zlib.crc32(payload) == checksum else None


def _head_checksum(number: int, kind: int, length: int, checksum: int) -> int:
    return zlib.crc32(struct.pack("<QBQI", number, kind, length, checksum))


def _mark(nonce: bytes, number: int) -> bytes:
    return hashlib.blake2b(nonce + struct.pack("<Q", number), digest_size=_MARK).digest()


class LogWriter:
    """Appends records to a log from a place on. What stands behind the place was never acknowledged and is cut off."""

    def __init__(self, path: Path, place: Place) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._nonce = _nonce(path, os.pread(self._file, _HEAD, 0))
        self.place = place
        if os.fstat(self._file).st_size > place.end:
            os.ftruncate(self._file, place.end)
        os.fsync(self._file)  # a record of a killed writer may be whole and not yet on the disk

    def append(self, record: Record) -> Place:
        """Write a record and flush it to the disk; when this returns, it outlives a power cut.

        Raises OSError, and leaves the log as it was, where it cannot be written.
        """
        start = self.place
        try:
            written = _mark(self._nonce, start.number - 1) if start.unmarked else b""
            written += self._framed(record, start.number)
            self._write(written, start.end)
            os.fsync(self._file)
        except BaseException:
            os.ftruncate(self._file, start.end)
            raise
        end = start.end + len(written)
        self.place = Place(end, start.number + 1, unmarked=True)
        try:  # the mark may only stand behind what is on the disk
            self._write(_mark(self._nonce, start.number), end)
            self.place = Place(end + _MARK, start.number + 1)
        except OSError:  # the record is safe; its mark is written with the next one
            os.ftruncate(self._file, end)
        return self.place

    def _framed(self, record: Record, number: int) -> bytes:
        kind, length, checksum = record.kind, len(record.payload), zlib.crc32(record.payload)
        return _RECORD.pack(kind, length, checksum, _head_checksum(number, kind, length, checksum)) + record.payload

    def _write(self, content: bytes, place: int) -> None:
        left = memoryview(content)
        while left:
            done = os.pwrite(self._file, left, place)
            left, place = left[done:], place + done

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
