"""A file on its whole way: spoken into a phone, announced, fetched, written down, and heard by staff."""

import asyncio
from pathlib import Path

from server.core.events import FileChanged, Posted, Transcribed
from server.core.identity import StaffRole
from server.core.model import FileState
from tests.web.given import running

SOUND = b"OggS\0\2" + bytes(22) + b"OpusHead" + bytes(range(256)) * 40


class Listener:
    async def transcribe(self, audio: bytes, type: str, language: str | None) -> str:
        assert (audio, type) == (SOUND, "audio/ogg")
        return "Ich komme zehn Minuten später."


async def test_a_voice_note_from_a_phone_is_fetched_written_down_and_heard_by_staff(tmp_path: Path) -> None:
    async with running(tmp_path, demo=True) as server:
        engine = server.app.state.engine
        engine.media.transcribing = Listener()
        written_down = asyncio.get_running_loop().create_future()
        engine.conversations.observers.append(
            lambda thread, event: written_down.set_result(thread.id) if isinstance(event, Transcribed) else None
        )
        phone = engine.whatsapp.stand_in.person("4915112345678", "Sarah")
        assert await phone.voice_note(SOUND) == 200

        thread = await asyncio.wait_for(written_down, 60)
        log = await server.house.store.since(thread, 0)
        (said,) = [event for event in log if isinstance(event, Posted) and event.files]
        (changed,) = [event for event in log if isinstance(event, FileChanged)]
        (written,) = [event for event in log if isinstance(event, Transcribed)]
        assert (said.files[0].state, changed.file.state) == (FileState.FETCHING, FileState.READY)
        assert (changed.of, written.of, written.text) == (said.seq, said.seq, "Ich komme zehn Minuten später.")

        async with server.signed_in(StaffRole.RECEPTION) as browser:
            heard = await browser.get(f"/api/threads/{thread}/files/{changed.file.id}")
        assert (heard.status_code, heard.content, heard.headers["content-type"]) == (200, SOUND, "audio/ogg")
        assert heard.headers["content-disposition"].startswith("inline")
