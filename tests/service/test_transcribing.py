"""Voice notes are written down by whatever service speaks the usual API, and its bad days are told apart."""

from collections.abc import Callable

import httpx
import pytest

from server.core.errors import Refused, Unavailable
from server.service.transcribing import Transcriber

SOUND = b"OggS and so on"


def transcriber(answers: Callable[[httpx.Request], httpx.Response], key: str = "key") -> Transcriber:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answers))
    return Transcriber("https://speech.example/v1/", key, "small", client)


async def test_the_sound_the_model_and_the_language_are_sent_and_the_words_come_back() -> None:
    asked: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"text": "Ich komme später.", "usage": {"seconds": 3}})

    assert await transcriber(answers).transcribe(SOUND, "audio/ogg", "de-AT") == "Ich komme später."

    (request,) = asked
    body = request.content
    assert str(request.url) == "https://speech.example/v1/audio/transcriptions"
    assert request.headers["authorization"] == "Bearer key"
    assert b'name="model"\r\n\r\nsmall' in body
    assert b'name="language"\r\n\r\nde\r\n' in body
    assert b'filename="file.ogg"\r\nContent-Type: audio/ogg\r\n\r\n' + SOUND in body


async def test_a_service_of_ones_own_needs_no_key_and_may_hear_nothing() -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        return httpx.Response(200, json={"text": ""})

    assert await transcriber(answers, key="").transcribe(SOUND, "audio/ogg", None) == ""


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(429), Unavailable),
        (httpx.Response(401), Unavailable),
        (httpx.Response(503), Unavailable),
        (httpx.Response(302, headers={"location": "https://evil.example"}), Refused),
        (httpx.Response(400, json={"error": {"message": "too short"}}), Refused),
        (httpx.Response(200, text="<html>"), Refused),
        (httpx.Response(200, json={"text": None}), Refused),
    ],
)
async def test_what_may_be_understood_later_is_told_from_what_never_will(
    answer: httpx.Response, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await transcriber(lambda request: answer).transcribe(SOUND, "audio/ogg", "de")


async def test_a_service_that_is_not_there_may_be_there_later() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody", request=request)

    with pytest.raises(Unavailable):
        await transcriber(broken).transcribe(SOUND, "audio/ogg", "de")
