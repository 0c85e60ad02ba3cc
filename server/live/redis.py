"""The bus between processes, through Redis or Valkey.

Losing it costs time, never a message: whoever follows the log looks for itself every few seconds. So nothing here
waits for Redis while somebody waits for us: what is said goes out with the next bundle, bundles that cannot leave are
dropped, and limits are then counted in this process.

One connection listens. Everything else (what is said, limits to be asked) leaves in one pipeline per turn of the loop,
and what is said within a turn is one message. Each process hears its own bundles too, and takes no notice of them but
one: that its voice still comes back is how it knows that the connection is alive in both directions.
"""

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from server.core.ports import Limit
from server.live.limits import LocalLimits

CONNECTIONS = 4  # at most: one listens, one speaks, the rest is for moments of change
PATIENCE = 1.0  # seconds for any answer: longer, and those who wait are better served from this process
TICK = 1.0  # seconds between signs of life
DEAF = 3.5  # seconds without our own sign of life until we connect anew
FIRST_RETRY = 0.1  # seconds between tries to connect; doubled up to the longest
LONGEST_RETRY = 2.0  # seconds
WAITING = 10_000  # messages kept for the next bundle while one is under way; beyond it the oldest are lost
BUNDLE = 512 * 1024  # bytes of messages in one bundle
LOST = (OSError, RedisError, TimeoutError, RuntimeError)
"""What a connection that is gone raises; the last is uvloop's word when it went between two steps of one write."""

ALLOW = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local cost, wait = tonumber(ARGV[1]), 0
for n, key in ipairs(KEYS) do
  local count, seconds, burst = tonumber(ARGV[3 * n - 1]), tonumber(ARGV[3 * n]), tonumber(ARGV[3 * n + 1])
  local this = 0
  if burst < 0 then
    local oldest = redis.call('LINDEX', key, 0)
    while oldest and tonumber(oldest) <= now - seconds do
      redis.call('LPOP', key)
      oldest = redis.call('LINDEX', key, 0)
    end
    local known = redis.call('LLEN', key)
    local over = known + cost - count
    if over > known then this = seconds
    elseif over > 0 then this = tonumber(redis.call('LINDEX', key, over - 1)) + seconds - now end
  else
    local full = math.max(tonumber(redis.call('GET', key) or '0'), now)
    this = full + (cost - burst) * seconds / count - now
  end
  wait = math.max(wait, this)
end
if wait > 0 then return tostring(wait) end
for n, key in ipairs(KEYS) do
  local count, seconds, burst = tonumber(ARGV[3 * n - 1]), tonumber(ARGV[3 * n]), tonumber(ARGV[3 * n + 1])
  if burst < 0 then
    for _ = 1, cost do redis.call('RPUSH', key, string.format('%.6f', now)) end
    redis.call('PEXPIRE', key, math.ceil(seconds * 1000))
  else
    local full = math.max(tonumber(redis.call('GET', key) or '0'), now) + cost * seconds / count
    redis.call('SET', key, string.format('%.6f', full), 'PX', math.max(1, math.ceil((full - now) * 1000)))
  end
end
return '0'
"""
"""All or nothing, by Redis' own clock. A window is a list of moments; a bucket is the moment when it will be full."""

log = logging.getLogger("onethread.bus")
_pack = msgspec.msgpack.Encoder().encode


class _Bundle(msgspec.Struct, array_like=True, gc=False):
    """What one process says to all others at once. ``tick``: it is one of its signs of life."""

    origin: str
    tick: bool
    said: list[tuple[str, bytes]]


_unpack = msgspec.msgpack.Decoder(_Bundle).decode


class _Question(NamedTuple):
    limits: Sequence[Limit]
    cost: int
    answer: "asyncio.Future[float]"


