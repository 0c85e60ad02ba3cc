"""A language model behind OpenAI's chat API, over real HTTP: strict in what it takes, and of every mood."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from server.running import Prompt, bind

KEY = "key-of-the-clinic"
ROLES = ["system", "user"]
Words = Callable[[str, str], list[str]]  # of question and answer: what it says, in pieces


def same(question: str, answer: str) -> list[str]:
    """Say the answer again, a word at a time."""
    return [f"{word} " for word in answer.split()]


@dataclass
class LanguageModel:
    """What it says next, how slowly, and what it was asked."""

    says: Words = same
    pause: float = 0.0
    """Seconds before each piece."""
    status: int = 200
    raw: bytes | None = None
    """Sent in place of everything."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def complete(self, request: Request) -> Response:
        """The API's only route here."""
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "no such key"}}, 401)
        body = await request.json()
        if wrong := _wrong(body):
            return JSONResponse({"error": {"message": wrong}}, 400)
        self.asked.append(body)
        if self.status != 200:
            return JSONResponse({"error": {"message": "not now"}}, self.status)
        if self.raw is not None:
            return Response(self.raw, media_type="application/json")
        shown = json.loads(body["messages"][1]["content"])
        pieces = self.says(shown["QUESTION"], shown["ANSWER"])
        if body["stream"]:
            return StreamingResponse(self._events(pieces), media_type="text/event-stream")
        await asyncio.sleep(self.pause * len(pieces))
        message = {"role": "assistant", "content": "".join(pieces)}
        return JSONResponse({"object": "chat.completion", "choices": [{"index": 0, "message": message}], "usage": {}})

    async def _events(self, pieces: list[str]) -> AsyncIterator[bytes]:
        for piece in [None, *pieces]:
            delta = {"role": "assistant"} if piece is None else {"content": piece}
            chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
            yield b": keep-alive\n\n" + f"data: {json.dumps(chunk)}\n\n".encode()
            await asyncio.sleep(self.pause)
        yield b'data: {"object": "chat.completion.chunk", "choices": [], "usage": {}}\n\ndata: [DONE]\n\n'


def _wrong(body: Any) -> str:
    """Return what the API would refuse."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str) or not body["model"]:
        return "expected a model"
    if [message.get("role") for message in body.get("messages", [])] != ROLES:
        return "expected a system and a user message"
    if not all(isinstance(message.get("content"), str) for message in body["messages"]):
        return "expected text"
    if not isinstance(body.get("stream"), bool) or not 0 <= body.get("temperature", 1) <= 2:
        return "expected `stream` and a temperature"
    unknown = body.keys() - {"model", "messages", "stream", "temperature", "max_tokens"}
    return f"unknown: {sorted(unknown)}" if unknown else ""


@asynccontextmanager
async def language_model() -> AsyncIterator[LanguageModel]:
    """Serve one on this machine."""
    here = LanguageModel()
    listening = bind("127.0.0.1", 0)
    here.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    app = Starlette(routes=[Route("/v1/chat/completions", here.complete, methods=["POST"])])
    server = Prompt(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=0))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield here
    finally:
        server.end()
        await serving
