"""The page of results: one HTML file with its style and pictures inside, readable with no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from crossbit.files import write_whole
from crossbit.report.content import Answer, Bits, Found, Question, Report
from crossbit.report.style import STYLE

_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp", b"GIF8": "image/gif"}


def write_page(report: Report, path: Path) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, render_page(report).encode())


def render_page(report: Report) -> str:
    """The page as HTML text. Nothing in it points to another host, and every text is escaped."""
    texts = [question for question in report.questions if question.picture is None]
    pictures = [question for question in report.questions if question.picture is not None]
    typed, drawn = [q for q in texts if q.typed], [q for q in texts if not q.typed]
    labelled = any(hit.relevant is not None for q in report.questions for a in q.answers for hit in a.found)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(report.title)}</title>",
        '<link rel="icon" href="data:,">',
        f"<style>{STYLE}</style>",
        "</head>",
        "<body><main>",
        f"<h1>{escape(report.title)}</h1>",
        f'<p class="lead">{escape(report.introduction)}</p>',
        _legend(report.n_bits, labelled),
        _section("Ask with your own words", "Typed texts that stand in no data set, and the pictures found.", typed),
        _section("From text to pictures", "Texts that training never saw, and the pictures found.", drawn),
        _section("From picture to texts", "Pictures that training never saw, and the texts found.", pictures),
        _scores(report),
        _made(report),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _legend(n_bits: int, labelled: bool) -> str:
    example = np.random.default_rng(3).random(n_bits) < 0.5
    other = example.copy()
    other[:: max(n_bits // 7, 1)] ^= True
    marks = [
        f"<span>{_code_picture(example, None)} the code of a query, {n_bits} bits</span>",
        f"<span>{_code_picture(other, example)} the code of a hit: bits that differ are orange</span>",
        "<span><b>distance</b> how many differ</span>",
    ]
    if labelled:
        marks.append('<span><i class="swatch"></i> shares a label with the query (labels are for display only)</span>')
    return f'<div class="legend">{"".join(marks)}</div>'


def _section(title: str, explanation: str, questions: Sequence[Question]) -> str:
    if not questions:
        return ""
    cards = "\n".join(_question(question) for question in questions)
    return f'<section>\n<h2>{escape(title)}</h2>\n<p class="soft">{escape(explanation)}</p>\n{cards}\n</section>'


def _question(question: Question) -> str:
    to_texts = question.picture is not None
    picture = _image(question.picture, question.text) if question.picture is not None else ""
    head = f"<h3>{escape(question.text)}</h3>" if to_texts else f"<h3>“{escape(question.text)}”</h3>"
    answers = "\n".join(_answer(answer, to_texts=to_texts) for answer in question.answers)
    kind = "question texts" if to_texts else "question"
    return (
        f'<article class="{kind}">\n<header>{picture}{head}</header>\n'
        f'<div class="answers">\n{answers}\n</div>\n</article>'
    )


def _answer(answer: Answer, *, to_texts: bool) -> str:
    draw = _line if to_texts else _tile
    hits = "\n".join(draw(found, answer.code) for found in answer.found)
    code = _code_picture(answer.code, None) if answer.code is not None else ""
    return (
        f'<div class="answer"><div class="who"><span>{escape(answer.hasher)}</span>{code}</div>\n'
        f'<ol class="hits">\n{hits}\n</ol></div>'
    )


def _tile(found: Found, query: Bits | None) -> str:
    picture = _image(found.picture, found.caption) if found.picture is not None else ""
    mark = _mark(found)
    code = _code_picture(found.code, query) if found.code is not None else ""
    return (
        f'<li class="{mark}"><figure title="{escape(found.caption)}"><div class="picture">{picture}</div>'
        f'<figcaption><span class="name">{escape(found.caption)}</span>'
        f'<span class="measure"><span class="distance">{_bits(found.distance)}</span>{code}</span>'
        "</figcaption></figure></li>"
    )


def _line(found: Found, query: Bits | None) -> str:
    code = _code_picture(found.code, query) if found.code is not None else "<span></span>"
    return (
        f'<li class="line {_mark(found)}"><span>{escape(found.caption)}</span>'
        f'<span class="distance">{_bits(found.distance)}</span>{code}</li>'
    )


def _mark(found: Found) -> str:
    return "relevant" if found.relevant else ""


def _bits(distance: int) -> str:
    return f"{distance} bit" if distance == 1 else f"{distance} bits"


def _image(content: bytes, caption: str) -> str:
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), "application/octet-stream")
    encoded = base64.b64encode(content).decode()
    return f'<img alt="{escape(caption)}" src="data:{kind};base64,{encoded}">'


def _code_picture(code: Bits, query: Bits | None) -> str:
    """A code as a square of cells, as an inline drawing; cells that differ from the query's are marked."""
    side = int(np.ceil(np.sqrt(len(code))))
    rows = int(np.ceil(len(code) / side))
    differs = np.zeros(len(code), dtype=np.bool_) if query is None else code != query
    drawn = "".join(
        f'<path class="{name}" d="{_cells(cells, side)}"/>'
        for name, cells in (("set", code & ~differs), ("differs", differs))
        if cells.any()
    )
    return (
        f'<svg class="code" viewBox="0 0 {side} {rows}" aria-hidden="true" shape-rendering="crispEdges">'
        f'<rect class="ground" width="{side}" height="{rows}"/>{drawn}</svg>'
    )


def _cells(cells: Bits, side: int) -> str:
    return "".join(f"M{cell % side} {cell // side}h1v1h-1z" for cell in np.flatnonzero(cells))


def _scores(report: Report) -> str:
    if not report.scores:
        return ""
    names = list(report.protocols)
    heads = "".join(
        f"<th>{escape(name)} I2T</th><th>{escape(name)} T2I</th><th>{escape(name)} mean</th>" for name in names
    )
    best = {
        name: max((sum(line.values[name]) for line in report.scores if name in line.values), default=0.0)
        for name in names
    }
    rows = []
    for line in report.scores:
        cells = ""
        for name in names:
            if name not in line.values:
                cells += "<td></td><td></td><td></td>"
                continue
            i2t, t2i = line.values[name]
            mean = f"{(i2t + t2i) / 2:.3f}"
            shown = f"<b>{mean}</b>" if i2t + t2i >= best[name] else mean
            width = max(0.0, min(100.0, 50 * (i2t + t2i)))
            bar = f'<span class="bar"><i style="width:{width:.0f}%"></i></span>'
            cells += f'<td>{i2t:.3f}</td><td>{t2i:.3f}</td><td>{bar}<span class="mean">{shown}</span></td>'
        rows.append(f'<tr><td>{escape(line.name)}<span class="role">{escape(line.role)}</span></td>{cells}</tr>')
    notes = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in report.protocols.items())
    return (
        "<section>\n<h2>Scores</h2>\n"
        '<p class="soft">Mean average precision over all queries, from 0 to 1. Two items are relevant to each other '
        "when they share a label. I2T: pictures look for texts. T2I: texts look for pictures.</p>\n"
        f'<div class="wide"><table><thead><tr><th>method</th>{heads}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>\n<dl>{notes}</dl>\n</section>"
    )


def _made(report: Report) -> str:
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.made.items())
    credit = f'<p class="soft">{escape(report.credit)}</p>' if report.credit else ""
    return f"<section>\n<h2>How this was made</h2>\n<dl>{lines}</dl>\n{credit}</section>" if lines or credit else ""
