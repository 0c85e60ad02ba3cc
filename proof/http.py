"""Hostile HTTP: requests that a machine thinks of from our own OpenAPI document, and those it cannot think of.

Schemathesis asks every operation as nobody, as a visitor and as each role, with what fits the document and what does
not: nothing may fail on our side, and every answer must be one that the document names, of the type and shape it names.
What it is blind to is sent over raw sockets: bodies that parsers disagree about, lengths that lie, headers and paths
that break lines, two requests in one. Each is answered with a typed problem or a clean refusal, one answer to one
request, and nothing that was sent is found in the log.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from proof.houses import Serve
from proof.odd_requests import CANARY, Odd, Place, everything
from proof.people import Visitor, browser, visit
from proof.plan import Observed, Plan, Scale
from server.core.identity import StaffRole
from server.settings import CHECKOUT, PREFIX

TITLE = "Hostile HTTP"
SETTINGS = {"visits_new_per_minute": 100_000, "visits_new_per_hour": 1_000_000, "visits_known_per_minute": 100_000}
LIFTED = {f"{PREFIX}{name.upper()}": str(value) for name, value in SETTINGS.items()}

PATIENCE = 40.0  # seconds for one answer: a body that does not arrive is waited for half a minute
PROBLEM = "application/problem+json"
Json = dict[str, Any]
Headers = dict[str, str]

# what a machine thinks of ---------------------------------------------------------------------------------------------

ROLES = {"reception": StaffRole.RECEPTION, "clinician": StaffRole.CLINICIAN, "an admin": StaffRole.ADMIN}
UNSAYABLE = {  # rules that the document's language has no words for: right by the document, refused with a sentence
    "GET /api/inbox": "`after` is what an earlier page said",
    "GET /api/threads/{thread}/events": "`after` or `before`, not both",
    "POST /api/staff": "names and logins of visible characters, passwords of ten",
    "PATCH /api/staff/{id}": "likewise",
    "POST /api/threads/{thread}/callback": "a number that can be called, and a time in the next thirty days",
    "POST /api/threads/{thread}/files": "what kind of file it is stands in the file",
    "POST /api/threads/{thread}/messages/{seq}/retry": "the number of a message",
    "POST /api/threads/{thread}/part": "a conversation that was joined with this one",
}
ENDING = (
    "/api/staff/session",
    "/api/staff/sessions",
)  # asked by accounts that are thrown away, since they end sessions
PASSWORD = "a quiet river in may"


@dataclass
class Caller:
    """Somebody who asks: with which headers, about what that exists, and what of theirs may end."""

    name: str
    headers: Headers = field(default_factory=dict)
    ids: dict[str, Headers] = field(default_factory=dict)
    thrown_away: dict[str, list[Headers]] = field(default_factory=dict)


class House:
    """A server with a conversation in it, and colleagues of every role."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self.admin: httpx.AsyncClient
        self.session: Headers
        self.visitor: Visitor

    async def open(self, stack: AsyncExitStack) -> None:
        self.admin = await stack.enter_async_context(browser(self.serve.origin))
        signed_in = await self.admin.post("/api/staff/session/link", json={"token": self.serve.link})
        csrf = self.admin.headers["X-CSRF-Token"] = signed_in.raise_for_status().json()["csrf"]
        self.session = {"Cookie": f"onethread={self.admin.cookies['onethread']}", "X-CSRF-Token": csrf}
        self.visitor = await visit(self.serve.origin)
        screen = await self.visitor.at()
        await screen.say("Good morning", **self.visitor.more)
        await screen.settled()
        await screen.leave()
        reply = {"title": "Hello", "texts": {"en": "Good morning"}}
        (await self.admin.put("/api/replies/hello", json=reply)).raise_for_status()

    async def account(self, login: str, role: StaffRole = StaffRole.RECEPTION) -> str:
        asked = {"login": login, "name": f"Colleague {login}", "role": role.value, "password": PASSWORD}
        answer = await self.admin.post("/api/staff", json=asked)
        return str(answer.raise_for_status().json()["id"])

    async def signed_in(self, login: str, address: str) -> Headers:
        """The headers of a new session of this colleague, begun at ``address``."""
        at_work = httpx.AsyncHTTPTransport(local_address=address)  # tries to sign in are counted by address
        async with httpx.AsyncClient(transport=at_work, base_url=self.serve.origin) as http:
            answer = await http.post("/api/staff/session", json={"login": login, "password": PASSWORD})
            csrf = answer.raise_for_status().json()["csrf"]
            return {"Cookie": f"onethread={http.cookies['onethread']}", "X-CSRF-Token": csrf}

    async def callers(self, sessions: int, roles: Mapping[str, StaffRole]) -> list[Caller]:
        thread, victim = self.visitor.thread, await self.account("victim")
        ids = {"id": victim}
        known = {
            **{f"{method} /api/threads/{{thread}}": {"thread": thread} for method in ("GET",)},
            **{f"{method} /api/threads/{{thread}}/draft": {"thread": thread} for method in ("GET", "PUT")},
            "GET /api/threads/{thread}/events": {"thread": thread},
            "PATCH /api/staff/{id}": ids,
            "DELETE /api/staff/{id}/sessions": ids,
            **{f"{method} /api/replies/{{id}}": {"id": "hello"} for method in ("PUT", "DELETE")},
        }
        leaving = [await visit(self.serve.origin) for _ in range(sessions)]
        own = Caller("a visitor with a pass", self.visitor.bearer, known)
        own.thrown_away["DELETE /api/visits"] = [each.bearer for each in leaving]
        found = [Caller("nobody", ids=known), own]
        for number, (name, role) in enumerate(roles.items()):
            found.append(await self._colleague(name, role, known, sessions, f"127.0.1.{number + 1}"))
        return found

    async def _colleague(
        self, name: str, role: StaffRole, known: dict[str, Headers], sessions: int, address: str
    ) -> Caller:
        login = name.rpartition(" ")[2]
        await self.account(login, role)
        caller = Caller(name, await self.signed_in(login, address), known)
        for ending in ENDING:
            thrown = f"{login}-{ending.rpartition('/')[2]}"
            await self.account(thrown, role)
            caller.thrown_away[f"DELETE {ending}"] = [await self.signed_in(thrown, address) for _ in range(sessions)]
        return caller


