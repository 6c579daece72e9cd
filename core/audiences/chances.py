"""Which table of chances a condition reads: that of the run on screen, or that of a named act and horizon.

    {"propensity": {"at_least": 0.3}}                                        the chance on screen
    {"propensity": {"act": "cart", "horizon": "7d", "at_least": 0.3}}        the chance to put into the cart within 7 days
    {"percentile": {"act": "cart", "horizon": "7d", "top": 20}} · {"category_propensity": {"category": "Shoes", "act": …}}

The tables of named ones are `scores_cart_7d` and `categories_cart_7d`.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from core.audiences.checks import need_table, short
from core.errors import CutoffError, RuleError
from core.schema import ACTS
from core.windows import parse_horizon, say_days

NAMED = {"act", "horizon"}
"""Fields by which a condition names a chance; both or none."""
BASES: Mapping[str, str] = {"propensity": "scores", "percentile": "scores", "category_propensity": "categories"}
"""Table of each condition that reads a chance."""
HOUR = timedelta(hours=1)


def short_horizon(horizon: timedelta) -> str:
    """Write a horizon as `7d`, or `12h` when it is no whole number of days."""
    hours = horizon / HOUR
    return f"{hours / 24:g}d" if hours % 24 == 0 else f"{hours:g}h"


def chance_table(base: str, act: str, horizon: timedelta) -> str:
    """Name the table of a chance, as in `scores_cart_7d`.

    Args:
        base: `scores` or `categories`.
        act: One of schema.ACTS.
        horizon: Length of the window in which the act may happen.
    """
    return f"{base}_{act}_{short_horizon(horizon).replace('.', '_')}"


def base_of(table: str) -> str:
    """Return `scores` for `scores_cart_7d`; other names as they are."""
    base, _, rest = table.partition("_")
    return base if rest and base in BASES.values() else table


def table_of(kind: str, fields: Mapping[str, Any], tables: Collection[str], place: str) -> str:
    """Find the table that a condition reads.

    Args:
        kind: Its key, one of BASES.
        fields: What stands in it.
        tables: Those that there are.
        place: Where it stands in the rule.

    Raises:
        RuleError: The chance is badly named, or nobody has computed it.
    """
    base = BASES[kind]
    if not fields.keys() & NAMED:
        need_table(base, tables, place)
        return base
    act, horizon = _named(fields, place)
    table = chance_table(base, act, horizon)
    if table not in tables:
        raise RuleError(
            "{place}: nobody has computed the chance of “{act}” within {days} for this version of the log; "
            "run `predict --act {act} --horizon {horizon}` first.",
            place=place,
            act=act,
            days=say_days(horizon),
            horizon=short_horizon(horizon),
        )
    return table


def asked(rule: Any) -> frozenset[str]:
    """Return the tables of the named chances that a rule reads, those of saved audiences put in included; badly named ones are left out."""
    if not isinstance(rule, Mapping) or len(rule) != 1:
        return frozenset()
    ((kind, content),) = rule.items()
    if kind in ("all", "any") and isinstance(content, list):
        return frozenset().union(*(asked(part) for part in content))
    if kind == "not":
        return asked(content)
    if not isinstance(content, Mapping):
        return frozenset()
    if kind == "audience":
        return asked(content.get("rule"))
    if kind not in BASES or not content.keys() & NAMED:
        return frozenset()
    try:
        return frozenset({chance_table(BASES[kind], *_named(content, str(kind)))})
    except RuleError:
        return frozenset()


def _named(fields: Mapping[str, Any], place: str) -> tuple[str, timedelta]:
    act, horizon = fields.get("act"), fields.get("horizon")
    if not isinstance(act, str) or act not in ACTS or not isinstance(horizon, str):
        raise RuleError(
            "{place}: a chance is named by act (one of {acts}) and horizon (such as 28d), both or none; got {act} and {horizon}.",
            place=place,
            acts=", ".join(ACTS),
            act=short(act),
            horizon=short(horizon),
        )
    try:
        return act, parse_horizon(horizon)
    except CutoffError as error:
        raise RuleError("{place}.horizon: {reason}", place=place, reason=error.message) from error
