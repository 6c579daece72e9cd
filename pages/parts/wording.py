"""What a language model called the segments, with the facts it was told, and the button that asks it."""

import pandas as pd
import streamlit as st

from core.messages import say
from core.pipeline import screens
from core.pipeline.screens import Screen
from pages.parts import frame, jobs, state
from pages.parts.text import LANGUAGE_NAMES, _, language, plain, said, whole


def wording_section(here: Screen, segments: pd.DataFrame) -> None:
    """Draw the model's names and descriptions beside the found ones; nothing where no model is set and none has written."""
    setting, found = screens.writer_setting(), screens.segment_wording(here, language())
    if not setting and found is None:
        return
    with st.expander(_("Names in a language model's words"), expanded=False):
        st.caption(
            _(
                "A language model words each segment from its facts alone. Every number in its text was found in them, or the text was "
                "refused and the found name stays; whether the words fit is for people to judge."
            )
        )
        if setting:
            label = _("Word the segments") if found is None else _("Word the segments again")
            if st.button(label, key="word-segments", disabled=jobs.live_job(state.home()) is not None):
                jobs.start(
                    ["word", "--dataset", here.name, "--language", language()], say("Wording the segments of {name}", name=here.name)
                )
        if found is None:
            return
        worded = {int(key): value for key, value in found["segments"].items()}
        rows = [
            {
                "found": row["name"],
                "name": worded[segment]["name"] or "–",
                "description": worded[segment]["description"] or " ".join(said(why) for why in worded[segment]["refused"]),
                "facts": "\n".join(worded[segment]["facts"]),
            }
            for row in segments.to_dict("records")
            if (segment := int(row["segment_id"])) in worded
        ]
        taken = sum(value["name"] is not None for value in worded.values())
        st.caption(
            _(
                "Worded by {writer} in {language}: {n} of {all} segments.",
                writer=plain(found["writer"]),
                language=LANGUAGE_NAMES[language()],
                n=whole(taken),
                all=whole(len(worded)),
            )
        )
        frame.table(
            pd.DataFrame(rows),
            key="wording",
            height=420,
            column_config={
                "found": st.column_config.TextColumn(_("Segment"), width=180),
                "name": st.column_config.TextColumn(_("In its words"), width=180),
                "description": st.column_config.TextColumn(_("Description, or why it was refused"), width=420),
                "facts": st.column_config.TextColumn(_("Facts it was told"), width=300),
            },
        )
        frame.take_away(pd.DataFrame(rows), "wording")
        if st.button(_("Use these names"), key="wording-take", help=_("Names that people gave before are replaced; each can be changed.")):
            screens.take_wording(here, language())
            st.rerun()
