"""What a threshold is to achieve, and the lowest threshold of the grid that achieves it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenmatch.errors import InputError, UnreachableTargetError
from evenmatch.measures import utility as utility_of
from evenmatch.pairs import PairCounts

__all__ = ["Objective", "choose_objective", "choose_threshold", "require_shippable"]


@dataclass(frozen=True)
class Objective:
    """What was asked for.

    Attributes:
        kind: ``"far"``, ``"frr"``, ``"utility"`` or ``"cost"``.
        target: the rate not to be exceeded, or the utility to be reached; None for the best that there is.
        beta: weight of TAR against TNR in the utility.
        cost_false_accept, cost_false_reject: cost of one wrong decision of each kind, in any unit.
        prior: share of matches among the pairs that will be compared, for the cost; None for that of the data.
    """

    kind: str
    target: float | None = None
    beta: float | None = None
    cost_false_accept: float | None = None
    cost_false_reject: float | None = None
    prior: float | None = None

    def describe(self) -> str:
        """The objective in words."""
        if self.kind in ("far", "frr"):
            return f"{self.kind.upper()} ≤ {self.target:g}"
        if self.kind == "utility":
            goal = "highest utility" if self.target is None else f"utility ≥ {self.target:g}"
            return f"{goal} (β = {self.beta:g})"
        prior = "that of the data" if self.prior is None else f"{self.prior:g}"
        return (
            f"lowest expected cost (false accept {self.cost_false_accept:g}, "
            f"false reject {self.cost_false_reject:g}, match prior {prior})"
        )


def choose_objective(
    far: float | None,
    frr: float | None,
    utility: float | None,
    beta: float | None,
    cost_false_accept: float | None,
    cost_false_reject: float | None,
    prior: float | None,
) -> Objective:
    """Exactly one objective from the arguments of `em.calibrate`.

    Raises:
        InputError: none or several are given, or one is out of its range.
        UnreachableTargetError: a rate outside [0, 1].
    """
    costs = (cost_false_accept, cost_false_reject)
    asked = [far is not None, frr is not None, utility is not None or beta is not None, costs != (None, None)]
    if sum(asked) != 1:
        raise InputError(
            "give exactly one objective: far=…, frr=…, utility=… or beta=…, or cost_false_accept=… with "
            "cost_false_reject=…"
        )
    if prior is not None and not 0 < prior < 1:
        raise InputError(f"prior is {prior:g}; give the share of matches among the compared pairs, between 0 and 1")
    for name, rate in (("false accept", far), ("false reject", frr)):
        if rate is not None and not 0 <= rate <= 1:
            raise UnreachableTargetError(f"a {name} rate of {rate:g} cannot be reached; give a rate between 0 and 1")
    if far is not None:
        return Objective("far", float(far))
    if frr is not None:
        return Objective("frr", float(frr))
    if asked[2]:
        beta = 1.0 if beta is None else float(beta)
        if not 0 < beta < math.inf:
            raise InputError(f"beta is {beta:g}; give a weight above 0")
        if utility is not None and not 0 <= utility <= 1:
            raise UnreachableTargetError(f"a utility of {utility:g} cannot be reached; give one between 0 and 1")
        return Objective("utility", None if utility is None else float(utility), beta)
    for name, cost in zip(("cost_false_accept", "cost_false_reject"), costs, strict=True):
        if cost is None or not 0 < cost < math.inf:
            raise InputError(f"{name} is {cost}; give both costs, each above 0")
    return Objective("cost", None, None, cost_false_accept, cost_false_reject, prior)


def choose_threshold(counts: PairCounts, objective: Objective) -> int:
    """Grid index of the lowest admissible threshold; for an FRR, where every lower one is admissible, of the highest.

    All rates are exact counts over all pairs. ``FAR ≤ f`` holds from a threshold on upwards, so the lowest such one
    rejects the fewest matches; ``FRR ≤ f`` holds up to a threshold, and the highest such one accepts the fewest
    impostors. Of equal utilities or costs the lowest threshold is taken.

    Returns:
        The index; ``grid.size`` stands for ``+inf``.

    Raises:
        UnreachableTargetError: no threshold reaches the utility; says which utility can be reached.
    """
    if objective.kind == "far":
        return counts.index_at_far(_given(objective.target))
    if objective.kind == "frr":
        rejected = counts.n_positives - counts.accepted_positives
        return int(np.flatnonzero(rejected / counts.n_positives <= _given(objective.target))[-1])
    tar = counts.accepted_positives / counts.n_positives
    far = counts.accepted_negatives / counts.n_negatives
    if objective.kind == "utility":
        values = utility_of(tar, 1 - far, _given(objective.beta))
        if objective.target is None:
            return int(np.argmax(values))
        reached = np.flatnonzero(values >= objective.target)
        if not reached.size:
            raise UnreachableTargetError(
                f"no threshold reaches a utility of {objective.target:g} on these pairs; the highest is "
                f"{values.max():.4g}; ask for less, or leave out the target to take that one"
            )
        return int(reached[0])
    prior = objective.prior
    if prior is None:
        prior = counts.n_positives / (counts.n_positives + counts.n_negatives)
    cost = prior * (1 - tar) * _given(objective.cost_false_reject)
    cost = cost + (1 - prior) * far * _given(objective.cost_false_accept)
    return int(np.argmin(cost))


def require_shippable(counts: PairCounts, objective: Objective, index: int) -> None:
    """Refuse the threshold ``+inf``: nobody can ship a point that rejects everything.

    Raises:
        UnreachableTargetError: only rejecting every pair meets the objective; says what the next threshold gives.
    """
    if index < counts.grid.size:
        return
    share = counts.accepted_negatives[-2] / counts.n_negatives
    raise UnreachableTargetError(
        f"only rejecting every pair gives {objective.describe()}: {share:.3%} of the {counts.n_negatives} negative "
        "pairs have the highest possible score; look for copies of one item under different labels, or ask for less"
    )


def _given(value: float | None) -> float:
    if value is None:
        raise ValueError("the objective lacks a number")
    return value
