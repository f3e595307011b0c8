"""What the site has besides the documents of this folder: README and its neighbours, and a page of the API a part."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"}
PARTS = {
    "crossbit": "The public names",
    "crossbit.pairs": "Pairs and splits",
    "crossbit.codes": "Codes",
    "crossbit.hasher": "Hashers",
    "crossbit.method": "Methods",
    "crossbit.methods": "Methods by name",
    "crossbit.datasets": "Data sets",
    "crossbit.sources": "Sources",
    "crossbit.encoders": "Encoders",
    "crossbit.evaluation": "Evaluation",
    "crossbit.index": "Indexes",
    "crossbit.collection": "Collections",
    "crossbit.experiment": "Experiments",
    "crossbit.sharing": "Sharing",
    "crossbit.pixels": "From pixels",
    "crossbit.testing": "Suites for your own methods",
    "crossbit.errors": "Errors",
}
"""Modules with a page of their own, and what the page is called."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the API, and what else lies in docs/, into the navigation."""
    for entry in config.nav or ():
        if isinstance(entry, dict) and "API" in entry:
            entry["API"] = [{title: f"api/{module}.md"} for module, title in PARTS.items()]
    named = str(config.nav)
    more = sorted(path.name for path in (ROOT / "docs").glob("*.md") if f"'{path.name}'" not in named)
    if more:
        (config.nav or []).append({"More": more})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents that lie beside docs/, and the pages of the API."""
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_links(text)))
    files.append(
        File.generated(config, "licence.md", content=f"# Licence\n\n```text\n{(ROOT / 'LICENSE').read_text()}```\n")
    )
    for module, title in PARTS.items():
        files.append(File.generated(config, f"api/{module}.md", content=_api(module, title)))
    return files


def _links(text: str) -> str:
    """Links of a document beside docs/ as they are from within the site."""
    text = re.sub(r"\]\(docs/", "](", text).replace("](LICENSE)", "](licence.md)")
    for name, page in OUTSIDE.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text


def _api(module: str, title: str) -> str:
    """A page of one module: its description, and every public name with its signature and shapes."""
    path = ROOT / "src" / Path(*module.split("."))
    public = _public(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
    lines = [f"# {title}", "", f"`{module}`", ""]
    if not public:
        return "\n".join([*lines, f"::: {module}", "    options: {show_root_heading: false, heading_level: 2}", ""])
    for name in public:
        lines += [f"::: {module}.{name}", ""]
    return "\n".join(lines)


def _public(path: Path) -> list[str]:
    """The names that a package lists in `__all__`."""
    found = re.search(r"^__all__ = \[(.*?)\]", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return re.findall(r'"(\w+)"', found[1]) if found else []


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links from docs/ to the documents beside it."""
    for name, page in OUTSIDE.items():
        markdown = markdown.replace(f"](../{name}", f"]({page}")
    return markdown
