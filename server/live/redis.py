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
from server.live.limits import LocalHolds, LocalLimits

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

HOLD = """
local sum = tonumber(ARGV[3])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if field ~= ARGV[2] then
    if redis.call('EXISTS', ARGV[1] .. field) == 0 then redis.call('HDEL', KEYS[1], field)
    else sum = sum + tonumber(redis.call('HGET', KEYS[1], field)) end
  end
end
if sum > tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""
"""Whether so many fit beside what other processes hold; the counts of those that are dead are dropped.

One hash per name: how many each process holds. That a process is alive is one key for all that it holds, renewed with
every sign of life, so that ten thousand idle sockets cost nothing.
"""

ALIVE = 10.0  # seconds after its last sign of life for which a process keeps what it holds
KEPT = 86_400  # seconds: a name nobody has asked about for a day is forgotten, should all who held it have died
COUNTS = 1_000  # counts written in one go, when all have to be written anew

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


class _Hold(NamedTuple):
    name: str
    mine: int  # in this process, with this one
    limit: int
    answer: "asyncio.Future[bool]"


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
        self._held_prefix, self._alive_prefix = f"{namespace}:held:", f"{namespace}:alive:"
        self._holds = LocalHolds()
        self._holder = uuid.uuid4().hex  # who holds them; another one after each cut, so that no old count stays
        self._hold_script = ""
        self._asked_holds: list[_Hold] = []
        self._counts: dict[str, None] = {}  # names whose count has to be written again, in order
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
        for hold in self._asked_holds:
            _answer_hold(hold, fits=True)
        self._asked_holds.clear()
        with contextlib.suppress(OSError, RedisError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._redis.delete(self._alive_prefix + self._holder)
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

    async def hold(self, name: str, limit: int) -> bool:
        """Hold one more of ``name`` until ``let_go``, unless ``limit`` are held already, over all processes."""
        if not self._holds.hold(name, limit):
            return False
        if not self._up:
            return True
        asked = _Hold(name, self._holds[name], limit, asyncio.get_running_loop().create_future())
        self._asked_holds.append(asked)
        self._speak()
        try:
            fits = await asked.answer
        except asyncio.CancelledError:
            self.let_go(name)
            raise
        if not fits:
            self.let_go(name)
        return fits

    def let_go(self, name: str) -> None:
        """Hold one less of ``name``; others learn of it with the next bundle."""
        self._holds.let_go(name)
        if self._up:
            self._counts[name] = None
            self._speak()

    def _speak(self) -> None:
        if self._speaking is None:
            self._speaking = asyncio.get_running_loop().create_task(self._speak_out(), name="bus: speaking")

    async def _speak_out(self) -> None:
        """Send bundle after bundle until nothing is left; what gathers meanwhile is the next one."""
        try:
            while self._said or self._questions or self._tick or self._asked_holds or self._counts:
                said, questions, tick = self._said, self._questions, self._tick
                self._said, self._questions, self._tick = [], [], False
                holds, self._asked_holds = self._asked_holds, []
                try:
                    await self._send(said, questions, tick, holds)
                except LOST as error:
                    self._lost(len(said) + len(self._said))
                    self._fail(error)
                finally:
                    for question in questions:
                        self._answer_here(question)
                    for hold in holds:
                        _answer_hold(hold, fits=True)  # it fits here, and nobody else can be asked
        finally:
            self._speaking = None

    async def _send(
        self, said: list[tuple[str, bytes]], questions: list[_Question], tick: bool, holds: list[_Hold]
    ) -> None:
        async with asyncio.timeout(PATIENCE):
            if holds and not self._hold_script:
                self._hold_script = await self._redis.script_load(HOLD)
            if questions and not self._script:
                self._script = await self._redis.script_load(ALLOW)
            async with self._redis.pipeline(transaction=False) as pipe:
                for bundle in _bundles(said):
                    pipe.publish(self._channel, _pack(_Bundle(self._origin, False, bundle)))
                if tick:
                    pipe.set(self._alive_prefix + self._holder, 1, px=int(ALIVE * 1000))
                    pipe.publish(self._channel, _pack(_Bundle(self._origin, True, [])))
                before = len(pipe)
                for question in questions:
                    pipe.evalsha(self._script, len(question.limits), *self._asked(question))
                for hold in holds:
                    key, me = self._held_prefix + hold.name, self._holder
                    pipe.evalsha(self._hold_script, 1, key, self._alive_prefix, me, hold.mine, hold.limit, KEPT)
                self._write_counts(pipe)  # last: what is true now goes before what was asked a moment ago
                answers = (await pipe.execute(raise_on_error=False))[before:]
        for question, answer in zip(questions, answers, strict=False):
            self._answer(question, answer)
        for hold, answer in zip(holds, answers[len(questions) :], strict=False):
            if isinstance(answer, NoScriptError):
                self._hold_script = ""
            elif isinstance(answer, int):
                _answer_hold(hold, fits=bool(answer))

    def _write_counts(self, pipe: Any) -> None:
        """Write how many of each of these this process holds, as of now."""
        for name in list(self._counts)[:COUNTS]:
            del self._counts[name]
            key, count = self._held_prefix + name, self._holds[name]
            if count:
                pipe.hset(key, self._holder, count)
                pipe.expire(key, KEPT)
            else:
                pipe.hdel(key, self._holder)

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
        self._counts.clear()

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
                if now - next_tick > ALIVE - 2 * TICK:  # we slept for so long that others may think us dead
                    self._hold_anew()
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
        self._hold_anew()
        if not self._was_up:
            self._was_up = True
        else:
            log.info("the bus is back")
            reading = self._reconnected()
            if reading is not None:
                await reading
        if not first.done():
            first.set_result(None)

    def _hold_anew(self) -> None:
        """Tell Redis, which may have lost everything or kept what is no longer true, what is held here."""
        self._holder = uuid.uuid4().hex
        self._counts = dict.fromkeys(self._holds.names())
        self._tick = True  # the new holder is alive
        self._speak()

    def _hand_on(self, bundle: "_Bundle") -> None:
        for topic, payload in bundle.said:
            try:
                self._heard(topic, payload)
            except Exception:  # one message that cannot be used must not make us deaf
                log.exception("what another process said could not be used", extra={"topic": topic})


def _answer_hold(hold: _Hold, *, fits: bool) -> None:
    if not hold.answer.done():
        hold.answer.set_result(fits)


def _bundle(data: bytes) -> _Bundle | None:
    """Return what was said, or ``None`` when it is not of our making."""
    try:
        return _unpack(data)
    except msgspec.DecodeError:
        return None


def _bundles(said: list[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """Return what is to be said as bundles of bounded size."""
    bundles: list[list[tuple[str, bytes]]] = []
    size = 0
    for topic, payload in said:
        if not bundles or size + len(payload) > BUNDLE:  # a bell may say nothing but its topic
            bundles.append([])
            size = 0
        bundles[-1].append((topic, payload))
        size += len(payload)
    return bundles
