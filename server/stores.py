"""Which database is in use, and what joins processes: only this file knows.

It stands apart from the house, so that a command which only looks at the store does not load the doors.
"""

from collections.abc import Callable

from server.core.ports import Bus, Store
from server.settings import Settings
from server.store.ledger import Ledger


def store_of(settings: Settings, *, exclusive: bool = True) -> Store:
    """Return the database that was chosen; the other one's driver is not even loaded.

    Args:
        exclusive: whether to serve from it. Commands that only look or change something small work beside a server.
    """
    if settings.mongodb_uri is not None:
        from server.store.mongo import MongoStore

        return MongoStore(settings.mongodb_uri, settings.mongodb_database)
    from server.store.sqlite import SqliteStore

    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqliteStore(settings.data / "onethread.db", exclusive=exclusive)


def ledger_of(settings: Settings) -> Ledger:
    """Return the list of who was erased, which lies beside the store and is in no backup of it."""
    return Ledger(settings.data / "erased")


def bus_of(settings: Settings, lost: Callable[[int], None] = lambda count: None) -> Bus:
    """Return what joins this process to others, if there are any; ``lost`` is told how much it could not say."""
    if settings.redis_url is not None:
        from server.live.redis import RedisBus

        return RedisBus(settings.redis_url, namespace=settings.mongodb_database, lost=lost)
    from server.live.local import LocalBus

    return LocalBus()
