"""A report as one HTML file that works without a network: the plotting library and all values lie in it."""

import json
from html import escape
from importlib.util import find_spec
from pathlib import Path

from core.errors import StorageError
from core.messages import say
from core.report.charts import plotly_figure
from core.report.record import APPENDIX, SHOWN_ROWS, Exhibit, Report, Section, Tell, printed

_STYLE = Path(__file__).with_name("report.css")
_DRAW = """
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
for (const place of document.querySelectorAll('.chart')) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  figure.layout.font.color = dark ? '#C9D3DC' : '#3B4855';
  Plotly.newPlot(place, figure.data, figure.layout, {displaylogo: false, displayModeBar: false, responsive: true});
}
"""


def report_html(report: Report, tell: Tell, language: str = "en") -> str:
    """Write a report as HTML; every word of the data is escaped.

    Raises:
        StorageError: The plotting library's file is not where its package lies.
    """
    title = escape(report.title or tell(say("Report of {dataset}", dataset=report.dataset)))
    links = "".join(f'<a href="#{s.id}">{escape(tell(s.title))}</a>' for s in report.sections)
    facts = "".join(f"<li>{escape(tell(fact))}</li>" for fact in report.facts)
    looked = " · ".join(escape(tell(one)) for one in report.filters) or escape(tell(say("The whole log, every shopper.")))
    body = "\n".join(_section(section, tell) for section in report.sections)
    exhibits = [exhibit for section in report.sections for exhibit in section.exhibits]
    appendix = "".join(
        f'<article id="sql-{e.id}"><h3>{escape(tell(e.title))} <code>{e.id}</code></h3><pre>{escape(e.sql)}</pre></article>'
        for e in exhibits
        if e.sql
    )
    has_charts = any(e.chart for e in exhibits)
    figures = "".join(
        f'<script type="application/json" id="figure-{e.id}">{_json(plotly_figure(e.chart, tell))}</script>' for e in exhibits if e.chart
    )
    return f"""<!DOCTYPE html>
<html lang="{escape(language)}"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>{_STYLE.read_text(encoding="utf-8")}</style></head><body>
<header><div><p class="mark">Shopper Atlas</p><h1>{title}</h1><ul>{facts}</ul>
<p class="scope"><b>{escape(tell(say("Looked at")))}</b> {looked}</p></div></header>
<nav>{links}{'<a href="#appendix">SQL</a>' if appendix else ""}</nav>
<main>{body}
{_appendix(appendix, tell) if appendix else ""}</main>
<footer>{escape(report.dataset)} · {escape(report.made)}</footer>
{f"{figures}<script>{_library()}</script><script>{_DRAW}</script>" if has_charts else ""}</body></html>
"""


def _appendix(statements: str, tell: Tell) -> str:
    return (
        f'<section id="appendix"><h2>{escape(tell(say("Appendix: the statements")))}</h2><p class="quiet">'
        + escape(tell(APPENDIX))
        + f"</p>{statements}</section>"
    )


def _section(section: Section, tell: Tell) -> str:
    tiles = "".join(
        f'<div class="tile"><span>{escape(tell(label))}</span><b>{escape(value)}</b>'
        f"<small>{escape(tell(note)) if note else ''}</small></div>"
        for label, value, note in section.tiles
    )
    notes = "".join(f'<p class="note">{escape(tell(note))}</p>' for note in section.notes)
    inner = "\n".join(_exhibit(exhibit, tell) for exhibit in section.exhibits)
    return (
        f'<section id="{section.id}"><h2>{escape(tell(section.title))}</h2><p class="quiet">{escape(tell(section.question))}</p>'
        f"{f'<div class=tiles>{tiles}</div>' if tiles else ''}{notes}{inner}</section>"
    )


def _exhibit(exhibit: Exhibit, tell: Tell) -> str:
    chart = f'<div class="chart" data-figure="figure-{exhibit.id}"></div>' if exhibit.chart else ""
    right = [' class="n"' if column.form not in ("text", "day") else "" for column in exhibit.columns]
    heads = "".join(f"<th{side}>{escape(tell(column.title))}</th>" for side, column in zip(right, exhibit.columns, strict=True))
    rows = "".join(
        "<tr>" + "".join(f"<td{side}>{escape(cell)}</td>" for side, cell in zip(right, row, strict=True)) + "</tr>"
        for row in printed(exhibit, tell)
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    more = left_out(exhibit) if exhibit.columns else ""
    notes = "".join(f'<p class="quiet">{escape(tell(note))}</p>' for note in (*exhibit.notes, *([more] if more else [])))
    source = f'<p class="id"><code>{exhibit.id}</code> · <a href="#sql-{exhibit.id}">SQL</a></p>' if exhibit.sql else ""
    numbers = f"<details><summary>{escape(tell(say('Table')))}</summary><div class=wrap>{table}</div></details>" if chart else table
    if not exhibit.columns:  # a picture whose values nobody reads one by one
        numbers = ""
    return (
        f'<article id="{exhibit.id}"><h3>{escape(tell(exhibit.title))}</h3>{chart}<p class="quiet">{escape(tell(exhibit.definition))}</p>'
        f"{numbers}{notes}{source}</article>"
    )


def left_out(exhibit: Exhibit) -> str:
    """Say how many rows are not printed; '' when all are."""
    rows = exhibit.table.num_rows
    return say("The first {n} of {all:,} rows; all of them are in the ZIP.", n=SHOWN_ROWS, all=rows) if rows > SHOWN_ROWS else ""


def _json(figure: object) -> str:
    """JSON that cannot end its script element; a number that JSON does not know is our own mistake."""
    return json.dumps(figure, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _library() -> str:
    """The plotting library's own file, read as data: core imports no plotting library."""
    package = find_spec("plotly")
    path = Path(str(package.origin)).parent / "package_data" / "plotly.min.js" if package else Path("plotly.min.js")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError("{path} cannot be read ({error}); install plotly again.", path=path, error=error) from error
