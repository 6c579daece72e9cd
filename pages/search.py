"""Search: what would this query find, and what would it find for this shopper?"""

from pages.parts import frame
from pages.parts.searching import ask_for, asked_queries, matches, most_wanted
from pages.parts.text import _

here = frame.begin(_("Search"), _("What does a query find, and in which order would this shopper want it?"))
if here:
    wanted = ask_for(here)
    if wanted:
        matches(here, wanted)
    else:
        most_wanted(here)
    asked_queries(here)
