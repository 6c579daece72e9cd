"""A report on paper: A4 pages with a cover band, tiles, vector charts, tables, and the statements at the end."""

import io
import re
from functools import partial
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from core.messages import say
from core.report.drawings import BLUE, CHINESE, INK, LATIN, LINE, QUIET, drawing_of, face
from core.report.html import left_out
from core.report.record import APPENDIX, Exhibit, Report, Section, Tell, printed

MARGIN = 48.0
WIDTH = A4[0] - 2 * MARGIN
COVER = 158.0
"""Height of the band on the first page."""
FOOT = 100.0
"""Less room than this at the foot of a page, and the next figure begins on a new one: its heading with some rows needs as much."""
NAVY, PANEL = HexColor("#0B3A57"), HexColor("#F3F6F9")
_OTHER = re.compile(f"[^{re.escape(LATIN)}]+")
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=13, textColor=INK, wordWrap=None)
_QUIET = ParagraphStyle("quiet", _BODY, fontSize=8, leading=11, textColor=QUIET)
_CELL = ParagraphStyle("cell", _BODY, fontSize=7.5, leading=9.5)
_RIGHT = ParagraphStyle("right", _CELL, alignment=2)
_HEAD = ParagraphStyle("head", _CELL, textColor=QUIET)
_HEAD_RIGHT = ParagraphStyle("head_right", _HEAD, alignment=2)
_H2 = ParagraphStyle("h2", _BODY, fontSize=16, leading=21, textColor=NAVY, spaceBefore=4, spaceAfter=1, keepWithNext=1)
_H3 = ParagraphStyle("h3", _BODY, fontSize=10.5, leading=14, spaceBefore=8, spaceAfter=3, fontName="Helvetica-Bold")
_QUESTION = ParagraphStyle("question", _QUIET, spaceAfter=6, keepWithNext=1)
_CODE = ParagraphStyle("code", _BODY, fontName="Courier", fontSize=6.4, leading=8.2, textColor=INK)
_TITLE = ParagraphStyle("title", _BODY, fontSize=24, leading=29, textColor=white)
_LIGHT = ParagraphStyle("light", _BODY, fontSize=9, leading=13, textColor=white)
_TILE = ParagraphStyle("tile", _BODY, fontSize=15, leading=19, textColor=NAVY)


def report_pdf(report: Report, tell: Tell) -> bytes:
    """Write a report as PDF; letters beyond Windows-1252 are set in STSong-Light, which the reader's program brings along."""
    registerFont(UnicodeCIDFont(CHINESE))
    target = io.BytesIO()
    title = report.title or tell(say("Report of {dataset}", dataset=report.dataset))
    document = BaseDocTemplate(target, pagesize=A4, title=title, author="Shopper Atlas", invariant=1)
    foot = f"{report.dataset} · {report.made}"
    first = Frame(MARGIN, 46, WIDTH, A4[1] - COVER - 62, 0, 0, 0, 0)
    later = Frame(MARGIN, 46, WIDTH, A4[1] - 92, 0, 0, 0, 0)
    document.addPageTemplates(
        [
            PageTemplate("first", [first], onPage=partial(_cover, report, tell, title, foot), autoNextPageTemplate="later"),
            PageTemplate("later", [later], onPage=partial(_foot, foot)),
        ]
    )
    story: list[Flowable] = []
    for place, section in enumerate(report.sections):
        story += [PageBreak() if report.paged else CondPageBreak(220), Spacer(1, 14)] if place else []
        story += _section(section, tell)
    asked = [exhibit for section in report.sections for exhibit in section.exhibits if exhibit.sql]
    if asked:
        story += [PageBreak(), _p(tell(say("Appendix: the statements")), _H2)]
        story.append(_p(tell(APPENDIX), _QUIET))
        for exhibit in asked:
            story += [CondPageBreak(FOOT), _p(f"{tell(exhibit.title)} · {exhibit.id}", _H3)]
            story += [
                _p(line.replace(" ", "\u00a0", len(line) - len(line.lstrip())) or "\u00a0", _CODE) for line in exhibit.sql.splitlines()
            ]
    document.build(story)
    return target.getvalue()


def _p(text: str, style: ParagraphStyle) -> Paragraph:
    """A paragraph of plain text: escaped, others than LATIN in the Chinese font, unknown ones as a square."""
    plain = "".join(letter if ord(letter) < 0x10000 and letter >= " " else "□" for letter in text)
    marked = _OTHER.sub(lambda found: f'<font name="{CHINESE}">{found.group()}</font>', escape(plain))
    chinese = sum(ord(letter) > 0x2E80 for letter in plain) > 1
    return Paragraph(marked, ParagraphStyle(style.name, style, wordWrap="CJK") if chinese else style)


