"""The frame of every page: header, empty state, missing stages, charts with their table and statement, tiles."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import streamlit as st

from core.insights.statement import Answer
from core.messages import say
from core.pipeline import estimating, quality, screens
from core.pipeline.screens import Screen
from pages.parts import charts, downloads, jobs, state
from pages.parts.serving import Drawing
from pages.parts.text import _, counted, day, duration, listed, people, percent, plain, said, small_cells
from pages.parts.words import asked_word

PLOTLY = {"displaylogo": False, "modeBarButtons": [["toImage"]], "displayModeBar": "hover", "responsive": True}
"""A chart can be saved as a picture, by the button that appears when the pointer is on it."""
DATE_HYPHEN = re.compile(r"(?<=\d)-(?=\d)")
OF_RUNS = re.compile(r"\b(FROM|JOIN) (features|segments|propensity|category_propensity)\b")
"""A statement that asks for tables which an export has and `events.duckdb` has not."""
ROW_HEIGHT = 33
"""Pixels of a row or heading of a table: 2.1875 rem of the theme's 15, rounded up."""
LINE_HEIGHT = 22
"""Pixels of a further line of text in a row."""
FIRST_PARTS = {
    "figures": '[class*="st-key-tiles-figures"]:has([data-testid="stMetricValue"])',
    "trend": '[class*="st-key-chart-trend"]:has(.js-plotly-plot :is(.scatterlayer, .barlayer) path)',
}
"""What a browser draws first on a first page, one after the other, as selectors of style sheets."""
PATIENCE = 4.0
"""Seconds that a page waits at most until a browser has drawn its first part; one that loads no pictures never says so."""
STAGE_VERBS = {"profiles": "profile", "atlas": "map", "propensity": "predict", "recommendations": "recommend"}
STAGE_WORDS = {
    "profiles": "Shopper profiles have not been computed for this data set yet.",
    "atlas": "The map of shoppers has not been drawn for this data set yet.",
    "propensity": "Purchase chances have not been trained for this data set yet.",
    "recommendations": "Recommendations have not been ranked for this data set yet.",
}
KIND_WORDS = {
    "profiles": "profiles",
    "atlas": "map and segments",
    "propensity": "purchase chances",
    "recommendations": "recommendations",
}
SOURCES = {"sample": "sample data", "synthetic": "synthetic data", "relative_time": "relative days, no calendar dates"}


def begin(title: str, question: str) -> Screen | None:
    """Draw title, question, header, running jobs and what is out of date; returns the pinned dataset, or None after the empty state."""
    if not state.flag("routed"):  # the first address of a fresh server is taken for an old-style page: begin with the frame
        st.switch_page("app.py", query_params={**state.address(), "page": urlsplit(st.context.url or "").path.strip("/")})
    here = state.screen()
    state.drop(state.FILTERS)
    st.title(title, anchor="top")
    st.caption(question)
    if here is not None:
        header(here)
    jobs.panel()
    if here is None:
        empty()
    else:
        outdated(here)
    return here


def header(here: Screen) -> None:
    """Say what is on screen: data set, rows, dates, zone, cutoff and horizon, model, and whether it is a sample."""
    manifest = state.ask(screens.manifest, here)
    propensity = state.ask(screens.run_manifest, here, "propensity") or {}
    profiles = state.ask(screens.run_manifest, here, "profiles") or {}
    config = propensity.get("config", {})
    badges = [f":orange-badge[{_(SOURCES[word])}]" for word in screens.kinds_of_data(manifest)]
    if here.small_cells:
        badges.append(f":violet-badge[{_('Counts of fewer than {k} shoppers are hidden, others in steps of {k}', k=here.small_cells)}]")
    parts = [
        f"**{plain(here.name)}**",
        _("{rows} rows kept", rows=counted(manifest.get("rows_kept"))),  # beside hidden kinds of acts an exact total would tell them
        f"{day(manifest['first_event'], here.zone)} – {day(manifest['last_event'], here.zone)}",
        _("time zone {zone}", zone=plain(here.zone)),
    ]
    if propensity:
        horizon = screens.horizon_days(propensity)
        parts.append(
            _(
                "chance of {act} within {days:g} days from {date}",
                act=plain(asked_word(config)),
                days=horizon,
                date=day(state.ask(screens.made_as_of, here, "propensity"), here.zone),
            )
        )
    if model := screens.model_name(profiles):
        parts.append(_("model {model}", model=plain(model)))
    parts = [DATE_HYPHEN.sub("\u2011", part) for part in parts]  # dates do not break
    st.markdown(
        " ".join(badges) + ("  " if badges else "") + " · ".join(f":gray[{part}]" if place else part for place, part in enumerate(parts)),
        width="stretch",
    )


