"""The short form of the hostile HTTP: a few requests thought of by a machine, and a share of the odd ones."""

from pathlib import Path

import pytest

from proof import http
from proof.http import answers_in, wrong_with
from proof.odd_requests import Odd
from proof.plan import Plan, Scale

PROBLEM = b'{"type":"urn:onethread:problem:bad_request","title":"Bad Request","status":400,"code":"bad_request"}'


def answer(status: int, body: bytes, kind: bytes = b"application/problem+json") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(body)) + body


async def test_whatever_is_asked_gets_an_answer_that_the_document_names(tmp_path: Path) -> None:
    async for line in http.prove(Plan(Scale.SHORT, 7, tmp_path)):
        assert line.passed, line


def test_answers_are_told_apart() -> None:
    came = answer(400, PROBLEM) + answer(404, b"{}")

    assert [(each.status, each.body) for each in answers_in(came, head=False)] == [(400, PROBLEM), (404, b"{}")]


@pytest.mark.parametrize(
    ("came", "wrong"),
    [
        (answer(400, PROBLEM), ""),
        (answer(500, PROBLEM), "500"),
        (b"", "no answer"),
        (answer(400, PROBLEM) * 2, "2 answers: [400, 400]"),
        (answer(400, b"no", b"text/plain"), "400 as text/plain"),
        (answer(400, b"Xylophon7"), "what was sent is repeated"),
        (answer(400, PROBLEM.replace(b"400", b"401")), "a problem that does not say what it is"),
        (answer(400, PROBLEM) + b"the server did not hang up", "2 answers: [400, 0]"),
    ],
)
def test_a_wrong_answer_is_seen(came: bytes, wrong: str) -> None:
    assert wrong_with(Odd("odd", "odd", b"GET / HTTP/1.1\r\n\r\n"), came) == wrong
