"""A Starlette relay: whoever is in a room hears what is said in it. With a MongoDB, one ``insert_one`` per message.

It answers the sender with the same frame it sends to the others, as our server does. What it stores carries a number
from a counter in memory and nothing checks it: faster than a real chat could be.
"""

import os
from datetime import UTC, datetime

import msgspec
from pymongo import AsyncMongoClient, WriteConcern
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

URI = os.environ.get("BENCH_MONGODB_URI", "")
JOURNALLED = WriteConcern(1, j=True) if os.environ.get("BENCH_JOURNALLED") else None  # as durable as what we promise
log = (
    AsyncMongoClient[dict[str, object]](URI)["bench_relay"].get_collection("log", write_concern=JOURNALLED)
    if URI
    else None
)
rooms: dict[str, set[WebSocket]] = {}
heads: dict[str, int] = {}
encoder = msgspec.json.Encoder()


class Post(msgspec.Struct):
    """What a client says."""

    room: str
    key: str
    text: str


decoder = msgspec.json.Decoder(Post)


async def relay(socket: WebSocket) -> None:
    """Join the rooms named by the first frame, then pass on what is said."""
    await socket.accept()
    joined = msgspec.json.decode(await socket.receive_text(), type=list[str])
    for room in joined:
        rooms.setdefault(room, set()).add(socket)
    await socket.send_text('{"t":"live"}')
    try:
        while True:
            post = decoder.decode(await socket.receive_text())
            seq = heads[post.room] = heads.get(post.room, 0) + 1
            at = datetime.now(UTC)
            if log is not None:
                await log.insert_one({"room": post.room, "seq": seq, "key": post.key, "at": at, "text": post.text})
            event = {"t": "event", "thread": post.room, "seq": seq, "at": at, "key": post.key, "text": post.text}
            frame = encoder.encode(event).decode()
            for member in tuple(rooms[post.room]):
                await member.send_text(frame)
    except WebSocketDisconnect:
        for room in joined:
            rooms[room].discard(socket)


app = Starlette(routes=[WebSocketRoute("/", relay)])
