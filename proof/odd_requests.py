"""Requests that no client of ours would send, byte by byte, and what each may be answered with.

A row of statuses is what is right; ``FINE`` is anything but a mistake of ours, where more than one reading of the
standard is sound. Everything that could be mistaken for what a person said carries the canary, so that it can be looked
for in the log afterwards.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

CANARY = "Xylophon7"
WORD = CANARY.encode()
DEEP = 200_000
FINE = frozenset(range(200, 500))
REFUSED = frozenset(range(400, 500))
BAD, LARGE, TYPE = frozenset({400}), frozenset({413}), frozenset({415})


@dataclass(frozen=True, slots=True)
class Odd:
    """One thing that is sent, and how it may end."""

    group: str
    name: str
    sent: bytes
    statuses: frozenset[int] = REFUSED
    slow: bool = False
    """What is missing of it is waited for, so that the answer takes the server's whole patience."""
    silent: bool = False
    """Hanging up without a word is right, too."""


def request(
    line: bytes, *headers: bytes, body: bytes = b"", host: bytes = b"Host: x\r\n", length: bool | None = None
) -> bytes:
    """A request whose connection ends with its answer; with a length where it has a body, unless told otherwise."""
    said = [*headers, b"Connection: close"]
    if bool(body) if length is None else length:
        said.append(b"Content-Length: %d" % len(body))
    return line + b" HTTP/1.1\r\n" + host + b"".join(each + b"\r\n" for each in said) + b"\r\n" + body


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are sent to, and with which rights."""

    origin: bytes
    session: bytes
    """Header lines of an admin's session."""
    bearer: bytes
    thread: bytes

    @property
    def json(self) -> tuple[bytes, ...]:
        return (b"Origin: " + self.origin, b"Content-Type: application/json", *self.session.split(b"\r\n"))

    def bodies_go_to(self) -> dict[bytes, bytes]:
        """Every operation with a body, and a body that it takes."""
        account = b'{"login":"%s","name":"%s","role":"admin","password":"a quiet river"}' % (WORD, WORD)
        return {
            b"POST /api/visits": b'{"site":"demo","language":"%s"}' % WORD,
            b"POST /api/staff/session": b'{"login":"%s","password":"%s"}' % (WORD, WORD),
            b"POST /api/staff/session/link": b'{"token":"%s"}' % WORD,
            b"PUT /api/threads/" + self.thread + b"/draft": b'{"text":"%s"}' % WORD,
            b"PUT /api/replies/odd": b'{"title":"%s","texts":{"en":"%s"}}' % (WORD, WORD),
            b"POST /api/staff": account,
            b"PATCH /api/staff/demo-reception": b'{"name":"%s"}' % WORD,
        }


def everything(at: Place) -> Iterator[Odd]:
    """All of it."""
    yield from _bodies(at)
    yield from _lengths(at)
    yield from _types(at)
    yield from _hosts(at)
    yield from _paths(at)
    yield from _queries(at)
    yield from _headers(at)
    yield from _two_in_one(at)
    yield from _methods(at)
    yield from _not_http()


# bodies ---------------------------------------------------------------------------------------------------------------


def _bodies(at: Place) -> Iterator[Odd]:
    for line, right in at.bodies_go_to().items():
        for name, body in _broken(right).items():
            yield Odd("JSON that parsers disagree about", name, request(line, *at.json, body=body), BAD)


