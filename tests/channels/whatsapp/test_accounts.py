"""The clinic's numbers: from a file without secrets, with errors that name the line."""

from pathlib import Path

import pytest

from channels.whatsapp.accounts import Account, read_accounts
from knowledge_base.source import ContentError, Source

META = """- id: front-desk
  provider: meta
  number: +49 30 23125100
  phone_number_id: "106540352242922"
  account: "102290129340398"
  name: Praxis am Markt
"""
SECRETS = {
    "ONETHREAD_WHATSAPP_FRONT_DESK_TOKEN": "EAAtoken",
    "ONETHREAD_WHATSAPP_FRONT_DESK_SECRET": "new-secret, old-secret",
    "ONETHREAD_WHATSAPP_FRONT_DESK_VERIFY": "a word nobody else knows",
}


def _read(folder: Path, text: str, environ: dict[str, str] | None = None) -> tuple[Account, ...]:
    path = folder / "whatsapp.yaml"
    path.write_text(text)
    return read_accounts(Source(path), SECRETS if environ is None else environ)


def test_a_number_at_meta_has_what_the_file_and_the_environment_say(tmp_path: Path) -> None:
    assert _read(tmp_path, META) == (
        Account(
            id="front-desk",
            provider="meta",
            our="106540352242922",
            display="+493023125100",
            account="102290129340398",
            base_url="https://graph.facebook.com",
            token="EAAtoken",
            secrets=("new-secret", "old-secret"),
            verify_token="a word nobody else knows",
            name="Praxis am Markt",
        ),
    )


def test_a_number_at_twilio_is_its_own_id_and_is_verified_with_its_token(tmp_path: Path) -> None:
    text = "- {id: desk, provider: twilio, number: +49 30 23125100, account: ACabc}\n"

    [account] = _read(tmp_path, text, {"ONETHREAD_WHATSAPP_DESK_TOKEN": "tok"})

    assert (account.our, account.token, account.secrets) == ("+493023125100", "tok", ("tok",))
    assert account.number("https://chat.example").callback == "https://chat.example/webhooks/whatsapp/desk/status"


def test_the_address_at_360dialog_has_a_random_part(tmp_path: Path) -> None:
    text = '- {id: desk, provider: 360dialog, number: +49 30 23125100, phone_number_id: "1"}\n'
    words = {"TOKEN": "key", "SECRET": "s" * 16, "PATH": "p" * 16}
    environ = {f"ONETHREAD_WHATSAPP_DESK_{name}": word for name, word in words.items()}

    assert _read(tmp_path, text, environ)[0].webhook == f"/webhooks/whatsapp/desk/{'p' * 16}"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (META.replace("provider: meta", "provider: mail"), 2, "expected one of "),
        (META.replace("+49 30", "030"), 3, "with its country"),
        (META.replace('  phone_number_id: "106540352242922"\n', ""), 1, "not the number itself"),
        (META + META, 7, "only once"),
        (META + "  token: EAA\n", 7, "unknown field `token`"),
        (META + "  base_url: https://elsewhere.example\n", 7, "of this machine"),
        ("- {id: desk, provider: twilio, number: +49 30 23125100}\n", 1, "begins with AC"),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(ContentError) as caught:
        _read(tmp_path, text)

    assert caught.value.line == line
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["TOKEN", "SECRET", "VERIFY"])
def test_a_missing_secret_is_named_by_its_variable(tmp_path: Path, name: str) -> None:
    variable = f"ONETHREAD_WHATSAPP_FRONT_DESK_{name}"

    with pytest.raises(ContentError, match=variable):
        _read(tmp_path, META, {key: value for key, value in SECRETS.items() if key != variable})
