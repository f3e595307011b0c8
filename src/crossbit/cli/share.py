"""crossbit share: a hasher with its model card to a folder or to a hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from crossbit.cli.console import show, show_json, when_stopped
from crossbit.cli.options import AsJson, HasherFile
from crossbit.cli.places import check_folder_place
from crossbit.encoders.tuned import place_in
from crossbit.errors import FileFormatError
from crossbit.hasher import Hasher
from crossbit.queries import find_queries
from crossbit.sharing import HUB, CardNotes, check_repo_id


def share(
    hasher: HasherFile,
    to: Annotated[
        str,
        typer.Option("--to", metavar="FOLDER|hub:OWNER/NAME", help="A folder, or hub: and a repository to upload to."),
    ],
    title: Annotated[str, typer.Option(help="A name for people.")] = "",
    about: Annotated[str, typer.Option("--about-data", help="What it was learned from, in a sentence.")] = "",
    licence: Annotated[str, typer.Option("--license", help="The licence you give it, such as apache-2.0.")] = "",
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", metavar="FILE", help="What crossbit evaluate --json printed; may be given again."),
    ] = None,
    export: Annotated[bool, typer.Option(help="With the ONNX export that lies beside HASHER, if there is one.")] = True,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a hasher for others, with a model card made from it, to a folder or a hub.

    Uploading needs the extra hub and a login there (hf auth login, or HF_TOKEN).
    """
    repo_id = to.removeprefix(HUB) if to.startswith(HUB) else ""
    if repo_id:
        check_repo_id(repo_id)
    else:
        check_folder_place(Path(to), "--to")
    with when_stopped("Sharing was not finished; run it again."):
        loaded = Hasher.load(hasher)
        notes = CardNotes(title, about, licence, [evaluation_of(path) for path in scores or ()])
        queries = find_queries(hasher) if export else None
        beside = place_in(hasher.parent, loaded.encoders.get("image", ""))
        files: dict[str, Any] = {
            "export": queries.folder if queries else None,
            "image_encoder": beside if beside.is_file() else None,
        }
        if repo_id:
            place = loaded.push_to_hub(repo_id, notes, **files, private=private)
        else:
            place = str(loaded.save_pretrained(to, notes, **files))
    result = {"shared": place, "hasher": loaded.fingerprint(), "export": queries is not None}
    if as_json:
        show_json(result)
        return
    show(f"{place}: the hasher {loaded.fingerprint()} with its card{' and its export' if queries else ''}.")
    show(f'Next:  Hasher.from_pretrained("{repo_id or to}")')


def evaluation_of(path: Path) -> dict[str, Any]:
    """What `crossbit evaluate --json` printed into a file; raises FileFormatError for anything else."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be read as JSON ({error}); give crossbit evaluate's --json.") from error
    if not isinstance(content, dict):
        raise FileFormatError(f"{path} is no evaluation; give what crossbit evaluate --json prints.")
    return content
