"""A table as a value, and its three looks: Markdown, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Grid:
    """A table. title: what stands above it. header: the columns' names. rows: cells of text, as many as columns.

    best: the cells to set in bold, as row and column. ids: by column the protocol id of its numbers, "" for none; they
    are the last row of every look. notes: sentences below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ids: tuple[str, ...] = ()
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """A Markdown table below a heading."""
        cells = [
            [f"**{cell}**" if (row, column) in self.best else cell for column, cell in enumerate(own)]
            for row, own in enumerate(self.rows)
        ]
        if self.ids:
            cells.append([f"`{cell}`" if column and cell else cell for column, cell in enumerate(self.ids)])
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *cells]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([f"## {self.title}", table, *(f"- {note}" for note in self.notes)])

    def latex(self) -> str:
        """A LaTeX table that needs the package booktabs."""
        lines = [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{_tex(self.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
            r"\toprule",
            _tex_line(self.header),
            r"\midrule",
        ]
        for row, own in enumerate(self.rows):
            marked = [
                rf"\textbf{{{_tex(cell)}}}" if (row, column) in self.best else _tex(cell)
                for column, cell in enumerate(own)
            ]
            lines.append(" & ".join(marked) + r" \\")
        if self.ids:
            lines += [r"\midrule", " & ".join(rf"\texttt{{{_tex(cell)}}}" for cell in self.ids) + r" \\"]
        lines += [r"\bottomrule", r"\end{tabular}", *(f"% {note}" for note in self.notes), r"\end{table}"]
        return "\n".join(lines)

    def html(self) -> str:
        """An HTML table in a section with a heading."""

        def line(cells: Sequence[str], kind: str, row: int = -1) -> str:
            marked = (
                f"<{kind}{' class=best' if (row, column) in self.best else ''}>{html.escape(cell)}</{kind}>"
                for column, cell in enumerate(cells)
            )
            return f"<tr>{''.join(marked)}</tr>"

        body = "".join(line(own, "td", row) for row, own in enumerate(self.rows))
        foot = f"<tfoot>{line(self.ids, 'td')}</tfoot>" if self.ids else ""
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        told = f"<ul>{notes}</ul>" if notes else ""
        return (
            f"<section><h2>{html.escape(self.title)}</h2><div class=wide><table>"
            f"<thead>{line(self.header, 'th')}</thead><tbody>{body}</tbody>{foot}</table></div>{told}</section>"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "title": self.title,
            "header": list(self.header),
            "rows": [list(row) for row in self.rows],
            "protocol_ids": list(self.ids),
            "notes": list(self.notes),
        }


_SPECIAL = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$"},
}


def _tex(text: str) -> str:
    return re.sub(r"[&%$#_{}~^\\±]", lambda found: _SPECIAL[found[0]], text)


def _tex_line(cells: Sequence[str]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"
