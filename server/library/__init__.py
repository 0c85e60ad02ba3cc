"""What the clinic has to say, as staff edit and publish it: files and edits in the store become one snapshot."""

from server.library.library import Library
from server.library.values import (
    Change,
    ChangeKind,
    Finding,
    Held,
    NotBuilt,
    Origin,
    Published,
    Revision,
    Stale,
    Unfit,
    UnknownEntry,
    UnknownSnapshot,
    Wrong,
)

__all__ = [
    "Change",
    "ChangeKind",
    "Finding",
    "Held",
    "Library",
    "NotBuilt",
    "Origin",
    "Published",
    "Revision",
    "Stale",
    "Unfit",
    "UnknownEntry",
    "UnknownSnapshot",
    "Wrong",
]
