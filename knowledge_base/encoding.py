"""Sentence encoders: what makes a vector of what a sentence means."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


class Encoder(Protocol):
    """Makes vectors of sentences, of any length but always of the same number of directions."""

    @property
    def name(self) -> str:
        """Which encoder, with its version: vectors of two names are never compared."""

    def weight(self, language: str) -> float:
        """Return how much meaning counts against spelling in this language, from 0 to 1; at 0 it is not used."""

    def encode(self, texts: Sequence[str]) -> Singles:
        """Return a vector for each text, a row each. May take seconds for many."""
