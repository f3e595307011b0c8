"""crossbit methods: what can learn a hasher."""

from __future__ import annotations

from typing import Any

from crossbit.cli.console import show, show_json, show_table
from crossbit.cli.options import AsJson
from crossbit.errors import MissingExtraError
from crossbit.methods import METHODS, load_method


def methods(as_json: AsJson = False) -> None:
    """List the methods with their papers."""
    listed = [described(name) for name in METHODS]
    if as_json:
        show_json(listed)
        return
    rows = [[str(method["name"]), *_row(method)] for method in listed]
    show_table("", ["method", "labels", "paper"], rows)
    if any(method.get("reconstruction") for method in listed):
        show("* A reconstruction: the paper's text is not public; what was decided stands in the method's docstring.")


def described(name: str) -> dict[str, Any]:
    """A method's paper and settings as plain values; only its name and what it needs where torch is missing."""
    try:
        method = load_method(name)
    except MissingExtraError as error:
        return {"name": name, "available": False, "needs": error.extra}
    paper = method.paper
    return {
        "name": name,
        "available": True,
        "supervised": method.supervised,
        "reconstruction": paper.reconstruction,
        "paper": {"authors": paper.authors, "title": paper.title, "venue": paper.venue, "year": paper.year}
        | ({"link": paper.link} if paper.link else {}),
        "settings": method().settings(),
    }


def _row(method: dict[str, Any]) -> list[str]:
    if not method["available"]:
        return ["", f"needs  pip install 'crossbit[{method['needs']}]'"]
    paper = method["paper"]
    mark = " *" if method["reconstruction"] else ""
    return [
        "needed" if method["supervised"] else "none",
        f"{paper['authors']}: {paper['title']}. {paper['venue']} {paper['year']}{mark}",
    ]
