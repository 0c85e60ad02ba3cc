"""What the clinic has to say, as staff edit and publish it: files and edits in the store become one snapshot."""

from knowledge_base.lint import Finding
from server.library.following import TOPIC, Follower
from server.library.library import Library
from server.library.values import (
    Change,
    ChangeKind,
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
    "TOPIC",
    "Change",
    "ChangeKind",
    "Finding",
    "Follower",
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