async def thought_of(plan: Plan, house: House, caller: Caller, examples: int) -> Observed:
    """Let schemathesis ask every operation as this caller; say what it found."""
    folder = plan.folder / caller.name.replace(" ", "-")
    folder.mkdir()
    (folder / "who.json").write_text(
        json.dumps({"ids": caller.ids, "thrown_away": caller.thrown_away, "headers": caller.headers})
    )
    (folder / "schemathesis.toml").write_text(_configuration())
    seed = plan.dice(f"http {caller.name}").getrandbits(32)
    told = await _run(folder, house.serve.origin, caller, examples, seed)
    report = json.loads((folder / "report.json").read_text()) if (folder / "report.json").exists() else {}
    asked, operations = report.get("test_cases", {}).get("generated", 0), report.get("operations", {})
    wrong = [f"{each['title']}: {', '.join(each['operations'])}" for each in report.get("failures", [])]
    wrong += [str(each.get("title", "an error")) for each in report.get("errors", [])]
    wrong += [] if report.get("complete") else ["it did not finish"]
    if wrong:
        plan.say(told[-6000:])
    seen = "every answer is one that the document names" if not wrong else "; ".join(wrong)
    return Observed(
        f"Requests thought of from the OpenAPI document, as {caller.name}",
        f"{asked} requests to {operations.get('tested', 0)} operations",
        f"no 5xx, {seen}" if not wrong else seen,
        not wrong and asked > 0,
    )


def _configuration() -> str:
    said = ["[phases.stateful]", "enabled = false"]
    for operation in UNSAYABLE:
        said += ["[[operations]]", f'include-name = "{operation}"', "checks.positive_data_acceptance.enabled = false"]
    return "\n".join(said) + "\n"


