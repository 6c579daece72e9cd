"""The next best action for each stage of a shopper's life: a small table of rules that people edit."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import RuleError
from core.messages import Message, say
from core.schema import STAGES

LONGEST = 200
"""Characters of an action."""
DEFAULTS: Mapping[str, tuple[Message, Message]] = {
    "new": (say("welcome, and show the favourites of their first category"), say("e-mail")),
    "active": (say("recommend what goes with the last purchase; no discount"), say("website")),
    "slipping": (say("remind of what was viewed and left, before the usual gap has doubled again"), say("e-mail")),
    "away": (say("one win-back offer, then leave in peace"), say("advertisement")),
}
"""What is done where nobody has said otherwise: action and channel, by stage."""


def checked_actions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Take an edited table: one row for each stage, in the order of the stages.

    Raises:
        RuleError: A stage is unknown, missing or twice, or a text too long.
    """
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        stage = str(row.get("stage"))
        if stage not in STAGES or stage in found:
            raise RuleError("The stage {stage} stands in no or in two rows; there are {known}.", stage=stage[:40], known=", ".join(STAGES))
        texts = {name: str(row.get(name) or "").strip() for name in ("action", "channel")}
        if any(len(text) > LONGEST for text in texts.values()):
            raise RuleError("An action or channel has at most {most} characters.", most=LONGEST)
        found[stage] = {"stage": stage, **texts}
    if missing := [stage for stage in STAGES if stage not in found]:
        raise RuleError("The stage {stage} has no row.", stage=missing[0])
    return [found[stage] for stage in STAGES]
