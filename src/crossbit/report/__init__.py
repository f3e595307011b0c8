"""Results to look at: a page and a contact sheet of queries with their hits."""

from crossbit.report.content import Answer, Found, Question, Report, ScoreLine
from crossbit.report.page import render_page, write_page
from crossbit.report.sheet import draw_contact_sheet, write_contact_sheet

__all__ = [
    "Answer",
    "Found",
    "Question",
    "Report",
    "ScoreLine",
    "draw_contact_sheet",
    "render_page",
    "write_contact_sheet",
    "write_page",
]
