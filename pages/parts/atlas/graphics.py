"""Whether this browser can draw on its graphics card: it is asked once a window, while the map is being made."""

from collections.abc import Callable

import streamlit as st

from pages.parts import frame, state
from pages.parts.serving import Drawing

LACKING = "map-lacking"
"""Key of the browser's answer: whether it lacks WebGL."""
SCRIPT = """
export default async function ({ data, setStateValue }) {
    const canvas = document.createElement("canvas");
    const card = canvas.getContext("webgl") || canvas.getContext("experimental-webgl");
    const needed = ["ANGLE_instanced_arrays", "OES_element_index_uint"];
    const draws = card && needed.every((name) => card.getExtension(name));
    card?.getExtension("WEBGL_lose_context")?.loseContext();
    if (!draws) await fetch(data.lacks);
    await fetch(data.answered);
    if (!draws) setStateValue("lacks", true);
}
"""
"""Asks for what plotly's marks of the graphics card need, and answers by the addresses that it asks for: the picture waits for them.

A browser without it has the page drawn once more, in case that its answer came too late.
"""


def ask_browser() -> Callable[[], bool]:
    """Ask whether this window's browser lacks WebGL; returns what waits for the answer, at most `frame.PATIENCE` seconds."""
    if (known := state.flag(LACKING)) is not None:
        return lambda: bool(known)
    lacks, answered = Drawing(), Drawing()
    with st.container(key="unseen-graphics"):
        addresses = {"lacks": lacks.address, "answered": answered.address}
        st.components.v2.component("graphics", js=SCRIPT)(key="map-graphics", data=addresses, on_lacks_change=_remember)

    def answer() -> bool:
        answered.wait(frame.PATIENCE)
        state.put(LACKING, lacks.wait(0))
        return bool(state.flag(LACKING))

    return answer


def _remember() -> None:
    state.put(LACKING, True)