async def _run(folder: Path, origin: str, caller: Caller, examples: int, seed: int) -> str:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
    phases = "examples,coverage,fuzzing" if examples > 10 else "fuzzing"
    command += [f"{origin}/api/openapi.json", "--url", origin, "--phases", phases]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none", "--no-color"]
    command += ["--continue-on-failure", "--no-shrink", "--report", "json", "--report-json-path", "report.json"]
    command += ["--generation-allow-x00", "false"]  # the document has no words for it; it is sent below
    if caller.headers:  # then it is not for the machine to think of others, or of none
        command += ["--generation-with-security-parameters", "false", "--exclude-checks", "ignored_auth"]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "SCHEMATHESIS_HOOKS": "proof.http_hooks",
            "ONETHREAD_PROOF_WHO": "who.json",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        return (await process.communicate())[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# what it cannot think of ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: Headers
    body: bytes


def answers_in(came: bytes, *, head: bool) -> list[Answer]:
    """Take apart what came back on one connection; what is left over and is no answer counts as one of status 0."""
    found: list[Answer] = []
    while came:
        top, _, rest = came.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        said = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)
        if said is None:
            return [*found, Answer(0, {}, came)]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if head or said[1] in ("204", "304") else int(headers.get("content-length", len(rest)))
        if not said[1].startswith("1"):
            found.append(Answer(int(said[1]), headers, rest[:length]))
        came = rest[length:]
    return found


async def send(port: int, odd: Odd, patience: float) -> bytes:
    """Send it and return what comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    came = bytearray()

    async def read() -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                came.extend(piece)

    reading = asyncio.create_task(read())
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(odd.sent)
            await writer.drain()
        async with asyncio.timeout(patience):
            await reading
    except TimeoutError:
        came.extend(b"the server did not hang up")
    finally:
        reading.cancel()
        writer.transport.abort()
    return bytes(came)


def wrong_with(odd: Odd, came: bytes) -> str:
    """Say what is wrong with how this was answered; nothing when it is right."""
    answers = answers_in(came, head=odd.sent.startswith(b"HEAD "))
    if not answers:
        return "" if odd.silent else "no answer"
    if len(answers) > 1:
        return f"{len(answers)} answers: {[each.status for each in answers]}"
    [answer] = answers
    if answer.status not in odd.statuses:
        return f"{answer.status}"
    if "x-injected" in answer.headers or CANARY in answer.headers.get("location", "").partition("?")[0]:
        return "a header of the client's own making"
    return _no_problem(answer) if answer.status >= 400 and not odd.sent.startswith(b"HEAD ") else ""


def _no_problem(answer: Answer) -> str:
    """Say what keeps this from being a problem document."""
    if CANARY.encode() in answer.body:
        return "what was sent is repeated"
    if answer.headers.get("content-type") != PROBLEM:
        return f"{answer.status} as {answer.headers.get('content-type')}"
    said = json.loads(answer.body)
    fits = said["status"] == answer.status and said["type"].startswith("urn:") and said["code"] and said["title"]
    return "" if fits else "a problem that does not say what it is"


async def not_thought_of(plan: Plan, house: House, share: float, patience: float) -> AsyncIterator[Observed]:
    """Send everything odd, or a share of it; a line for each group."""
    headers = "\r\n".join(f"{name}: {value}" for name, value in house.session.items())
    at = Place(
        house.serve.origin.encode(),
        headers.encode(),
        house.visitor.bearer["Authorization"].encode(),
        house.visitor.thread.encode(),
    )
    dice, groups = plan.dice("odd requests"), dict[str, list[Odd]]()
    for odd in everything(at):
        if dice.random() < share and (share == 1 or not odd.slow):
            groups.setdefault(odd.group, []).append(odd)
    slots = asyncio.Semaphore(12)

    async def tried(odd: Odd) -> str:
        async with slots:
            return wrong_with(odd, await send(house.serve.port, odd, patience))

    for group, odds in groups.items():
        found = await asyncio.gather(*(tried(odd) for odd in odds))
        wrong = [f"{odd.name}: {each}" for odd, each in zip(odds, found, strict=True) if each]
        for each in wrong:
            plan.say(f"{group}: {each}")
        seen = "each one answer, none of ours to blame: a typed problem or what the address holds"
        yield Observed(group, f"{len(odds)} requests", _first(wrong) if wrong else seen, not wrong)


def _first(wrong: list[str]) -> str:
    return f"{len(wrong)} answered wrongly, such as {'; '.join(wrong[:3])}"


# who is asking --------------------------------------------------------------------------------------------------------

A_MINUTE = 5  # new visitors from one address, where that is what is tried
PROXY, ELSEWHERE = "127.0.0.9", "127.0.0.7"  # both this machine; the first is what the setting names
GARBAGE = (
    "",
    "x",
    "1.2.3.4,x",
    "203.0.113.1:80",
    "::1%eth0",
    "a" * 4_000,
    "\xff",
    '"',
    "for=1.2.3.4",
    "0x7f.1",
    "1.2.3.4;5",
)


async def whose_address(plan: Plan) -> Observed:
    """Ask through a proxy and past it: only the configured one's last word counts, and nonsense is one client."""
    data = plan.folder / "behind"
    shutil.copytree(CHECKOUT / "knowledge_base" / "content", data)
    settings = {"proxy": PROXY, "demo": False, "visits_new_per_minute": A_MINUTE}
    with Serve(plan.folder / "behind-proxy", data, **settings) as serve:
        past = await _visits(serve, ELSEWHERE, [f"198.51.100.{n}" for n in range(4 * A_MINUTE)])
        each = await _visits(serve, PROXY, [f"6.6.6.6, 203.0.113.{n}" for n in range(4 * A_MINUTE)])
        same = await _visits(serve, PROXY, [f"192.0.2.{n}, 203.0.113.99" for n in range(4 * A_MINUTE)])
        odd = await _visits(serve, PROXY, [*GARBAGE, *GARBAGE])
        log = _log_is_clean(serve)
    right = (past, each, same, odd) == (
        {200: A_MINUTE, 429: 3 * A_MINUTE},
        {200: 4 * A_MINUTE},
        {200: A_MINUTE, 429: 3 * A_MINUTE},
        {200: A_MINUTE, 429: 2 * len(GARBAGE) - A_MINUTE},
    )
    seen = f"let in: past the proxy {past[200]}, by it {each[200]}, as one address {same[200]}, as nonsense {odd[200]}"
    return Observed(
        f"Forwarded addresses, {A_MINUTE} visits a minute for each: forged past the proxy, told by it, nonsense",
        f"{sum(map(Counter.total, (past, each, same, odd)))} visits",
        seen + log,
        right and not log,
    )


