"""Routes and frame of the dashboard, and the one catch of errors: `streamlit run app.py`.

The server reads this file once as it starts, for `app`; every run of a page reads it again, for `main`.
"""

import logging
import uuid
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from pages.parts.serving import FirstVisit
from pages.parts.warming import warmed

_log = logging.getLogger("shopper_atlas")
PAGES = Path(__file__).resolve().parent / "pages"
ASSETS = PAGES / "assets"


def main() -> None:
    """Draw the frame, then the chosen page; our own errors become a sentence, all others a sentence and a log id."""
    from core.errors import CoreError
    from pages.parts import controls, frame, state
    from pages.parts.text import _, plain, said

    st.set_page_config(page_title="Shopper Atlas", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    state.begin()
    state.put("routed", True)
    frame.prime()
    for sheet in (ASSETS / "screen.css", ASSETS / f"{state.language()}.css"):
        if sheet.is_file():
            st.html(sheet)
    st.logo(str(ASSETS / f"logo_{state.look().mode}.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")
    routes = {
        _("Data"): [
            st.Page(PAGES / "data.py", title=_("Data"), url_path="start", default=True),
            st.Page(PAGES / "overview.py", title=_("Overview"), url_path="overview"),
            st.Page(PAGES / "behaviour.py", title=_("Behaviour"), url_path="behaviour"),
            st.Page(_data, title=_("Data"), url_path="data", visibility="hidden"),
        ],
        _("Shoppers"): [
            st.Page(PAGES / "map.py", title=_("Map"), url_path="map"),
            st.Page(PAGES / "shopper.py", title=_("Shopper"), url_path="shopper"),
        ],
        _("Predict"): [
            st.Page(PAGES / "propensity.py", title=_("Propensity"), url_path="propensity"),
            st.Page(PAGES / "why.py", title=_("Why"), url_path="why"),
            st.Page(PAGES / "recommendations.py", title=_("Recommendations"), url_path="recommendations"),
            st.Page(PAGES / "search.py", title=_("Search"), url_path="search"),
            st.Page(PAGES / "models.py", title=_("Models"), url_path="models"),
        ],
        _("Act"): [
            st.Page(PAGES / "audiences.py", title=_("Audiences"), url_path="audiences"),
            st.Page(PAGES / "report.py", title=_("Report"), url_path="report"),
        ],
    }
    page = st.navigation(routes)
    known = {page.url_path: page for pages in routes.values() for page in pages}
    state.put("first_page", routes[_("Data")][0])
    state.put("pages", known)
    if (wanted := st.query_params.get("page")) in known:
        st.switch_page(known[wanted], query_params={key: value for key, value in state.address().items() if key != "page"})
    try:
        controls.sidebar()
        page.run()
    except CoreError as error:
        st.error(plain(said(error)))
    except Exception:  # noqa: BLE001 - the last stop before a person: a sentence for them, the trace for the log
        log_id = uuid.uuid4().hex[:8]
        _log.exception("page %s failed, log id %s", page.url_path, log_id)
        controls.failure(
            _("Something went wrong on our side; your data is unchanged. Reload the page, and if it stays, report it."), log_id
        )


def _data() -> None:
    """Lead `/data` to the first page, whose own address is `/`, with the filters of the address."""
    from pages.parts import state

    st.switch_page(state.flag("first_page"), query_params=state.address())


if st.runtime.exists():
    main()
else:
    app = st.App(Path(__file__).resolve(), lifespan=warmed, middleware=[Middleware(FirstVisit)])
