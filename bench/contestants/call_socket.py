"""A bare Starlette socket for calls: the signature of the handshake, one journalled ``insert_one`` a turn, a sentence.

It says the same to everybody and stores neither that nor whose call it is: faster than anything of use could be.
"""

import base64
import hmac
import os

import msgspec
from pymongo import AsyncMongoClient, WriteConcern
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.calls import TOKEN

turns = AsyncMongoClient[dict[str, object]](os.environ["BENCH_MONGODB_URI"])["bench_calls"].get_collection(
    "turns", write_concern=WriteConcern(1, j=True)
)
SENTENCE = '{"type":"text","token":"On Mondays we are open from eight to six.","last":true}'


async def relay(socket: WebSocket) -> None:
    """Greet, store each turn, and say the sentence."""
    url = f"ws://{socket.headers.get('host', '')}{socket.url.path}"
    signed = base64.b64encode(hmac.new(TOKEN.encode(), url.encode(), "sha1").digest()).decode()
    if not hmac.compare_digest(signed, socket.headers.get("x-twilio-signature", "")):
        await socket.close()
        return
    await socket.accept()
    call = ""
    try:
        while True:
            said = msgspec.json.decode(await socket.receive_text())
            if said["type"] == "prompt":
                await turns.insert_one({"call": call, "text": said["voicePrompt"]})
            elif said["type"] == "setup":
                call = said["callSid"]
            else:
                continue
            await socket.send_text(SENTENCE)
    except WebSocketDisconnect:
        return


app = Starlette(routes=[WebSocketRoute("/{path:path}", relay)])
