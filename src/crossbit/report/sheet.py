"""The contact sheet: one PNG of text queries with the pictures found, one row a hasher."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from crossbit.errors import DataError
from crossbit.files import write_whole
from crossbit.report.content import Answer, Found, Question, Report

_GROUND, _CARD, _INK, _SOFT, _LINE = "#f6f4ef", "#fffdf9", "#23202a", "#6d6875", "#e5e0d6"
GOOD, GOOD_SOFT, _TILE = "#1d8a5b", "#def3e8", "#ffffff"
_SIDE, _GAP, _MARGIN, _NAME_WIDTH = 76, 10, 36, 104
_ROW = _SIDE + 24
_HEAD = 44
_CARD_PAD = 18

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def write_contact_sheet(report: Report, path: Path, *, columns: int = 2, hits: int = 8) -> None:
    """Write the contact sheet as a PNG, whole or not at all."""
    out = io.BytesIO()
    draw_contact_sheet(report, columns=columns, hits=hits).save(out, format="PNG", optimize=True)
    write_whole(path, out.getvalue())


def draw_contact_sheet(report: Report, *, columns: int = 2, hits: int = 8) -> Image.Image:
    """The report's text queries as cards in `columns` columns, each hasher's first `hits` pictures in a row.

    Raises DataError when the report has no text query.
    """
    questions = [question for question in report.questions if question.picture is None]
    if not questions:
        raise DataError("A contact sheet shows texts that look for pictures; the report has none.")
    n_rows = max(len(question.answers) for question in questions)
    card_width = 2 * _CARD_PAD + _NAME_WIDTH + hits * (_SIDE + _GAP) - _GAP
    card_height = 2 * _CARD_PAD + _HEAD + n_rows * _ROW - 8
    lines = -(-len(questions) // columns)
    width = 2 * _MARGIN + columns * card_width + (columns - 1) * _MARGIN // 2
    top = _MARGIN + 92
    height = top + lines * (card_height + _MARGIN // 2) + _MARGIN // 2 + 8
    sheet = Image.new("RGB", (width, height), _GROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 6), report.title, fill=_INK, font=_font(38))
    labelled = any(hit.relevant is not None for q in questions for a in q.answers for hit in a.found)
    note = "The number under a picture counts the bits that differ" + (
        "; green shares a label with the query." if labelled else "."
    )
    pen.text((_MARGIN, _MARGIN + 48), note, fill=_SOFT, font=_font(19))
    for place, question in enumerate(questions):
        left = _MARGIN + (place % columns) * (card_width + _MARGIN // 2)
        upper = top + (place // columns) * (card_height + _MARGIN // 2)
        pen.rounded_rectangle((left, upper, left + card_width, upper + card_height), 20, fill=_CARD, outline=_LINE)
        _draw_question(sheet, question, left + _CARD_PAD, upper + _CARD_PAD, hits, card_width - 2 * _CARD_PAD)
    return sheet


def _draw_question(sheet: Image.Image, question: Question, left: int, top: int, hits: int, width: int) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.text((left, top - 2), _shortened(pen, f"“{question.text}”", _font(25), width), fill=_INK, font=_font(25))
    for number, answer in enumerate(question.answers):
        _draw_answer(sheet, answer, left, top + _HEAD + number * _ROW, hits)


def _draw_answer(sheet: Image.Image, answer: Answer, left: int, top: int, hits: int) -> None:
    pen = ImageDraw.Draw(sheet)
    words = answer.hasher.split(" ", 1)
    pen.text((left, top + 20), words[0], fill=_INK, font=_font(18))
    if len(words) > 1:
        pen.text((left, top + 42), words[1], fill=_SOFT, font=_font(15))
    for number, found in enumerate(answer.found[:hits]):
        _draw_hit(sheet, found, left + _NAME_WIDTH + number * (_SIDE + _GAP), top)


def _draw_hit(sheet: Image.Image, found: Found, left: int, top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    ground, edge = (GOOD_SOFT, GOOD) if found.relevant else (_TILE, _LINE)
    pen.rounded_rectangle((left, top, left + _SIDE - 1, top + _SIDE - 1), 12, fill=ground, outline=edge, width=2)
    picture = _open(found.picture)
    if picture is not None:
        picture.thumbnail((_SIDE - 16, _SIDE - 16), Image.Resampling.LANCZOS)
        place = (left + (_SIDE - picture.width) // 2, top + (_SIDE - picture.height) // 2)
        sheet.paste(picture, place, picture)
    pen.text((left + _SIDE // 2, top + _SIDE + 2), str(found.distance), fill=_SOFT, font=_font(14), anchor="ma")


def _open(content: bytes | None) -> Image.Image | None:
    """The picture with its transparency, or None where there is none that can be read."""
    if content is None:
        return None
    try:
        return Image.open(io.BytesIO(content)).convert("RGBA")
    except (UnidentifiedImageError, OSError):
        return None


def _shortened(pen: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> str:
    """The text, cut so that it fits the width."""
    if pen.textlength(text, font=font) <= width:
        return text
    while len(text) > 1 and pen.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text.rstrip() + "…"


_FONTS: dict[int, Font] = {}


def _font(size: int) -> Font:
    """Pillow's own font, so that the sheet looks the same on every machine."""
    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)
    return _FONTS[size]
