"""Models: what made the figures, from which data, with which settings?"""

from core.pipeline import model_room
from pages.parts import frame
from pages.parts.block_facts import blocks_held
from pages.parts.encoder_card import blocks_table, encoder_card, graph_card, narrative_card, sequence_card
from pages.parts.encoding import encoding_form
from pages.parts.foresight import foresight_table
from pages.parts.item_cards import facts_card, ids_card, image_card
from pages.parts.learning import by_number_of_labels, few_labels, questions
from pages.parts.model_tables import forms_table, transfer_table, tuning_table
from pages.parts.models import feature_matrix
from pages.parts.pooling import pooling_table
from pages.parts.run_room import one_run, run_table, two_runs
from pages.parts.text import _

here = frame.begin(_("Models"), _("Which run made what, and what do the models see of a shopper?"))
if here and (records := model_room.list_runs(here.dataset)):
    run_table(here, records)
    one_run(here, records)
    two_runs(here, records)
profiles = frame.needs(here, "profiles") if here else None
if here and profiles:
    encoding_form(here)
    blocks_held(profiles)
    encoder_card(profiles)
    pooling_table(here, profiles)
    sequence_card(profiles)
    foresight_table(profiles)
    graph_card(profiles)
    narrative_card(profiles)
    image_card(profiles)
    facts_card(profiles)
    ids_card(profiles)
    blocks_table(here)
if here:  # what was measured needs no profiles
    by_number_of_labels(here)
    few_labels(here)
    questions(here)
    tuning_table(here)
    forms_table(here)
    transfer_table(here)
if here and profiles:
    feature_matrix(here)
