"""python-socketio with one ``insert_one`` per message: what most would reach for."""

import os
from datetime import UTC, datetime

import socketio
from pymongo import AsyncMongoClient

URI = os.environ.get("BENCH_MONGODB_URI", "")
log = AsyncMongoClient[dict[str, object]](URI)["bench_socketio"]["log"] if URI else None
REDIS = os.environ.get("BENCH_REDIS_URL", "")
bus = socketio.AsyncRedisManager(REDIS, channel=os.environ.get("BENCH_REDIS_CHANNEL", "socketio")) if REDIS else None
server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", client_manager=bus)
heads: dict[str, int] = {}


async def join(sid: str, rooms: list[str]) -> str:
    """Enter these rooms."""
    for room in rooms:
        await server.enter_room(sid, room)
    await server.emit("live", {}, to=sid)
    return "ok"


async def post(sid: str, said: dict[str, str]) -> None:
    """Store what is said and pass it on."""
    room = said["room"]
    seq = heads[room] = heads.get(room, 0) + 1
    at = datetime.now(UTC)
    if log is not None:
        await log.insert_one({"room": room, "seq": seq, "key": said["key"], "at": at, "text": said["text"]})
    event = {"thread": room, "seq": seq, "at": at.isoformat(), "key": said["key"], "text": said["text"]}
    await server.emit("event", event, room=room)


server.on("join", join)
server.on("post", post)
app = socketio.ASGIApp(server)
