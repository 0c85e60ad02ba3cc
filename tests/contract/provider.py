"""A provider over a real socket, mostly of the Cloud API: it remembers what it accepted, and behaves as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

ERROR = {  # Meta's codes, by what they ask for
    "busy": (503, 131016),
    "slowly": (400, 131056),
    "window": (400, 131047),
    "unreachable": (400, 131026),
    "opted_out": (400, 131050),
    "access": (401, 190),
}


class Provider:
    """One of them. ``next``: how the coming requests are met; accepted when nothing is said."""

    def __init__(self) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.marks: list[str] = []
        self.uploads = 0
        self.asked = 0
        self.next: list[str] = []
        self.got = asyncio.Event()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []  # path, headers and body of each
        self.server: asyncio.Server | None = None
        self.port = 0
        self._lines: list[tuple[asyncio.Task[None] | None, asyncio.StreamWriter]] = []

    @property
    def texts(self) -> list[str]:
        said = [each for each in self.accepted if each["type"] != "reaction"]
        return [each.get("text", each.get("template", {})).get("body", "a template") for each in said]

    @property
    def tags(self) -> list[str]:
        return [each["biz_opaque_callback_data"] for each in self.accepted]

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        """Return status and body of an answer; ``None``: hang up without one."""
        if path.endswith("/media"):
            self.uploads += 1
            return 200, {"id": f"media{self.uploads}"}
        if path.endswith("/Messages.json"):
            return 201, {"sid": "SM1"}
        said = json.loads(body)
        if said.get("status") == "read":
            self.marks.append(said["message_id"])
            return 200, {"success": True}
        self.asked += 1
        how = self.next.pop(0) if self.next else "accept"
        if how in ERROR:
            status, code = ERROR[how]
            return status, {"error": {"code": code}}
        if how != "hang_up":
            self.accepted.append(said)
        self.got.set()
        if how == "accept_and_lose_the_answer":
            return 504, {}
        if how in ("hang_up", "accept_and_hang_up"):
            return None
        return 200, {"messages": [{"id": f"wamid.{len(self.accepted)}"}]}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with one client until it hangs up."""
        self._lines.append((asyncio.current_task(), writer))
        await self._talk(reader, writer)

    async def stop_listening(self) -> None:
        """Be away: nobody is at the other end."""
        if self.server is not None:
            self.server.close()
        await self.close()

    async def close(self) -> None:
        """Hang up on everybody."""
        for _, writer in self._lines:
            writer.close()
        await asyncio.gather(*(task for task, _ in self._lines if task is not None))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                path, headers = line.split()[1].decode(), dict[str, str]()
                while (header := await reader.readline()).strip():
                    name, _, value = header.decode().partition(":")
                    headers[name.lower()] = value.strip()
                content = await reader.readexactly(int(headers.get("content-length", "0")))
                self.requests.append((path, headers, content))
                answer = self.answer(path, content)
                if answer is None:
                    return
                status, said = answer
                body = json.dumps(said).encode()
                writer.write(b"HTTP/1.1 %d -\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def a_provider() -> AsyncIterator[Provider]:
    """A provider that listens on a port of this machine."""
    it = Provider()
    it.server = server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    yield it
    server.close()
    await it.close()
