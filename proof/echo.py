"""A server that says back what it hears: the product's server and protocol class, without the product behind them.

Conformance suites talk to it. ``python -m proof.echo`` prints the port it listens on, and serves until it is killed.
Limits are lifted: a suite sends messages of many megabytes as fast as it can.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn
import uvloop

from server.running import bind, configuration
from server.settings import CHECKOUT, Settings
from server.web.budget import Allowed
from server.web.line import Line, Room
from server.web.wire import Wire, wire_of

LARGEST = 64 * 1024 * 1024  # bytes of a message; the suites' largest has 16 MB
WITHOUT_END = 1_000_000_000
LIFTED = {"ONETHREAD_FRAME_BYTES": str(LARGEST), "ONETHREAD_BUDGET_*": "without end"}
START_SECONDS = 30.0


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Say everything back; texts go out as all texts of the product do."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    room = Room(events=WITHOUT_END, bytes=WITHOUT_END)
    line = Line(send, wire_of(scope), room, asyncio.get_running_loop().time)
    with contextlib.suppress(OSError):  # the client has gone in the middle of an answer
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            if text is not None:
                line.push(text.encode())
            else:
                line.write_collected()
                await line.finished()
                await send({"type": "websocket.send", "bytes": message["bytes"]})
    line.gone()
    await line.finished()


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Serve in a process of its own meanwhile; its port.

    Raises:
        RuntimeError: it did not come up.
    """
    command = [sys.executable, "-m", "proof.echo"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            if not said.isdigit():
                raise RuntimeError("the echo did not come up")
            yield int(said)
        finally:
            os.kill(process.pid, signal.SIGKILL)


def main() -> None:
    """Serve until killed."""
    Wire.control = Allowed(WITHOUT_END, WITHOUT_END, WITHOUT_END)
    listening = bind("127.0.0.1", 0)
    server = uvicorn.Server(configuration(echo, Settings(frame_bytes=LARGEST)))
    print(listening.getsockname()[1], flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve([listening]))


if __name__ == "__main__":
    main()