async def _visits(serve: Serve, peer: str, said: Iterable[str]) -> Counter[int]:
    """Come from ``peer`` with each of these as `X-Forwarded-For`; return how often what was answered."""
    found: Counter[int] = Counter()
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address=peer)) as http:
        for each in said:
            headers = [(b"Origin", serve.origin.encode()), (b"Forwarded", b"for=_x;by=\xff")]
            headers.append((b"X-Forwarded-For", each.encode("latin-1")))
            answer = await http.post(f"{serve.origin}/api/visits", json={"site": "demo"}, headers=headers)
            found[answer.status_code] += 1
    return found


# all of it ------------------------------------------------------------------------------------------------------------


def _log_is_clean(serve: Serve) -> str:
    """Say what is in the log that should not be; nothing when it is as it should be."""
    found = [each for each in ("Traceback", CANARY, '"level": "error"', '"level": "critical"') if each in serve.said]
    return f"; in the log: {', '.join(found)}" if found else ""


async def afterwards(house: House) -> Observed:
    """Look at the log and come in once more."""
    wrong = _log_is_clean(house.serve)
    again = await visit(house.serve.origin)
    screen = await again.at()
    await screen.say("Is anybody there?", **again.more)
    await screen.settled()
    await screen.leave()
    lines = house.serve.said.count("\n")
    seen = "no traceback, no error, no word of what was sent; the next visitor was let in and heard"
    return Observed("The server afterwards, and its log", f"{lines} lines", wrong.lstrip("; ") or seen, not wrong)


async def prove(plan: Plan) -> AsyncIterator[Observed]:
    """Ask at random, ask oddly, and look at the log."""
    examples = plan.of(3, 100, 3_000)
    with Serve(plan.folder / "serve", plan.folder / "data", **SETTINGS) as serve:
        async with AsyncExitStack() as stack:
            house = House(serve)
            await house.open(stack)
            short = plan.scale is Scale.SHORT
            callers = await house.callers(plan.of(1, 5, 8), {"an admin": StaffRole.ADMIN} if short else ROLES)
            for caller in callers[-1:] if short else callers:  # starting to think takes seconds, each time
                yield await thought_of(plan, house, caller, examples)
            async for line in not_thought_of(plan, house, plan.of(0.1, 1.0, 1.0), PATIENCE):
                yield line
            yield await afterwards(house)
    yield await whose_address(plan)
