"""Models: what made the figures, from which data, with which settings?"""

from pages.parts import frame
from pages.parts.models import feature_matrix, run_table
from pages.parts.text import _

here = frame.begin(_("Models"), _("Which run made what, and what do the models see of a shopper?"))
if here and frame.needs(here, "profiles"):
    run_table(here)
    feature_matrix(here)
