"""What one chance is made of: by named features and by acts, in a waterfall and in words, with its check."""

from typing import Any

import pandas as pd
import streamlit as st

from core.errors import ModelError, StorageError
from core.messages import say
from core.pipeline import why_questions
from core.pipeline.screens import Screen
from pages.parts import charts, frame, jobs, state
from pages.parts.text import _, chance, day, listed, number, plain, points, said, whole
from pages.parts.words import event_word, group_word, model_word

POINT = 100.0


def headline(here: Screen, user_id: str) -> dict[str, Any] | None:
    """Ask why, and draw the chance; None after saying what to do when the run cannot be asked."""
    try:
        with st.spinner(_("Asking the model; the first question takes a while, later ones do not.")):
            found: dict[str, Any] = state.ask(why_questions.why, here, user_id)
    except StorageError as error:  # a run of an earlier release keeps no model
        with st.container(border=True):
            st.write(plain(said(error)))
            if st.button(_("Train again"), type="primary", key="train-again", disabled=jobs.live_job(state.home()) is not None):
                jobs.start(["predict", "--dataset", here.name], say("Computing {name}", name=here.name))
        return None
    except ModelError as error:
        st.error(plain(said(error)))
        return None
    tiles = [
        (
            _("Purchase chance"),
            chance(found["propensity"]),
            _("range {low} – {high}", low=plain(chance(found["low"])), high=plain(chance(found["high"]))),
            _("The share of shoppers with this chance who act, nine times in ten."),
        ),
        (
            _("Events before the cutoff"),
            whole(found["events"]),
            day(found["cutoff"], here.zone) + " · " + model_word(found["model"]),
            None,
        ),
    ]
    frame.tiles("why", tiles)
    return found


def by_feature(here: Screen, found: dict[str, Any]) -> None:
    """The waterfall over named features."""
    part = found["features"]
    st.subheader(_("What is counted of this shopper"))
    rows = [
        {"name": _("All other features ({n})", n=step["parts"]) if step["name"] == "rest" else group_word(step["name"]), **step_path(step)}
        for step in part["steps"]
    ]
    draw_steps(_("usual shopper"), part, rows, "why-features", _("What is counted of this shopper"))
    st.caption(_method(part) + " " + residual_sentence(part))


def by_act(here: Screen, found: dict[str, Any]) -> None:
    """The waterfall over acts, in words, and what is left without the strongest."""
    part = found["acts"]
    st.subheader(_("Which acts made the chance"))
    items = tuple(sorted({item for step in [*part["steps"], part["check"]] for item in step.get("items", [])}))
    titles = state.ask(why_questions.titles, here, items)
    rows = [{"name": _act_name(here, step, titles), **step_path(step)} for step in part["steps"]]
    draw_steps(_("nothing known"), part, rows, "why-acts", _("Which acts made the chance"))
    check = part["check"]
    st.markdown(
        _(
            "Check: without **{act}** the chance moves from {a} to {b}.",
            act=plain(_act_name(here, check, titles)),
            a=plain(chance(check["with"])),
            b=plain(chance(check["without"])),
        )
    )
    n = whole(part["coalitions"])
    if part["method"] == "exact":
        how = _("Shapley values over all {n} sets of acts, exact; features are counted anew from the acts of each set.", n=n)
    else:
        how = _("Shapley values by {n} sampled sets of acts; features are counted anew from the acts of each set.", n=n)
    st.caption(how + " " + residual_sentence(part))
    if held := found.get("held"):
        st.caption(held_sentence(held))


def held_sentence(held: list[str]) -> str:
    """What stays as it was, whatever is asked of the acts."""
    return _(
        "Not made anew for another history, but held as at the cutoff, each as one part: {parts}.",
        parts=listed(group_word(name) for name in held),
    )


def _method(part: dict[str, Any]) -> str:
    if part["method"] == "trees":
        return _("Shapley values of trees, exact, against the usual shopper of the training windows.")
    if part["method"] == "linear":
        return _("Terms of the linear model, exact, against the mean of the training windows.")
    return _("Shapley values by sampled permutations, against {n} shoppers drawn from those scored.", n=part["background_rows"])


def draw_steps(start: str, part: dict[str, Any], rows: list[dict[str, Any]], name: str, alt: str) -> None:
    """Draw steps laid end to end, from the chance of whoever stands in to that of the shopper."""
    labels = [start, *[row["name"] for row in rows], _("this shopper")]
    starts = [0.0, *[row["from"] for row in rows], 0.0]
    ends = [part["base"], *[row["to"] for row in rows], part["propensity"]]
    notes = [chance(part["base"]), *[points(row["to"] - row["from"]) for row in rows], chance(part["propensity"])]
    frame.chart(charts.chance_steps(labels, starts, ends, notes, state.look()), pd.DataFrame(rows), name, alt)


def step_path(step: dict[str, Any]) -> dict[str, Any]:
    """Where a step begins and ends."""
    return {"from": step["from"], "to": step["to"], "log_odds": step["log_odds"], "error": step.get("error")}


def residual_sentence(part: dict[str, Any]) -> str:
    """What the steps of a picture leave over."""
    return _("What the steps leave over: {points} points.", points=number(POINT * abs(part["residual"]), 3))


def _act_name(here: Screen, step: dict[str, Any], titles: dict[str, str]) -> str:
    if step["name"] == "rest":
        return _("All other acts ({n})", n=step["parts"])
    if step["kind"] == "held":
        return group_word(step["name"])
    when = day(step["last"], here.zone)
    if step["kind"] == "earlier":
        return _("{n} acts until {day}", n=whole(step["events"]), day=when)
    what = listed(titles[item] for item in step["items"][:2])
    if step["events"] > 1:
        return _("{act} × {n} on {day}: {items}", act=event_word(step["event_type"]), n=whole(step["events"]), day=when, items=what or "–")
    return _("{act} on {day}: {items}", act=event_word(step["event_type"]), day=when, items=what or "–")
