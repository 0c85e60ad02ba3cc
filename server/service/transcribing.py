"""Has voice notes written down by a machine: any service that speaks OpenAI's transcription API, also one's own.

What a machine heard is a help for staff and never an answer's ground: it is marked as such, and the sound stays beside
it. Nothing is sent anywhere unless a clinic has set where.

Source: platform.openai.com/docs/api-reference/audio/createTranscription
"""

import httpx
import msgspec

from server.core.errors import Refused, Unavailable
from server.service.filetypes import name_for

CONNECT, ANSWER = 5.0, 60.0  # seconds; two minutes of speech take a small machine half of that
LARGEST_ANSWER = 256 * 1024  # bytes: far more words than a voice note has
LATER = (401, 403, 404, 408, 425, 429)  # a key or a model that is being changed is one that will be right again


class NotUnderstood(Refused):
    """The service will never understand this sound."""

    code = "not_understood"

    def __init__(self) -> None:
        super().__init__("This sound cannot be written down.")


class _Heard(msgspec.Struct, frozen=True):
    text: str = ""


class Transcriber:
    """The port ``Transcribing`` over HTTP."""

    def __init__(
        self, url: str, key: str = "", model: str = "whisper-1", http: httpx.AsyncClient | None = None
    ) -> None:
        """Ask the service at ``url``, to which the API's own path is added.

        Args:
            url: its base, such as `https://api.openai.com/v1`.
            key: with which it is asked; empty where it wants none.
            model: by which of its models.
        """
        self._url, self._model = f"{url.rstrip('/')}/audio/transcriptions", model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = http or httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER, connect=CONNECT), follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def transcribe(self, audio: bytes, type: str, language: str | None) -> str:
        """Return what was said; empty when nothing can be understood."""
        asked = {"model": self._model, "response_format": "json"}
        if language:
            asked["language"] = language.partition("-")[0].lower()
        file = (name_for(type), audio, type)
        try:
            answer = await self._http.post(self._url, data=asked, files={"file": file}, headers=self._headers)
        except httpx.HTTPError:
            raise Unavailable from None
        if answer.status_code in LATER or answer.status_code >= 500:
            raise Unavailable
        if not answer.is_success or len(answer.content) > LARGEST_ANSWER:
            raise NotUnderstood
        try:
            return msgspec.json.decode(answer.content, type=_Heard).text
        except msgspec.MsgspecError:
            raise NotUnderstood from None
