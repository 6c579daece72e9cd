"""The quality report as one HTML file: no script, no font or picture from outside, every word of the data escaped."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from core.ingest.report_words import (
    gap_days_sentence,
    gate_sentence,
    kind_name,
    level_name,
    partial_day_sentence,
    rule_name,
    shape_name,
)
from core.messages import Message, say

Tell = Callable[[str], str]
"""Says a sentence in the reader's language; `str` leaves it English."""
Row = dict[str, Any]

_COLOURS = ("#2f6fb2", "#d98b2b", "#3f9a6b", "#a2549b", "#8a929c")
"""Of the most frequent kinds of events, and of all others."""
_PARTIAL = ' opacity="0.45"'
"""Marks a day that the log covers in part only."""
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --quiet: #5b6775; --line: #d9dee4; --ground: #ffffff; --panel: #f6f7f9;
  --mark: #2f6fb2; --warn: #b4531a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --quiet: #a3adb9; --line: #38424e; --ground: #14191f;
  --panel: #1c232b; --mark: #6aa5e0; --warn: #e0935a; } }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p, li { margin: .3rem 0; } .quiet { color: var(--quiet); } .warn { color: var(--warn); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child, th:first-child { min-width: 7.5rem; }
th { color: var(--quiet); font-weight: 600; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .9rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.25rem; font-weight: 600; } .bar { fill: var(--mark); } .bar.lost { fill: var(--warn); }
.axis { stroke: var(--line); } svg text { fill: var(--quiet); font-size: 11px; } svg { width: 100%; height: auto; display: block; }
.wrap { overflow-x: auto; } code { font-size: .88em; }
@media print { body { max-width: none; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""


def report_page(report: Row, tell: Tell = str, language: str = "en") -> str:
    """Write the report as HTML.

    Args:
        report: What `quality_report` returned, with dataset and version.
        tell: Says our sentences in the reader's language.
        language: Its code, for the file's own mark.
    """
    page = _Page(tell)
    title = say("Quality report of {dataset}, {version}", dataset=report.get("dataset", ""), version=report.get("version", ""))
    parts = [
        f"<h1>{page.say(title)}</h1>",
        f'<p class="quiet">{page.say(_span(report))}</p>',
        page.tiles(report),
        page.section(say("From rows read to rows kept"), page.waterfall(report)),
        page.section(say("Cleaning rules"), page.rules(report)),
        page.section(say("Events by day"), page.days(report)),
        page.section(say("Kinds of events"), page.mix(report)),
        page.section(say("Empty values by column"), page.nulls(report)),
        page.section(say("Catalogue"), page.catalogue(report)),
        page.section(say("Shoppers and items"), page.spread(report)),
        page.section(say("Buyers within usual horizons"), page.labels(report)),
        page.section(say("Against the version before"), page.drift(report)),
        page.section(say("Notes"), page.notes(report)),
        page.section(say("Files"), page.sources(report)),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{page.say(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _span(report: Row) -> Message:
    return say(
        "{first} to {last}, time zone of days {zone}",
        first=str(report["first_event"]).replace("T", " ")[:16],
        last=str(report["last_event"]).replace("T", " ")[:16],
        zone=report["time_zone"],
    )


class _Page:
    """Pieces of the page in one language."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def say(self, sentence: object) -> str:
        return escape(self._tell(sentence if isinstance(sentence, str) else str(sentence)))

    def section(self, title: Message, body: str) -> str:
        return f"<section>\n<h2>{self.say(title)}</h2>\n{body}\n</section>" if body else ""

    def table(self, heads: Sequence[tuple[str, bool]], rows: Iterable[Sequence[object]]) -> str:
        """Draw a table; the second of each head tells whether its column holds numbers."""
        top = "".join(f"<th{_n(number)}>{self.say(head)}</th>" for head, number in heads)
        lines = [
            "<tr>" + "".join(f"<td{_n(number)}>{self.say(cell)}</td>" for (_, number), cell in zip(heads, row, strict=True)) + "</tr>"
            for row in rows
        ]
        return f'<div class="wrap"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>' if lines else ""

    def tiles(self, report: Row) -> str:
        read = report["rows_read"]
        shown = [
            (say("Rows read"), _whole(read)),
            (say("Rows kept"), f"{_whole(report['rows_kept'])} ({_percent(report['rows_kept'], read)})"),
            (say("Put aside"), f"{_whole(report['rows_quarantined'])} ({_percent(report['rows_quarantined'], read)})"),
            (say("Merged"), f"{_whole(report['rows_merged'])} ({_percent(report['rows_merged'], read)})"),
            (say("Shoppers"), _whole(report["users"]["users"])),
            (say("Items with events"), _whole(report["items"]["items"])),
        ]
        tiles = "".join(
            f'<div class="tile"><span class="quiet">{self.say(name)}</span><b>{escape(value)}</b></div>' for name, value in shown
        )
        closes = (
            say("The sum closes: rows read = kept + put aside + merged.")
            if report["accounting_closes"]
            else say("The sum does not close; do not trust this version.")
        )
        return f'<div class="tiles">{tiles}</div>\n<p class="{"quiet" if report["accounting_closes"] else "warn"}">{self.say(closes)}</p>'

    def waterfall(self, report: Row) -> str:
        steps, most = report["waterfall"], max(report["rows_read"], 1)
        left, bars, height = 0, [], 26
        for place, step in enumerate(steps):
            rows, lost = int(step["rows"]), int(step["rows"]) < 0
            begin = (left + rows if lost else 0) / most
            left = rows if step["step"] == "rows_read" else left + rows if lost else left
            y = place * height
            bars.append(
                f'<text x="0" y="{y + 16}">{self.say(rule_name(step["step"]))}</text>'
                f'<rect class="bar{" lost" if lost else ""}" x="{200 + 500 * begin:.1f}" y="{y + 4}"'
                f' width="{max(500 * abs(rows) / most, 1):.1f}" height="16"/>'
                f'<text x="{710}" y="{y + 16}">{rows:,}</text>'
            )
        return f'<svg viewBox="0 0 800 {height * len(steps)}" role="img">{"".join(bars)}</svg>'

    def rules(self, report: Row) -> str:
        heads = [(say("Rule"), False), (say("What it does"), False), (say("Rows"), True), (say("Share"), True), (say("Examples"), False)]
        rows = []
        for rule in report["rules"]:
            told = " · ".join(
                self._tell(say("row {row} of {file}: {text}", row=e["source_row"], file=e["source_file"], text=str(e["text"])[:200]))
                for e in rule["examples"]
            )
            description = say(rule["description"]) if rule.get("on", True) else say("{rule} (off)", rule=say(rule["description"]))
            rows.append((rule_name(rule["id"]), description, _whole(rule["count"]), _percent(rule["count"], report["rows_read"]), told))
        return self.table(heads, rows)

    def days(self, report: Row) -> str:
        totals: dict[str, int] = {}
        kinds = [row["event_type"] for row in report["event_mix"]]
        shown = {kind: place for place, kind in enumerate(kinds[: len(_COLOURS) - 1])}
        stacks: dict[str, dict[int, int]] = {}
        for row in report["days"]:
            day, colour = str(row["day"]), shown.get(row["event_type"], len(_COLOURS) - 1)
            totals[day] = totals.get(day, 0) + int(row["events"])
            stacks.setdefault(day, {})[colour] = stacks.get(day, {}).get(colour, 0) + int(row["events"])
        partial = {day["day"]: day for day in report["partial_days"]}
        most, width, bars = max(totals.values(), default=1), 800 / max(len(totals), 1), ""
        for place, day in enumerate(sorted(totals)):
            top = 140.0
            for colour, events in sorted(stacks[day].items()):
                height = 130 * events / most
                top -= height
                bars += (
                    f'<rect fill="{_COLOURS[colour]}" x="{place * width:.2f}" y="{top:.1f}" width="{max(width * 0.9, 0.5):.2f}"'
                    f' height="{height:.1f}"{_PARTIAL if day in partial else ""}><title>{day}: {totals[day]:,}</title></rect>'
                )
        legend = "".join(f'<tspan fill="{_COLOURS[place]}">■</tspan> {self.say(kind_name(kind))}  ' for kind, place in shown.items()) + (
            f'<tspan fill="{_COLOURS[-1]}">■</tspan> {self.say(say("others"))}' if len(kinds) > len(shown) else ""
        )
        ends = sorted(totals)
        axis = f'<text x="0" y="156">{ends[0]}</text><text x="800" y="156" text-anchor="end">{ends[-1]}</text>' if ends else ""
        notes = [*(partial_day_sentence(day) for day in partial.values()), gap_days_sentence(report["gap_days"], 20)]
        told = "".join(f"<p>{self.say(note)}</p>" for note in notes)
        bars += f'<line class="axis" x1="0" x2="800" y1="140.5" y2="140.5"/>{axis}'
        return f'<svg viewBox="0 0 800 160" role="img">{bars}<text x="400" y="156" text-anchor="middle">{legend}</text></svg>{told}'

    def mix(self, report: Row) -> str:
        words: dict[str, list[str]] = {}
        for word in report["event_words"]:
            words.setdefault(word["event_type"], []).append(f"{word['word']} ({int(word['events']):,})")
        heads = [(say("Kind of event"), False), (say("Events"), True), (say("Share"), True), (say("Words in the file"), False)]
        return self.table(
            heads,
            [
                (
                    kind_name(row["event_type"]),
                    _whole(row["events"]),
                    f"{100 * row['share']:.1f}%",
                    ", ".join(words.get(row["event_type"], [])[:12]),
                )
                for row in report["event_mix"]
            ],
        )

    def nulls(self, report: Row) -> str:
        heads = [(say("Column"), False), (say("Empty"), True), (say("Share"), True), (say("In the files"), False)]
        return self.table(
            heads,
            [
                (row["column"], _whole(row["nulls"]), f"{100 * row['share']:.1f}%", say("yes") if row["present"] else say("no"))
                for row in report["nulls"]
            ],
        )

    def catalogue(self, report: Row) -> str:
        catalogue = report["catalogue"]
        told = say(
            "{n:,} of {all:,} items stand in the catalogue; they make {share} of the events with an item.",
            n=catalogue["in_catalogue"],
            all=catalogue["items"],
            share=_percent(catalogue["events_in_catalogue"], catalogue["events_with_item"]),
        )
        rows = [(name, f"{100 * share:.1f}%") for name, share in catalogue["filled"].items()]
        return f"<p>{self.say(told)}</p>" + self.table([(say("Attribute"), False), (say("Items that have it"), True)], rows)

    def spread(self, report: Row) -> str:
        users, items = report["users"], report["items"]
        points = list(users["events_per_user"])
        heads = [(say("Events of each"), False), *((point, True) for point in points), (say("With one event"), True)]
        rows = [
            (name, *(_whole(part[key][point]) for point in points), _share(part["one_event_share"]))
            for name, part, key in ((say("Shoppers"), users, "events_per_user"), (say("Items"), items, "events_per_item"))
        ]
        return self.table(heads, rows)

    def labels(self, report: Row) -> str:
        heads = [
            (say("Horizon"), False), (say("Cutoff"), False), (say("Shoppers"), True), (say("Buyers"), True), (say("Share"), True),
            (say("Enough for a model?"), False),
        ]  # fmt: skip
        rows = [
            (
                say("{days} days", days=record["horizon_days"]),
                str(record["cutoff"] or "–")[:16].replace("T", " "),
                _whole(record["users"]),
                _whole(record["positives"]),
                _percent(record["positives"], record["users"]),
                gate_sentence(record),
            )
            for record in report["labels"]
        ]
        return self.table(heads, rows)

    def drift(self, report: Row) -> str:
        drift = report["drift"]
        if not drift:
            return ""
        against = (
            say("What was added is compared with {version}.", version=drift["against"])
            if drift["appended"]
            else say("Compared with {version}.", version=drift["against"])
        )
        counts = self.table(
            [(say("What"), False), (say("Now"), True), (say("Before"), True), (say("New"), True), (say("Not seen again"), True)],
            [
                (name, *(_whole(drift[key][part]) for part in ("now", "before", "new", "vanished")))
                for name, key in ((say("Shoppers"), "users"), (say("Items"), "items"))
            ],
        )
        shifts = self.table(
            [(say("Shape"), False), (say("Stability index"), True), (say("Jensen–Shannon distance"), True), (say("Shift"), False)],
            [(shape_name(s["shape"]), f"{s['psi']:.3f}", f"{s['jensen_shannon']:.3f}", level_name(s["level"])) for s in drift["shifts"]],
        )
        bounds = say("Stability index: below 0.1 small, from 0.25 on large.")
        words = drift["event_words"]
        told = [say("New event words: {words}", words=", ".join(words["new"]))] if words["new"] else []
        told += [say("Event words that are gone: {words}", words=", ".join(words["vanished"]))] if words["vanished"] else []
        return f'<p>{self.say(against)}</p>{counts}{shifts}<p class="quiet">{self.say(bounds)}</p>' + "".join(
            f"<p>{self.say(line)}</p>" for line in told
        )

    def notes(self, report: Row) -> str:
        return "<ul>" + "".join(f"<li>{self.say(warning)}</li>" for warning in report["warnings"]) + "</ul>" if report["warnings"] else ""

    def sources(self, report: Row) -> str:
        heads = [(say("File"), False), (say("Holds"), False), (say("Rows"), True), (say("Bytes"), True), (say("SHA-256"), False)]
        return self.table(
            heads, [(s["name"], s["role"], _whole(s["rows"]), _whole(s["bytes"]), str(s["sha256"])) for s in report["sources"]]
        )


def _n(number: bool) -> str:
    return ' class="n"' if number else ""


def _whole(value: Any) -> str:
    return "–" if value is None else f"{int(value):,}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _percent(part: Any, whole: Any) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "–"
