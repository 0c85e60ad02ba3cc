"""`run.py worker`: only the work that conversations owe, beside any number of `serve` on the same MongoDB and Redis."""

import argparse
import asyncio
import signal
import sys

from server.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none: everything is a setting."""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Work until asked to stop; the result is the exit code."""
    from knowledge_base import ContentError
    from server import logs
    from server.core.errors import OnethreadError
    from server.settings import WrongSettings

    logs.set_up(settings.log_level)
    try:
        return asyncio.run(_work(settings))
    except WrongSettings as error:
        print(error, file=sys.stderr)
    except ContentError as error:
        print(f"The clinic's files cannot be used: {error}", file=sys.stderr)
    except OnethreadError as error:
        print(f"The database cannot be used: {error}", file=sys.stderr)
    return 1


async def _work(settings: Settings) -> int:
    from server.app import create_engine
    from server.web.metrics import Metrics

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with create_engine(settings, Metrics()).running(work=True):
        print("Working. SIGTERM stops it.", flush=True)
        await stopped.wait()
    return 0
