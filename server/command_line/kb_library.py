"""The library as the `kb` commands open it: on the store, beside a server that may be running."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from server.settings import Settings

if TYPE_CHECKING:
    from server.library import Library, Published

FAILED = 1
WRONG = 2  # as for an option that nobody knows
BY = "terminal"  # who did it, where nobody signed in


def done(settings: Settings, work: "Callable[[Library], Awaitable[int]]") -> int:
    """Do something with the library and return the exit code; what kept it from being done is said."""
    from knowledge_base import ContentError
    from knowledge_base.arrays import Unusable
    from server.core.errors import OnethreadError, Unavailable
    from server.library import NotBuilt, Unfit

    async def opened_and_done() -> int:
        async with opened(settings) as library:
            return await work(library)

    try:
        return asyncio.run(opened_and_done())
    except Unfit as unfit:
        print("The content cannot be used as it is; what visitors get has not changed.", file=sys.stderr)
        if unfit.fault:
            print(f"  {unfit.fault}", file=sys.stderr)
        for each in unfit.findings:
            where = f"{each.file}:{each.line}: " if each.line else ""
            print(f"  {where}{each.entry}: {each.sentence()}", file=sys.stderr)
    except ContentError as error:
        print(f"The clinic's files cannot be used: {error}", file=sys.stderr)
    except Unusable as error:  # built by another version of this program, as while it is being replaced
        print(f"{error} What runs goes on running.", file=sys.stderr)
    except NotBuilt as error:
        print(f"{error} What runs goes on running.", file=sys.stderr)
    except Unavailable:
        print("The database cannot be reached.", file=sys.stderr)
    except OnethreadError as error:
        print(error, file=sys.stderr)
    return FAILED


def is_spoken(language: str | None, languages: Sequence[str]) -> bool:
    """Whether a language that was asked for is one of the clinic's; what may be asked for is said where it is not."""
    from knowledge_base.language import supported

    if language is None or supported(language, languages):
        return True
    print(f"--language: expected one of {', '.join(languages)}.", file=sys.stderr)
    return False


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> "AsyncIterator[Library]":
    """Open the store and give its library; what is published from here is told to running processes."""
    from zoneinfo import ZoneInfo

    from knowledge_base.clinic import read_clinic
    from knowledge_base.source import Source
    from server.clinic_file import FILE, fault_of
    from server.content import bands_of, folder_of, wanted, workplace_of
    from server.library import TOPIC, Library
    from server.service.clock import DatabaseClock
    from server.stores import bus_of, store_of

    source = folder_of(settings)
    zone = ZoneInfo(read_clinic(Source(source / FILE)).timezone)
    store = store_of(settings, exclusive=False)
    await store.open()
    try:
        clock = DatabaseClock(store)
        await clock.measure()
        library = Library(
            store,
            source,
            workplace_of(settings),
            clock=clock,
            zone=zone,
            bands=bands_of(settings),
            encoder=wanted(settings),
            fault=lambda: fault_of(source / FILE),
        )

        async def told(published: "Published") -> None:
            bus = bus_of(settings)
            await bus.open(lambda topic, payload: None, lambda: None)
            bus.say(TOPIC, published.hash.encode())
            await bus.close()

        library.published.append(told)
        yield library
    finally:
        await store.close()
