"""What the Shopper page reads of one shopper: her acts, the card made of them, and what the most alike ones share with her."""

import pandas as pd
import pyarrow as pa

from core.insights import shopper
from core.insights.profile_card import Clock, Statement, profile_card
from core.insights.shopper import Shares
from core.pipeline import screens
from core.pipeline.screens import Screen

DAY = 86_400


def acts(screen: Screen, user_id: str) -> pa.Table:
    """Return all events of a shopper, oldest first; columns as in `shopper.acts_of`."""
    with screen.log.history() as connection:
        return shopper.acts_of(connection, user_id, screen.zone)


def shares(screen: Screen) -> Shares:
    """Return how all shoppers' acts spread over categories and brands."""
    with screen.log.history() as connection:
        return shopper.shares_of_all(connection)


def card(screen: Screen, kept: pa.Table, of_all: Shares) -> list[Statement]:
    """Make the profile card of a shopper's acts, whole or with events left out."""
    record = screens.manifest(screen)
    hours = int(record.get("time_resolution_seconds", 1)) < DAY
    return profile_card(kept, of_all, screen.log.until, Clock(hours=hours, weekdays=not record.get("relative_time")))


def likeness(screen: Screen, user_id: str, others: tuple[str, ...]) -> pd.DataFrame:
    """Return what shoppers have in common with one: user_id, overlap, categories, items (see `shopper.why_alike`)."""
    with screen.log.history() as connection:
        found: pd.DataFrame = shopper.why_alike(connection, user_id, others).to_pandas()
    return found
