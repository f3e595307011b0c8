"""crossbit remove, compact and check: keep a collection in order."""

from __future__ import annotations

from typing import Annotated

import typer

from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.engines import Recall, engine_facts, show_engines
from crossbit.cli.options import AsJson, CollectionFolder, Where
from crossbit.collection import Collection, EngineName, check_collection, repair_collection


def remove(
    collection: CollectionFolder,
    ids: Annotated[list[str] | None, typer.Argument(help="The ids of the items.", metavar="ID...")] = None,
    where: Where = None,
    missing: Annotated[bool, typer.Option("--ignore-missing", help="Pass over ids that are not there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove items from a collection: those named, or all for which a condition holds."""
    if bool(ids) == (where is not None):
        raise typer.BadParameter("Name items by their ids, or say which with --where.")
    with when_stopped("What was removed stays removed."):
        opened = Collection.open(collection)
        named = ids or opened.ids_where(str(where))
        removed = opened.remove(named, missing="ignore" if missing else "error") if named else 0
    if as_json:
        show_json({"collection": str(collection), "removed": removed, "n": len(opened)})
        return
    show(f"{collection}: {removed} items removed; {len(opened)} are left.")


def compact(
    collection: CollectionFolder,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Then build what searches the codes: auto, exact, pruned, ivf, prefix; see crossbit index."),
    ] = None,
    recall: Recall = None,
    as_json: AsJson = False,
) -> None:
    """Put a collection's segments together and drop what was removed. Searches go on meanwhile."""
    with when_stopped("The collection is as it was."):
        opened = Collection.open(collection)
        before = len(opened.manifest.segments)
        opened.compact()
        built = [] if engine is None else opened.build_engines(engine, target_recall=recall)
    if as_json:
        told = {"segments_before": before, "engines": engine_facts(built)}
        show_json({"collection": str(collection), "n": len(opened), **told})
        return
    show(f"{collection}: {len(opened)} items in one segment; there were {before} and a log.")
    show_engines(built)


def check(
    collection: CollectionFolder,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be; damaged parts go into the folder quarantine in it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a collection in full: every checksum, id, code and record. Exit code 1 where something is wrong."""
    told: list[str] = []
    with when_stopped("Checking changes nothing."), progress_shown() as progress:
        if repair:
            told = repair_collection(collection)
        problems = check_collection(collection, progress)
        engines = [] if problems else Collection.open(collection).engines
    if as_json:
        found = [{"name": problem.name, "problem": problem.what} for problem in problems]
        facts = {"problems": found, "repaired": told, "engines": engine_facts(engines)}
        show_json({"collection": str(collection), **facts})
    else:
        for sentence in told:
            show(f"Repaired: {sentence}")
        for problem in problems:
            show(f"{problem.name}: {problem.what}")
        show(f"{collection}: {f'{len(problems)} problems' if problems else 'everything is in order'}.")
        show_engines(one for one in engines if one.engine != "exact")
    if problems:
        raise typer.Exit(1)
