"""How people lean on what was said before, language by language: words, not rules.

A language that is missing here is answered like any other, only without follow-ups.
"""

import re

from msgspec import Struct

from knowledge_base import text as t


class Fact(Struct, frozen=True):
    """A kind of fact: what asks for it, and what a folded text has that tells it."""

    name: str
    asked: re.Pattern[str]
    told: re.Pattern[str]


class Manner(Struct, frozen=True):
    """How people lean on what was said before, in one language. All words are folded.

    Args:
        joins: beginnings of a message that goes on, such as `and` and `what about`.
        opens: words, most of them prepositions; a short message that begins with one is half a sentence.
        ends: last words that do the same: `too`, `then`.
        things: words that stand for what was talked about.
        people: words that stand for who was talked about.
        pointing: words that do either when no noun follows: `die` in "sind die kostenlos?".
        thing: wordings that say so together, where a word alone does not.
        person: likewise.
        empty: wordings with such a word that point at nothing: "is there".
        idle: words that do not tell what is asked.
        facts: the kinds of fact there are.
    """

    joins: tuple[tuple[str, ...], ...]
    opens: frozenset[str]
    ends: frozenset[str]
    things: frozenset[str]
    people: frozenset[str]
    pointing: frozenset[str]
    thing: re.Pattern[str]
    person: re.Pattern[str]
    empty: re.Pattern[str]
    idle: frozenset[str]
    facts: tuple[Fact, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(t.words(t.fold(text)))


def _fact(name: str, asked: str, told: str, figures: str = "") -> Fact:
    """Return a kind of fact, given the beginnings of words; one that ends in ``.`` is the whole word."""

    def beginnings(text: str) -> str:
        return "|".join(t.fold(stem).replace(".", r"\b") for stem in text.split())

    either = rf"\b(?:{beginnings(told)})" + (f"|{figures}" if figures else "")
    return Fact(name, re.compile(beginnings(asked)), re.compile(either))


def _manner(
    *,
    joins: str,
    opens: str,
    ends: str,
    things: str,
    people: str,
    idle: str,
    facts: tuple[Fact, ...],
    pointing: str = "",
    thing: str = "(?!)",
    person: str = "(?!)",
    empty: str = "(?!)",
) -> Manner:
    begun = tuple(tuple(t.words(t.fold(each))) for each in joins.split(","))
    return Manner(
        joins=tuple(sorted(begun, key=len, reverse=True)),
        opens=_words(opens),
        ends=_words(ends),
        things=_words(things),
        people=_words(people),
        pointing=_words(pointing),
        thing=re.compile(thing),
        person=re.compile(person),
        empty=re.compile(empty),
        idle=_words(idle) | _words(joins) | _words(opens) | _words(ends),
        facts=facts,
    )


WHO = "who"  # the fact that is only asked for with a pronoun: "and who are you?" is about us
_CLOCK = r"\b\d{1,2}(?:[.:]\d\d)? ?(?:uhr|am|pm)\b|klockan \d"
_HOUSE = r"[a-z] \d{1,3}\b(?! ?(?:uhr|am\b|pm\b|euro|minut|stund|%|[.:]\d))"
_DE_FASTING = "nüchtern essen. esse. trinken. trinke. frühstück"
_EN_FASTING = "fast. fasting eat. eating drink. drinking breakfast empty."
_SV_FASTING = "fasta fastan äta. äter. dricka. dricker. frukost"

DE = _manner(
    joins=(
        "und,aber,oder,und wie ist es mit,wie ist es mit,wie sieht es aus mit,was ist mit,"
        "wie siehts aus mit,und was ist mit"
    ),
    opens="am an auch auf bei bis fuer für gegen im in mit nach nur ohne per um vor von zu zum zur",
    ends="auch dann",
    things=(
        "es ihn dafür dafuer dazu davon dabei damit daran daraus darauf darüber danach davor hinterher "
        "nachher dort dorthin dahin deren dessen dies diese dieser dieses diesen diesem"
    ),
    people="er ihm",
    pointing="der die das den dem",
    thing=r"\b(?:ich|wir|man) sie\b",
    person=r"\b(?!(?:nicht|jetzt|gibt|bitt|oft|erst|dort|sonst)\b)\w+t sie\b|\b(?:bei|mit|von|zu) ihr\b",
    empty=r"\b(?:gibt|geht|ist|wie geht) es\b",
    idle="""ab aber also all alle allem alles als an andere auch bald bei beim bekomme bekommen bin bis bitte
        bringen da dann darf das dass dem den denn der des die doch dr ein eine einem einen einer eines
        eigentlich er es etwa etwas euch eure euren eurer frau ganz geht gehts gelten gern genau genauso
        gibt gilt habe haben habt hab hat hatte hätte herr heißt hier hin ich ihm ihn ihnen ihr ihre ihren
        ihrer im immer in ist ja kann kannst können könnt könnte kommen komme mal man machen macht mache
        mehr mein meine meinen meiner mich mir mit möchte moglich muss muß müssen nach nehmen nehmt noch nur
        ob oder schon sehr sein seid seine seinen sich sie sind so soll sollte sonst trotzdem um uns und
        unser von vor war was welche welchem welchen welcher welches wenn wer wie wir wird wirklich wohl
        wollen will zu zum zur über überhaupt sprechstunde praxis arbeitet arbeiten arzt ärztin doktor""",
    facts=(
        _fact(
            "when",
            "montag dienstag mittwoch. mittwochs. donnerstag freitag samstag sonnabend sonntag wochenende "
            "wochentag tag. tage. tagen. wann. uhr.  "
            "uhrzeit heute. morgen. morgens. vormittag nachmittag mittag. mittags. abend nachts. früh.",
            "montag dienstag mittwoch donnerstag freitag samstag sonntag wochenend wann. innerhalb.",
            _CLOCK,
        ),
        _fact(
            "cost",
            "kostet. kosten. kostenlos gratis teuer preis. viel. gebühr",
            "euro. kosten kostet zahlt. preis gratis",
        ),
        _fact("duration", "lang. lange. länger. dauert. dauer. schnell", "minute stunde werktag woche monat"),
        _fact(
            "where",
            "wo. wohin. adresse anschrift",
            "neben. hinter. gegenüber. entfernt. eingang haltestelle",
            _HOUSE,
        ),
        _fact("fasting", _DE_FASTING, _DE_FASTING),
        _fact(WHO, "heißt. heißen. name. namen. wer.", "dr."),
    ),
)  # fmt: skip

EN = _manner(
    joins="and,but,or,what about,how about,and what about,and how about,also",
    opens="after at before by during for from in on only over till to until via with without just",
    ends="too either then instead well",
    things="it that this those these them they its their there afterwards beforehand one",
    people="he she him her his hers",
    empty=r"\b(?:is|are) there\b(?! (?:on|at|in)\b)|\bthere (?:is|are)\b",
    idle="""a about actually all also am an and another any anybody anyone are as at be been being bring but by
        can come could did do does doing doctor dr else even ever exactly for from further get gets give go
        going got had has have having he her here hers him his how i if in is it its just like longer me
        might more much must my need needs of off on one only or our out patients please practice really
        same see sees shall she should so some somebody still such take takes taken than thank that the
        their them then there these they this those to today too up us very was we well were what when where
        which while who why will with work works working would you your yours mr mrs ms many few clinic""",
    facts=(
        _fact(
            "when",
            "monday tuesday wednesday thursday friday saturday sunday weekend weekday day. days. when. time. "
            "times. hour.  "
            "hours. today. tomorrow. morning afternoon noon lunch evening night early until. "
            "till.",
            "monday tuesday wednesday thursday friday saturday sunday weekend when. within.",
            _CLOCK,
        ),
        _fact(
            "cost",
            "cost. costs. price. prices. fee. free. expensive cheap charge much.",
            "euro cost pays price free. charge",
        ),
        _fact("duration", "long. longer. quick soon.", "minute hour day. days. week month"),
        _fact(
            "where",
            "where. address exactly.",
            "next. behind. opposite. doors. entrance stop. streets",
            _HOUSE,
        ),
        _fact("fasting", _EN_FASTING, _EN_FASTING),
        _fact(WHO, "name. called. who.", "dr."),
    ),
)  # fmt: skip

SV = _manner(
    joins="och,men,eller,och hur är det med,hur är det med,vad gäller för,och vad gäller för,hur är det på",
    opens="av bara efter från för före genom hos i inför med mot om på per till under utan även vid också",
    ends="då också med",
    things="det den dem de dess dit där därefter därifrån efteråt innan sedan denna detta dessa",
    people="han hon honom henne hans hennes",
    empty=r"(?<=\blang) tid\b|\b(?:finns|gar|ar|blir|gor|far) det\b(?! (?:dar|langt)\b)|\bdet (?:finns|ar|gar)\b",
    idle="""all alla allt att av bara behöver bli blir borde bra då de dem den denna dess det detta dig din ditt
        doktor du där dr efter ej eller en er era ert ett exakt finns fram från får få fungerar för ge ger
        gå går göra gör ha han hans har hel helt hennes henne hit hon honom hos hur här i ifrån in inne inte
        ja jag jobbar kan kanske kom komma kommer kunna man me med mej men mer mig min mina mitt mot mycket
        måste många ni någon något några nog nu nya när och också om oss på sig sin sina ska skall skulle
        som så ta tar till under upp ut utan vad var vara varför vart vem vet vi vid vilja vilka vilken
        vilket vill väl även är över arbetar mottagningen mottagning läkare läkaren emot plats""",
    facts=(
        _fact(
            "when",
            "måndag tisdag onsdag torsdag fredag lördag söndag helgen. helger. vardag dag. dagar. när. "
            "klockan tidigt.  "
            "tidig. kväll morgon. morgonen. förmiddag eftermiddag lunch idag imorgon",
            "måndag tisdag onsdag torsdag fredag lördag söndag helg när. inom.",
            _CLOCK,
        ),
        _fact(
            "cost",
            "kostar. kostnad gratis. dyr pris. priset. avgift",
            "euro kosta gratis betal pris avgift",
        ),
        _fact("duration", "lång. länge. längre. dröjer. snabb", "minut timm dag. dagar vardag veck månad"),
        _fact(
            "where",
            "var. vart. ligger. adress exakt.",
            "bredvid. bakom. bort. mittemot. ingång hållplats",
            _HOUSE,
        ),
        _fact("fasting", _SV_FASTING, _SV_FASTING),
        _fact(WHO, "heter. namn. namnet. vem.", "dr."),
    ),
)  # fmt: skip

MANNERS = {"de": DE, "en": EN, "sv": SV}
