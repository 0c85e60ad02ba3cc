"""Questions as what they mean: a sentence encoder's vectors, in arrays that can be mapped.

The mean of all of them is taken out first. Every encoder's sentences lie in one corner of its space; what they have in
common tells nothing apart, and without it two unrelated sentences come out near 0, whichever encoder it was.

Up to `EXACT` questions every one is compared with. Above, a message is first compared with one short vector a target,
the few directions in which the targets differ most, and then exactly with the best of them.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Places = NDArray[np.int64]

EXACT = 4000  # questions that are all compared with: two megabytes a thousand, a quarter of a millisecond
SHORT = 128  # directions of a target's short vector: with 64, one best target in a hundred is missed
DOUBT = 10  # vectors' worth of nothing in the mean: two questions alone do not say what all have in common


class Semantic(Struct, frozen=True, eq=False):
    """The vectors of an index's questions.

    Args:
        mean: what all have in common.
        vectors: each question's, without it, of length 1; with half the precision where there are many.
        together: for each target the squared length of its vectors added up.
        axes, short: the directions and the targets' short vectors; empty where all questions are compared with.
    """

    mean: Singles
    vectors: NDArray[np.floating]
    together: Floats
    axes: Singles
    short: Singles

    def centred(self, vector: Singles) -> Singles:
        """Return a message's vector as it can be compared."""
        centred: Singles = _of_length_one((vector - self.mean)[None, :])[0]
        return centred

    def cosines(self, centred: Singles) -> Floats:
        """Return how near each question is."""
        return (self.vectors.astype(np.float32, copy=False) @ centred).astype(np.float64)

    def cosines_between(self, centred: Singles, begins: Places, ends: Places) -> Floats:
        """Return how near runs of questions are, each from ``begins[n]`` up to before ``ends[n]``."""
        spans = zip(begins.tolist(), ends.tolist(), strict=True)
        vectors = np.concatenate([self.vectors[begin:end] for begin, end in spans]).astype(np.float32, copy=False)
        return (vectors @ centred).astype(np.float64)

    def roughly(self, centred: Singles) -> Floats:
        """Return about how near each target is."""
        return (self.short @ (centred @ self.axes)).astype(np.float64)


def semantic(vectors: Singles, starts: Places) -> Semantic:
    """Return the arrays of these vectors, each of any length.

    Args:
        starts: for each target the number of its first question; each has at least one.
    """
    mean = (vectors.sum(axis=0) / (len(vectors) + DOUBT)).astype(np.float32)
    centred = _of_length_one(vectors - mean)
    sums = np.add.reduceat(centred, starts, axis=0, dtype=np.float64)
    together = np.maximum((sums**2).sum(axis=1), 1e-9)
    if len(vectors) <= EXACT:
        nothing = np.empty((0, 0), dtype=np.float32)
        return Semantic(mean, centred, together, nothing, nothing)
    _, axes = np.linalg.eigh(centred.T @ centred)  # the strongest stand last
    axes = np.ascontiguousarray(axes[:, -SHORT:])
    short = ((sums / np.sqrt(together)[:, None]) @ axes).astype(np.float32)
    return Semantic(mean, centred.astype(np.float16), together, axes.astype(np.float32), short)


def _of_length_one(vectors: Singles) -> Singles:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    scaled: Singles = (vectors / np.maximum(lengths, 1e-6)[:, None]).astype(np.float32, copy=False)
    return scaled
