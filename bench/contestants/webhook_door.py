"""A bare Starlette door for webhooks: the signature over the raw body, one journalled ``insert_one``, and 200.

It works nothing of what it stores, and stores the same body as often as it comes: faster than a real door could be.
"""

import hmac
import os

from pymongo import AsyncMongoClient, WriteConcern
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.webhooks import SECRET

bodies = AsyncMongoClient[dict[str, object]](os.environ["BENCH_MONGODB_URI"])["bench_door"].get_collection(
    "bodies", write_concern=WriteConcern(1, j=True)
)


async def door(request: Request) -> Response:
    """Answer 200 once the body is stored."""
    body = await request.body()
    signature = "sha256=" + hmac.new(SECRET, body, "sha256").hexdigest()
    if not hmac.compare_digest(signature, request.headers.get("x-hub-signature-256", "")):
        return Response(status_code=401)
    await bodies.insert_one({"body": body})
    return Response()


app = Starlette(routes=[Route("/{path:path}", door, methods=["POST"])])
