"""The size of an audience as it may be shown while counts of few shoppers are hidden."""

from dataclasses import replace
from typing import Any

from core.audiences.sizes import AudienceSize, Part
from core.messages import Message, say
from core.small_cells import Few, middle

COUNTS = ("users", "held", "n")
"""Places of a warning's template that hold a count of shoppers."""


def told_size(size: AudienceSize, k: int) -> AudienceSize:
    """Counts in steps of k and None below it, sums of chances and money to three digits; warnings that name one shopper are left out.

    Args:
        size: Exact figures.
        k: Smallest count that is told; 0 gives them back as they are.
    """
    if not k:
        return size
    counts: dict[str, Any] = {name: _count(getattr(size, name), k) for name in ("holdout_users", "without_consent", "worth_contacting")}
    known = size.everyone.users >= k and size.holdout_users >= k
    return replace(
        size,
        everyone=_part(size.everyone, k),
        exported=_part(size.exported, k),
        detectable_lift=float(f"{size.detectable_lift:.2g}") if known and size.detectable_lift is not None else None,
        warnings=tuple(told for warning in size.warnings if (told := _warning(warning, k)) is not None),
        **counts,
    )


def _part(part: Part, k: int) -> Part:
    few = 0 < part.scored < k or 0 < part.users < k
    told: dict[str, Any] = {
        name: None if few else float(f"{getattr(part, name):.3g}")
        for name in ("expected_buyers", "sd", "calibration_buyers", "low", "high", "expected_value", "cost")
    }
    return Part(users=_count(part.users, k), scored=_count(part.scored, k), **told)


def _count(exact: int | None, k: int) -> Any:
    return None if exact is None else middle(exact, k)


def _warning(warning: str, k: int) -> str | None:
    """A warning whose counts are told; None for one whose words name a single shopper."""
    if not isinstance(warning, Message):
        return warning
    if warning.template.startswith(("1 user", "The holdout is 1 user")):
        return None
    told = {name: middle(int(value), k) for name, value in warning.values.items() if name in COUNTS}
    return say(warning.template, **{**warning.values, **{name: Few(k) if value is None else value for name, value in told.items()}})
