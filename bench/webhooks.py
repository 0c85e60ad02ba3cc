"""How long a WhatsApp webhook waits for its answer, beside a bare Starlette door that only stores it.

Webhooks come at their own pace, whether the one before was answered or not, each with a message of its own from one of
many people. Ours works them meanwhile, in the same process: every message gets into its conversation, and an answer of
the assistant that tries to leave. The demo's number is written to, whose secret is known.
"""

import asyncio
import hmac
import itertools
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.servers import Server, start_contestant
from bench.tables import micro, table, times
from server.whatsapp_house import DEMO_ACCOUNT

SECRET = DEMO_ACCOUNT.secrets[0].encode()
OURS, BARE = "onethread: stored, answered, worked", "a bare Starlette door: stored, answered"
RATE = 200  # webhooks a second
PEOPLE = 500  # who write them
LINES = 32  # connections of the provider, kept open
PATIENCE = 60.0  # seconds until everything is answered

_number = itertools.count()


@dataclass
class Waited:
    """What a door made of its webhooks."""

    seconds: list[float] = field(default_factory=list)  # from when each was due to its answer
    refused: int = 0
    cpu: list[float] = field(default_factory=list)  # seconds for each webhook, by rounds


def webhook() -> bytes:
    """Return the body of a webhook of Meta's that brings one message, unlike every other."""
    number = next(_number)
    person = f"4915{1_000_000_000 + number % PEOPLE}"
    message = {
        "from": person,
        "id": f"wamid.{number:030d}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": "When are you open on Mondays?"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": DEMO_ACCOUNT.display, "phone_number_id": DEMO_ACCOUNT.our},
        "contacts": [{"profile": {"name": f"Guest {number % PEOPLE}"}, "wa_id": person}],
        "messages": [message],
    }
    change = {"id": DEMO_ACCOUNT.account, "changes": [{"value": value, "field": "messages"}]}
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [change]})


def request(body: bytes) -> bytes:
    """Return the whole signed request."""
    signature = hmac.new(SECRET, body, "sha256").hexdigest()
    head = f"POST {DEMO_ACCOUNT.webhook} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nX-Hub-Signature-256: sha256={signature}\r\n\r\n".encode() + body


async def knock(port: int, rate: int, seconds: float, waited: Waited) -> int:
    """Bring ``rate`` webhooks a second, open loop; return how many."""
    due: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()

    async def line() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (next_one := await due.get()) is not None:
            writer.write(next_one[1])
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(part[15:]) for part in head.lower().split(b"\r\n") if part[:15] == b"content-length:"), 0
            )
            await reader.readexactly(length)
            waited.seconds.append(time.perf_counter() - next_one[0])
            waited.refused += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    lines = [asyncio.create_task(line()) for _ in range(LINES)]
    count, began = round(rate * seconds), time.perf_counter()
    for number in range(count):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        due.put_nowait((at, request(webhook())))
    for _ in lines:
        due.put_nowait(None)
    await asyncio.wait_for(asyncio.gather(*lines), PATIENCE)
    return count


async def measure(ours: Server, uri: str, folder: Path, rounds: int, seconds: float) -> tuple[str, int]:
    """Return the table, and how many webhooks were not answered with 200."""
    bare = start_contestant("webhook door", "webhook_door", uri, folder / "door.log")
    waited = {OURS: Waited(), BARE: Waited()}
    try:
        for turn in range(rounds + 1):
            for name, server in ((OURS, ours), (BARE, bare)):
                found, before = Waited(), server.cpu
                count = await knock(server.port, RATE, seconds, found)
                await asyncio.sleep(1.0)  # ours is done with what they brought
                if turn:
                    waited[name].seconds += found.seconds
                    waited[name].cpu.append((server.cpu - before) / count)
                waited[name].refused += found.refused
    finally:
        bare.stop()
    return shown(waited), sum(each.refused for each in waited.values())


def shown(waited: dict[str, Waited]) -> str:
    """Return what was measured as a table."""
    base = statistics.median(waited[BARE].seconds)
    rows = []
    for name, each in waited.items():
        middle, slow = statistics.median(each.seconds), statistics.quantiles(each.seconds, n=100)[-1]
        cpu = statistics.median(each.cpu)
        cells = [f"{middle * 1000:.1f} ms", times(middle, base), f"{slow * 1000:.1f} ms", micro(cpu), str(each.refused)]
        rows.append([name, *cells])
    columns = (
        f"{RATE} WhatsApp webhooks a second",
        "answered at p50",
        "of the bare door",
        "p99",
        "CPU each",
        "refused",
    )
    return table(columns, rows)
