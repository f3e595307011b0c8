"""Codes of a large set of features, made by many workers: the same bytes as one process makes, and none lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.encoders.store import EncodedStore
from crossbit.errors import DataError, EngineError, FileFormatError, MismatchError, MissingExtraError, SettingsError
from crossbit.files import whole_file, write_whole
from crossbit.hasher import Hasher
from crossbit.progress import Progress, Step, silent

Modality = Literal["image", "text"]
Workers = Literal["processes", "ray"]

BLOCK = 4096  # rows that a hasher computes at once; shards begin where its blocks do, so that all get the same sums
_AT_ONCE = 16 * BLOCK  # rows read at once: bounds the memory of a worker
_ROUNDS = 5  # pools of processes begun anew, without one shard done in between, before giving up
CODES, WORK = "codes.npy", "work.json"


@dataclass(frozen=True)
class Work:
    """All that a worker needs to know: any worker on any machine that sees these paths can do any shard.

    hasher: a hasher file. features: a .npy file of rows (m, d), or a folder that `encode_stream` filled. modality:
    which hash function encodes them. out: the folder that the codes go to. shards: how many parts the work has.
    """

    hasher: str
    features: str
    modality: Modality
    out: str
    shards: int


def encode_shard(number: int, work: Work) -> Path:
    """Encode shard `number` of `work.shards` into its own file, whole or not at all, and say where it is.

    It depends on nothing but its arguments and the files they name, and a shard that is there already is left as it
    is; so it may be run anywhere, in any order, twice, and again after a kill. Raises SettingsError for a number out
    of range, and what hasher and features raise about themselves.
    """
    if not 0 <= number < work.shards:
        raise SettingsError(f"Shards are numbered from 0 to {work.shards - 1}; got {number}.")
    target = _part(work, number)
    if target.is_file():
        return target
    hasher, rows = Hasher.load(work.hasher), open_rows(work.features, work.modality)
    encode = hasher.encode_images if work.modality == "image" else hasher.encode_texts
    start, stop = bounds(len(rows), work.shards, number)
    with whole_file(target) as part, part.open("wb") as file:
        _write_head(file, stop - start, hasher.n_bits)
        for begin in range(start, stop, _AT_ONCE):
            file.write(encode(np.asarray(rows[begin : min(begin + _AT_ONCE, stop)])).packed.tobytes())
    return target


def encode_codes(
    hasher: str | Path,
    features: str | Path,
    out: str | Path,
    *,
    modality: Modality,
    shards: int = 0,
    workers: int = 2,
    by: Workers = "processes",
    address: str | None = None,
    progress: Progress = silent,
) -> Codes:
    """Codes of all feature rows, made by many workers; written to `out`/codes.npy and given memory-mapped.

    shards: parts of the work; 0 for four a worker. by: "processes" of this machine, or tasks of "ray" (the extra
    'distributed') on the cluster at `address`, or on this machine where it is None; all its machines must see the
    paths. The codes are the same bytes whatever the number of shards and workers. Where a worker is killed its shard
    is done again; where the whole is killed, the same call goes on with the shards that are not there yet.

    Raises MismatchError where `out` was begun with another hasher or other features, EngineError where workers die
    again and again, SettingsError and DataError for what does not fit.
    """
    if modality not in get_args(Modality) or by not in get_args(Workers):
        raise SettingsError(f"modality is image or text, by is processes or ray; got {modality!r} and {by!r}.")
    if workers < 1 or shards < 0:
        raise SettingsError(f"workers is 1 or more and shards 0 or more; got {workers} and {shards}.")
    work = Work(str(hasher), str(features), modality, str(out), shards or 4 * workers)
    loaded, rows = Hasher.load(hasher), open_rows(features, modality)
    work = _begin(work, loaded, rows)
    target = Path(out) / CODES
    if not target.is_file():
        _ray_tasks(work, workers, address, progress) if by == "ray" else _processes(work, workers, progress)
        _join(work, len(rows), loaded.n_bits)
    return open_codes(target, loaded.n_bits)


def open_codes(path: str | Path, n_bits: int) -> Codes:
    """Codes of a .npy file, memory-mapped. Raises FileFormatError for a file that holds none."""
    try:
        return Codes(np.load(path, mmap_mode="r", allow_pickle=False), n_bits)
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(f"{path} is no whole file of {n_bits}-bit codes ({error}); make it again.") from error


def open_rows(features: str | Path, modality: Modality) -> Any:
    """Feature rows (m, d) that stay on disk until they are sliced: of a .npy file, or of a folder of encoded items."""
    path = Path(features)
    if path.is_dir():
        return EncodedStore.open(path).features(modality)
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(
            f"{path} is no whole .npy file of features ({error}); write it with numpy.save."
        ) from error
    if rows.ndim != 2:
        raise DataError(f"{path} is expected to hold rows (m, d) of features; its shape is {rows.shape}.")
    return rows


def bounds(rows: int, shards: int, number: int) -> tuple[int, int]:
    """The first row of a shard and the one after its last: shards of whole blocks, as even as these allow."""
    blocks = -(-rows // BLOCK)
    return min(blocks * number // shards * BLOCK, rows), min(blocks * (number + 1) // shards * BLOCK, rows)


def _begin(work: Work, hasher: Hasher, rows: Any) -> Work:
    """The work as the folder has it, written there where there is none; raises MismatchError for another one."""
    wanted = {**asdict(work), "hasher": hasher.fingerprint(), "rows": len(rows), "bytes": _size(Path(work.features))}
    place = Path(work.out) / WORK
    if not place.is_file():
        write_whole(place, (json.dumps(wanted, indent=1) + "\n").encode())
        return work
    try:
        stored = json.loads(place.read_bytes())
        differing = [name for name in ("hasher", "rows", "bytes", "modality") if stored[name] != wanted[name]]
        begun = Work(work.hasher, work.features, work.modality, work.out, int(stored["shards"]))
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{place} is damaged ({error}); give another folder.") from error
    if differing:
        raise MismatchError(f"{work.out} was begun with another {', '.join(differing)}; give another folder.")
    return begun


def _size(features: Path) -> int:
    """The bytes of the features: with their number of rows, enough to tell that they were replaced by others."""
    return sum(file.stat().st_size for file in features.iterdir()) if features.is_dir() else features.stat().st_size


def _processes(work: Work, workers: int, progress: Progress) -> None:
    """Do all shards that are not there by processes; a pool in which one was killed is begun anew."""
    idle = 0
    while missing := _missing(work):
        # Started afresh, not forked: a fork copies the locks of threads that it does not copy.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            try:
                _wait(_submitted(pool, work, missing), work, progress)
            except BrokenProcessPool as error:
                idle = 0 if len(_missing(work)) < len(missing) else idle + 1
                if idle >= _ROUNDS:
                    raise EngineError(
                        f"Workers were killed {idle} times and no shard was done; they may lack memory. Take fewer "
                        f"workers. What is done stays in {work.out}."
                    ) from error


def _submitted(pool: ProcessPoolExecutor, work: Work, missing: Sequence[int]) -> list[Future[Path]]:
    try:
        return [pool.submit(encode_shard, number, work) for number in missing]
    except (
        OSError
    ) as error:  # a worker was killed while others started: the pool has closed its pipes, and says no more
        raise BrokenProcessPool("A worker was killed while the others started.") from error


def _wait(futures: Sequence[Future[Path]], work: Work, progress: Progress) -> None:
    for future in as_completed(futures):
        try:
            future.result()
        except BrokenProcessPool:
            raise
        except BaseException:  # what is wrong with one shard is wrong with the rest
            for other in futures:
                other.cancel()
            raise
        progress(Step("encode shards", work.shards - len(_missing(work)), work.shards))


def _ray_tasks(work: Work, workers: int, address: str | None, progress: Progress) -> None:
    """Do all shards that are not there as tasks of Ray, which does those of a killed worker again."""
    try:
        import ray  # noqa: PLC0415 - an optional package, needed only for a cluster
    except ImportError as error:
        raise MissingExtraError("Encoding by Ray", "distributed") from error
    started = not ray.is_initialized()
    if started:
        if address:
            ray.init(address, log_to_driver=False)
        else:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    try:
        task: Callable[..., Any] = ray.remote(num_cpus=1, max_retries=_ROUNDS)(encode_shard).remote
        waiting = [task(number, work) for number in _missing(work)]
        while waiting:
            done, waiting = ray.wait(waiting)
            ray.get(done)
            progress(Step("encode shards", work.shards - len(waiting), work.shards))
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else error from error
    except ray.exceptions.RayError as error:
        raise EngineError(f"Ray failed: {' '.join(str(error).split())[:300]}. What is done stays.") from error
    finally:
        if started:
            ray.shutdown()


def _join(work: Work, rows: int, n_bits: int) -> None:
    """Put the shards together in one file, whole or not at all, and take them away."""
    parts = [_part(work, number) for number in range(work.shards)]
    with whole_file(Path(work.out) / CODES) as target, target.open("wb") as file:
        _write_head(file, rows, n_bits)
        for number, part in enumerate(parts):
            codes, (start, stop) = np.load(part, mmap_mode="r", allow_pickle=False), bounds(rows, work.shards, number)
            if codes.shape != (stop - start, bytes_of(n_bits)) or codes.dtype != np.uint8:
                raise FileFormatError(f"{part} is not the shard it should be; delete it, and encode again.")
            file.write(codes.tobytes())
    for part in parts:
        part.unlink()


def _write_head(file: Any, rows: int, n_bits: int) -> None:
    head = {"descr": "|u1", "fortran_order": False, "shape": (rows, bytes_of(n_bits))}
    np.lib.format.write_array_header_1_0(file, head)


def _part(work: Work, number: int) -> Path:
    return Path(work.out) / f"shard-{number:06}-of-{work.shards:06}.npy"


def _missing(work: Work) -> list[int]:
    return [number for number in range(work.shards) if not _part(work, number).is_file()]
