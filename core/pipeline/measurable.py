"""Why something cannot be measured on a log, told before a job is started that would only fail. Light, as `screens` is."""

from datetime import timedelta

from core.messages import Message, say
from core.pipeline.screens import Screen
from core.pipeline.telling import fitting_horizon
from core.store import scalar
from core.windows import say_days

LEAST_TEXTS = 40
"""Distinct item texts that forms of a model are compared on: four times the neighbours that are asked for."""
TEXTS_SQL = """
SELECT count(*) FROM (SELECT DISTINCT title, category, brand, description FROM catalogue
                      WHERE coalesce(title, category, brand, description) IS NOT NULL)
"""

AGAINST_UNTAUGHT = "against untaught"
"""The row of the taught network whose gain is over its untaught twin, on the same shoppers: what learning added to the architecture."""


def why_not_judged(screen: Screen) -> Message | None:
    """Say what the log lacks to learn at one cutoff and judge at the next; None when it is long enough."""
    log = screen.log
    horizon, covered = fitting_horizon(log), log.until - log.start
    if covered > 2 * horizon:
        return None
    return say(
        "This log covers {covered}; two windows of {horizon} after some history are needed, more than {need} in all.",
        covered=say_days(max(covered, timedelta(minutes=1))),
        horizon=say_days(horizon),
        need=say_days(2 * horizon),
    )


def why_not_tuned(screen: Screen) -> Message | None:
    """Say what the log lacks to tune a text model and judge it; None when nothing is known to be missing."""
    if (reason := why_not_judged(screen)) is not None or _texts(screen):
        return reason
    return say("No item has a text (title, category, brand or description), so there is nothing for a text model to read.")


def why_no_forms(screen: Screen) -> Message | None:
    """Say what the catalogue lacks to compare forms of the text model; None when it has enough texts."""
    have = _texts(screen)
    if have >= LEAST_TEXTS:
        return None
    return say("The catalogue has {have} distinct texts; {need} are needed to compare forms of a model.", have=have, need=LEAST_TEXTS)


def _texts(screen: Screen) -> int:
    with screen.log.history() as connection:
        return int(scalar(connection, TEXTS_SQL))
