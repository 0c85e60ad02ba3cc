"""What to do about an error of a provider: by its code, never by its words, which change.

`because` names what happened in a way that people can be told, in every language the house speaks: `sentence`. The
providers' own texts are left where they are, since they repeat numbers and parameters.

Sources: developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes; twilio.com/docs/api/errors and
twilio.com/docs/whatsapp/api/error-code-mapping; docs.360dialog.com, "Error Code Reference"
"""

from collections.abc import Iterable
from datetime import timedelta

from channels.whatsapp.wire import Action, Verdict

_DAY = timedelta(hours=24)

_Rule = tuple[Action, str, timedelta | None]


def _rules(action: Action, because: str, codes: Iterable[int], pause: timedelta | None = None) -> dict[int, _Rule]:
    return dict.fromkeys(codes, (action, because, pause))


META: dict[int, _Rule] = {
    **_rules(Action.RETRY, "busy", (1, 2, 131000, 131016, 133004)),
    **_rules(Action.RETRY, "maintenance", (131057,), timedelta(minutes=5)),
    **_rules(Action.RETRY, "too_fast", (4, 80007, 130429)),
    **_rules(Action.RETRY, "messaging_limit", (131064,), timedelta(hours=1)),
    **_rules(Action.RETRY_RECIPIENT, "too_fast_for_person", (131056,), timedelta(seconds=6)),
    **_rules(Action.NEEDS_TEMPLATE, "window_closed", (131047,)),
    **_rules(Action.PERMANENT, "malformed", (33, 100, 131008, 131009, 131051, 135000)),
    **_rules(Action.PERMANENT, "unreachable", (131021, 131026, 131030, 131062, 137000)),
    **_rules(Action.PERMANENT, "file", (131052, 131053)),
    **_rules(Action.PERMANENT, "template", (*range(132000, 132017), 131063, 132068, 132069)),
    **_rules(Action.SUPPRESS, "quality", (131048,), _DAY),
    **_rules(Action.SUPPRESS, "held_back", (131049, 130472), _DAY),
    **_rules(Action.SUPPRESS, "opted_out", (131050,)),
    **_rules(Action.CHANNEL_DOWN, "access", (0, 3, 10, 190, *range(200, 300), 131005)),
    **_rules(Action.CHANNEL_DOWN, "restricted", (368, 130497, 131031)),
    **_rules(Action.CHANNEL_DOWN, "payment", (131042, 131044)),
    **_rules(Action.CHANNEL_DOWN, "registration", (131037, 131045, 133000, 133005, 133006, 133010, 133015, 133016)),
}

TWILIO: dict[int, _Rule] = {
    **_rules(Action.RETRY, "busy", (20500, 20503, 30001, 30008, 63010, 63012, 63023, 63029)),
    **_rules(Action.RETRY, "too_fast", (14107, 20429, 63018)),
    **_rules(Action.NEEDS_TEMPLATE, "window_closed", (63016,)),
    **_rules(Action.PERMANENT, "malformed", (21602, 21617, 21619, 63005, 63013, 63021, 63030)),
    **_rules(Action.PERMANENT, "unreachable", (21211, 21614, 30003, 30005, 63003, 63015, 63024, 63031)),
    **_rules(Action.PERMANENT, "file", (11200, 12300, 63019, 63025)),
    **_rules(Action.PERMANENT, "template", (21655, 21656, 63027, 63028, 63040, 63041, 63042)),
    **_rules(Action.SUPPRESS, "opted_out", (21610, 63014, 63033)),
    **_rules(Action.SUPPRESS, "held_back", (63032, 63049), _DAY),
    **_rules(Action.CHANNEL_DOWN, "access", (20003, 20005, 20403, 21606, 63001, 63007, 63020)),
    **_rules(Action.CHANNEL_DOWN, "registration", (63022,)),
    **_rules(Action.CHANNEL_DOWN, "restricted", (30002, 63051)),
    **_rules(Action.CHANNEL_DOWN, "messaging_limit", (63038,), timedelta(hours=1)),
}


def judged(table: dict[int, _Rule], code: int | None, status: int = 0) -> Verdict:
    """Return what to do: by the code when it is known, else by the HTTP status, else give up on this message.

    Args:
        status: of the answer; 0 where there was none, as in a webhook.
    """
    if code is not None and code in table:
        action, because, pause = table[code]
        return Verdict(action, code, because, pause)
    number = code or 0
    if status in (408, 425, 429) or status >= 500:
        return Verdict(Action.RETRY, number, "too_fast" if status == 429 else "busy")
    if status in (401, 402, 403):
        return Verdict(Action.CHANNEL_DOWN, number, "payment" if status == 402 else "access")
    return Verdict(Action.PERMANENT, number)


