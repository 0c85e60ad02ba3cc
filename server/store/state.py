"""What keeps a store from being served: it was moved away, or what is to be in it has not all arrived.

Kept within the store itself, so that nobody has to remember which of two is the right one.
"""

from datetime import datetime

import msgspec

from server.store.errors import StoreMoved, StoreUnfinished

PLACE = ("store", "state")  # collection and id of the small thing that says so


class State(msgspec.Struct, omit_defaults=True):
    """Where its things are now, or where what is arriving comes from; never both."""

    moved_to: str = ""  # "mongodb" or "sqlite"
    where: str = ""  # the database's name or the folder: never an address with a password in it
    arriving_from: str = ""  # what is being brought: a store's epoch, or a backup's digest
    at: datetime | None = None

    @property
    def moved(self) -> bool:
        """Whether it has all gone elsewhere."""
        return bool(self.moved_to)


def state_of(value: bytes | None) -> State | None:
    """Return the state that is kept so."""
    return msgspec.json.decode(value, type=State) if value is not None else None


def refuse(value: bytes | None) -> None:
    """Return when nothing keeps the store from being used.

    Raises:
        StoreMoved: everything in it is elsewhere now.
        StoreUnfinished: a restore or a move into it has not come to its end.
    """
    state = state_of(value)
    if state is None:
        return
    if state.moved:
        raise StoreMoved(state.moved_to, state.where)
    raise StoreUnfinished
