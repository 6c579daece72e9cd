"""The whole measurement of one treatment: balance, effect, order of shoppers, placebos, and what it comes to in words.

N shoppers, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.errors import GateError
from core.messages import Message, say
from core.metrics import Estimate, mean_estimate
from core.schema import Progress, part_of, silent
from core.uplift import balance, curves
from core.uplift.learners import Fitted, Flags, Floats, LearnerOptions, fit_uplift, treatment_chance

LEAST_GROUP = 100
"""Shoppers that each group needs …"""
LEAST_KIND = 20
"""… and, of each group, shoppers with either outcome."""
REPEATS = 3
SHUFFLES = 20


@dataclass(frozen=True)
class Past:
    """The same shoppers one horizon earlier, when the treatment cannot have changed anything."""

    values: Floats
    """Features of before (N, F)."""
    treated: Flags
    outcome: Floats


@dataclass(frozen=True)
class Uplift:
    """What one treatment changed."""

    users: int
    treated: int
    outcome_treated: float
    outcome_others: float
    told_apart: Estimate
    """AUC with which features of before tell the groups apart."""
    is_balanced: bool
    """Whether its interval holds 0.5; then the chance of treatment is taken to be the same for all."""
    outside: float
    """Share of shoppers without anybody alike in the other group."""
    plain: Estimate
    """Difference of the two means."""
    effect: Estimate
    """Adjusted for what was known before."""
    figures: dict[str, Estimate]
    """auuc and qini of both learners: `x qini` …"""
    past: Estimate | None
    """The effect before the start, which must be none; None without enough history."""
    shuffled: Floats
    """Qini of the X-learner where treatment was shuffled (one for each placebo)."""
    fitted: Fitted
    balance: pa.Table
    overlap: pa.Table
    curve: pa.Table
    tenths: pa.Table

    @property
    def as_large(self) -> int:
        """How many shuffled treatments have a Qini at least as large."""
        return int((self.shuffled >= self.figures["x qini"].value).sum())

    @property
    def is_to_be_believed(self) -> bool:
        """Whether neither the balance nor the time before speaks against a comparison of like with like."""
        return self.is_balanced and (self.past is None or covers_zero(self.past))


def measure(
    columns: Sequence[str],
    values: Floats,
    treated: Flags,
    outcome: Floats,
    past: Past | None,
    rng: np.random.Generator,
    progress: Progress = silent,
    options: LearnerOptions | None = None,
    shuffles: int = SHUFFLES,
) -> Uplift:
    """Measure what a treatment changed.

    Args:
        columns: Names of features (F,).
        values: What was known before the start (N, F), NaN where empty; rows in the order of user_id.
        treated: (N,).
        outcome: From the start on (N,): 0/1, or an amount.
        past: The same one horizon earlier, for a placebo.
        rng: Source of chance.
        progress: Told along the way.
        options: Of the trees.
        shuffles: Placebos whose treatment is shuffled.

    Raises:
        GateError: A group is too small, or one outcome too rare in it.
    """
    options = options or LearnerOptions()
    check_sizes(treated, outcome)
    progress(0.05, say("comparing treated shoppers with others"))
    chance = treatment_chance(values, treated, rng, options)
    apart = balance.randomisation(treated, chance, rng)
    balanced = apart.low <= 0.5
    progress(0.15, say("learning what the treatment changes"))
    fitted = fit_uplift(values, treated, outcome, None if balanced else chance, rng, options, REPEATS)
    figures, curve = dict[str, Estimate](), pa.table({})
    for name, uplift in (("t", fitted.uplift_t), ("x", fitted.uplift_x)):  # the X-learner is named beforehand, not picked by its curve
        found, curve = curves.measure_order(fitted.effect, uplift, rng)
        figures |= {f"{name} {measure}": estimate for measure, estimate in found.items()}
    progress(0.4, say("looking for an effect before the start"))
    before = None if past is None else _effect_before(past, rng, options)
    shuffled, tell = [], part_of(progress, 0.5, 1.0)
    for draw in range(shuffles):
        tell(draw / shuffles, say("shuffling who was treated"))
        mixed = rng.permutation(treated)
        placebo = fit_uplift(values, mixed, outcome, None, rng, options)
        shuffled.append(curves.areas(placebo.effect, curves.by_uplift(placebo.uplift_x))[2])
    means = [float(outcome[group].mean()) for group in (treated, ~treated)]
    return Uplift(
        users=len(treated),
        treated=int(treated.sum()),
        outcome_treated=means[0],
        outcome_others=means[1],
        told_apart=apart,
        is_balanced=balanced,
        outside=balance.outside(chance),
        plain=_difference(treated, outcome),
        effect=mean_estimate(fitted.effect),
        figures=figures,
        past=before,
        shuffled=np.array(shuffled),
        fitted=fitted,
        balance=balance.mean_differences(columns, values, treated, chance),
        overlap=balance.overlap(treated, chance),
        curve=curve,
        tenths=curves.by_tenth(fitted.effect, fitted.uplift_x, treated, outcome),
    )


def covers_zero(found: Estimate) -> bool:
    """Whether an interval holds zero."""
    return found.low <= 0 <= found.high


def sentences(found: Uplift, feature: str | None = None) -> list[Message]:
    """Say what it comes to, the most important first.

    Args:
        found: The measurement.
        feature: Name of the feature that is furthest apart.
    """
    apart, effect, qini = found.told_apart, found.effect, found.figures["x qini"]
    values = {"auc": apart.value, "low": apart.low, "high": apart.high}
    if found.is_balanced:
        told = [
            say(
                "Treated shoppers and the others were alike before the start: their features tell them apart with an AUC of {auc:.3f} "
                "[{low:.3f}, {high:.3f}], as after a draw by lot.",
                **values,
            )
        ]
    else:
        told = [
            say(
                "Treated shoppers differ from the others before the start: features tell them apart with an AUC of {auc:.3f} "
                "[{low:.3f}, {high:.3f}], “{feature}” by {gap:.2f} standard deviations. This is not an experiment: what follows "
                "rests on an adjustment for what the log knows, and nothing can adjust for what it does not know.",
                feature=feature or (found.balance["feature"][0].as_py() if found.balance.num_rows else "–"),
                gap=abs(found.balance["difference"][0].as_py()) if found.balance.num_rows else 0.0,
                **values,
            )
        ]
    if found.past is not None and not covers_zero(found.past):
        told.append(
            say(
                "The same comparison shows {value:+.4f} [{low:+.4f}, {high:+.4f}] for the time before the start, when there was no "
                "treatment: the groups differ in what the adjustment does not see, so the effect below is not to be believed.",
                value=found.past.value,
                low=found.past.low,
                high=found.past.high,
            )
        )
    bounds = {"value": effect.value, "low": effect.low, "high": effect.high, "plain": found.plain.value}
    if covers_zero(effect):
        told.append(
            say(
                "No effect is seen: {value:+.4f} [{low:+.4f}, {high:+.4f}] for each shopper, where the plain difference is {plain:+.4f}.",
                **bounds,
            )
        )
    elif not found.is_to_be_believed:
        told.append(
            say(
                "After the adjustment a difference of {value:+.4f} [{low:+.4f}, {high:+.4f}] remains for each shopper, of a plain one of "
                "{plain:+.4f}; whether the treatment made it cannot be told.",
                **bounds,
            )
        )
    else:
        told.append(
            say(
                "The treatment changes the outcome by {value:+.4f} [{low:+.4f}, {high:+.4f}] for each shopper; the plain difference is "
                "{plain:+.4f}.",
                **bounds,
            )
        )
    ends = {"value": qini.value, "low": qini.low, "high": qini.high, "n": found.as_large, "all": len(found.shuffled)}
    if qini.low > 0:
        told.append(
            say(
                "Contacting those first who are foretold to gain most beats choosing by lot: Qini {value:+.5f} [{low:+.5f}, {high:+.5f}]; "
                "{n} of {all} shuffled treatments do as well.",
                **ends,
            )
        )
    else:
        told.append(
            say(
                "Whom it helps most cannot be told: Qini {value:+.5f} [{low:+.5f}, {high:+.5f}]; {n} of {all} shuffled treatments do as "
                "well. Choose by something else, or treat all or none.",
                **ends,
            )
        )
    left = sum(abs(gap) > balance.FAR_APART for gap in found.balance["weighed"].to_pylist())
    if left and not found.is_balanced:
        told.append(
            say(
                "After weighing, {n} of {all} features still differ by more than {mark} standard deviations: the adjustment does not make "
                "the groups alike.",
                n=left,
                all=found.balance.num_rows,
                mark=balance.FAR_APART,
            )
        )
    if found.outside > 0.05:
        told.append(
            say("{share:.0%} of the shoppers have nobody alike in the other group; the effect says little of them.", share=found.outside)
        )
    return told


def check_sizes(treated: Flags, outcome: Floats) -> None:
    """Refuse groups that are too small for an honest answer.

    Raises:
        GateError: A group is too small, or one outcome too rare in it.
    """
    sizes = int(treated.sum()), int((~treated).sum())
    if min(sizes) < LEAST_GROUP:
        raise GateError(
            "{treated} treated shoppers and {others} others have a history before the start; an honest comparison needs {least} of each. "
            "Take a larger campaign, or a later start.",
            treated=sizes[0], others=sizes[1], least=LEAST_GROUP,
        )  # fmt: skip
    acted = [int(outcome[group].astype(bool).sum()) for group in (treated, ~treated)]
    if min(acted) < LEAST_KIND or (np.isin(outcome, (0, 1)).all() and min(sizes[0] - acted[0], sizes[1] - acted[1]) < LEAST_KIND):
        raise GateError(
            "{one} of {treated} treated shoppers and {other} of {others} others have the outcome; {least} with it and {least} without are "
            "needed in each group. Take another horizon or another act.",
            one=acted[0], other=acted[1], treated=sizes[0], others=sizes[1], least=LEAST_KIND,
        )  # fmt: skip


def _effect_before(past: Past, rng: np.random.Generator, options: LearnerOptions) -> Estimate | None:
    """The adjusted effect on the outcome of before; None where a group is too small."""
    try:
        check_sizes(past.treated, past.outcome)
    except GateError:
        return None
    chance = treatment_chance(past.values, past.treated, rng, options)
    return mean_estimate(fit_uplift(past.values, past.treated, past.outcome, chance, rng, options).effect)


def _difference(treated: Flags, outcome: Floats) -> Estimate:
    one, other = outcome[treated], outcome[~treated]
    value = float(one.mean() - other.mean())
    half = 1.959964 * float(np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)))
    return Estimate(value, value - half, value + half, len(outcome))