def _cover(report: Report, tell: Tell, title: str, foot: str, canvas: Canvas, _document: BaseDocTemplate) -> None:
    canvas.setFillColor(NAVY)
    canvas.rect(0, A4[1] - COVER, A4[0], COVER, stroke=0, fill=1)
    canvas.setFillColor(BLUE)
    canvas.rect(0, A4[1] - COVER, A4[0], 4, stroke=0, fill=1)
    looked = " · ".join(tell(one) for one in report.filters) or tell(say("The whole log, every shopper."))
    lines = [
        _p("S H O P P E R   A T L A S", ParagraphStyle("mark", _LIGHT, fontSize=7.5, textColor=HexColor("#9CC7E2"))),
        Spacer(1, 8),
        _p(title[:120], _TITLE),
        Spacer(1, 8),
        _p("   ·   ".join(tell(fact) for fact in report.facts), _LIGHT),
        Spacer(1, 3),
        _p(f"{tell(say('Looked at'))}: {looked}"[:400], _LIGHT),
    ]
    Frame(MARGIN, A4[1] - COVER + 10, WIDTH, COVER - 38, 0, 0, 0, 0).addFromList(lines, canvas)
    _foot(foot, canvas, _document)


def _foot(foot: str, canvas: Canvas, _document: BaseDocTemplate) -> None:
    canvas.setStrokeColor(LINE)
    canvas.line(MARGIN, 36, A4[0] - MARGIN, 36)
    canvas.setFillColor(QUIET)
    canvas.setFont(face(foot), 7.5)
    canvas.drawString(MARGIN, 25, foot)
    canvas.drawRightString(A4[0] - MARGIN, 25, str(canvas.getPageNumber()))


def _section(section: Section, tell: Tell) -> list[Flowable]:
    parts: list[Flowable] = [_p(tell(section.title), _H2), _p(tell(section.question), _QUESTION)]
    if section.tiles:
        parts += [_tiles(section, tell), Spacer(1, 4)]
    parts += [_p(tell(note), _BODY) for note in section.notes]
    story: list[Flowable] = []
    for exhibit in section.exhibits:
        head, rest = _exhibit(exhibit, tell)
        story += [CondPageBreak(FOOT), KeepTogether([*parts, *head]), *rest]  # a heading never stands alone at the foot of a page
        parts = []
    return story or [KeepTogether(parts)]


def _tiles(section: Section, tell: Tell) -> Table:
    cells = [[_p(tell(label), _QUIET), _p(value, _TILE), _p(tell(note) if note else " ", _HEAD)] for label, value, note in section.tiles]
    cells += [[] for _ in range(-len(cells) % 4)]
    rows = [cells[place : place + 4] for place in range(0, len(cells), 4)]
    table = Table(rows, colWidths=[WIDTH / 4] * 4)
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), PANEL),
                ("INNERGRID", (0, 0), (-1, -1), 5, white),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 9),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 9),
                ("LEFTPADDING", (0, 0), (-1, -1), 10),
            ]
        )
    )
    return table


def _exhibit(exhibit: Exhibit, tell: Tell) -> tuple[list[Flowable], list[Flowable]]:
    """What stands on one page, and what may follow on the next; lists kept together are not nested, which would leave empty pages."""
    head: list[Flowable] = [_p(tell(exhibit.title), _H3)]
    if exhibit.chart:
        head.append(drawing_of(exhibit.chart, tell, WIDTH))
    head.append(_p(f"{tell(exhibit.definition)} ({exhibit.id})" if exhibit.sql else tell(exhibit.definition), _QUIET))
    more = left_out(exhibit)
    notes = [_p(tell(note), _QUIET) for note in (*exhibit.notes, *([more] if more else []))]
    if exhibit.chart and exhibit.chart.kind in ("grid", "points"):  # the cells hold the values, and nobody reads points one by one
        return head, [_p(tell(note), _QUIET) for note in exhibit.notes]
    return [*head, Spacer(1, 4)], [_table(exhibit, tell), *notes]


def _table(exhibit: Exhibit, tell: Tell) -> Table:
    is_text = [column.form in ("text", "day") for column in exhibit.columns]
    heads = [_p(tell(c.title), _HEAD if text else _HEAD_RIGHT) for text, c in zip(is_text, exhibit.columns, strict=True)]
    rows = [[_p(cell[:120], _CELL if text else _RIGHT) for text, cell in zip(is_text, row, strict=True)] for row in printed(exhibit, tell)]
    shares = [2.4 if place == 0 and text else 1.0 for place, text in enumerate(is_text)]
    table = Table([heads, *rows], colWidths=[WIDTH * share / sum(shares) for share in shares], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                ("LINEBELOW", (0, 0), (-1, 0), 0.9, NAVY),
                ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 3),
                ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ]
        )
    )
    return table
