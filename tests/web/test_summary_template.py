"""A summary of a call leaves as the template that asks whether it is right, or as none."""

from msgspec.structs import replace

from channels.whatsapp.template_file import DEMO, read_templates
from server.core import choices
from server.core.model import Address, AsTemplate, Channel
from server.reaching import CALL_SUMMARY, Reaching

TO = Address(Channel.WHATSAPP, "1065", "wa_id", "4915112345678")
TEMPLATES = read_templates(DEMO.read_text(encoding="utf-8"), DEMO.name)
ABOUT = "Es ging um: Ekzem."


def reaching(*templates: str) -> Reaching:
    return Reaching([TEMPLATES[id] for id in templates], {"1065": "meta"}, "+4915228817386")


def test_it_says_what_was_agreed_in_the_language_of_the_call() -> None:
    worded = reaching(CALL_SUMMARY).summary(TO, "de-AT", "Riverside", ABOUT)

    assert worded is not None
    template, text = worded
    assert template == AsTemplate(CALL_SUMMARY, "de", (("clinic", "Riverside"), ("about", ABOUT)))
    assert text.startswith(f"Danke für Ihren Anruf bei Riverside. Wir haben notiert: {ABOUT} Stimmt das so?")
    assert [button.id for button in TEMPLATES[CALL_SUMMARY].buttons] == [choices.SUMMARY_YES, choices.SUMMARY_NO]


def test_a_clinic_without_such_a_template_sends_none() -> None:
    other = replace(TEMPLATES["appointment_reminder"], id=CALL_SUMMARY)

    assert reaching("know_me").summary(TO, "de", "Riverside", ABOUT) is None
    assert Reaching([other], {"1065": "meta"}).summary(TO, "de", "Riverside", ABOUT) is None
