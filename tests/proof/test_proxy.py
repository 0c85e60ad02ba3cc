"""The bad network is as bad as it says, and otherwise a good one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proof.proxy import Proxy
from server.command_line.part_processes import free_port


@asynccontextmanager
async def echoed() -> AsyncIterator[Proxy]:
    """A proxy before somebody who repeats everything."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


@asynccontextmanager
async def call(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def until_no_calls(proxy: Proxy) -> None:
    async with asyncio.timeout(30):
        while proxy.calls:  # noqa: ASYNC110  # its sockets tell nobody
            await asyncio.sleep(0.01)


async def test_a_good_network_carries_every_byte_in_order_and_forgets_the_call() -> None:
    sent = bytes(range(256)) * 20_000
    async with echoed() as proxy:
        async with call(proxy) as (reader, writer):
            writer.write(sent)
            assert await reader.readexactly(len(sent)) == sent
            assert proxy.calls == 1
        await until_no_calls(proxy)
        assert proxy.carried == 2 * len(sent)


async def test_a_cut_is_a_reset_and_the_next_call_goes_through() -> None:
    async with echoed() as proxy:
        async with call(proxy) as (reader, writer):
            writer.write(b"a")
            await reader.readexactly(1)
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                await reader.read()
        async with call(proxy) as (reader, writer):
            writer.write(b"b")
            assert await reader.readexactly(1) == b"b"


async def test_what_is_delayed_comes_later_and_in_order() -> None:
    async with echoed() as proxy, call(proxy) as (reader, writer):
        proxy.delay = 0.1
        began = time.monotonic()
        writer.write(b"one")
        await asyncio.sleep(0)
        writer.write(b"two")
        assert await reader.readexactly(6) == b"onetwo"
        assert time.monotonic() - began >= 0.2
        proxy.mend()
        writer.write(b"three")
        assert await reader.readexactly(5) == b"three"


async def test_a_narrow_network_takes_its_time() -> None:
    async with echoed() as proxy, call(proxy) as (reader, writer):
        proxy.rate = 10_000
        began = time.monotonic()
        writer.write(bytes(2_000))
        await reader.readexactly(2_000)
        assert time.monotonic() - began >= 0.3  # there and back; the second way begins before the first has ended


async def test_a_deaf_network_says_nothing_until_it_is_mended_and_then_resets() -> None:
    async with echoed() as proxy, call(proxy) as (reader, writer):
        writer.write(b"a")
        await reader.readexactly(1)
        proxy.drop()
        writer.write(b"b")
        async with call(proxy) as (late, other):
            other.write(b"c")
            for each in (reader, late):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(each.read(1), 0.1)
            proxy.mend()
            for each in (reader, late):
                with pytest.raises(ConnectionResetError):
                    await each.read(1)
        await until_no_calls(proxy)


async def test_where_nobody_listens_a_call_is_reset() -> None:
    async with Proxy(free_port()) as proxy, call(proxy) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