_SENTENCES: dict[str, dict[str, str]] = {
    "busy": {
        "de": "WhatsApp ist gerade nicht erreichbar. Wir versuchen es weiter.",
        "en": "WhatsApp cannot be reached at the moment. We keep trying.",
        "sv": "WhatsApp går inte att nå just nu. Vi fortsätter att försöka.",
    },
    "maintenance": {
        "de": "WhatsApp wartet unsere Nummer gerade. Wir versuchen es weiter.",
        "en": "WhatsApp is servicing our number. We keep trying.",
        "sv": "WhatsApp gör underhåll på vårt nummer. Vi fortsätter att försöka.",
    },
    "too_fast": {
        "de": "Es gingen zu viele Nachrichten auf einmal hinaus. Diese folgt gleich.",
        "en": "Too many messages left at once. This one follows shortly.",
        "sv": "För många meddelanden skickades samtidigt. Det här följer strax.",
    },
    "too_fast_for_person": {
        "de": "Diese Person bekam zu viele Nachrichten kurz nacheinander. Diese folgt gleich.",
        "en": "This person got too many messages in a row. This one follows shortly.",
        "sv": "Personen fick för många meddelanden i följd. Det här följer strax.",
    },
    "messaging_limit": {
        "de": "Die Zahl der Nachrichten, die WhatsApp uns am Tag erlaubt, ist erreicht.",
        "en": "We have sent as many messages as WhatsApp allows us in a day.",
        "sv": "Vi har skickat så många meddelanden som WhatsApp tillåter per dygn.",
    },
    "window_closed": {
        "de": "Die letzte Nachricht der Person ist über 24 Stunden her: Es geht nur noch eine Vorlage.",
        "en": "The person last wrote more than 24 hours ago: only a template can be sent.",
        "sv": "Personen skrev för mer än 24 timmar sedan: nu går bara en mall att skicka.",
    },
    "unreached": {
        "de": "WhatsApp antwortet nicht.",
        "en": "WhatsApp does not answer.",
        "sv": "WhatsApp svarar inte.",
    },
    "malformed": {
        "de": "WhatsApp hat die Nachricht in dieser Form nicht angenommen.",
        "en": "WhatsApp did not take the message in this form.",
        "sv": "WhatsApp godtog inte meddelandet i den här formen.",
    },
    "unreachable": {
        "de": "Diese Nummer kann keine Nachrichten von uns bekommen, vielleicht hat sie kein WhatsApp.",
        "en": "This number cannot get messages from us; perhaps it has no WhatsApp.",
        "sv": "Numret kan inte ta emot meddelanden från oss, kanske saknar det WhatsApp.",
    },
    "file": {
        "de": "WhatsApp konnte die Datei nicht übernehmen.",
        "en": "WhatsApp could not take the file.",
        "sv": "WhatsApp kunde inte ta emot filen.",
    },
    "template": {
        "de": "Die Vorlage gibt es bei WhatsApp so nicht, oder sie ist nicht freigegeben.",
        "en": "WhatsApp has no such template, or has not approved it.",
        "sv": "Mallen finns inte hos WhatsApp i den formen, eller är inte godkänd.",
    },
    "quality": {
        "de": "WhatsApp hält unsere Nachrichten zurück, weil zu viele Menschen sie gemeldet haben.",
        "en": "WhatsApp holds our messages back because too many people have reported them.",
        "sv": "WhatsApp håller tillbaka våra meddelanden eftersom för många har anmält dem.",
    },
    "held_back": {
        "de": "WhatsApp stellt dieser Person zurzeit keine solche Nachricht zu.",
        "en": "WhatsApp delivers no such message to this person at present.",
        "sv": "WhatsApp levererar inte sådana meddelanden till personen just nu.",
    },
    "opted_out": {
        "de": "Die Person möchte auf WhatsApp nichts von uns bekommen.",
        "en": "The person does not want to hear from us on WhatsApp.",
        "sv": "Personen vill inte få något från oss på WhatsApp.",
    },
    "access": {
        "de": "Unser Zugang zu WhatsApp wurde abgelehnt. Bitte die Zugangsdaten prüfen.",
        "en": "Our access to WhatsApp was refused. Please check the credentials.",
        "sv": "Vår åtkomst till WhatsApp nekades. Kontrollera inloggningsuppgifterna.",
    },
    "restricted": {
        "de": "WhatsApp hat unser Konto eingeschränkt oder gesperrt.",
        "en": "WhatsApp has restricted or locked our account.",
        "sv": "WhatsApp har begränsat eller spärrat vårt konto.",
    },
    "payment": {
        "de": "Mit der Zahlung an WhatsApp stimmt etwas nicht.",
        "en": "Something is wrong with the payment to WhatsApp.",
        "sv": "Något är fel med betalningen till WhatsApp.",
    },
    "registration": {
        "de": "Unsere Nummer ist bei WhatsApp nicht richtig angemeldet.",
        "en": "Our number is not properly registered with WhatsApp.",
        "sv": "Vårt nummer är inte rätt registrerat hos WhatsApp.",
    },
    "unknown": {
        "de": "WhatsApp hat die Nachricht abgelehnt.",
        "en": "WhatsApp refused the message.",
        "sv": "WhatsApp avvisade meddelandet.",
    },
}


def sentence(because: str, language: str) -> str:
    """Return what happened in plain words; in English where the language is not one of ours."""
    said = _SENTENCES.get(because, _SENTENCES["unknown"])
    return said.get(language, said["en"])
