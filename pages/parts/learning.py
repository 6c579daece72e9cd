"""The parts of the Models page on labels: how many it takes, whether guessed or cleverly asked ones help, and one's own question."""

from typing import Any

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.messages import say
from core.pipeline import questions as questions_kept
from core.pipeline import screens
from core.pipeline.screens import Screen
from pages.parts import charts, frame, jobs, state
from pages.parts.text import _, counted, day, interval, number, percent, plain, said
from pages.parts.words import event_word

LEARNER_WORDS = {"counts": "counts", "profiles": "profiles", "both": "counts and profiles", "lightgbm": "LightGBM on counts"}
WAY_OF_LABELS_WORDS = {"pseudo": "guessed labels for the others (pseudo-labels, guarded)", "active": "labels asked for by what is foretold"}


def by_number_of_labels(here: Screen) -> None:
    """Draw quality by number of labels with the gate, or the button that measures it."""
    st.subheader(_("How many labels a chance needs"))
    record: dict[str, Any] | None = state.ask(screens.run_manifest, here, "learning")
    fits = record is not None and record["inputs"].get("version") == here.version
    if not fits:
        st.caption(
            _(
                "Counts and profiles learn from 50, 100, 500 … labelled shoppers of one window and are judged on the next; some minutes on "
                "two processors."
            )
        )
        if st.button(_("Measure"), key="learn-start", disabled=jobs.live_job(state.home()) is not None):
            jobs.start(["learn", "--dataset", here.name], say("Learning from few labels of {name}", name=here.name))
        if record is None:
            return
    assert record is not None
    rows: pd.DataFrame = state.ask(screens.run_table, here, "learning", "learning").to_pandas()
    words = {model: _(word) for model, word in LEARNER_WORDS.items()}
    labels = {"x": _("labelled shoppers with the act"), "y": _("AUC"), "gate": _("gate: {n}", n=record.get("gate", "–"))}
    frame.chart(charts.by_labels(rows, int(record.get("gate", 100)), words, labels, state.look()), rows, "by-labels", _("AUC by labels"))
    for sentence in _told(rows):
        st.markdown("- " + plain(sentence))
    st.caption(
        _(
            "Act {act} within {days:g} days; labels of the window from {learned}, judged on {shoppers} shoppers from {judged}. "
            "Bands: 95%, over shoppers and draws of labels. Below the gate the Propensity page shows no chance.",
            act=event_word(record.get("act", "purchase")),
            days=float(record["config"].get("horizon_hours", 0)) / 24,
            learned=day(record.get("learned_at"), here.zone),
            judged=day(record.get("judged_at"), here.zone),
            shoppers=counted((record.get("shoppers") or [None])[-1]),
        )
    )
    for warning in record.get("warnings", []):
        st.caption(plain(said(warning)))


def few_labels(here: Screen) -> None:
    """Draw what guessed labels, cleverly asked ones and another dataset's lessons add to few labels."""
    record = state.ask(screens.run_manifest, here, "learning")
    if record is None:
        return
    st.subheader(_("Making up for few labels"))
    few = state.ask(screens.run_table, here, "learning", "few")
    rows = [
        {
            "way": _(WAY_OF_LABELS_WORDS[row["way"]]),
            "labelled": row["labelled"],
            "plain": number(row["plain"]),
            "auc": number(row["auc"]),
            "gain": _gain(row["gain"], row["gain_low"], row["gain_high"]),
            "verdict": _verdict(row["gain_low"], row["gain_high"]),
            "accepted": percent(row["accepted"], 0),
        }
        for row in few.to_pylist()
    ]
    rows += _lessons(here)
    shown = pd.DataFrame(rows)
    frame.table(
        shown,
        key="few-labels",
        height=420,
        column_config={
            "way": st.column_config.TextColumn(_("Way"), width="large"),
            "labelled": st.column_config.NumberColumn(_("Shoppers with a label"), format="localized"),
            "plain": _("AUC of the labels alone"),
            "auc": _("AUC with it"),
            "gain": _("Difference [95%]"),
            "verdict": _("Verdict"),
            "accepted": st.column_config.TextColumn(
                _("Let in"), help=_("Share of draws in which guessed labels made AUC and log loss of the real ones better, and were used")
            ),
        },
    )
    frame.take_away(shown, "few-labels")