def empty() -> None:
    """Draw the first step of a fresh home: take the sample, or bring a log."""
    with st.container(border=True):
        st.subheader(_("No data yet"))
        st.write(
            _(
                "Load a log of your own, or look around with the two bundled samples: "
                "grocery purchases of real households and a synthetic shop clickstream."
            )
        )
        busy = jobs.live_job(state.home()) is not None
        with st.container(horizontal=True):
            if st.button(_("Use the sample data"), type="primary", disabled=busy, key="empty-sample"):
                jobs.start(["samples"], say("Loading the samples"))
            if st.button(_("Load a log"), type="primary", key="empty-load"):
                st.switch_page(state.flag("first_page"))


def needs(here: Screen, kind: str, *, argv: list[str] | None = None) -> dict[str, Any] | None:
    """Return the manifest of a run; when the stage has not run, draw the button that runs it and return None."""
    manifest: dict[str, Any] | None = state.ask(screens.run_manifest, here, kind)
    if manifest is not None:
        return manifest
    with st.container(border=True):
        st.write(_(STAGE_WORDS[kind]))
        if jobs.live_job(state.home(), here.name):
            st.caption(_("It is being computed; progress is shown above."))
            return None
        st.caption(cost(here))
        with st.container(horizontal=True):
            if st.button(_("Compute everything"), type="primary", key=f"run-all-{kind}"):
                jobs.start(["run", "--dataset", here.name], say("Computing {name}", name=here.name))
            if st.button(_("Only this step"), key=f"run-{kind}"):
                jobs.start(argv or [STAGE_VERBS[kind], "--dataset", here.name], say("Computing {name}", name=here.name))
    return None


def cost(here: Screen, blocks: tuple[str, ...] | None = None, *, everything: bool = True) -> str:
    """Say what computing everything, or profiles alone, of these blocks will cost, and what the guess rests on."""
    guess = state.ask(estimating.estimate, here, estimating.KINDS if everything else ("profiles",), blocks)
    values = {"time": duration(guess.seconds), "memory": guess.peak_mb / 1000}
    if guess.runs:
        return (
            _("Everything takes about {time} and {memory:.1f} GB of memory, going by earlier runs on this machine.", **values)
            if everything
            else _("Encoding takes about {time} and {memory:.1f} GB of memory, going by earlier runs on this machine.", **values)
        )
    return (
        _(
            "Everything takes about {time} and {memory:.1f} GB of memory, going by a quick probe of this machine; "
            "after the first run the guess is this machine's own.",
            **values,
        )
        if everything
        else _(
            "Encoding takes about {time} and {memory:.1f} GB of memory, going by a quick probe of this machine; "
            "after the first run the guess is this machine's own.",
            **values,
        )
    )


def outdated(here: Screen) -> None:
    """Say in one line which results were made from which other version than the one on screen, and offer to compute them again."""
    found: dict[str, str] = state.ask(quality.outdated, here)
    if not found:
        return
    kinds_of: dict[str, list[str]] = {}
    for kind, version in found.items():
        kinds_of.setdefault(version, []).append(_(KIND_WORDS[kind]))
    made = _("; ").join(
        _("{kinds} computed from {version}", kinds=listed(kinds), version=plain(version)) for version, kinds in kinds_of.items()
    )
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            _(":orange[Out of date:] {made}; the data on screen is {version}.", made=made, version=plain(here.version)), width="stretch"
        )
        if st.button(_("Compute everything"), type="primary", key="compute-again", disabled=jobs.live_job(state.home()) is not None):
            jobs.start(["run", "--dataset", here.name], say("Computing {name}", name=here.name))


def made_from(here: Screen, kind: str) -> str:
    """Say which version a result was computed from when that is not the one on screen, else ''."""
    version = state.ask(quality.outdated, here).get(kind)
    return _("computed from {version}", version=plain(version)) if version else ""


