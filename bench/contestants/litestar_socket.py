"""A bare Litestar socket: it takes one frame, says that it is live, and repeats what it hears."""

from typing import Any

from litestar import Litestar, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect


@websocket("/")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    """Say that it is live, then repeat."""
    await socket.accept()
    try:
        await socket.receive_text()
        await socket.send_text('{"t":"live"}')
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


app = Litestar([echo], openapi_config=None)
