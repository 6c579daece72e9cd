"""Charts of a report as vector drawings for paper."""

from dataclasses import replace
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

from reportlab.graphics.shapes import Circle as Dot
from reportlab.graphics.shapes import Drawing, Line, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor, linearlyInterpolatedColor, white
from reportlab.pdfbase.pdfmetrics import stringWidth

from core.report.charts import PALETTE, cut
from core.report.record import Chart, Tell, shown

BLUE, INK, QUIET, LINE = HexColor("#2479AA"), HexColor("#17212B"), HexColor("#6B7885"), HexColor("#D8DFE6")
RAMP = ((0.0, HexColor("#D5E4EE")), (0.35, HexColor("#7FB2D0")), (0.7, HexColor("#2479AA")), (1.0, HexColor("#0B3A57")))
CHINESE = "STSong-Light"
"""A font that every PDF reader brings along for Chinese; the file holds none."""

LATIN = bytes(range(32, 256)).decode("cp1252", errors="ignore")
"""Letters that the Latin fonts of every PDF reader have."""

MOST_ROWS = 90
"""Bars, or rows of a grid, of one picture."""
PAGE_ROOM = 540.0
"""Points of a page that a picture's rows may take."""


def face(text: str) -> str:
    """The font that has the letters of a text."""
    return "Helvetica" if set(text) <= set(LATIN) else CHINESE


def drawing_of(chart: Chart, tell: Tell, width: float) -> Drawing:
    """Draw a chart, `width` points wide."""
    if (
        chart.kind in ("bars", "grid") and len(chart.labels) > MOST_ROWS
    ):  # the newest, where rows are periods; the table and the ZIP hold all
        names = ("labels", "values", "low", "high", "hollow")
        chart = replace(chart, **{name: getattr(chart, name)[-MOST_ROWS:] for name in names})
    said = replace(chart, labels=tuple(map(tell, chart.labels)), columns=tuple(map(tell, chart.columns)))
    return {"bars": _bars, "line": _line, "grid": _grid, "points": _points}[chart.kind](said, tell(chart.axis), width)


def _text(drawing: Drawing, x: float, y: float, text: str, *, colour: Color = QUIET, size: float = 7.5, anchor: str = "start") -> None:
    drawing.add(String(x, y, text, fontName=face(text), fontSize=size, fillColor=colour, textAnchor=anchor))


def _widest(texts: list[str], size: float = 7.5) -> float:
    return max((stringWidth(text, face(text), size) for text in texts), default=0.0)


def _step(rows: int, usual: float) -> float:
    """Height of a row, so that a picture fits on a page."""
    return min(usual, PAGE_ROOM / max(rows, 1))


def _bars(chart: Chart, axis: str, width: float) -> Drawing:
    step = _step(len(chart.labels), 14.0)
    size = min(7.5, step - 1)
    labels = [cut(label) for label in chart.labels]
    told = [chart.told(value) for value in chart.values]
    left, right = _widest(labels) + 8, _widest(told) + 10
    room, height = width - left - right, step * len(labels) + 18
    drawing = Drawing(width, height)
    most = max([*(value or 0 for value in chart.values), *(high or 0 for high in chart.high), 1e-12])
    for place, (label, value, text) in enumerate(zip(labels, chart.values, told, strict=True)):
        y = height - step * (place + 1)
        _text(drawing, left - 6, y + step / 4, label, colour=INK, size=size, anchor="end")
        long = room * max(value or 0, 0) / most
        drawing.add(Rect(left, y + 1.5, long, 0.7 * step, fillColor=BLUE, strokeColor=None))
        end = long
        if chart.low:
            low, high = (room * (bound[place] or 0) / most for bound in (chart.low, chart.high))
            drawing.add(Line(left + low, y + step / 2 - 0.5, left + high, y + step / 2 - 0.5, strokeColor=QUIET, strokeWidth=0.8))
            end = max(long, high)
        _text(drawing, left + end + 4, y + step / 4, text, size=size)
    _text(drawing, left, 4, axis, size=7)
    return drawing


def round_ticks(most: float, *, whole: bool) -> list[float]:
    """Three to six round numbers from 0 to the first one that is not below `most`, none twice where only whole ones are told."""
    power = 10.0 ** floor(log10(most / 4))
    step = next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= most / 4 * (1 - 1e-9))
    step = max(ceil(step), 1) if whole else step
    return [step * part for part in range(ceil(most / step * (1 - 1e-9)) + 1)]


