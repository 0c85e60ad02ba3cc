"""What is found on a clinic's own website."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from server.site_page import drafts_of, hours_of, unread

PAGE = """\
<html lang="de-DE"><head><script type="application/ld+json">
{"@context": "https://schema.org", "@graph": [{"@type": "WebSite", "name": "Startseite"},
 {"@type": ["MedicalClinic"], "name": "Praxis  Lindenhof", "telephone": "+49 30 5550123", "email": "mailto:a@b.example",
  "sameAs": ["https://social.example/lindenhof"],
  "address": {"streetAddress": "Lindenweg 3", "postalCode": "12345", "addressLocality": "Berlin",
              "addressCountry": "DE"},
  "openingHoursSpecification": [
    {"dayOfWeek": ["Monday", "https://schema.org/Tuesday"], "opens": "08:00:00", "closes": "12:00"},
    {"dayOfWeek": "Monday", "opens": "14:00", "closes": "18:00"},
    {"dayOfWeek": "Friday", "opens": "00:00", "closes": "00:00", "validFrom": "2026-12-24"}]}]}
</script></head><body><a href="https://lindenhof.example/datenschutz">Datenschutz</a></body></html>"""


def test_a_clinics_own_words_become_drafts() -> None:
    found = drafts_of(PAGE)

    assert (found.name, found.phone, found.email) == ("Praxis Lindenhof", "+49 30 5550123", "a@b.example")
    assert (found.address, found.country, found.languages) == ("Lindenweg 3, 12345 Berlin", "DE", ("de",))
    assert found.hours == {"mon": "08:00-12:00, 14:00-18:00", "tue": "08:00-12:00"}
    assert found.privacy == "https://lindenhof.example/datenschutz"


@pytest.mark.parametrize(
    ("links", "privacy"),
    [
        ('<a href="/datenschutz">Datenschutz</a>', "https://a.example/datenschutz"),
        ('<a href="https://social.example/a">Us</a> Datenschutz matters. <a href="privacy">Privacy</a>', "privacy"),
        ('<a href="#">Privacy settings</a><a href="javascript:privacy()">Privacy</a>', ""),
        ('<a href="//[privacy">Privacy</a>', ""),
    ],
)
def test_the_privacy_page_is_where_its_link_leads(links: str, privacy: str) -> None:
    assert drafts_of(links, "https://a.example/").privacy == (privacy and f"https://a.example/{privacy.split('/')[-1]}")


def test_a_country_may_be_named_in_words() -> None:
    assert drafts_of(PAGE.replace('"DE"', '{"name": "Deutschland"}')).country == "DE"
    assert drafts_of(PAGE.replace('"DE"', '"Narnia"')).country == ""


@pytest.mark.parametrize(
    ("lines", "hours"),
    [
        (["Mo-Fr 08:00-18:00", "Sa 09:00-12:00"], {"mon": "08:00-18:00", "fri": "08:00-18:00", "sat": "09:00-12:00"}),
        (["Montag, Dienstag und Donnerstag: 8 bis 12 Uhr"], {"mon": "08:00-12:00", "thu": "08:00-12:00"}),
        (["Mon – Thu 9am–5pm; Fri 9:30 am to 1 pm"], {"mon": "09:00-17:00", "fri": "09:30-13:00"}),
        (["Måndag till torsdag 8.00–16.30"], {"mon": "08:00-16:30", "thu": "08:00-16:30"}),
        (["Mo 08:00-12:00 und 14.00 - 18.00 Uhr"], {"mon": "08:00-12:00, 14:00-18:00"}),
        (["We see 8-10 people", "Mo 18:00-08:00", "Fr 25:00-26:00"], {}),
    ],
)
def test_hours_are_read_as_people_write_them(lines: list[str], hours: dict[str, str]) -> None:
    found = hours_of(lines)

    assert {day: found.get(day) for day in hours} == hours
    assert bool(found) is bool(hours)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("mon-thu 08:00-12:00, 14:00-18:00", ""),
        ("mon-thu 08:00-18:00, fri 8-13", ""),
        ("Montag, Dienstag und Donnerstag: von 8 bis 12 Uhr und 14 bis 18 Uhr", ""),
        ("mon-fri 9am-5pm, sat closed", ""),
        ("So geschlossen", ""),
        ("mon-fri 08:00-18:00, sat", "sat"),
        ("mon-fri 08:00-18:00, thrs 18-20", "thrs"),
        ("mon-fri 08:00-18:00, frei 08:00-13:00", "frei"),
        ("mon 08:00-12:00, 11:00-14:00", "11:00-14:00"),
        ("mon 18:00-08:00", "18:00-08:00"),
        ("mon 25:00-26:00", "25:00-26:00"),
        ("mon from eight", "eight"),
        ("whenever", "whenever"),
    ],
)
def test_what_cannot_be_read_of_hours_is_named(line: str, part: str) -> None:
    assert unread(line) == part


@for_all(st.text(max_size=400))
def test_whatever_a_page_says_is_no_exception(text: str) -> None:
    drafts_of(f'<script type="application/ld+json">{text}</script>{text}')


def test_what_unfolds_without_end_is_bounded() -> None:
    assert drafts_of(f'<script type="application/ld+json">{"[" * 100_000}</script>').name == ""
    assert len(drafts_of(PAGE.replace("Praxis", "P" * 10_000)).name) == 200
