"""`run.py worker`: only the work that conversations owe, beside any number of `serve` on the same MongoDB and Redis.

ONETHREAD_WORKER_PORT opens a door for those who look after it: /health/live, /health/ready and /metrics.
"""

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from server.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none: everything is a setting."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Work until asked to stop; the result is the exit code."""
    from knowledge_base import ContentError
    from server import logs, running
    from server.core.errors import OnethreadError
    from server.settings import WrongSettings

    logs.set_up(settings.log_level)
    running.give_memory_back()
    try:
        listening = running.bind(settings.host, settings.worker_port) if settings.worker_port is not None else None
        return asyncio.run(_work(settings, listening))
    except WrongSettings as error:
        print(error, file=sys.stderr)
    except ContentError as error:
        print(f"The clinic's files cannot be used: {error}", file=sys.stderr)
    except OnethreadError as error:
        print(f"The database cannot be used: {error}", file=sys.stderr)
    except OSError as error:
        print(f"ONETHREAD_WORKER_PORT: cannot listen on {settings.worker_port}: {error.strerror}.", file=sys.stderr)
    return 1


async def _work(settings: Settings, listening: socket.socket | None) -> int:
    from server.app import create_engine, worker_app
    from server.web.metrics import Metrics

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    metrics = Metrics()
    engine = create_engine(settings, metrics)
    async with (
        _answering(worker_app(engine, metrics), settings, listening),
        metrics.beating(),
        engine.running(work=True),
    ):
        print("Working. SIGTERM stops it.", flush=True)
        await stopped.wait()
    return 0


@contextlib.asynccontextmanager
async def _answering(app: "Starlette", settings: Settings, listening: socket.socket | None) -> AsyncIterator[None]:
    """Meanwhile answer whoever asks how it is, if that is wanted."""
    if listening is None:
        yield
        return
    from server.running import Server

    async def nobody_is_here() -> None:
        """There are no clients to send away."""

    server = Server(app, settings, nobody_is_here)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.stop()
        await serving
