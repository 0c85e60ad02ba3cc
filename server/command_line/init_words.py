"""What `run.py init` asks and says, in the languages of those who set a clinic up."""

LANGUAGES = ("de", "en", "sv")

_WORDS = {
    "there": {
        "de": "{path} gibt es schon, und nichts wird überschrieben. `init --again` zeigt, was anders würde.",
        "en": "{path} is there already, and nothing is written over. `init --again` shows what would differ.",
        "sv": "{path} finns redan, och inget skrivs över. `init --again` visar vad som skulle bli annorlunda.",
    },
    "used": {
        "de": "{path} ist von der Demo: erst wegräumen, oder ONETHREAD_DATA auf einen neuen Ordner setzen.",
        "en": "{path} is the demo's: move it away first, or set ONETHREAD_DATA to a new folder.",
        "sv": "{path} är demons: flytta undan den först, eller ange en ny mapp i ONETHREAD_DATA.",
    },
    "stopped": {
        "de": "Abgebrochen; nichts ist geschrieben.",
        "en": "Stopped; nothing is written.",
        "sv": "Avbrutet; inget är skrivet.",
    },
    "needed": {
        "de": "Ohne Namen geht es nicht: `{option}` angeben, oder an einem Terminal gefragt werden.",
        "en": "This is needed: give `{option}`, or be asked at a terminal.",
        "sv": "Detta behövs: ange `{option}`, eller bli tillfrågad vid en terminal.",
    },
    "ask_name": {"de": "Name der Praxis", "en": "Name of the clinic", "sv": "Mottagningens namn"},
    "ask_country": {
        "de": "Land (zwei Buchstaben)",
        "en": "Country (two letters)",
        "sv": "Land (två bokstäver)",
    },
    "ask_timezone": {"de": "Zeitzone", "en": "Time zone", "sv": "Tidszon"},
    "ask_languages": {
        "de": "Sprachen des Chats, die erste zuerst",
        "en": "Languages of the chat, the first one first",
        "sv": "Chattens språk, det första först",
    },
    "ask_origin": {
        "de": "Adressen der Website, auf der der Chat steht (`self`: dieser Server)",
        "en": "Addresses of the website where the chat stands (`self`: this server)",
        "sv": "Adresser till webbplatsen där chatten finns (`self`: den här servern)",
    },
    "ask_phone": {"de": "Telefon (`-`: keines)", "en": "Phone (`-`: none)", "sv": "Telefon (`-`: ingen)"},
    "ask_email": {"de": "E-Mail (`-`: keine)", "en": "E-mail (`-`: none)", "sv": "E-post (`-`: ingen)"},
    "ask_address": {"de": "Anschrift (`-`: keine)", "en": "Address (`-`: none)", "sv": "Adress (`-`: ingen)"},
    "ask_hours": {"de": "Öffnungszeiten", "en": "Opening hours", "sv": "Öppettider"},
    "ask_colour": {
        "de": "Farbe, wie #00685f (`-`: die vorgegebene)",
        "en": "Colour, such as #00685f (`-`: the usual one)",
        "sv": "Färg, till exempel #00685f (`-`: den vanliga)",
    },
    "ask_privacy": {
        "de": "Adresse der Datenschutzerklärung (`-`: später)",
        "en": "Address of the privacy notice (`-`: later)",
        "sv": "Adress till integritetspolicyn (`-`: senare)",
    },
    "ask_emergency": {
        "de": "Notrufnummern: bitte prüfen",
        "en": "Emergency numbers: please check",
        "sv": "Nödnummer: kontrollera dem",
    },
    "wrong_country": {
        "de": "Erwartet: zwei Buchstaben, wie DE.",
        "en": "Expected two letters, such as DE.",
        "sv": "Två bokstäver väntades, till exempel SE.",
    },
    "wrong_timezone": {
        "de": "Erwartet: eine Zeitzone wie Europe/Berlin.",
        "en": "Expected a time zone such as Europe/Berlin.",
        "sv": "En tidszon väntades, till exempel Europe/Stockholm.",
    },
    "wrong_languages": {
        "de": "Erwartet: Sprachen aus {known}; weitere lassen sich später in den Dateien ergänzen.",
        "en": "Expected languages out of {known}; others can be added in the files later.",
        "sv": "Språk ur {known} väntades; fler kan läggas till i filerna senare.",
    },
    "wrong_origin": {
        "de": "{given}: erwartet wird eine Adresse wie https://www.praxis.example, ohne Pfad und ohne *.",
        "en": "{given}: expected an address such as https://www.clinic.example, without a path or *.",
        "sv": "{given}: en adress som https://www.mottagning.example väntades, utan sökväg och utan *.",
    },
    "wrong_hours": {
        "de": "Nicht zu lesen: „{part}“. Erwartet: Zeiten wie Mo-Do 08:00-12:00, 14:00-18:00; Fr 08:00-13:00.",
        "en": "Cannot be read: “{part}”. Expected hours such as mon-thu 08:00-12:00, 14:00-18:00; fri 08:00-13:00.",
        "sv": "Går inte att läsa: ”{part}”. Tider väntades, t.ex. mån-tor 08:00-12:00, 13:00-17:00; fre 08:00-13:00.",
    },
    "wrong_colour": {
        "de": "Erwartet: eine Farbe wie #00685f.",
        "en": "Expected a colour such as #00685f.",
        "sv": "En färg väntades, till exempel #00685f.",
    },
    "no_contrast": {
        "de": "Weiße Schrift ist darauf nicht gut zu lesen (4,5:1); die nächste, auf der sie es ist: {better}",
        "en": "White text cannot be read well on it (4.5:1); the nearest colour on which it can: {better}",
        "sv": "Vit text syns inte bra på den (4,5:1); den närmaste färgen där den gör det: {better}",
    },
    "wrong_privacy": {
        "de": "Erwartet: eine Adresse, die mit https:// beginnt.",
        "en": "Expected an address that starts with https://.",
        "sv": "En adress som börjar med https:// väntades.",
    },
    "wrong_emergency": {
        "de": "Erwartet: wie emergency=112, medical=116117, crisis=…, poison=….",
        "en": "Expected such as emergency=112, medical=116117, crisis=…, poison=….",
        "sv": "Väntades som emergency=112, medical=1177, crisis=…, poison=….",
    },
    "drafts": {
        "de": "Auf der Website steht:",
        "en": "The website says:",
        "sv": "På webbplatsen står:",
    },
    "not_taken": {
        "de": "Davon ist nichts übernommen: `--take-drafts` übernimmt es, einzelne Angaben gehen vor.",
        "en": "Nothing of it is taken: `--take-drafts` takes it, and single options go before it.",
        "sv": "Inget av det är övertaget: `--take-drafts` tar det, och enskilda val går före.",
    },
    "not_read": {
        "de": "Die Website war nicht zu lesen. {why}",
        "en": "The website could not be read. {why}",
        "sv": "Webbplatsen kunde inte läsas. {why}",
    },
    "leads_away": {
        "de": "Sie leitet auf eine andere Adresse weiter: bitte diese angeben.",
        "en": "It sends us on to another address: please give that one.",
        "sv": "Den skickar vidare till en annan adress: ange den i stället.",
    },
    "wrong_website": {
        "de": "{given}: erwartet wird die Adresse einer Website, wie https://www.praxis.example.",
        "en": "{given}: expected the address of a website, such as https://www.clinic.example.",
        "sv": "{given}: adressen till en webbplats väntades, till exempel https://www.mottagning.example.",
    },
    "not_written": {
        "de": "In {path} kann nicht geschrieben werden: {why}",
        "en": "Nothing can be written in {path}: {why}",
        "sv": "Det går inte att skriva i {path}: {why}",
    },
    "written": {"de": "Geschrieben in {path}:", "en": "Written to {path}:", "sv": "Skrivet i {path}:"},
    "snippet": {
        "de": "In die Seiten der Website gehört (docs/embed.md):",
        "en": "This goes into the website's pages (docs/embed.md):",
        "sv": "Detta hör hemma på webbplatsens sidor (docs/embed.md):",
    },
    "next": {"de": "Als Nächstes:", "en": "Next:", "sv": "Härnäst:"},
    "differs": {
        "de": "Nichts ist geschrieben. Was gefällt, lässt sich von Hand übernehmen.",
        "en": "Nothing is written. What you like can be taken over by hand.",
        "sv": "Inget är skrivet. Det som passar kan tas över för hand.",
    },
    "same": {"de": "Nichts würde anders.", "en": "Nothing would differ.", "sv": "Inget skulle bli annorlunda."},
}


def said(name: str, language: str, **values: object) -> str:
    """Return a sentence."""
    return _WORDS[name][language].format(**values)