def prime() -> None:
    """Have a browser that has just come load the code of tiles while the page is computed: an unseen one stands before everything else.

    Where an element is the first of its kind, the browser shows a grey bar, and no sooner than 0.3 s after the last bar what takes its
    place (React's throttle): all tiles would wait for it.
    """
    unseen = st.container(key="unseen")
    if PATIENCE and not state.flag("drawn-figures"):
        with unseen:
            st.metric("", "")
            st.image(charts.course((0.0, 1.0), state.look()))


def let_draw(what: str) -> None:
    """Let a browser that has just come draw one of FIRST_PARTS before it is sent more; later runs of the window do not wait.

    A browser that gets a whole page at once shows nothing before it has read and drawn all of it, tables and charts far below its window
    too (measured: docs/decisions/0037). A rule of style makes it ask for a picture of one transparent place once the part is drawn.
    """
    rule = st.empty()
    if PATIENCE and not state.flag(f"drawn-{what}"):
        state.put(f"drawn-{what}", True)
        drawing = Drawing()
        with rule:
            st.html(drawing.rule(FIRST_PARTS[what]))
        drawing.wait(PATIENCE)
        rule.empty()


def chart(figure: go.Figure, answer: Answer | pa.Table | pd.DataFrame, name: str, alt: str, *, is_first: bool = False) -> None:
    """Draw a figure, which the pointer can save as a picture, with its table and, when it comes from one statement, that statement.

    A browser that has just come draws the figure that `is_first`, one of FIRST_PARTS, before it is sent more.
    """
    st.plotly_chart(figure, theme=None, config=picture_config(name), key=f"chart-{name}", alt=alt)
    if is_first:
        let_draw(name)
    take_away(answer, name)


def picture_config(name: str) -> dict[str, Any]:
    """Options of a figure: a button that appears on it saves it as a picture, with the filters in force in its name."""
    picture = {"format": "png", "scale": 2, "filename": downloads.file_name(name, "png").removesuffix(".png")}
    words = {"Download plot as a PNG": _("Save as picture (PNG)"), "Download plot": _("Save as picture (PNG)")}
    return PLOTLY | {"toImageButtonOptions": picture, "locale": "screen", "locales": {"screen": {"dictionary": words, "format": {}}}}


def map_config() -> dict[str, Any]:
    """Options of the map's figure: which tools it shows, and their names in the language of the screen."""
    tools = {
        "Zoom": _("Zoom"),
        "Pan": _("Pan"),
        "Lasso Select": _("Lasso"),
        "Box Select": _("Box"),
        "Zoom in": _("Zoom in"),
        "Zoom out": _("Zoom out"),
        "Reset axes": _("Whole map"),
    }
    return {
        "displaylogo": False,
        "displayModeBar": True,
        "scrollZoom": True,
        "modeBarButtonsToRemove": ["toImage", "autoScale2d"],
        "locale": "screen",
        "locales": {"screen": {"dictionary": tools, "format": {}}},
    }


def take_away(answer: Answer | pa.Table | pd.DataFrame, name: str) -> None:
    """Offer a table as CSV and Parquet, and its statement when it has one."""
    table = answer.table if isinstance(answer, Answer) else answer
    about = {"table": name} | ({"sql": answer.sql} if isinstance(answer, Answer) else {})
    with st.container(horizontal=True, gap="small"):
        downloads.csv_button(lambda: table, name, key=f"csv-{name}")
        downloads.parquet_button(lambda: downloads.as_arrow(table, about), name, label=_("Parquet"), key=f"parquet-{name}")
        if isinstance(answer, Answer):
            with st.popover(_("Show SQL")):
                st.caption(
                    _("Table {name}. Runs as it stands in DuckDB on the exported tables: it asks for those of runs.", name=plain(name))
                    if OF_RUNS.search(answer.sql)
                    else _(
                        "Table {name}. Runs as it stands in DuckDB, on this version's events.duckdb or on the exported tables.",
                        name=plain(name),
                    )
                )
                st.code(answer.sql, language="sql")


def download_text(label: str, text: str, name: str, mime: str, ending: str) -> None:
    """Offer a text as a file."""
    st.download_button(label, text, file_name=f"{name}.{ending}", mime=mime, key=f"text-{name}", on_click="ignore")