def _broken(right: bytes) -> dict[str, bytes]:
    """Ways in which what a route takes can be wrong."""
    field = next(iter(json.loads(right))).encode()
    rest = right[:-1]
    return {
        "lists 200,000 deep": b"[" * DEEP + b"]" * DEEP,
        "objects 200,000 deep": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "17 deep": b'{"%s":' % field + b"[" * 17 + b"]" * 17 + b"}",
        "a name twice": rest + b"," + right[1:],
        "a name twice, once escaped": rest + b',"\\u%04x%s":"x"}' % (field[0], field[1:]),
        "an unknown name": rest + b',"%s":1}' % WORD,
        "__proto__": rest + b',"__proto__":{"admin":true}}',
        "an operator": b'{"%s":{"$ne":null}}' % field,
        "$where": b'{"$where":"%s","%s":"x"}' % (WORD, field),
        "NUL": b'{"%s":"%s\\u0000"}' % (field, WORD),
        "half a character": b'{"%s":"%s\\ud800"}' % (field, WORD),
        "a raw half character": b'{"%s":"%s\xed\xa0\x80"}' % (field, WORD),
        "no UTF-8": b'{"%s":"%s\xff"}' % (field, WORD),
        "UTF-16": right.decode().encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + right,
        "2^63": b'{"%s":9223372036854775808}' % field,
        "1e400": b'{"%s":1e400}' % field,
        "NaN": b'{"%s":NaN}' % field,
        "6,000 digits": b'{"%s":' % field + b"9" * 6_000 + b"}",
        "a number": b'{"%s":1}' % field,
        "something after it": right + b"{}",
        "a comment": b"/* %s */" % WORD + right,
        "a text": b'"%s"' % WORD,
        "a list of it": b"[" + right + b"]",
        "null": b"null",
        "half of it": right[: len(right) // 2],
        "no JSON": WORD,
    }


def _lengths(at: Place) -> Iterator[Odd]:
    group, line, long = "Bodies of 20 MB, and lengths that lie", b"POST /api/visits", b'{"site":"' + WORD * 2_200_000
    right = next(iter(at.bodies_go_to().values()))

    def odd(name: str, *headers: bytes, body: bytes, statuses: frozenset[int] = BAD, slow: bool = False) -> Odd:
        return Odd(group, name, request(line, *at.json, *headers, body=body, length=False), statuses, slow)

    def chunk(data: bytes, size: bytes = b"") -> bytes:
        return (size or b"%x" % len(data)) + b"\r\n" + data + b"\r\n"

    chunked = b"Transfer-Encoding: chunked"
    yield Odd(group, "20 MB", request(line, *at.json, body=long), LARGE)
    yield odd(
        "20 MB in chunks",
        chunked,
        body=chunk(long[:9_000_000]) + chunk(long[9_000_000:]) + b"0\r\n\r\n",
        statuses=LARGE,
    )
    yield odd("20 MB that say they are 40", b"Content-Length: 40000000", body=long, statuses=LARGE, slow=True)
    yield odd("20 MB that say they are 10", b"Content-Length: 10", body=long)
    yield Odd(group, "70 KB", request(line, *at.json, body=b'{"site":"' + WORD * 8_000 + b'"}'), LARGE)
    yield odd(
        "half of what is announced", b"Content-Length: 100", body=right[:10], statuses=frozenset({408}), slow=True
    )
    yield odd("a chunk without an end", chunked, body=b"ff\r\n" + right, statuses=frozenset({408}), slow=True)
    for name, length in {
        "a negative length": b"-5",
        "a length with a sign": b"+5",
        "a length in hex": b"0x10",
        "a length of 40 digits": b"9" * 40,
        "a length with a space in it": b"1 0",
        "no length at all": b"",
        "a length in other digits": "٣".encode(),
    }.items():
        yield odd(name, b"Content-Length: " + length, body=right, statuses=BAD | LARGE)
    for name, body in {
        "a chunk size that is none": chunk(right, b"zz"),
        "a negative chunk size": chunk(right, b"-5"),
        "a chunk size of 40 digits": chunk(right, b"f" * 40),
        "a chunk that is longer than it says": chunk(right, b"2"),
    }.items():
        yield odd(name, chunked, body=body + b"0\r\n\r\n", statuses=BAD)
    extended = chunk(right, b"%x;" % len(right) + WORD * 4_500)
    yield odd("an extension of 40 KB", chunked, body=extended + b"0\r\n\r\n", statuses=FINE)
    yield odd("a trailer", chunked, body=chunk(right) + b"0\r\nX-Trailer: %s\r\n\r\n" % WORD, statuses=FINE)


def _types(at: Place) -> Iterator[Odd]:
    group = "Bodies of another type where JSON is wanted"
    for line, right in at.bodies_go_to().items():
        for kind in (b"text/plain", b"multipart/form-data; boundary=" + WORD, b"application/x-www-form-urlencoded"):
            body = b'--%s\r\nContent-Disposition: form-data; name="site"\r\n\r\ndemo\r\n--%s--\r\n' % (WORD, WORD)
            headers = (b"Origin: " + at.origin, b"Content-Type: " + kind, *at.session.split(b"\r\n"))
            yield Odd(group, kind.decode(), request(line, *headers, body=body if b"multi" in kind else right), TYPE)
        for name, kind in {
            "none": b"",
            "a very long one": b"application/" + WORD * 3_000,
            "a list": b"a/b, c/d",
        }.items():
            headers = (b"Origin: " + at.origin, b"Content-Type: " + kind, *at.session.split(b"\r\n"))
            yield Odd(group, name, request(line, *headers, body=right), TYPE | BAD)
        packed = request(line, *at.json, b"Content-Encoding: gzip", body=gzip.compress(right))
        yield Odd(group, "gzip", packed, BAD | TYPE)
    form = (
        b"--x\r\nContent-Disposition: form-data; name=login; filename=../%s\r\n\r\n" % WORD
        + b"a" * 10_000
        + b"\r\n--x--\r\n"
    )
    for path in (b"/console/sign-in", b"/console/enter", b"/console/replies"):
        for kind, body in {b"multipart/form-data; boundary=x": form, b"application/json": b"[" * DEEP}.items():
            headers = (b"Origin: " + at.origin, b"Content-Type: " + kind, *at.session.split(b"\r\n"))
            yield Odd(group, f"{path.decode()} as {kind.decode()}", request(b"POST " + path, *headers, body=body), TYPE)


# where it goes --------------------------------------------------------------------------------------------------------


def _hosts(at: Place) -> Iterator[Odd]:
    group, line = "What a request calls us", b"GET /demo"
    for name, host, statuses in (
        ("nothing", b"", BAD),
        ("two names", b"Host: x\r\nHost: %s\r\n" % WORD, BAD),
        ("an empty name", b"Host: \r\n", FINE),
        ("half an address", b"Host: [::1\r\n", FINE),
        ("a port too large", b"Host: a:99999999\r\n", FINE),
        ("a path", b"Host: %s/x?y\r\n" % WORD, FINE),
        ("markup", b"Host: <script>%s\r\n" % WORD, FINE),
        ("no ASCII", b"Host: \xff\xfe\r\n", FINE),
        ("a line break", b"Host: x\rX-Injected: %s\r\n" % WORD, FINE),
    ):
        yield Odd(group, name, request(line, host=host), statuses)
    yield Odd(group, "an absolute address", request(b"GET http://%s/demo" % WORD), FINE)
    yield Odd(group, "an absolute address that is none", request(b"GET http://[%s/demo" % WORD), FINE)
    yield Odd(group, "HTTP/1.0 without a name", b"GET /demo HTTP/1.0\r\n\r\n", FINE)
    for header in (b"X-Forwarded-Host", b"X-Original-URL", b"X-Rewrite-URL", b"X-Forwarded-Prefix"):
        yield Odd(group, header.decode(), request(line, header + b": /%s" % WORD), frozenset({200}))


def _paths(at: Place) -> Iterator[Odd]:
    group = "Paths that lead elsewhere or break lines"
    tricks = (
        b"../../server/app.py",
        b"..%2f..%2fserver%2fapp.py",
        b"%2e%2e/%2e%2e/server/app.py",
        b"..\\..\\server\\app.py",
        b"....//....//server/app.py",
        b"%252e%252e/app.py",
        b"..;/app.py",
        b"%c0%ae%c0%ae/app.py",
        b"//etc/passwd",
        b"/etc/passwd",
        b"%00",
        b"demo.css%00.js",
        b"%ff%fe",
        b"\xff\xfe",
        b"%",
        b"%zz",
        b"%ud800",
        b"%0d%0aX-Injected:%201",
        b"demo.css/",
        b"./demo.css%20",
        b"CON",
        b"~root",
        b"demo.css:$DATA",
        WORD,
        WORD * 800,
    )
    for folder in (
        b"/static/",
        b"/widget/v1/",
        b"/widget/",
        b"/api/",
        b"/console/",
        b"/console/mine/",
        b"/demo/",
        b"/",
    ):
        for trick in tricks:
            statuses = FINE if folder.startswith((b"/console", b"/demo")) else REFUSED
            yield Odd(group, (folder + trick)[:60].decode("latin-1"), request(b"GET " + folder + trick), statuses)
            yield Odd(group, "likewise, signed in", request(b"GET " + folder + trick, *at.session.split(b"\r\n")), FINE)
    for method, before, after in (
        (b"GET", b"/api/threads/", b""),
        (b"GET", b"/api/threads/", b"/events"),
        (b"GET", b"/api/threads/", b"/draft"),
        (b"DELETE", b"/api/replies/", b""),
        (b"DELETE", b"/api/staff/", b"/sessions"),
    ):
        for trick in tricks:
            line = method + b" " + before + trick + after
            yield Odd(group, line[:60].decode("latin-1"), request(line, *at.session.split(b"\r\n")), FINE)
    for target in (
        b"*",
        b"",
        b"demo",
        b"?",
        b"#" + WORD,
        b"//",
        b"///demo",
        b"/demo#" + WORD,
        b"/" * 20_000,
        b"/\tdemo",
        b"/ demo",
    ):
        yield Odd(group, f"the target {target[:20]!r}", request(b"GET " + target), FINE)
    yield Odd(group, "a target of 40 KB", request(b"GET /" + WORD * 4_500))
    yield Odd(group, "a file's range", request(b"GET /static/demo.css", b"Range: bytes=0-1"), FINE)
    for span in (
        b"bytes=" + b"0-," * 4_000,
        b"bytes=5-1",
        b"bytes=-0",
        b"bytes=9999999999999999999-",
        WORD,
        b"bytes=\xff",
    ):
        for path in (b"/static/demo.css", b"/widget/v1/onethread.js", b"/demo", b"/api/openapi.json"):
            line = b"GET " + path
            yield Odd(group, f"a range {span[:20]!r}", request(line, b"Range: " + span, b"If-Range: %s" % WORD), FINE)


def _queries(at: Place) -> Iterator[Odd]:
    group = "Queries"
    values = (
        b"",
        b"%00",
        b"%ff",
        b"\xff",
        b"9223372036854775808",
        b"-1",
        b"1e400",
        b"NaN",
        b"%D9%A3",
        b"0x10",
        b"1&{n}=2",
        b"{%22$ne%22:null}",
        b"[]",
        b"true",
        WORD,
        WORD * 2_000,
        b"%0d%0aX-Injected:%201",
        b"1;2",
        b"%ED%A0%80",
        b"&" * 5_000,
        b"=" * 5_000,
    )
    for path, names in (
        (b"/api/threads/" + at.thread + b"/events", (b"after", b"before", b"limit", b"limit[$ne]")),
        (b"/api/inbox", (b"after", b"view")),
        (b"/api/search", (b"q", WORD)),
        (b"/console/mine", (b"q", b"rows", b"before")),
        (b"/console/parts/" + at.thread + b"/news", (b"after", b"at", b"date")),
        (b"/console/sign-in", (b"next", b"error", b"lang")),
        (b"/demo", (b"lang", b"language")),
    ):
        for name in names:
            for value in values:
                line = b"GET " + path + b"?" + name + b"=" + value.replace(b"{n}", name)
                yield Odd(group, line[:60].decode("latin-1"), request(line, *at.session.split(b"\r\n")), FINE)
    for name, value in ((b"after", b"9223372036854775808"), (b"limit", b"1e400"), (b"before", b"-1")):
        line = b"GET /api/threads/" + at.thread + b"/events?" + name + b"=" + value
        yield Odd(group, f"{name.decode()} out of bounds", request(line, *at.session.split(b"\r\n")), BAD)


# headers --------------------------------------------------------------------------------------------------------------


def _headers(at: Place) -> Iterator[Odd]:
    group, line = "Headers", b"GET /api/inbox"
    for name, headers, statuses in (
        ("a value with a lone CR", (b"X: a\rX-Injected: %s" % WORD,), FINE),
        ("a value with a lone LF", (b"X: a\nX-Injected: %s" % WORD,), FINE),
        ("a value with NUL", (b"X: a\0%s" % WORD,), BAD),
        ("a folded value", (b"X: a\r\n %s" % WORD,), FINE),
        ("a name with a space", (b"X %s: a" % WORD,), BAD),
        ("a name with a space before the colon", (b"X : %s" % WORD,), BAD),
        ("no name", (b": " + WORD,), BAD),
        ("no colon", (WORD,), BAD),
        ("a name that is no ASCII", (b"X\xff: " + WORD,), BAD),
        ("one of 40 KB", (b"X: " + WORD * 4_500,), REFUSED),
        ("a thousand", tuple(b"X-%d: %s" % (n, WORD) for n in range(1_000)), FINE),
        ("ten thousand", tuple(b"X-%d: %s" % (n, WORD) for n in range(10_000)), REFUSED),
        ("a cookie of 20 KB", (b"Cookie: onethread=" + WORD * 2_200,), REFUSED),
        ("a thousand cookies", (b"Cookie: " + b"; ".join(b"onethread=%d" % n for n in range(1_000)),), REFUSED),
        ("a cookie that is no ASCII", (b"Cookie: onethread=\xff\xfe" + WORD,), REFUSED),
        ("a method to override", (b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: DELETE"), REFUSED),
        ("an upgrade to HTTP/2", (b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), REFUSED),
        ("an upgrade to something", (b"Upgrade: " + WORD,), REFUSED),
        ("something that is expected", (b"Expect: " + WORD,), FINE),
    ):
        yield Odd(group, name, request(line, *headers), statuses)
    events = b"GET /api/threads/" + at.thread + b"/events"
    for token in (
        b"\xff\xfe",
        b"Bearer \xff\xfe" + WORD,
        b"Bearer",
        b"Bearer ",
        b"Basic %s" % WORD,
        b"Bearer a.b.c",
        b"Bearer " + b"a." * 6_000,
        b"Bearer eyJhbGciOiJub25lIn0.e30.",
        b"Bearer " + WORD * 2_000,
        "Bearer ключ".encode(),
        b"Bearer \0",
        b"",
    ):
        statuses = frozenset({400, 401})
        yield Odd(group, f"Authorization: {token[:20]!r}", request(events, b"Authorization: " + token), statuses)
        yield Odd(group, "likewise, to end it", request(b"DELETE /api/visits", b"Authorization: " + token), statuses)
    for header in (
        b"Accept",
        b"Accept-Language",
        b"Accept-Encoding",
        b"If-None-Match",
        b"If-Modified-Since",
        b"Origin",
        b"Referer",
        b"User-Agent",
        b"Sec-Fetch-Site",
        b"HX-Target",
        b"HX-Current-URL",
        b"X-CSRF-Token",
        b"Forwarded",
        b"X-Forwarded-For",
        b"Via",
        b"X-Forwarded-Proto",
        b"X-Real-IP",
        b"Traceparent",
        b"Max-Forwards",
        b"TE",
        b"Priority",
    ):
        for value in (
            b"\xff\xfe",
            b"",
            b",;=,;=",
            b"en;q=nan, de;q=1e999, sv;q=-1, en;q=",
            WORD * 2_000,
            b'"' * 5_000,
            b"a," * 5_000,
            b"\x1b[31m" + WORD,
            b"http://[" + WORD,
            b'for="[::1%25' + WORD,
            b"${jndi:ldap://%s}" % WORD,
            b"W/" * 5_000,
        ):
            for place in (b"/console", b"/static/demo.css", b"/demo", b"/api/staff/session"):
                odd = request(b"GET " + place, header + b": " + value, *at.session.split(b"\r\n"))
                yield Odd(group, f"{header.decode()}: {value[:20]!r} at {place.decode()}", odd, FINE)


def _two_in_one(at: Place) -> Iterator[Odd]:
    group, line, right = "Two requests in one", b"POST /api/visits HTTP/1.1\r\n", next(iter(at.bodies_go_to().values()))
    second = b"GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % WORD
    common = b"Host: x\r\nContent-Type: application/json\r\n"
    for name, headers, body in (
        ("a length and chunks", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + second),
        ("chunks and a length", b"Transfer-Encoding: chunked\r\nContent-Length: 500\r\n", b"0\r\n\r\n" + second),
        ("two lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n", right + second),
        ("two lengths in one line", b"Content-Length: 5, 6\r\n", right + second),
        ("chunks, twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n" + second),
        ("chunks that are not last", b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n" + second),
        ("chunks by another name", b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + second),
        ("chunks after a tab", b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n" + second),
        ("chunks before a space", b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + second),
        ("chunks on a folded line", b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + second),
        ("a chunk that ends early", b"Transfer-Encoding: chunked\r\n", b"1\r\nZZ\r\n0\r\n\r\n" + second),
        ("a chunk size after a bare LF", b"Transfer-Encoding: chunked\r\n", b"1;\nZ\r\n0\r\n\r\n" + second + b"\r\n"),
    ):
        yield Odd(group, name, line + common + headers + b"\r\n" + body)
    old = line.replace(b"1.1", b"1.0") + common + b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
    yield Odd(group, "chunks in HTTP/1.0", old + b"0\r\n\r\n" + second)
    early = b"POST /api/staff/ticket HTTP/1.1\r\n" + common + b"Transfer-Encoding: chunked\r\n\r\n"
    yield Odd(group, "a chunk that is none, after the answer", early + b"zz\r\n" + second)


def _methods(at: Place) -> Iterator[Odd]:
    group = "Methods, on everything there is"
    paths = (
        b"/",
        b"/demo",
        b"/demo/privacy",
        b"/console",
        b"/console/sign-in",
        b"/console/mine",
        b"/console/replies",
        b"/api/visits",
        b"/api/threads/" + at.thread,
        b"/api/threads/" + at.thread + b"/events",
        b"/api/threads/" + at.thread + b"/draft",
        b"/api/staff",
        b"/api/staff/nobody",
        b"/api/inbox",
        b"/api/inbox/counts",
        b"/api/search",
        b"/api/colleagues",
        b"/api/replies",
        b"/api/replies/odd",
        b"/api/openapi.json",
        b"/api/docs",
        b"/static/demo.css",
        b"/widget/v1/onethread.js",
        b"/health/live",
        b"/health/ready",
        b"/ws/visitor",
        b"/ws/staff",
        b"/nowhere",
    )
    for path in paths:
        for method in (b"HEAD", b"OPTIONS", b"TRACE", b"PATCH", b"PUT", b"PROPFIND", b"get", WORD, WORD * 500):
            for headers in ((), tuple(at.session.split(b"\r\n"))):
                yield Odd(group, f"{method[:12]!r} {path.decode()}", request(method + b" " + path, *headers), FINE)
        preflight = (b"Origin: https://%s.example" % WORD, b"Access-Control-Request-Method: %s" % WORD)
        yield Odd(group, f"a preflight for {path.decode()}", request(b"OPTIONS " + path, *preflight), FINE)
    yield Odd(group, "CONNECT", request(b"CONNECT %s:443" % WORD), FINE)


def _not_http() -> Iterator[Odd]:
    group = "What is no HTTP/1.1"
    for name, sent in {
        "a word": WORD + b"\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/0.9": b"GET /\r\n\r\n",
        "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: x\r\nConnection: close\r\n\r\n",
        "a version that is none": b"GET / HTTP/x\r\nHost: x\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500 + b"\r\n\r\n",
        "NUL": b"\0" * 40_000,
        "lines without an end": b"\r\n" * 20_000,
        "SMTP": b"EHLO %s\r\nMAIL FROM:<%s>\r\n\r\n" % (WORD, WORD),
        "Redis": b"*1\r\n$4\r\nPING\r\n\r\n",
    }.items():
        yield Odd(group, name, sent, FINE, silent=True)
    for path in (b"/ws/visitor", b"/ws/staff", b"/demo", b"/api/visits"):
        for name, headers in {
            "no key": (b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
            "an old version": (b"Upgrade: websocket", b"Sec-WebSocket-Key: %s" % WORD, b"Sec-WebSocket-Version: 8"),
            "a key that is none": (b"Upgrade: websocket", b"Sec-WebSocket-Key: \xff", b"Sec-WebSocket-Version: 13"),
        }.items():
            sent = request(b"GET " + path, *headers).replace(b"Connection: close", b"Connection: Upgrade, close")
            yield Odd(group, f"half a handshake at {path.decode()}, {name}", sent, FINE, silent=True)
