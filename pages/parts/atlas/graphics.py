"""Whether this browser can draw on its graphics card: it is asked before the map comes, and answers only when it can not."""

import streamlit as st

from pages.parts import state

LACKING = "map-lacking"
"""Key of the browser's answer that it cannot: it stays true as long as the window is open."""
SCRIPT = """
export default function ({ setStateValue }) {
    const canvas = document.createElement("canvas");
    const card = canvas.getContext("webgl") || canvas.getContext("experimental-webgl");
    const needed = ["ANGLE_instanced_arrays", "OES_element_index_uint"];
    const draws = card && needed.every((name) => card.getExtension(name));
    card?.getExtension("WEBGL_lose_context")?.loseContext();
    if (!draws) setStateValue("lacks", true);
}
"""
"""Asks for what plotly's marks of the graphics card need; a browser that has it says nothing, so its page is not drawn twice."""


def lacks_webgl() -> bool:
    """Whether this window's browser has said that it cannot draw on a graphics card; asks it when it has not."""
    if state.flag(LACKING):
        return True
    with st.container(key="unseen-graphics"):
        st.components.v2.component("graphics", js=SCRIPT)(key="map-graphics", on_lacks_change=_remember)
    return False


def _remember() -> None:
    state.put(LACKING, True)
