"""Every command that the documents show exists, with the options and the number of words that are shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from crossbit.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "cli.md")]
GROUP = typer.main.get_command(app)


def shown(path: Path) -> list[str]:
    """The lines of a document's blocks that call crossbit, without what is said behind them."""
    blocks = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.removeprefix("$ ").strip() for line in lines if line.removeprefix("$ ").startswith("crossbit ")]


def wrong_with(line: str) -> str:
    """What no such call can have, or ""."""
    words = shlex.split(line, comments=True)[1:]
    for end in ("|", "&&", ">", "&"):
        words = words[: words.index(end)] if end in words else words
    command = GROUP
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return f"there is no command {words[0]}"
        command = command.commands[words.pop(0)]
    options = {name: param for param in command.params for name in (*param.opts, *param.secondary_opts)}
    takes = [param for param in command.params if param.param_type_name == "argument"]
    given = 0
    while words:
        word, _, value = words.pop(0).partition("=")
        if not word.startswith("-"):
            given += 1
            continue
        if word not in options:
            return f"{command.name} has no option {word}"
        if not value and not getattr(options[word], "is_flag", False):
            if not words:
                return f"{word} needs a value"
            words.pop(0)
    most = sum(100 if param.nargs == -1 else param.nargs for param in takes)
    least = sum(param.required for param in takes)
    return "" if least <= given <= most else f"{command.name} takes {least} to {most} words, {given} are given"


@pytest.mark.parametrize("path", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_commands_are_called_as_they_are(path: Path) -> None:
    assert [f"{line}: {wrong}" for line in shown(path) if (wrong := wrong_with(line))] == []


def test_enough_is_looked_at_and_a_wrong_call_is_seen() -> None:
    assert sum(len(shown(path)) for path in DOCUMENTS) > 20
    assert wrong_with("crossbit fitt photos") == "there is no command fitt"
    assert wrong_with("crossbit fit photos --ou x") == "fit has no option --ou"
    assert wrong_with("crossbit fit photos more --out x.safetensors").startswith("fit takes")
    assert wrong_with("crossbit fit photos --out x.safetensors  # a comment") == ""
