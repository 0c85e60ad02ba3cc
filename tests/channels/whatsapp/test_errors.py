"""What an error means is decided by its code, once, and told in words."""

import json
from datetime import timedelta

import pytest

from channels.whatsapp import errors
from channels.whatsapp.wire import Action
from tests.channels.whatsapp.given import DIALOG, META, TWILIO

CODES = {
    Action.RETRY: (1, 2, 4, 80007, 130429, 131000, 131016, 131057, 133004),
    Action.RETRY_RECIPIENT: (131056,),
    Action.NEEDS_TEMPLATE: (131047,),
    Action.PERMANENT: (
        *(100, 131008, 131009, 131021, 131026, 131051, 131053, 132000, 132001, 132005, 132007, 132012, 132015, 132016),
        *(132068, 132069),
    ),
    Action.SUPPRESS: (131048, 131049, 131050, 130472),
    Action.CHANNEL_DOWN: (0, 3, 10, 190, 200, 250, 299, 368, 130497, 131031, 131042, 131045),
}


@pytest.mark.parametrize(("action", "code"), [(action, code) for action, codes in CODES.items() for code in codes])
def test_every_code_of_meta_has_its_consequence(action: Action, code: int) -> None:
    answer = json.dumps({"error": {"code": code, "message": "whatever it says", "type": "OAuthException"}}).encode()

    assert META.classify(400, answer).action is action
    assert META.classify(500, answer).action is action  # the code counts, not the status
    assert DIALOG.classify(400, answer).action is action


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (400, Action.PERMANENT),
        (404, Action.PERMANENT),
        (401, Action.CHANNEL_DOWN),
        (403, Action.CHANNEL_DOWN),
        (408, Action.RETRY),
        (429, Action.RETRY),
        (500, Action.RETRY),
        (503, Action.RETRY),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'{"error": {"code": 999999}}', b'{"error": "x"}'])
def test_without_a_known_code_the_status_decides(status: int, action: Action, body: bytes) -> None:
    assert {each.classify(status, body).action for each in (META, DIALOG, TWILIO)} == {action}


def test_360dialogs_own_errors_are_about_the_channel() -> None:
    own = b'{"meta": {"success": false, "http_code": 400, "developer_message": "lack of payment"}}'

    assert DIALOG.classify(400, own).action is Action.CHANNEL_DOWN
    assert DIALOG.classify(429, own).action is Action.RETRY
    assert DIALOG.classify(502, own).action is Action.RETRY
    assert DIALOG.classify(400, b'{"errors": [{"code": 131056}]}').action is Action.RETRY_RECIPIENT


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (63016, Action.NEEDS_TEMPLATE),
        (63018, Action.RETRY),
        (20429, Action.RETRY),
        (20003, Action.CHANNEL_DOWN),
        (63024, Action.PERMANENT),
        (21610, Action.SUPPRESS),
        (63032, Action.SUPPRESS),
    ],
)
def test_twilio_has_codes_of_its_own(code: int, action: Action) -> None:
    assert TWILIO.classify(400, json.dumps({"code": code, "status": 400}).encode()).action is action


def test_some_errors_ask_for_patience() -> None:
    assert errors.judged(errors.META, 131049).pause == timedelta(hours=24)
    assert errors.judged(errors.META, 131056).pause == timedelta(seconds=6)
    assert errors.judged(errors.META, 131050).pause is None  # for good


def test_every_reason_can_be_told_in_every_language() -> None:
    reasons = {because for table in (errors.META, errors.TWILIO) for _, because, _ in table.values()} | {"unknown"}

    for because in reasons:
        said = {errors.sentence(because, language) for language in ("de", "en", "sv")}
        assert len(said) == 3
        assert errors.sentence(because, "fr") == errors.sentence(because, "en")
        assert errors.sentence("unknown", "en") not in said or because == "unknown"