class RedisBus:
    """The bus of a process that is one of several."""

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "onethread",
        limits: LocalLimits | None = None,
        lost: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Meet the other processes of ``namespace`` at ``url``; ``lost`` is told how much could not be said."""
        self._channel, self._prefix = f"{namespace}:bus", f"{namespace}:limit:"
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=PATIENCE,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis.from_pool(pool)
        self._local, self._lost = limits or LocalLimits(), lost
        self._origin = uuid.uuid4().hex
        self._script = ""  # its name in Redis, once it is there
        self._said: list[tuple[str, bytes]] = []
        self._questions: list[_Question] = []
        self._tick = False  # whether a sign of life is to be sent
        self._speaking: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._up = self._was_up = False
        self._heard: Callable[[str, bytes], None] = lambda topic, payload: None
        self._reconnected: Callable[[], Awaitable[None] | None] = lambda: None

    @property
    def connected(self) -> bool:
        """Whether what is said now is likely to be heard."""
        return self._up

    async def open(
        self, heard: Callable[[str, bytes], None], reconnected: Callable[[], Awaitable[None] | None]
    ) -> None:
        """Begin to listen. Returns once that works, or after a moment in which it did not: it goes on being tried."""
        self._heard, self._reconnected = heard, reconnected
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen_for_ever(first), name="bus: listening")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(first, 2 * PATIENCE)

    async def close(self) -> None:
        """Say what is still to be said, then leave."""
        if self._speaking is not None:
            await asyncio.wait([self._speaking], timeout=PATIENCE)
        for task in (self._listening, self._speaking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        self._up = False
        for question in self._questions:
            self._answer_here(question)
        self._questions.clear()
        await self._redis.aclose()

    # speaking

    def say(self, topic: str, payload: bytes) -> None:
        """Say it to all other processes with the next bundle; never waits, never fails."""
        if self._up:
            self._said.append((topic, payload))
            if len(self._said) > WAITING:
                del self._said[: WAITING // 10]
                self._lost(WAITING // 10)
            self._speak()

    async def allow(self, name: str, limit: int, seconds: float, cost: int = 1) -> float:
        """Count ``cost`` against ``limit`` per ``seconds``, over all processes; 0.0, or the seconds to wait."""
        return await self.allow_all((Limit(name, limit, seconds),), cost)

    async def allow_all(self, limits: Sequence[Limit], cost: int = 1) -> float:
        """Count ``cost`` against all of these if it fits each, over all processes; 0.0, or the seconds to wait."""
        if not self._up:
            return self._local.allow_all(limits, cost)
        question = _Question(limits, cost, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        self._speak()
        return await question.answer

    def _speak(self) -> None:
        if self._speaking is None:
            self._speaking = asyncio.get_running_loop().create_task(self._speak_out(), name="bus: speaking")

    async def _speak_out(self) -> None:
        """Send bundle after bundle until nothing is left; what gathers meanwhile is the next one."""
        try:
            while self._said or self._questions or self._tick:
                said, questions, tick = self._said, self._questions, self._tick
                self._said, self._questions, self._tick = [], [], False
                try:
                    await self._send(said, questions, tick)
                except LOST as error:
                    self._lost(len(said) + len(self._said))
                    self._fail(error)
                finally:
                    for question in questions:
                        self._answer_here(question)
        finally:
            self._speaking = None

    async def _send(self, said: list[tuple[str, bytes]], questions: list[_Question], tick: bool) -> None:
        async with asyncio.timeout(PATIENCE):
            if questions and not self._script:
                self._script = await self._redis.script_load(ALLOW)
            async with self._redis.pipeline(transaction=False) as pipe:
                for bundle in _bundles(said):
                    pipe.publish(self._channel, _pack(_Bundle(self._origin, False, bundle)))
                if tick:
                    pipe.publish(self._channel, _pack(_Bundle(self._origin, True, [])))
                for question in questions:
                    pipe.evalsha(self._script, len(question.limits), *self._asked(question))
                answers = await pipe.execute(raise_on_error=False)
        for question, answer in zip(questions, answers[len(answers) - len(questions) :], strict=True):
            self._answer(question, answer)

    def _asked(self, question: _Question) -> list[Any]:
        said: list[Any] = [self._prefix + limit.name for limit in question.limits]
        said.append(question.cost)
        for limit in question.limits:
            said += [limit.count, limit.seconds, -1 if limit.burst is None else limit.burst]
        return said

    def _answer(self, question: _Question, answer: object) -> None:
        if isinstance(answer, NoScriptError):  # Redis was emptied or replaced
            self._script = ""
        elif isinstance(answer, bytes | str) and not question.answer.done():
            question.answer.set_result(max(0.0, float(answer)))

    def _answer_here(self, question: _Question) -> None:
        """Whoever still waits is served from this process: never an open door, never a closed one."""
        if not question.answer.done():
            question.answer.set_result(self._local.allow_all(question.limits, question.cost))

    def _fail(self, error: Exception) -> None:
        """What was under way is lost. The next sign of life that comes back tells that Redis is there again."""
        if self._up:
            log.warning("the bus does not answer", extra={"error": type(error).__name__})
        self._up = False
        self._said.clear()

    # listening

    async def _listen_for_ever(self, first: "asyncio.Future[None]") -> None:
        wait = FIRST_RETRY
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    async with asyncio.timeout(PATIENCE):
                        await pubsub.subscribe(self._channel)
                    await self._listen(pubsub, first)
            except LOST as error:
                if self._up:
                    log.warning("the bus was lost", extra={"error": type(error).__name__})
                    wait = FIRST_RETRY
            self._up = False
            await asyncio.sleep(wait * (0.5 + random.random() / 2))
            wait = min(LONGEST_RETRY, wait * 2)

    async def _listen(self, pubsub: PubSub, first: "asyncio.Future[None]") -> None:
        """Hand on what others say, until we no longer hear ourselves.

        Raises:
            OSError, RedisError, TimeoutError: the connection is lost.
        """
        time = asyncio.get_running_loop().time
        heard_myself = next_tick = time()
        while True:
            now = time()
            if now >= next_tick:
                next_tick = now + TICK
                self._tick = True
                self._speak()
            if now - heard_myself > DEAF:
                raise TimeoutError
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=next_tick - now)
            if message is None:
                continue
            bundle = _bundle(message["data"])
            if bundle is None:
                continue
            if bundle.origin != self._origin:
                self._hand_on(bundle)
            elif bundle.tick:
                heard_myself = time()
                await self._is_up(first)

    async def _is_up(self, first: "asyncio.Future[None]") -> None:
        if self._up:
            return
        self._up = True
        if not self._was_up:
            self._was_up = True
        else:
            log.info("the bus is back")
            reading = self._reconnected()
            if reading is not None:
                await reading
        if not first.done():
            first.set_result(None)

    def _hand_on(self, bundle: "_Bundle") -> None:
        for topic, payload in bundle.said:
            try:
                self._heard(topic, payload)
            except Exception:  # one message that cannot be used must not make us deaf
                log.exception("what another process said could not be used", extra={"topic": topic})


def _bundle(data: bytes) -> _Bundle | None:
    """Return what was said, or ``None`` when it is not of our making."""
    try:
        return _unpack(data)
    except msgspec.DecodeError:
        return None


def _bundles(said: list[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """Return what is to be said as bundles of bounded size."""
    bundles: list[list[tuple[str, bytes]]] = []
    size = BUNDLE
    for topic, payload in said:
        if size + len(payload) > BUNDLE:
            bundles.append([])
            size = 0
        bundles[-1].append((topic, payload))
        size += len(payload)
    return bundles
