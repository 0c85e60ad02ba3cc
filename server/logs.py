"""Logs: JSON, one line an event, to standard error.

What people wrote, their names and numbers, and whatever opens something, never get this far; what strangers control
(a path, a browser's name) is bounded and escaped, so that a line stays a line. An exception is logged as its class and
the places it came through: its message may hold anything.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

FRAMES = 12  # places of a traceback that are kept, the innermost
MAX_VALUE = 500  # characters of one value
_TASKS_AND_CALLS = re.compile(r"\n.*|(?<=^Exception in callback) .*", re.DOTALL)

Event = MutableMapping[str, Any]


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Send everything that is logged, ours and the libraries', to ``stream`` as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_messages,
        _bounded,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=True),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("onethread").setLevel(level.upper())
    for loud in ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "asyncio", "litestar", "httpx", "pymongo"):
        logger = logging.getLogger(loud)
        logger.handlers[:], logger.propagate = [], True
        logger.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # paths and addresses: ours count requests, and name nobody
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _without_messages(_: Any, __: str, event: Event) -> Event:
    """Keep of an exception what it is and where it happened."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else sys.exc_info()[1] if info is True else info
    if isinstance(error, BaseException):
        event.setdefault("error", type(error).__name__)
        event["where"] = places(error)
    event.pop("stack_info", None)
    if event.get("logger") == "asyncio":  # it goes on to show the task and its exception, and so what they are about
        event["event"] = _TASKS_AND_CALLS.sub("", str(event.get("event", "")))
    return event


def places(error: BaseException) -> list[str]:
    """Return the places an exception came through, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames]


def _bounded(_: Any, __: str, event: Event) -> Event:
    for name, value in event.items():
        if isinstance(value, str) and len(value) > MAX_VALUE:
            event[name] = value[:MAX_VALUE] + "…"
    return event
