"""What agents of other makers report: what is theirs is theirs, and what is in it is read, whatever it looks like."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from channels.voice.accounts import Account
from channels.voice.reports import VENDORS
from channels.voice.transcripts import News, Report, Told, Turn, Unreadable, keys, parse
from server.core.model import Role
from tests.channels.voice import given
from tests.channels.voice.given import (
    BARE,
    BEARER,
    BLAND,
    ELEVENLABS,
    HELLO,
    HOURS,
    KEY,
    NOON,
    OUR,
    RETELL,
    SARAH,
    SECRET,
    SUMMARY,
    VAPI,
    signed,
)

SIGNING = [VAPI, BARE, RETELL, ELEVENLABS, BLAND]
STAMPED = {"vapi": timedelta(minutes=5), "retell": timedelta(minutes=5), "eleven": timedelta(minutes=30)}
RAW = b'{"event": "call_ended", "call": {}}'


def verified(account: Account, raw: bytes, headers: dict[str, str], now: datetime = NOON) -> bool:
    return VENDORS[account.provider].verify(raw, headers, account, now)


def read(provider: str, raw: bytes) -> Told:
    return parse(VENDORS[provider], raw)


def said(told: Told) -> list[tuple[str, str]]:
    assert isinstance(told, Report)
    return [(turn.role.value, turn.text) for turn in told.turns]


# signatures


@pytest.mark.parametrize("account", [*SIGNING, BEARER], ids=lambda account: account.id)
def test_what_is_signed_is_theirs_and_nothing_else_is(account: Account) -> None:
    headers = signed(account, RAW)

    assert verified(account, RAW, headers)
    assert verified(account, RAW, {name.upper(): value for name, value in headers.items()})
    assert not verified(account, RAW, {})
    assert not verified(account, RAW, signed(account, RAW, key="another word of sixteen letters"))
    assert not verified(account, RAW, dict.fromkeys(headers, "ü" * 64))
    assert not verified(replace(account, secrets=("",)), RAW, signed(account, RAW, key=""))


def test_a_bearer_is_shown_with_its_kind_in_any_case_or_alone() -> None:
    named = replace(BEARER, header="x-vapi-secret")

    assert verified(BEARER, RAW, {"authorization": f"bearer {KEY}"})
    assert verified(named, RAW, {"X-Vapi-Secret": KEY})
    assert not verified(named, RAW, {"Authorization": f"Bearer {KEY}"})
    assert not verified(BEARER, RAW, {"authorization": f"Basic {KEY}"})


@pytest.mark.parametrize("account", SIGNING, ids=lambda account: account.id)
def test_one_byte_that_was_changed_breaks_a_signature(account: Account) -> None:
    assert not verified(account, RAW.replace(b"ended", b"ENDED"), signed(account, RAW))


@pytest.mark.parametrize("account", SIGNING, ids=lambda account: account.id)
def test_while_a_secret_is_changed_both_are_taken(account: Account) -> None:
    both = replace(account, secrets=("the new word of sixteen letters", KEY))

    assert verified(both, RAW, signed(account, RAW))
    assert verified(both, RAW, signed(account, RAW, key="the new word of sixteen letters"))


@pytest.mark.parametrize("account", [VAPI, RETELL, ELEVENLABS], ids=lambda account: account.id)
def test_a_signature_is_too_old_after_a_while_and_from_the_future_it_is_none(account: Account) -> None:
    limit, second = STAMPED[account.id], timedelta(seconds=1)
    headers = signed(account, RAW)

    assert verified(account, RAW, headers, NOON + limit)
    assert not verified(account, RAW, headers, NOON + limit + second)
    assert not verified(account, RAW, headers, NOON - limit - second)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "t=,v0=",
        "v0=" + "0" * 64,
        "t=1,t=2,v0=" + "0" * 64,
        "t=" + "9" * 500,
        "v=" + "9" * 16 + ",d=" + "0" * 64,
        ",",
    ],
)
def test_a_signature_that_is_none_is_wrong_and_no_mistake(shown: str) -> None:
    for account in SIGNING:
        names = ["X-Retell-Signature", "ElevenLabs-Signature", "X-Webhook-Signature", account.header, account.stamp]

        assert not verified(account, RAW, {name: shown for name in names if name})


def test_the_makers_own_signature_is_right(fixtures_dir: Path) -> None:
    golden = json.loads((fixtures_dir / "voice/retell/golden_signature.json").read_bytes())
    raw = (fixtures_dir / "voice/retell" / golden["body_file"]).read_bytes()
    account = replace(RETELL, secrets=(golden["api_key"],))
    then = datetime.fromtimestamp(golden["timestamp_ms"] / 1000, UTC)
    headers = {"x-retell-signature": golden["x-retell-signature"]}

    assert verified(account, raw, headers, then)
    assert not verified(account, raw.replace(b"call_analyzed", b"call_ended"), headers, then)
    assert not verified(account, raw, headers, then + timedelta(minutes=6))


def test_a_makers_signature_of_something_else_is_wrong(fixtures_dir: Path) -> None:
    eleven = json.loads((fixtures_dir / "voice/elevenlabs/golden_signature.json").read_bytes())
    bland = json.loads((fixtures_dir / "voice/bland/golden_signature.json").read_bytes())
    then = datetime.fromtimestamp(1739537297, UTC)

    assert not verified(
        replace(ELEVENLABS, secrets=(eleven["secret"],)), RAW, {"ElevenLabs-Signature": eleven["header"]}, then
    )
    assert not verified(replace(BLAND, secrets=(bland["secret"],)), RAW, {bland["header"]: bland["value"]}, then)


# what nobody here wrote

WEATHER = [("assistant", "How can I help?"), ("person", "What's the weather?")]
BECAME: dict[str, object] = {
    "bland/post_call__from_api_field_reference_DERIVED": [
        ("assistant", "Hello, how can I help?"),
        ("person", "I want to book a visit."),
    ],
    "retell/call_analyzed__from_openapi_examples": [("assistant", "hi how are you doing?")],
    "retell/call_ended__from_openapi_examples": [("assistant", "hi how are you doing?")],
    "retell/call_started__from_openapi_examples": News("call_started"),
    "vapi/04_status_update": News("status-update"),
    "vapi/05_end_of_call_report": WEATHER,
    "vapi/08_transcript": News("transcript"),
}
NO_BODIES = {"golden_signature", "call_object.openapi_subset"}


def test_all_voice_fixtures_become_the_right_turns(fixtures_dir: Path) -> None:
    found: dict[str, object] = {}
    for vendor in VENDORS:
        for path in sorted((fixtures_dir / "voice" / vendor).glob("*.json")):
            if path.stem not in NO_BODIES:
                told = read(vendor, path.read_bytes())
                found[f"{vendor}/{path.stem}"] = said(told) if isinstance(told, Report) else told

    assert found == BECAME


def test_the_makers_examples_say_who_called_when_and_for_how_long(fixtures_dir: Path) -> None:
    retell = read("retell", (fixtures_dir / "voice/retell/call_analyzed__from_openapi_examples.json").read_bytes())
    bland = read("bland", next((fixtures_dir / "voice/bland").glob("post_call*")).read_bytes())
    assert isinstance(retell, Report)
    assert isinstance(bland, Report)

    assert (retell.caller, retell.our, retell.seconds, retell.why) == ("+12137771234", "+12137771235", 10, "clinic")
    assert retell.turns[0].at == datetime(2023, 12, 23, 3, 33, 28, 33000, UTC)
    assert retell.summary.startswith("The agent called the user")
    assert (bland.caller, bland.our, bland.seconds) == ("+15550000002", "+15550000001", 75)
    assert bland.turns[1].at == datetime(2026, 10, 1, 12, 0, 9, tzinfo=UTC)


# what they look like by their makers' descriptions

BEGAN = datetime(2026, 11, 23, 11, 59, 50, tzinfo=UTC)


def at(second: int) -> datetime:
    return BEGAN + timedelta(seconds=second)


USUAL = Report("", (), SARAH, OUR, BEGAN, 90, "caller", "de", SUMMARY)


def both(first: datetime, second: datetime) -> tuple[Turn, ...]:
    return Turn(Role.ASSISTANT, HELLO, first), Turn(Role.PERSON, HOURS, second)


def test_a_call_at_vapi() -> None:
    told = read("vapi", given.vapi(("bot", HELLO), ("user", HOURS), ("tool_calls", "hours()"), summary=SUMMARY))

    assert told == replace(USUAL, call="call-1", turns=both(at(10), at(15)))


def test_a_call_at_retell_that_was_put_through() -> None:
    raw = given.retell(("agent", HELLO), ("user", HOURS), ("transfer_target", "Praxis am Markt, Anna."))
    told = read("retell", raw.replace(b"user_hangup", b"call_transfer"))

    turns = (*both(at(0), at(5)), Turn(Role.STAFF, "Praxis am Markt, Anna.", at(10)))
    assert told == replace(USUAL, call="call-1", turns=turns, why="transferred", language=None, summary="")


def test_a_call_at_elevenlabs_where_turns_of_tools_have_no_words() -> None:
    told = read("elevenlabs", given.elevenlabs(("agent", HELLO), ("user", HOURS), ("agent", None)))

    assert told == replace(USUAL, call="conv_1", turns=both(at(0), at(5)))


def test_a_call_at_bland_that_the_agent_made() -> None:
    raw = given.bland(("assistant", HELLO), ("user", HOURS), ("agent-action", "Ended"), inbound="false")
    told = read("bland", raw)

    assert isinstance(told, Report)
    assert (told.caller, told.our) == (OUR, SARAH)  # whom it called is the person
    assert told == replace(USUAL, call="c0ffee", turns=both(at(10), at(15)), caller=OUR, our=SARAH, language=None)


@pytest.mark.parametrize("withheld", ["anonymous", "Restricted", "+266696687", "", None, "sip:anna@example.org", 7])
def test_a_number_that_is_withheld_is_none(withheld: object) -> None:
    told = [
        read("vapi", given.vapi(("user", HOURS), customer={"number": withheld})),
        read("retell", given.retell(("user", HOURS), from_number=withheld)),
        read("elevenlabs", given.elevenlabs(("user", HOURS), metadata={"phone_call": {"external_number": withheld}})),
        read("bland", given.bland(("user", HOURS), **{"from": withheld})),
    ]

    assert [each.caller for each in told if isinstance(each, Report)] == [""] * 4
    assert [said(each) for each in told] == [[("person", HOURS)]] * 4


def test_numbers_come_as_text_and_times_in_either_unit_and_what_is_strange_is_left_out() -> None:
    told = read(
        "retell",
        given.retell(
            ("user", HOURS),
            start_timestamp="1795435190000",
            end_timestamp=None,
            duration_ms="90000",
            call_analysis=["no", "object"],
            transcript_object=[
                {"role": "user", "content": 42, "words": "none"},
                {"role": ["user"], "content": "lost"},
                "no turn",
                {"content": "whose?"},
                {"role": "USER", "content": " ja\0 ", "words": [{"start": "1.5"}]},
            ],
            unheard_of={"of": [1]},
        ),
    )

    turns = (Turn(Role.PERSON, "42"), Turn(Role.PERSON, "ja", at(1) + timedelta(milliseconds=500)))
    assert told == replace(USUAL, call="call-1", turns=turns, language=None, summary="")


def test_a_transcript_in_one_piece_is_read_where_there_is_no_list() -> None:
    plain = f"Agent: {HELLO}\nUser: {HOURS}\nAuch samstags: ja?\n"

    turns = [("assistant", HELLO), ("person", f"{HOURS}\nAuch samstags: ja?")]
    assert said(read("retell", given.retell(transcript=plain))) == turns
    assert said(read("bland", given.bland(concatenated_transcript=plain.replace("Agent", "assistant")))) == turns
    assert said(read("vapi", given.vapi(artifact={"transcript": plain.replace("Agent", "AI")}))) == turns


STRANGE: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"7",
    b"{",
    b'"call_ended"',
    b"\xff\xfe",
    b'{"message": []}',
    b'{"event": "call_ended", "call": "none"}',
    b'{"type": "post_call_transcription"}',
    b'{"transcript": "\\ud800"}',
    b"[" * 200_000,
    b'{"message": ' * 100 + b"1" + b"}" * 100,
]


@pytest.mark.parametrize("raw", STRANGE, ids=lambda raw: repr(raw[:24]))
@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_no_report_is_told_as_such(vendor: str, raw: bytes) -> None:
    assert isinstance(read(vendor, raw), Unreadable | News)


MADE: dict[str, Callable[..., bytes]] = {
    "vapi": given.vapi,
    "retell": given.retell,
    "elevenlabs": given.elevenlabs,
    "bland": given.bland,
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("other", VENDORS)
def test_nobody_reads_anothers_report(vendor: str, other: str) -> None:
    if vendor != other:
        assert not isinstance(read(vendor, MADE[other](("user", HOURS))), Report)


@pytest.mark.parametrize("junk", [None, True, 7, -1.5, "x", "1e999", [], {}, [[]], {"a": {"b": 1}}, "9" * 400])
@pytest.mark.parametrize("vendor", VENDORS)
def test_no_value_in_any_field_stops_a_report(vendor: str, junk: Any) -> None:
    whole = json.loads(MADE[vendor](("user", HOURS)))

    for spoilt in _spoilt(whole, junk):
        read(vendor, json.dumps(spoilt).encode())


def _spoilt(said: Any, junk: Any) -> list[Any]:
    """This, once for each value in it, with that value replaced."""
    if isinstance(said, dict):
        inside = [{**said, name: each} for name, value in said.items() for each in _spoilt(value, junk)]
        return [junk, *inside]
    if isinstance(said, list):
        return [
            junk,
            *([*said[:n], each, *said[n + 1 :]] for n, value in enumerate(said) for each in _spoilt(value, junk)),
        ]
    return [junk]


# keys


def _keys(*turns: str, call: str = "c1", account: str = "desk") -> tuple[str, list[str]]:
    return keys(Report(call, tuple(Turn(Role.PERSON, text) for text in turns)), account, SECRET)


def test_a_turn_keeps_its_name_when_a_later_report_has_more_or_better_commas() -> None:
    session, first = _keys("Ja", "Am Montag um drei", "Ja")
    later, second = _keys("Hallo", "ja.", "Am Montag, um drei.", "Ja!", "Danke")

    assert later == session
    assert second[1:4] == first
    assert len(set(second)) == 5


def test_another_call_and_another_number_have_other_names_that_say_nothing() -> None:
    session, [key] = _keys("Ja")

    assert {session, key}.isdisjoint(
        [_keys("Ja", call="c2")[0], *_keys("Ja", call="c2")[1], *_keys("Ja", account="b")[1]]
    )
    assert key.startswith(f"call:{session}:")
    assert "c1" not in key  # no letter of ours is a 1


def test_a_call_without_an_id_is_known_by_how_it_began() -> None:
    assert _keys("Hallo", "Ja", call="")[0] == _keys("Hallo", "Ja", "Danke", call="")[0]
    assert _keys("Hallo", "Ja", call="")[0] != _keys("Hallo", "Nein", call="")[0]
