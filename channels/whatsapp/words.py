"""People as they write: `ja`, `Ja bitte`, `1` or a thumb for a tap, and the words that end all messages.

Only a whole message counts, with case, punctuation and what is invisible left out. The words of all languages count at
once, since nobody asks in which one somebody says `ok`; none of them means yes in one and no in another.
"""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from server.core.model import Choice, Value

LONGEST = 200  # characters: nobody taps with a letter

_WORD = re.compile(r"[^\W_]+")
_ID_PART = re.compile(r"[^a-z0-9]+")
_INVISIBLE = ("Cf", "Cc", "Mn", "Me", "Cs", "Co", "Cn")
_UNSAID = str.maketrans(dict.fromkeys("'’´`", None))  # `that's` is one word


class Question(Value, frozen=True):
    """Something that was asked and not yet answered: message ``seq``, which the provider calls ``id``."""

    seq: int
    choices: tuple[Choice, ...]
    id: str = ""


class Taken(Value, frozen=True, tag="taken"):
    """This is the same as tapping ``choice`` under message ``question``."""

    question: int
    choice: str


class Unclear(Value, frozen=True, tag="unclear"):
    """It answers more than one question: ask which."""

    questions: tuple[int, ...]


class OptOut(StrEnum):
    """What somebody says about hearing from us at all."""

    STOP = "stop"
    ASK = "ask"  # the word is there, but they say more: do they mean it?
    RESUME = "resume"


def _spoken(*phrases: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(_WORD.findall(_folded(phrase))) for line in phrases for phrase in line.split(","))


