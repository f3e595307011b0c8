from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossbit.errors import DataError
from crossbit.report import (
    Answer,
    Found,
    Question,
    Report,
    ScoreLine,
    draw_contact_sheet,
    render_page,
    write_contact_sheet,
    write_page,
)
from crossbit.report.sheet import GOOD, GOOD_SOFT

EVIL = """<script>alert("x")</script> & 'quotes' <img src=http://example.org/x.png>"""


def png(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (40, 30), colour).save(out, format="PNG")
    return out.getvalue()


def report(text: str = "a red fruit", *, relevant: bool | None = True) -> Report:
    bits = np.random.default_rng(0).random((3, 12)) < 0.5
    found = [Found("apple", 1, png(), relevant, bits[1]), Found(text, 5, png("blue"), False, bits[2])]
    answers = [Answer("JDSH teacher", found, bits[0]), Answer("KDCMH student", found[::-1], bits[0])]
    questions = [
        Question(text, answers, typed=True),
        Question("cherries", answers),
        Question("apple", [Answer("KDCMH student", found, bits[0])], picture=png("green")),
    ]
    scores = [
        ScoreLine("JDSH", "teacher", {"mAP@all": (0.4, 0.42)}),
        ScoreLine("KDCMH", "student", {"mAP@all": (0.5, 0.55)}),
    ]
    return Report("crossbit", "Twelve bits.", 12, questions, scores, {"mAP@all": "id 0a1b"}, {"seed": "0"}, "Credit.")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def test_the_page_shows_queries_hits_scores_and_how() -> None:
    text = parsed(render_page(report())).text
    for shown in ("“a red fruit”", "JDSH teacher", "KDCMH student", "1 bit", "5 bits", "0.525", "id 0a1b", "Credit."):
        assert shown in text
    assert "Ask with your own words" in text
    assert "From picture to texts" in text


def test_nothing_on_the_page_points_outside() -> None:
    page = render_page(report())
    for _, attributes in parsed(page).tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            if name in attributes:
                assert str(attributes[name]).startswith("data:")
    assert "@import" not in page
    assert not re.search(r"url\(|https?://", page)


def test_texts_are_escaped_everywhere() -> None:
    page = render_page(report(EVIL))
    tags = parsed(page)
    assert EVIL in tags.text
    assert "script" not in [tag for tag, _ in tags.tags]
    assert all(str(attributes["src"]).startswith("data:") for tag, attributes in tags.tags if tag == "img")


def test_differing_bits_are_counted_in_the_drawing() -> None:
    query, hit = np.zeros(9, bool), np.zeros(9, bool)
    query[[0, 4]] = hit[[0, 1, 8]] = True
    page = render_page(
        Report("t", "i", 9, [Question("q", [Answer("h", [Found("c", 3, None, None, hit)], query)])], [], {})
    )
    drawings = re.findall(r'class="differs" d="([^"]*)"', page.split("<article")[1])
    assert [drawing.count("M") for drawing in drawings] == [3]


def test_the_best_mean_is_marked() -> None:
    assert re.findall(r"<b>([\d.]+)</b>", render_page(report()).split("<tbody>")[1]) == ["0.525"]


def test_relevance_is_marked_only_where_it_is_known() -> None:
    assert 'class="relevant"' in render_page(report())
    unknown = render_page(report(relevant=None))
    assert 'class="relevant"' not in unknown


def test_an_empty_report_is_still_a_page() -> None:
    assert "nothing" in parsed(render_page(Report("t", "nothing", 8, [], [], {}))).text


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    write_page(report(), tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text("utf-8") == render_page(report())


def test_the_sheet_marks_the_relevant_hits(tmp_path: Path) -> None:
    write_contact_sheet(report(), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 24)}
    wanted = {tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in (GOOD, GOOD_SOFT)}
    assert wanted <= colours
    unknown = draw_contact_sheet(report(relevant=None)).getcolors(1 << 24)
    assert unknown is not None
    assert not wanted <= {colour for _, colour in unknown}


def test_the_sheet_survives_long_texts_and_broken_pictures() -> None:
    broken = Answer("h", [Found("c", 1, b"no picture"), Found("c", 2, None)])
    small = draw_contact_sheet(Report("t", "i", 8, [Question("q", [broken])], [], {}))
    long = draw_contact_sheet(Report("t", "i", 8, [Question("many words " * 60, [broken])], [], {}))
    assert long.size == small.size


def test_a_sheet_needs_a_text_query() -> None:
    with pytest.raises(DataError, match="has none"):
        draw_contact_sheet(Report("t", "i", 8, [], [], {}))