def questions(here: Screen) -> None:
    """Say how to ask a question of one's own, and draw what its answers foretell."""
    st.subheader(_("A question of your own"))
    st.caption(
        _(
            "Who buys gifts, who would like a call? Write 50 shoppers to a file, the least sure and unlike each other; fill in yes or no. "
            "Every other shopper's answer is foretold from counts and profiles, and the next 50 are chosen anew."
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        question = st.text_input(_("Question"), value=_("buys gifts"), max_chars=48, key="question").strip()
        count = st.number_input(_("Shoppers to ask about"), 5, 1000, 50, key="question-count")
        busy = jobs.live_job(state.home()) is not None or not question
        if st.button(_("Choose shoppers"), key="question-ask", disabled=busy):
            file = questions_kept.question_file(here, question)
            argv = ["ask", "--dataset", here.name, f"--question={question}", "--count", str(int(count)), "--out", str(file)]
            jobs.start(argv, say("Choosing whom to ask about in {name}", name=here.name))
    if question:
        _exchange(here, question, busy)
    record = state.ask(screens.run_manifest, here, "answers")
    if record is None:
        return
    area = (record.get("metrics") or {}).get("auc") or {}
    st.markdown(
        _(
            "**{question}**: {n} answers, {yes} of them yes. Among shoppers whose answer was held back, AUC {auc} {range}.",
            question=plain(record["config"].get("question", "–")),
            n=counted(record.get("answered")),
            yes=counted(record.get("yes")),
            auc=number(area.get("value")),
            range=plain(interval(area.get("low"), area.get("high"))),
        )
    )
    frame.take_away(state.ask(screens.run_table, here, "answers", "answers"), "answers")


def _exchange(here: Screen, question: str, busy: bool) -> None:
    """Give the file of chosen shoppers, take it back filled in."""
    yes, answered = questions_kept.answers_so_far(here, question)
    file = questions_kept.question_file(here, question)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if file.is_file():
            label = _("Download the shoppers to ask about")
            st.download_button(label, file.read_bytes(), file_name=file.name, mime="text/csv", key="question-file", on_click="ignore")
        given = st.file_uploader(_("The file with its answers"), type=["csv"], key="question-answers")
        if st.button(_("Learn from the answers"), type="primary", key="question-answer", disabled=busy or (given is None and not answered)):
            argv = ["answer", "--dataset", here.name, f"--question={question}"]
            try:
                argv += ["--answers", str(questions_kept.keep_answers(here, question, given.getvalue()))] if given is not None else []
            except CoreError as error:
                st.error(plain(said(error)))
                return
            jobs.start(argv, say("Learning from the answers in {name}", name=here.name))
    if answered:
        st.caption(_("{n} answers so far, {yes} of them yes.", n=counted(answered), yes=counted(yes)))


def _told(rows: pd.DataFrame) -> list[str]:
    """Where profiles are better than counts, in words: at the fewest labels, at the gate, with all."""
    both = rows[rows["model"] == "both"].sort_values("positives")
    if not len(both):
        return []
    ends = both.iloc[[0, -1]].drop_duplicates("positives")
    return [
        _(
            "With {n} labelled shoppers who act, profiles beside counts change AUC by {gain}: {verdict}.",
            n=counted(row["positives"]),
            verdict=_verdict(row["difference_low"], row["difference_high"]),
            gain=_gain(row["difference"], row["difference_low"], row["difference_high"]),
        )
        for row in ends.to_dict("records")
    ]


def _lessons(here: Screen) -> list[dict[str, Any]]:
    """Rows of another dataset's lessons, where they were measured."""
    record = state.ask(screens.run_manifest, here, "transfer")
    if record is None:
        return []
    rows = state.ask(screens.run_table, here, "transfer", "transfer").to_pylist()
    return [
        {
            "way": _("lessons of {source}, {blocks}", source=record["source"], blocks=row["blocks"]),
            "labelled": row["labelled"],
            "plain": number(row["alone"]),
            "auc": number(row["transferred"]),
            "gain": _gain(row["gain"], row["gain_low"], row["gain_high"]),
            "verdict": _verdict(row["gain_low"], row["gain_high"]),
            "accepted": "–",
        }
        for row in rows
    ]


def _gain(value: float | None, low: float | None, high: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _verdict(low: float | None, high: float | None) -> str:
    if low is None or high is None or pd.isna(low):
        return "–"
    return _("better") if round(low, 3) > 0 else _("worse") if round(high, 3) < 0 else _("no gain within the interval")
