"""How sure a finding is: a logistic curve over its score and its lead, fitted on what is known to be right or wrong.

The examples are the index's own questions, each asked without itself (is its own entry found?) and without its whole
entry (then whatever is found is wrong), and what came of real answers where somebody has said so. So a small base and
a large one, or German and Swedish, answer with the same precision.

From which confidence nine answers in ten are right is found in the same way, where examples can tell: real outcomes
can, and questions that people really asked, which often repeat one another. What an editor wrote to be as different as
possible cannot: asked without itself, it lacks the only question like it, and people are not that inventive.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Curve = tuple[float, float, float]  # constant, slope of the score, slope of the lead

MEASURED: Curve = (-4.74, 7.49, 6.00)  # lexical figures over many published sets
MEASURED_HYBRID: Curve = (-5.12, 7.43, 9.18)  # the same with a sentence encoder
STEPS = 25  # of Newton's method; it stands still after eight
PRECISE = 0.90  # share of the answers that are to be right
HIGHEST = 0.95  # confidence that is always enough
FAR = 50.0  # beyond it a curve says yes or no
TRUST = (
    0.01,
    1.0,
    1.0,
)  # how much the measured constant, slope of score and slope of margin count against the examples


class Example(Struct, frozen=True):
    """A question with a known answer: the score and lead of what was found, whether that was right, and its weight."""

    top: float
    margin: float
    right: bool
    weight: float = 1.0


def confidence(fit: Curve, top: float, margin: float) -> float:
    """Return the probability that the first target is right, given its score and its lead."""
    return 1 / (1 + math.exp(min(FAR, -(fit[0] + fit[1] * top + fit[2] * margin))))


def answering(fit: Curve, examples: Sequence[Example], measured: Curve = MEASURED) -> float:
    """Return the lowest confidence from which nine answers in ten are right, by examples of what people ask.

    It is the lowest from which that is so even one standard error below what the examples say: a few hundred of them
    are soon wrong by three in a hundred.

    Args:
        fit: how sure a finding is; the confidence is by this curve, which may also know of questions from outside.
        measured: what `fitted` begins with.
    """
    table = np.array([(1.0, each.top, each.margin, each.weight) for each in examples])
    inputs, weight = table[:, :3], table[:, 3]
    said = _sure(inputs, fit)
    right = _sure(inputs, fitted(examples, measured))  # smoother than counting which were
    order = np.argsort(-said, kind="stable")
    many = np.cumsum(weight[order])
    share = np.cumsum((right * weight)[order]) / many
    enough = np.flatnonzero(share - np.sqrt(share * (1 - share) / many) >= PRECISE)
    return min(HIGHEST, float(said[order][enough[-1]])) if len(enough) else HIGHEST


def fitted(examples: Iterable[Example], measured: Curve = MEASURED) -> Curve:
    """Return the logistic curve through the examples, or the measured one where all or none of them are right."""
    table = np.array([(1.0, each.top, each.margin, float(each.right), each.weight) for each in examples])
    if not len(table) or not 0.0 < table[:, 3].mean() < 1.0:
        return measured
    inputs, right, weight = table[:, :3], table[:, 3], table[:, 4]
    prior, trust = np.array(measured), np.array(TRUST)
    fit = prior.copy()
    for _ in range(STEPS):
        said = _sure(inputs, fit)
        slope = inputs.T @ (weight * (right - said)) - trust * (fit - prior)
        curve = (inputs * (weight * said * (1 - said))[:, None]).T @ inputs + np.diag(trust) + 1e-9 * np.eye(3)
        fit += np.linalg.solve(curve, slope)
    return float(fit[0]), float(fit[1]), float(fit[2])


def _sure(inputs: Floats, fit: Curve | Floats) -> Floats:
    sure: Floats = 1 / (1 + np.exp(np.clip(-(inputs @ np.asarray(fit)), -FAR, FAR)))
    return sure
