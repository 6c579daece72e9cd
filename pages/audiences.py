"""Audiences: who is targeted, how many, and what is it worth?"""

from pages.parts import frame
from pages.parts.audiences import VIEWS, choose_view
from pages.parts.text import _

here = frame.begin(_("Audiences"), _("Who should be contacted, how many are they, and what is it worth?"))
if here:
    for part in VIEWS[choose_view()]:
        part(here)
