"""What can be wrong with a database that is not simply away.

A database that is away is ``Unavailable``, from the core. Everything else is our mistake or a choice of whoever set
this up, and it is loud. Neither carries what a driver says of it: drivers like to quote the record that failed.
"""

from server.core.errors import OnethreadError


class StoreFault(OnethreadError):
    """The database refused something of ours: a mistake in Onethread or in the database's set-up."""

    code = "store_fault"

    def __init__(self, name: str) -> None:
        super().__init__(f"The database refused an operation: {name}.")
        self.name = name


class StoreInUse(OnethreadError):
    """Another process serves from this embedded database; two would not hear of each other's events."""

    code = "store_in_use"

    def __init__(self) -> None:
        super().__init__(
            "Another process serves from this embedded database already. Stop it first, or set ONETHREAD_MONGODB_URI:"
            " on MongoDB as many `serve` and `worker` processes as you like share one clinic."
        )


class StoreTooNew(OnethreadError):
    """A newer Onethread wrote this database."""

    code = "store_too_new"

    def __init__(self) -> None:
        super().__init__("A newer version of Onethread wrote this database: run that version or a later one.")


class StoreTooOld(OnethreadError):
    """The database server lacks what we build on."""

    code = "store_too_old"

    def __init__(self, needed: str) -> None:
        super().__init__(f"The database is too old: {needed} or newer is needed.")


class StoreMoved(OnethreadError):
    """What is in this database was moved to another one, and goes on there."""

    code = "store_moved"

    def __init__(self, kind: str, where: str) -> None:
        there = (
            f"MongoDB: set ONETHREAD_MONGODB_URI to it, and ONETHREAD_MONGODB_DATABASE={where}"
            if kind == "mongodb"
            else f"the folder {where}: unset ONETHREAD_MONGODB_URI, and set ONETHREAD_DATA={where}"
        )
        super().__init__(
            f"These conversations were moved to {there}. (`python3 run.py move --undo` lets this copy be used again,"
            " without whatever has been said there since.)"
        )
        self.kind, self.where = kind, where


class StoreUnfinished(OnethreadError):
    """A restore or a move into this database was interrupted."""

    code = "store_unfinished"

    def __init__(self) -> None:
        super().__init__(
            "Not everything has arrived in this database: a `restore` or `move` was interrupted. Run the same again; it"
            " goes on where it was."
        )