class Tile(NamedTuple):
    """A figure on a tile; all words are ours or escaped."""

    label: str
    value: str
    note: str | None = None
    """Below the figure."""
    explanation: str | None = None
    change: str | None = None
    """Against the period before, such as `+3.1%`; up is good."""
    before: str | None = None
    """The figure of that period."""
    line: tuple[float, ...] = ()
    """The same figure through time."""


def tiles(key: str, figures: Sequence[Tile | tuple[str, str, str | None, str | None]]) -> None:
    """Draw figures as tiles.

    The style sheet `screen.css` sets them four to a row, or as many as there is room for; `key` is unique on its page.
    """
    with st.container(key=f"tiles-{key}"):
        for tile in (Tile(*figure) for figure in figures):
            with st.container(border=True, height="stretch"):
                st.metric(
                    tile.label,
                    plain(tile.value),
                    delta=tile.change,
                    delta_description=_("from {before}", before=plain(tile.before)) if tile.change else None,
                    help=tile.explanation,
                )
                if tile.line:
                    st.image(charts.course(tile.line, state.look()), width="stretch")
                if tile.note:
                    st.caption(tile.note)


def table(
    rows: pd.DataFrame,
    *,
    column_config: dict[str, Any],
    key: str,
    height: int | Literal["auto"] = "auto",
    counts: tuple[str, ...] = (),
    lines: int = 1,
    **more: Any,
) -> None:
    """Draw a table, no higher than its rows, each of which has room for so many lines of text.

    Columns of the format `percent` hold shares and are shown with one decimal; cells of `counts` that are hidden say so.
    """
    shown, columns = rows.copy(), dict(column_config)
    for name in counts if small_cells() else ():
        if name in shown and shown[name].isna().any():
            shown[name] = [people(value) for value in shown[name]]
            if isinstance(columns.get(name), dict):
                columns[name] = st.column_config.TextColumn(columns[name]["label"])
    for name, column in column_config.items():
        if isinstance(column, dict) and (column.get("type_config") or {}).get("format") == "percent" and name in shown:
            shown[name] = 100 * pd.to_numeric(shown[name])
            columns[name] = {**column, "type_config": {**column["type_config"], "format": "%.1f%%"}}
    shown_height = height if height == "auto" else fitting(len(shown), height, lines)
    more |= {"row_height": row_height(lines)} if lines > 1 else {}
    st.dataframe(shown, hide_index=True, column_config=columns, key=key, height=shown_height, placeholder="–", **more)


def row_height(lines: int) -> int:
    """Pixels of a row with room for so many lines of text."""
    return ROW_HEIGHT + (lines - 1) * LINE_HEIGHT


def fitting(rows: int, most: int, lines: int = 1) -> int:
    """The height of a table of so many rows below its heading, at most `most` pixels."""
    return min(most, ROW_HEIGHT + row_height(lines) * rows + 2)


def notes(warnings: list[str], heading: str = "") -> None:
    """Draw what a stage guessed, dropped or doubted, in its own words, folded when there are several; `heading` may hold {n}."""
    if not warnings:
        return
    heading = heading or _("Notes of this step ({n})")
    with st.expander(heading.format(n=len(warnings)), expanded=len(warnings) == 1):
        for warning in warnings:
            st.markdown("- " + plain(said(warning)))


def gate(message: object) -> None:
    """Say that data is too little: both numbers and the way out stand in the message."""
    st.info(plain(said(message)))


def estimate(value: Any, form: Callable[[float | None], str]) -> tuple[str, str | None]:
    """Return an estimate's value and its interval with n, in the words of the screen; plain numbers have no interval."""
    if not isinstance(value, dict):
        return form(value), None
    low, high, n = value.get("low"), value.get("high"), value.get("n")
    shown = form(value.get("value"))
    bounds = f"[{form(low)}, {form(high)}]" if low is not None and high is not None else ""
    count = _("n = {n}", n=counted(n)) if n is not None else ""
    note = ", ".join(part for part in (bounds, count) if part)
    return shown, note and plain(note)


def took(manifest: dict[str, Any]) -> str:
    """Say which run is on screen and when it was made."""
    return _(
        "{run}, made {time}",
        run=plain(manifest.get("id", "")),
        time=plain(str(manifest.get("created", ""))[:16].replace("T", " ") + " UTC"),
    )


def rate(part: float | None, base: float | None, decimals: int = 1) -> str:
    """A share as percent, missing when the base is 0."""
    return percent(part / base, decimals) if part is not None and base else "–"
