"""The page docs/cli.md, made from the commands' own help:  python -m crossbit.cli.document > docs/cli.md"""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from crossbit.cli.app import app

_HEAD = """# The commands

Made from `--help` by `python -m crossbit.cli.document > docs/cli.md`; a test fails when it is stale.

Every command takes `--json` and then prints one JSON document on stdout and nothing else. Progress is drawn on a
terminal only, on stderr. Exit codes: 0 done, 1 an error (one sentence on stderr; `crossbit --debug COMMAND ...` adds
the traceback), 2 wrong usage, 130 stopped by Ctrl-C, with a sentence on what was saved.
"""


def document() -> str:
    """The help of all commands as one page of Markdown, of one width whatever the window."""
    parts = [_HEAD, f"```text\n{_help_of()}\n```\n"]
    verbs: list[tuple[str, ...]] = [(str(command.name),) for command in app.registered_commands]
    for group in app.registered_groups:
        inner = group.typer_instance
        named = [] if inner is None else [str(command.name) for command in inner.registered_commands]
        verbs += [(str(inner.info.name if inner else group.name), name) for name in named]
    for words in verbs:
        parts.append(f"## crossbit {' '.join(words)}\n\n```text\n{_help_of(*words)}\n```\n")
    return "\n".join(parts)


def _help_of(*words: str) -> str:
    width = {"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1"}
    result = CliRunner().invoke(app, [*words, "--help"], prog_name="crossbit", env=width)
    return "\n".join(line.rstrip() for line in result.stdout.strip().splitlines())


if __name__ == "__main__":
    typer.echo(document(), nl=False)
