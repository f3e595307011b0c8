"""Repositories of a Hugging Face hub, through huggingface-hub: only files of a shared hasher go up or come down."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crossbit.errors import DataError, FileFormatError, MissingExtraError
from crossbit.sharing.layout import HASHER, LARGEST


def download(
    repo_id: str,
    names: Sequence[str] = tuple(LARGEST),
    *,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    cache: Path | None = None,
) -> Path:
    """The local folder of a repository with those of the files `names` that it has; what is kept is not fetched again.

    revision: a branch, tag or commit. token: of the user; without it what huggingface-hub finds. endpoint: another
    hub than huggingface.co. cache: another folder than huggingface-hub's.

    Raises FileFormatError for a repository without a hasher or with a file of another size than can be, DataError
    where the hub cannot be reached or refuses, MissingExtraError without huggingface-hub.
    """
    hub = _hub(token, endpoint)
    with _told(f"Downloading {repo_id}"), _quiet():
        info = hub.model_info(repo_id, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size for file in info.siblings or ()}
        if HASHER not in sizes:
            raise FileFormatError(f"{repo_id} holds no {HASHER}, so it is no hasher that crossbit shared.")
        wanted = [name for name in sizes if name in names or name == HASHER]
        for name in wanted:
            _check_size(repo_id, name, sizes[name])
        # The commit is named, so that all files are of one state of the repository.
        paths = {name: Path(hub.hf_hub_download(repo_id, name, revision=info.sha, cache_dir=cache)) for name in wanted}
        for name, path in paths.items():
            _check_size(repo_id, name, path.stat().st_size)  # what came, whatever was announced
    return paths[HASHER].parent


def upload(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    endpoint: str | None = None,
    message: str = "Share a hasher",
) -> str:
    """Put a shared folder into a repository, which is made where there is none; returns its address.

    Files of an earlier hasher are replaced, or removed where the folder has none of their name; others are left.
    Raises DataError where the hub cannot be reached or refuses, MissingExtraError without huggingface-hub.
    """
    hub = _hub(token, endpoint)
    names = [name for name in LARGEST if (folder / name).is_file()]
    with _told(f"Uploading to {repo_id}"), _quiet():
        made = hub.create_repo(repo_id, private=private or None, exist_ok=True, repo_type="model")
        there = set(hub.list_repo_files(repo_id))
        gone = [name for name in LARGEST if name not in names and name in there]
        hub.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=names,
            delete_patterns=gone or None,
            commit_message=message,
        )
    return str(made)


def _check_size(repo_id: str, name: str, size: int | None) -> None:
    if size is None or not 0 < size <= LARGEST[name]:
        raise FileFormatError(
            f"{name} of {repo_id} is {size} bytes; expected are 1 to {LARGEST[name]}. It is not loaded."
        )


def _hub(token: str | None, endpoint: str | None) -> Any:
    try:
        from huggingface_hub import HfApi  # noqa: PLC0415 - an optional package, needed only for sharing
    except ModuleNotFoundError as error:
        raise MissingExtraError("Sharing through a hub", "hub") from error
    return HfApi(endpoint=endpoint, token=token, library_name="crossbit")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What goes wrong between here and the hub as one sentence."""
    try:
        yield
    except (DataError, FileFormatError):
        raise
    except Exception as error:  # huggingface-hub lets its HTTP client's own errors through, of which there are many
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        told = f"{type(error).__name__}: {first}".rstrip(".: ")
        raise DataError(
            f"{what} failed ({told}). Look at the name, the connection, and who you are (hf auth login, or HF_TOKEN)."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars where nobody looks on, and as before afterwards."""
    from huggingface_hub.utils.tqdm import (  # noqa: PLC0415 - an optional package, needed only for sharing
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