def _line(chart: Chart, axis: str, width: float) -> Drawing:
    height, bottom, top = 150.0, 20.0, 14.0
    values = [float(value) for value in chart.values if value is not None]
    ticks = round_ticks(max([*values, 1e-12]), whole=chart.form == "whole")
    most = ticks[-1]
    told = [shown(tick, chart.form) for tick in ticks]
    left = _widest(told) + 8
    room, tall = width - left - 8, height - bottom - top
    drawing = Drawing(width, height)
    for tick, text in zip(ticks, told, strict=True):
        y = bottom + tall * tick / most
        drawing.add(Line(left, y, width - 8, y, strokeColor=LINE, strokeWidth=0.5))
        _text(drawing, left - 4, y - 2.5, text, anchor="end")
    last = max(len(chart.values) - 1, 1)
    points = [(left + room * place / last, bottom + tall * value / most) for place, value in enumerate(chart.values) if value is not None]
    if len(points) > 1:
        drawing.add(PolyLine([part for point in points for part in point], strokeColor=BLUE, strokeWidth=1.4, fillColor=None))
    places = [place for place, value in enumerate(chart.values) if value is not None]
    for place, (x, y) in zip(places, points, strict=True):
        is_hollow = bool(chart.hollow) and chart.hollow[place]
        if len(points) <= 60 or is_hollow:
            drawing.add(Dot(x, y, 1.9, fillColor=white if is_hollow else BLUE, strokeColor=BLUE, strokeWidth=0.8))
    for place in sorted({round(last * part / 5) for part in range(6)} & set(range(len(chart.labels)))):
        anchor = "start" if place == 0 else "end" if place == last else "middle"
        _text(drawing, left + room * place / last, bottom - 11, chart.labels[place], size=7, anchor=anchor)
    _text(drawing, left, height - 8, axis, size=7)
    return drawing


def _grid(chart: Chart, axis: str, width: float) -> Drawing:
    step = _step(len(chart.labels), 13.0)
    labels = [cut(label) for label in chart.labels]
    left = _widest(labels) + 8
    cell, height = (width - left) / max(len(chart.columns), 1), step * len(labels) + 26
    drawing = Drawing(width, height)
    numbers = [value for row in chart.values for value in row if value is not None]
    most = max([*numbers, 1e-12])
    for place, (label, row) in enumerate(zip(labels, chart.values, strict=True)):
        y = height - step * (place + 1)
        _text(drawing, left - 6, y + step / 4, label, colour=INK, size=min(7.5, step - 1), anchor="end")
        for number, value in enumerate(row):
            if value is None:
                continue
            x, share = left + cell * number, max(value, 0) / most
            drawing.add(Rect(x, y + 0.6, cell - 1.2, step - 1.2, fillColor=_ramp(share), strokeColor=None))
            text = shown(value, chart.form)
            size = next((size for size in (6, 5.2, 4.5) if stringWidth(text, "Helvetica", size) < cell - 2.5), None)
            if step > 7 and size is not None:
                _text(drawing, x + cell / 2 - 0.6, y + 4, text, colour=white if share > 0.45 else INK, size=size, anchor="middle")
    for number, name in enumerate(chart.columns):
        _text(drawing, left + cell * (number + 0.5), 16, name, size=6.5, anchor="middle")
    _text(drawing, left, 4, axis, size=7)
    return drawing


def _points(chart: Chart, axis: str, width: float) -> Drawing:
    """Points at one scale for both axes, the names of their groups beside them."""
    labels = [cut(label) for label in chart.labels]
    side, height = _widest(labels) + 24, 300.0
    drawing = Drawing(width, height)
    lows, highs = ([pick(value[axis_] for value in chart.values) for axis_ in (0, 1)] for pick in (min, max))
    scale = min((width - side - 10) / (highs[0] - lows[0] or 1), (height - 10) / (highs[1] - lows[1] or 1))
    for x, y, group in chart.values:
        drawing.add(_mark(5 + scale * (x - lows[0]), 5 + scale * (y - lows[1]), 1.1, group))
    _text(drawing, width - side, height - 10, axis)
    for place, label in enumerate(labels):
        y = height - 24 - _step(len(labels), 13.0) * place
        drawing.add(_mark(width - side + 4, y + 2.5, 2.6, place))
        _text(drawing, width - side + 12, y, label, colour=INK)
    return drawing


def _mark(x: float, y: float, radius: float, group: int) -> Dot:
    """The mark of a group: a ring once the colours come again."""
    colour = HexColor(PALETTE[group % len(PALETTE)])
    if group < len(PALETTE):
        return Dot(x, y, radius, fillColor=colour, strokeColor=None)
    return Dot(x, y, radius, fillColor=None, strokeColor=colour, strokeWidth=0.5)


def _ramp(share: float) -> Any:
    for (begin, one), (end, other) in pairwise(RAMP):
        if share <= end:
            return linearlyInterpolatedColor(one, other, begin, end, share)
    return RAMP[-1][1]
