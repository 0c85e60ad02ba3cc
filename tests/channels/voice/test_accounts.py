"""The clinic's phone numbers: from a file without secrets, with errors that name the line."""

from pathlib import Path

import pytest

from channels.voice.accounts import Account, Voice, e164, read_accounts
from knowledge_base.source import ContentError, Source

TWILIO = """- id: desk
  provider: twilio
  number: +49 30 23125100
  account: AC0123
  mode: gather
  transfer: +49 30 23125199
  name: Praxis am Markt
  voices:
    de: {voice: Marlene, maker: Amazon}
    sv: {locale: sv-FI, hears: Deepgram, model: nova-2}
"""
VAPI = "- {id: night-desk, provider: vapi, number: +49 30 23125101}\n"
SECRETS = {"ONETHREAD_VOICE_DESK_TOKEN": "tok", "ONETHREAD_VOICE_NIGHT_DESK_SECRET": "n" * 16 + ", " + "o" * 16}


def _read(folder: Path, text: str, environ: dict[str, str] | None = None) -> tuple[Account, ...]:
    path = folder / "voice.yaml"
    path.write_text(text)
    return read_accounts(Source(path), SECRETS if environ is None else environ)


def test_a_number_at_twilio_has_what_the_file_and_the_environment_say(tmp_path: Path) -> None:
    assert _read(tmp_path, TWILIO) == (
        Account(
            id="desk",
            provider="twilio",
            our="+493023125100",
            mode="gather",
            transfer="+493023125199",
            account="AC0123",
            token="tok",
            secrets=("tok",),
            voices=(Voice("de", "de-DE", "Marlene", "Amazon"), Voice("sv", "sv-FI", "", "", "Deepgram", "nova-2")),
            name="Praxis am Markt",
        ),
    )


def test_a_number_asks_for_the_language_unless_told_not_to(tmp_path: Path) -> None:
    [asking] = _read(tmp_path, TWILIO)
    [silent] = _read(tmp_path, TWILIO.replace("  mode:", "  ask_language: false\n  mode:"))

    assert (asking.asks, silent.asks) == (True, False)


def test_a_language_without_a_voice_of_its_own_has_the_providers(tmp_path: Path) -> None:
    [account] = _read(tmp_path, TWILIO)

    assert account.voice("sv").locale == "sv-FI"
    assert account.voice("en") == Voice("en", "en-US")


def test_a_number_at_another_vendor_has_an_address_for_reports_and_two_secrets_while_they_change(
    tmp_path: Path,
) -> None:
    [account] = _read(tmp_path, VAPI)

    assert (account.webhook, account.answers) == ("/webhooks/voice/night-desk/report", False)
    assert account.secrets == ("n" * 16, "o" * 16)
    assert (account.signed, account.header, account.stamp) == ("hmac", "x-signature", "x-timestamp")


def test_a_bearer_stands_where_bearers_stand_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    [usual] = _read(tmp_path, VAPI.replace("}", ", signed: bearer}"))
    [other] = _read(tmp_path, VAPI.replace("}", ", signed: bearer, header: X-Vapi-Secret}"))

    assert (usual.header, other.header) == ("authorization", "x-vapi-secret")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (TWILIO.replace("provider: twilio", "provider: siri"), 2, "expected one of "),
        (TWILIO.replace("number: +49 30", "number: 030"), 3, "with its country"),
        (TWILIO.replace("transfer: +49 30", "transfer: 030"), 6, "with its country"),
        (TWILIO.replace("23125199", "23125100"), 6, "come back for ever"),
        (TWILIO.replace("  account: AC0123\n", ""), 1, "begins with AC"),
        (TWILIO.replace("mode: gather", "mode: shout"), 5, "expected one of "),
        (TWILIO + TWILIO, 11, "only once"),
        (TWILIO + "  token: abc\n", 11, "unknown field `token`"),
        (TWILIO + "  base_url: https://elsewhere.example\n", 11, "of this machine"),
        (VAPI.replace("}", ", transfer: +49 30 1234567}"), 1, "only at twilio"),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(ContentError) as caught:
        _read(tmp_path, text)

    assert caught.value.line == line
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "environ", "variable"),
    [
        (TWILIO, {}, "ONETHREAD_VOICE_DESK_TOKEN"),
        (VAPI, {}, "ONETHREAD_VOICE_NIGHT_DESK_SECRET"),
        (VAPI, {"ONETHREAD_VOICE_NIGHT_DESK_SECRET": "short"}, "ONETHREAD_VOICE_NIGHT_DESK_SECRET"),
    ],
)
def test_a_missing_secret_is_named_by_its_variable(
    tmp_path: Path, text: str, environ: dict[str, str], variable: str
) -> None:
    with pytest.raises(ContentError, match=variable):
        _read(tmp_path, text, environ)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+49 (30) 231-25100", "+493023125100"),
        ("+52 1 55 1234 5678", "+525512345678"),  # one phone in Mexico, as WhatsApp writes it too
        ("030 23125100", ""),
        ("anonymous", ""),
        ("+", ""),
    ],
)
def test_a_number_is_one_and_the_same_however_it_is_written(written: str, number: str) -> None:
    assert e164(written) == number