def _folded(text: str) -> str:
    """Return the text in small letters, without accents, signs inside words and everything invisible."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold().translate(_UNSAID))
    return "".join(
        " " if character in "\n\r\t" else character
        for character in plain
        if character in "\n\r\t" or unicodedata.category(character) not in _INVISIBLE
    )


_YES = _spoken(
    "ja,jawohl,jap,jep,jup,jo,joa,klar,gern,gerne,genau,passt,ok,okay,okey,einverstanden,richtig,stimmt,bestätigt",
    "ja klar,ja gern,ja gerne,ja genau,ja passt,ja ok,ja okay,das passt,passt mir,passt so,passt gut,alles klar",
    "na klar,sehr gern,sehr gerne",
    "in ordnung,geht klar,ich komme,ich bestätige,ja ich komme,ja das passt,ja stimmt,auf jeden fall",
    "yes,yep,yeah,yup,sure,ok,correct,confirm,confirmed,fine,agreed,absolutely,definitely,yes of course,of course",
    "sounds good,that works,works for me,thats fine,thats right,yes i confirm,i confirm,yes that works,yes correct",
    "japp,jajamän,jadå,visst,absolut,gärna,okej,stämmer,bekräfta,bekräftar,ja gärna,ja visst,det går bra",
    "det passar,passar bra,det blir bra,det stämmer,ja det stämmer,ja det går bra,jag kommer,självklart,javisst",
)
_NO = _spoken(
    "nein,ne,nee,nö,nope,nicht,lieber nicht,leider nein,leider nicht,passt nicht,das passt nicht,passt mir nicht",
    "geht nicht,das geht nicht,auf keinen fall,nein leider nicht,nein passt nicht,nicht jetzt,jetzt nicht",
    "no,nah,not now,not really,no i cant,i cant,cannot,that doesnt work,doesnt work,unfortunately not,rather not",
    "nej,nix,inte,inte nu,tyvärr inte,tyvärr nej,nej tyvärr,det går inte,passar inte,det passar inte,helst inte",
)
_POLITE = frozenset(
    word
    for (word,) in _spoken(
        "bitte,danke,dankeschön,please,thanks,thx,tack,snälla,lg,vg,hallo,hi,hej,hello,moin,doch,dann,then,pls,mvh"
    )
)
_POLITE_PHRASES = _spoken(
    "vielen dank,danke schön,danke sehr,thank you,many thanks,tack så mycket,liebe grüße,viele grüße"
)
_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            "eins,erste,erster,erstes,ersten,erstere,one,first,ett,första",
            "zwei,zweite,zweiter,zweites,zweiten,two,second,två,andra",
            "drei,dritte,dritter,drittes,dritten,three,third,tre,tredje",
            "vier,vierte,vierter,viertes,vierten,four,fourth,fyra,fjärde",
            "fünf,fünfte,fünfter,fünftes,fünften,five,fifth,fem,femte",
        ),
        1,
    )
    for (word,) in _spoken(words)
}
_BEFORE_NUMBERS = frozenset(
    word
    for (word,) in _spoken(
        "option,nummer,nr,number,no,alternativ,alternative,antwort,wahl,punkt,die,der,das,den,the,det,ich,nehme,ill,take,jag,tar,one"
    )
)
_YES_SIGNS, _NO_SIGNS = frozenset("👍👌✅✔☑🆗🙆"), frozenset("👎❌✖🚫🙅")
_YES_IDS = frozenset({"yes", "ja", "confirm", "ok", "accept", "agree"})
_NO_IDS = frozenset({"no", "nein", "nej", "decline", "reject", "refuse"})

_STOP = _spoken(
    "stop,stopall,stop all,unsubscribe,unsubscribe me,opt out,optout,stop messages,stop all messages,no more messages",
    "stop messaging me,stop texting me,stop promotions,remove me,stopp,stoppen,abmelden,abmeldung,abbestellen",
    "austragen",
    "mich abmelden,ich möchte mich abmelden,keine nachrichten mehr,keine weiteren nachrichten,newsletter abbestellen",
    "nachrichten abbestellen,stoppa,avsluta,avregistrera,avregistrering,avregistrera mig,avanmäl,avanmälan,avanmäl mig",
    "inga fler meddelanden,sluta skicka,avsluta prenumeration",
)
_RESUME = _spoken("start,unstop,subscribe,starta,resume")
_MEANT = frozenset(  # these words are about messages wherever they stand
    word
    for (word,) in _spoken(
        "unsubscribe,abbestellen,abmelden,abmeldung,avregistrera,avregistrering,avanmäl,avanmälan,optout,stopall"
    )
)
_MAYBE = frozenset(word for (word,) in _spoken("stop,stopp,stoppen,stoppa,stoppe,avsluta,sluta,austragen,stoppt"))
_ABOUT = frozenset(  # and these only where one of the following stands beside them
    word
    for (word,) in _spoken(
        "nachricht,nachrichten,schreiben,schicken,senden,whatsapp,erinnerungen,werbung,newsletter,message,messages,messaging",
        "texting,texts,sending,writing,reminders,sms,meddelande,meddelanden,skicka,skriva,utskick,påminnelser,reklam",
    )
)
_SHORT = 4  # words: so short that the word is what it is about


def understood(text: str, questions: Sequence[Question], reply_to: str = "") -> Taken | Unclear | None:
    """Return which choice a typed message takes, or ``None`` when it takes none and means what it says.

    Args:
        questions: those that are open. With several, a message that fits just one of them takes its choice.
        reply_to: the provider's id of the message that was answered to; then only that one is meant.
    """
    if len(text) > LONGEST or not questions or "?" in text or "？" in text:  # `Freitag?` asks and chooses nothing
        return None
    asked = [each for each in questions if reply_to and each.id == reply_to] or list(questions)
    found = [(each.seq, choice.id) for each in asked if (choice := _fitting(text, each.choices)) is not None]
    if len(found) > 1:
        return Unclear(tuple(seq for seq, _ in found))
    return Taken(*found[0]) if found else None


def _fitting(text: str, choices: Sequence[Choice]) -> Choice | None:
    return _by_label(text, choices) or _by_number(text, choices) or _by_meaning(text, choices)


def reacted(emoji: str, target: str, questions: Sequence[Question]) -> Taken | None:
    """Return which choice a reaction to message ``target`` takes; one to anything else is just a reaction."""
    for question in questions:
        if question.id and question.id == target and (choice := _by_meaning(emoji, question.choices)):
            return Taken(question.seq, choice.id)
    return None


def opt_out(text: str) -> OptOut | None:
    """Return what a message says about hearing from us, or ``None`` when it is about something else."""
    words = _said(text)
    while len(words) > 1 and words[0] == words[-1]:  # `STOP STOP STOP`
        words = words[1:]
    if len(words) > 1 and all(len(word) == 1 for word in words):  # `S T O P`
        words = ("".join(words),)
    if words in _STOP:
        return OptOut.STOP
    if words in _RESUME:
        return OptOut.RESUME
    there = set(words)
    if there & _MEANT or (there & _MAYBE and (there & _ABOUT or len(words) <= _SHORT)):
        return OptOut.ASK
    return None


def _said(text: str) -> tuple[str, ...]:
    """Return the words of a message without the polite ones, unless there are no others."""
    words = tuple(_WORD.findall(_folded(text[: LONGEST * 20])))
    for phrase in _POLITE_PHRASES:
        for start in (0, len(words) - len(phrase)):
            if len(words) > len(phrase) and words[start : start + len(phrase)] == phrase:
                words = words[:start] + words[start + len(phrase) :]
    return tuple(word for word in words if word not in _POLITE) or words


def _only(found: list[Choice]) -> Choice | None:
    return found[0] if len(found) == 1 else None


def _by_label(text: str, choices: Sequence[Choice]) -> Choice | None:
    """The words of one choice, all of them, its first ones, or a time that only it names."""
    words = tuple(_WORD.findall(_folded(text)))
    if not words:
        return None
    labels = [(choice, tuple(_WORD.findall(_folded(choice.label)))) for choice in choices]
    if exact := [choice for choice, label in labels if label == words]:
        return _only(exact)
    if words in _YES or words in _NO or (len(words) == 1 and (words[0].isdigit() or len(words[0]) < 3)):
        return None
    if any(word.isdigit() for word in words):
        return _only([choice for choice, label in labels if _within(words, label)])
    return _only([choice for choice, label in labels if label[: len(words)] == words])


def _within(words: tuple[str, ...], label: tuple[str, ...]) -> bool:
    return any(label[start : start + len(words)] == words for start in range(len(label)))


def _by_number(text: str, choices: Sequence[Choice]) -> Choice | None:
    words = [word for word in _said(text) if word not in _BEFORE_NUMBERS] or list(_said(text))
    if len(words) != 1:
        return None
    number = (
        int(words[0]) if words[0].isascii() and words[0].isdigit() and len(words[0]) < 3 else _NUMBERS.get(words[0], 0)
    )
    return choices[number - 1] if 1 <= number <= len(choices) else None


def _by_meaning(text: str, choices: Sequence[Choice]) -> Choice | None:
    meant = _meaning(text)
    if meant is None:
        return None
    if meant and len(choices) == 1 and _stance(choices[0]) is not False:
        return choices[0]
    return _only([choice for choice in choices if _stance(choice) is meant])


def _meaning(text: str) -> bool | None:
    """Whether a message says yes or no; ``None`` for neither."""
    words = _said(text)
    if words:
        return True if words in _YES else False if words in _NO else None
    signs = {character for character in _folded(text) if not character.isspace() and not "🏻" <= character <= "🏿"}
    if signs and signs <= _YES_SIGNS:
        return True
    return False if signs and signs <= _NO_SIGNS else None


def _stance(choice: Choice) -> bool | None:
    """Whether a choice is the yes or the no of its question, by its id or how its label begins."""
    parts = set(_ID_PART.split(choice.id.casefold()))
    if bool(parts & _YES_IDS) != bool(parts & _NO_IDS):
        return bool(parts & _YES_IDS)
    words = tuple(_WORD.findall(_folded(choice.label)))
    for length in (len(words), 2, 1):
        if words[:length] in _YES:
            return True
        if words[:length] in _NO:
            return False
    return None
