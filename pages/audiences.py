"""Audiences: who is targeted, how many, and what is it worth?"""

from pages.parts import frame
from pages.parts.targets import build_rule, outcome, saved
from pages.parts.text import _

here = frame.begin(_("Audiences"), _("Who should be contacted, how many are they, and what is it worth?"))
if here:
    rule = build_rule(here)
    outcome(here, rule)
    saved(here)
