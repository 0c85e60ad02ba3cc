"""What a call itself makes us say: that we wait, that we put somebody through, that we say goodbye.

Everything that is about the person or the clinic comes from the conversation; these are only about the line.
"""

from enum import StrEnum

LANGUAGES = ("de", "en", "sv")


class Phrase(StrEnum):
    STILL_THERE = "still_there"
    GOODBYE = "goodbye"
    MOMENT = "moment"
    CONNECTING = "connecting"
    NOT_REACHED = "not_reached"
    DO_NOT_WAIT = "do_not_wait"
    ANYTHING_ELSE = "anything_else"
    OBJECTED = "objected"
    OBJECTED_ALONE = "objected_alone"
    WRONG_CODE = "wrong_code"
    LOCKED = "locked"
    NOT_THAT = "not_that"
    UNSPOKEN = "unspoken"
    AWAY = "away"
    CONNECTING_BACK = "connecting_back"
    CHOOSE = "choose"
    SPEAKS = "speaks"


_SAID: dict[Phrase, dict[str, str]] = {
    Phrase.STILL_THERE: {
        "de": "Sind Sie noch da?",
        "en": "Are you still there?",
        "sv": "Är du kvar?",
    },
    Phrase.GOODBYE: {
        "de": "Ich höre nichts mehr und lege jetzt auf. Auf Wiederhören.",
        "en": "I cannot hear anything any more, so I will hang up now. Goodbye.",
        "sv": "Jag hör inget mer och lägger på nu. Hej då.",
    },
    Phrase.MOMENT: {
        "de": "Einen Moment bitte.",
        "en": "One moment, please.",
        "sv": "Ett ögonblick.",
    },
    Phrase.CONNECTING: {
        "de": "Ich verbinde Sie jetzt mit einem Menschen.",
        "en": "I am putting you through to a person now.",
        "sv": "Jag kopplar dig till en människa nu.",
    },
    Phrase.NOT_REACHED: {
        "de": "Dort nimmt gerade niemand ab.",
        "en": "Nobody is answering there at the moment.",
        "sv": "Ingen svarar där just nu.",
    },
    Phrase.DO_NOT_WAIT: {
        "de": "Warten Sie bitte nicht auf uns: Tun Sie jetzt, was ich eben gesagt habe.",
        "en": "Please do not wait for us: do now what I have just said.",
        "sv": "Vänta inte på oss: gör nu det som jag nyss sa.",
    },
    Phrase.ANYTHING_ELSE: {
        "de": "Kann ich sonst noch etwas für Sie tun?",
        "en": "Is there anything else I can do for you?",
        "sv": "Kan jag hjälpa dig med något mer?",
    },
    Phrase.OBJECTED: {
        "de": "Gut, es wird nichts mitgeschrieben.",
        "en": "All right, nothing is written down.",
        "sv": "Det går bra, inget skrivs ner.",
    },
    Phrase.OBJECTED_ALONE: {
        "de": "Ohne mitzuschreiben kann ich Ihnen nicht helfen, und gerade kann ich Sie mit niemandem verbinden. "
        "Bitte rufen Sie in der Sprechzeit noch einmal an. Auf Wiederhören.",
        "en": "Without writing things down I cannot help you, and there is nobody I could put you through to just now. "
        "Please call again in opening hours. Goodbye.",
        "sv": "Utan att skriva ner något kan jag inte hjälpa dig, och just nu finns ingen att koppla dig till. "
        "Ring gärna igen under öppettiderna. Hej då.",
    },
    Phrase.WRONG_CODE: {
        "de": "Dieser Code stimmt nicht oder gilt nicht mehr. Sie können ihn noch einmal eingeben oder einfach fragen.",
        "en": "That code is not right, or no longer good. You can enter it again, or simply ask your question.",
        "sv": "Den koden stämmer inte eller gäller inte längre. Du kan slå den igen, eller bara ställa din fråga.",
    },
    Phrase.LOCKED: {
        "de": "Das waren zu viele falsche Codes. Fragen können Sie trotzdem.",
        "en": "Those were too many wrong codes. You can still ask your question.",
        "sv": "Det blev för många felaktiga koder. Du kan ändå ställa din fråga.",
    },
    Phrase.NOT_THAT: {
        "de": "Das habe ich nicht verstanden. Bitte sagen Sie es noch einmal.",
        "en": "I did not understand that. Please say it again.",
        "sv": "Det förstod jag inte. Säg det gärna igen.",
    },
    Phrase.UNSPOKEN: {
        "de": "Diese Sprache spreche ich leider nicht. Für einen Menschen drücken Sie die Null.",
        "en": "I am sorry, I do not speak this language. For a person, please press zero.",
        "sv": "Det språket talar jag tyvärr inte. Tryck noll för en människa.",
    },
    Phrase.AWAY: {
        "de": "Bei uns ist gerade etwas ausgefallen.",
        "en": "Something is not working here at the moment.",
        "sv": "Något fungerar inte hos oss just nu.",
    },
    Phrase.CONNECTING_BACK: {
        "de": "Rückruf für die Praxis. Ich verbinde.",
        "en": "A call back for the clinic. I am putting you through.",
        "sv": "En återuppringning för kliniken. Jag kopplar.",
    },
    Phrase.CHOOSE: {  # each is spoken in its own language, with the number of its key
        "de": "Für Deutsch drücken Sie die {}, oder sagen Sie: Deutsch.",
        "en": "For English, press {}, or say: English.",
        "sv": "För svenska, tryck {}, eller säg: svenska.",
    },
    Phrase.SPEAKS: {
        "de": "Gut, wir sprechen Deutsch. Was kann ich für Sie tun?",
        "en": "All right, let us speak English. What can I do for you?",
        "sv": "Då talar vi svenska. Vad kan jag hjälpa dig med?",
    },
}


def phrase(which: Phrase, language: str) -> str:
    """Return what is said; in English where the language is not one of ours."""
    said = _SAID[which]
    return said.get(language, said["en"])
