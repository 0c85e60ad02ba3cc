"""Serve the website's chat, the console and the assistant, until told to stop.

Every setting is a variable; docs/settings.md has them all. Ctrl-C or SIGTERM sends the clients away politely first, a
second one stops at once.
"""

import argparse
import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import sys
from functools import partial

from server.settings import Settings

FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none: every setting is a variable."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve; the result is the exit code."""
    from server import logs, running

    gc.disable()  # until it stands: hardly anything of what a start makes is garbage
    logs.set_up(settings.log_level)
    try:
        listening = running.bind(settings.host, settings.port)
    except OSError as error:
        print(why_not(settings, error), file=sys.stderr)
        return FAILED
    running.allow_many_connections()
    running.give_memory_back()
    return _serve_on(listening, settings)


def why_not(settings: Settings, error: OSError) -> str:
    """Return one line for somebody whose server cannot listen."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"ONETHREAD_HOST: {settings.host} is not an address of this machine."
    if error.errno == errno.EADDRINUSE:
        return f"Port {settings.port} is in use: stop what listens there, or set ONETHREAD_PORT to another."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {settings.port}: set ONETHREAD_PORT to 1024 or above."
    return f"Cannot listen on {settings.host}:{settings.port}: {error.strerror or error}."


def _serve_on(listening: socket.socket, settings: Settings) -> int:
    import uvloop

    from knowledge_base.source import ContentError
    from server.core.errors import Unavailable
    from server.demo_staff import NotTheDemos
    from server.store.errors import StoreInUse, StoreMoved, StoreTooNew, StoreTooOld, StoreUnfinished

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(listening, settings))
    except ContentError as error:
        said = f"The clinic's files cannot be used: {error}"
    except NotTheDemos as error:
        said = str(error)
    except StoreInUse:
        said = (
            f"Another server works on {settings.data}. To run several, set ONETHREAD_MONGODB_URI and"
            " ONETHREAD_REDIS_URL for all of them; for another clinic, set ONETHREAD_DATA to another folder."
        )
    except (StoreTooNew, StoreTooOld, StoreMoved, StoreUnfinished, Unavailable) as error:
        said = f"The database cannot be used: {error}"
    else:
        return 0
    print(said, file=sys.stderr)
    return FAILED


async def _serve(listening: socket.socket, settings: Settings) -> None:
    from server.app import create_app, drain
    from server.core.errors import Unavailable
    from server.demo_staff import ADMIN
    from server.running import Server, let_the_collector_rest

    port: int = listening.getsockname()[1]
    app = create_app(settings, port)
    let_the_collector_rest()
    server = Server(app, settings, lambda: drain(app))
    house = app.state.house
    if settings.demo:
        house.restart = partial(restart, port)

    async def say_where() -> None:
        link = None
        if settings.demo:
            with contextlib.suppress(Unavailable):  # the database is waited for, and `staff link` makes one then
                link = await house.sessions.link(ADMIN)
        print(welcome(house.origin, link), flush=True)

    def asked_to_stop() -> None:
        if app.state.sockets.open and not house.readiness.draining and sys.stderr.isatty():  # else it is the log
            print(f"Sending {app.state.sockets.open} clients away; once more to stop at once.", file=sys.stderr)
        server.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop)
    await server.run_until_stopped(listening, say_where)


def restart(port: int) -> None:
    """Replace this process by a new one on the same port, without a goodbye: nothing of its memory is left."""
    os.environ["ONETHREAD_PORT"] = str(port)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # what runs already, begun again


def welcome(origin: str, link: str | None) -> str:
    """Return what is printed when everything stands; ``link``: the token that signs into the demo's console."""
    console = f"{origin}/console"
    lines = ["Onethread is there."]
    if link is None:
        lines.append(f"  Console    {console}")
    else:
        lines += [
            f"  Demo page  {origin}/demo",
            f"  Console    {console}/enter#{link}",
            "             signs you in once, within 15 minutes; `python3 run.py staff link` makes another",
        ]
    lines.append(f"  API        {origin}/api/docs")
    return "\n".join(lines)
