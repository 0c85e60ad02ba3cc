"""Whatever a document is, reading it is a value: the entries that can be taken, and each fault with line and column."""

import csv
import io
import random
import time

import pytest
from msgspec.structs import replace

from knowledge_base.entries import Entry, Said
from knowledge_base.exchange import MAX_BYTES, Assumed, Form, Imported, form_of, judging, read, write, yaml_form
from knowledge_base.exchange.faults import MAX_FAULTS
from knowledge_base.outcome import Link
from knowledge_base.remarks import keys, languages
from tests.knowledge.conftest import TODAY

ASSUMED = Assumed(TODAY)
GOOD = """\
- id: {id}
  status: live
  owner: reception
  reviewed_at: 2026-11-02
  risk: admin
  title: {{en: Bread}}
  answers:
    en: {{text: "There is bread from seven."}}
  questions:
    en: [When is there bread?]
"""
HEADER = "id,language,status,owner,reviewed_at,risk,title,questions,text"
ROW = "bread,en,live,reception,2026-11-02,admin,Bread,When is there bread?,From seven."


def lines(imported: Imported) -> list[str]:
    return [fault.sentence("en") for fault in imported.faults]


def ids(imported: Imported) -> list[str]:
    return [entry.id for entry in imported.entries]


def yaml(text: str) -> Imported:
    return read(text.encode(), Form.YAML, ASSUMED)


def csv_(text: str) -> Imported:
    return read(text.encode(), Form.CSV, ASSUMED)


def md(text: str) -> Imported:
    return read(text.encode(), Form.MARKDOWN, ASSUMED)


def jsonld(text: str) -> Imported:
    return read(text.encode(), Form.JSONLD, ASSUMED)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "line 1, column 1: expected content; this is empty"),
        (b" \n\n", "line 1, column 1: expected content; this is empty"),
        (b"\xef\xbb\xbf", "line 1, column 1: expected content; this is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1, column 1: expected text in UTF-8"),
        (b"id,text\n\0\0", "line 2, column 1: expected text; here is a character"),
        ("a\nIhre Öffnungszeiten".encode("cp1252"), "line 2, column 6: expected text in UTF-8 (in Excel"),
        ("Ö".encode("utf-16-le"), "line 1, column 1: expected text in UTF-8"),
        (b"\xff\xfea", "line 1, column 1: expected text in UTF-8"),
        (b"x" * (MAX_BYTES + 1), "line 1, column 1: expected a file of at most 5 MB"),
    ],
)
@pytest.mark.parametrize("form", list(Form))
def test_what_is_no_text_is_refused_with_what_was_expected(form: Form, data: bytes, expected: str) -> None:
    imported = read(data, form, ASSUMED)

    assert imported.entries == ()
    assert lines(imported)[0].startswith(expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(encoding: str) -> None:
    assert ids(read(f"{HEADER}\r\n{ROW}\r\n".encode(encoding), Form.CSV, ASSUMED)) == ["bread"]


def test_an_unknown_form_is_a_fault() -> None:
    assert [form_of(name) for name in ("a.yml", "A.CSV", "x.html", "x.md", "x.docx", "x")] == [
        Form.YAML, Form.CSV, Form.JSONLD, Form.MARKDOWN, None, None,
    ]  # fmt: skip
    assert form_of("faq", "text/html; charset=utf-8") is Form.JSONLD
    assert lines(read(b"x", None, ASSUMED)) == [
        "line 1, column 1: expected a file that ends in .yaml, .csv, .md, .jsonld, .json or .html"
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("status: live", "status: alive"), "line 12, column 11, status: expected `draft`, `live` or `retired`"),
        (("  owner: reception\n", ""), "line 11, column 3, owner: expected the field `owner`"),
        (("risk: admin", "risk: admin\n  colour: brown"), "line 16, column 11, colour: expected no field `colour`"),
        (("2026-11-02", "lately"), "line 14, column 16, reviewed_at: expected a date such as 2026-11-23"),
        (("{en: Bread}", "{en: Bread of many different kinds}"), "line 16, column 15, title.en: expected a title"),
        (("{en: Bread}", "{English: Bread}"), "line 16, column 20, title.English: expected a language code"),
        (("{en: Bread}", "Bread"), "line 16, column 10, title: expected a title"),
        (("text: ", "txt: "), "line 18, column 15, answers.en.txt: expected no field `txt`"),
        (("[When is there bread?]", "[When?, '']"), "line 20, column 17, questions.en[1]: expected a sentence"),
        (("[When is there bread?]", "bread"), "line 20, column 9, questions.en: expected sentences"),
        (("risk: admin", "risk: never-auto"), "line 15, column 9, risk: expected `action: handover`"),
        (('seven."', 'seven.", links: [{label: x, url: "javascript:alert(1)"}]'),
            "line 18, column 70, answers.en.links[0].url: expected an address that starts with https://"),
        (("status: live", "status: live\n  status: draft"), "line 13, column 3, status: expected `status` once"),
        (("id: two", "id: one"), "line 11, column 7, id: expected an id that no other entry in this file has"),
        (("risk: admin", "risk: admin\n  valid_from: 2026-12-24\n  valid_until: 2026-12-01"),
            "line 17, column 16, valid_until: expected a day that is not before"),
        (('"There is bread from seven."', '"  \\u200b "'), "line 18, column 16, answers.en.text: expected an answer"),
        (('seven."', 'seven.", links: [{label: " ", url: "https://a.example"}]'),
            "line 18, column 62, answers.en.links[0].label: expected text"),
        (("{en: Bread}", "{en: '  '}"), "line 16, column 15, title.en: expected a title"),
        (("[When is", "['  ', When is"), "line 20, column 10, questions.en[0]: expected a sentence"),
        (('seven."', 'seven.\\u0007"'), "line 18, column 16, answers.en.text: expected text; here is a character"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_told_by_line_and_column_and_the_others_are_there(
    change: tuple[str, str], expected: str
) -> None:
    wrong = GOOD.format(id="two").replace(*change)

    imported = yaml(GOOD.format(id="one") + wrong + GOOD.format(id="three"))

    assert ids(imported) == ["one", "three"]
    assert lines(imported)[0].startswith(expected)


def test_one_pass_tells_all_that_is_wrong_with_an_entry() -> None:
    wrong = GOOD.format(id="Two Words").replace("live", "alive").replace("admin", "none").replace("[When", "['', When")

    assert [fault.field for fault in yaml(wrong).faults] == ["id", "status", "risk", "questions.en[0]"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(12)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "line 1, column 4: expected no anchors and aliases"),
        ("- *a\n", "expected no anchors and aliases"),
        ("- " + "[" * 100_000, "line 1, column 14: expected fewer levels"),
        ("- " * 50_000 + "x", "expected fewer levels"),
        ("{" * 50_000, "expected a plain word before the colon"),
        ("- [1,2\n- 3", "expected YAML, and it breaks off here"),
        ("a: b\n", "expected a list of entries"),
        ("just words", "expected a list of entries"),
        ("- a\n---\n- b\n", "expected one document"),
        ("- ? [a]\n  : b\n", "expected a plain word before the colon"),
        ("- !!python/object/apply:os.system ['true']\n", "expected an entry"),
        ("- \x07\n", "line 1, column 3: expected text; here is a character"),
    ],
)
def test_yaml_that_is_a_bomb_or_broken_is_refused_where_it_begins(text: str, expected: str) -> None:
    imported = yaml(text)

    assert imported.entries == ()
    assert expected in lines(imported)[0]


def test_what_is_whole_before_yaml_breaks_off_is_there() -> None:
    imported = yaml(GOOD.format(id="one") + GOOD.format(id="two") + "- id: [three\n  status: live\n")

    assert ids(imported) == ["one", "two"]
    assert "it breaks off here" in lines(imported)[0]


def test_no_more_faults_are_told_than_anybody_reads() -> None:
    imported = yaml(GOOD.format(id="one") + "- {}\n" * 5_000)

    assert ids(imported) == ["one"]
    assert len(imported.faults) == MAX_FAULTS + 1
    assert imported.faults[-1].rule == "file.faults"


def test_more_entries_than_a_clinic_has_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MAX_ENTRIES", 5)
    rows = "\n".join(f"q{n},Who?,We." for n in range(9))

    imported = csv_(f"id,question,answer\n{rows}\n")

    assert len(imported.entries) == 5
    assert lines(imported) == ["line 7, column 1: expected at most 5 entries"]


def test_more_values_than_a_clinic_s_whole_knowledge_has_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_form, "MAX_VALUES", 1_000)

    assert lines(yaml("- [" + "x," * 1_000 + "]")) == ["line 1, column 2000: expected at most 1,000 values in one file"]


def test_a_table_of_a_hundred_columns_names_the_first_unknown() -> None:
    header = ",".join([HEADER, *(f"column {n}" for n in range(100))])

    imported = csv_(f"{header}\n{ROW}\n")

    assert ids(csv_(f"{HEADER}{',' * 100}\n{ROW}{',' * 100}\n")) == ["bread"]  # empty ones are a spreadsheet's own
    assert imported.entries == ()
    assert lines(imported)[0].startswith("line 1, column 10: expected one of the columns id, language, ")
    assert lines(imported)[0].endswith("there is no `column 0`")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW.replace("live", "alive"), "line 3, column 3, status: expected `draft`, `live` or `retired`"),
        (ROW.replace("2026-11-02", "2.11.2026"), "line 3, column 5, reviewed_at: expected a date such as 2026-11-23"),
        (ROW.replace("en,", "English,"), "line 3, column 2, language: expected a language code"),
        (ROW.replace("en,", ","), "line 3, column 2, language: expected a language code"),
        (ROW.replace("bread,", ","), "line 3, column 1, id: expected the field `id`"),
        (f"{ROW},more", "line 3, column 10: expected 9 cells as in the first line, not 10"),
        (f'{ROW},"x"y', "line 3, column 1: expected a closing quotation mark"),
        (f'{ROW[:-1]}\n{ROW.replace("reception", "nurse").replace("en,", "de,")}',
            "line 4, column 4, owner: expected the same `owner` as in line 3"),
        (f"{ROW}\n{ROW}", "line 4, column 7, title.en: expected `title` once, not twice"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_told_by_line_and_column_and_the_others_are_there(row: str, expected: str) -> None:
    other = ROW.replace("bread,", "{},")

    imported = csv_(f"{HEADER}\n{other.format('one')}\n{row}\n{other.format('three')}\n")

    assert {"one", "three"} <= set(ids(imported))
    assert lines(imported)[0].startswith(expected)


def test_a_cell_on_several_lines_does_not_move_what_comes_after() -> None:
    imported = csv_(HEADER + "\n" + ROW.replace("From seven.", '"a\nb"') + "\nx,en,alive\n")

    assert imported.entries[0].answers["en"].text == "a\nb"
    assert {fault.line for fault in imported.faults} == {4}


def test_a_quotation_mark_that_never_closes_is_told_where_its_row_begins() -> None:
    imported = csv_(f'{HEADER}\n{ROW}\nx,en,"live\n{ROW}\n{ROW}\n')

    assert ids(imported) == ["bread"]
    assert lines(imported) == ["line 3, column 1: expected a closing quotation mark"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("hint", [False, True])
def test_spreadsheets_separate_by_comma_semicolon_or_tab(delimiter: str, hint: bool) -> None:
    table = f"{HEADER}\n{ROW}\n".replace(",", delimiter)

    assert ids(csv_(f"sep={delimiter}\n{table}" if hint else table)) == ["bread"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "＝", "'=", "''+"])
def test_no_cell_of_an_export_is_a_formula(start: str) -> None:
    said = {"en": Said(f'{start}HYPERLINK("https://x.example","y")')}
    dangerous = Entry("x", "live", f"{start}me", TODAY, "admin", {"en": f"{start}1"}, said, {"en": (f"{start}2",)})

    table = write([dangerous], Form.CSV).removeprefix("\ufeff")

    cells = [cell for row in csv.reader(io.StringIO(table, newline="")) for cell in row]
    assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "＝") for cell in cells)
    assert csv_(table).entries == (dangerous,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Just words.", "line 1, column 1: expected questions as headings"),
        ("## When?\n\n## Who?\nWe.\n", "line 1, column 4: expected an answer below the question"),
        ("## When?\nNow.\n```onethread\nid: now\n", "line 4, column 1: expected a closing ```"),
        ("## When?\nNow.\n```onethread\nid: [now\n```\n", "expected YAML, and it breaks off here"),
        ("## When?\nNow.\n```onethread\nid: now\n\nstatus: alive\n```\n",
            "line 6, column 9, status: expected `draft`, `live` or `retired`"),
        ("## When?\nNow.\n```onethread\nid: &x now\n```\n", "line 4, column 5: expected no anchors and aliases"),
        ("## When?\nNow.\n```onethread\nid: now\ncolour: red\n```\n", "line 5, column 9, colour: expected no field"),
    ],
)  # fmt: skip
def test_wrong_markdown_is_told_by_line_and_column(text: str, expected: str) -> None:
    assert any(line.startswith(expected) or expected in line for line in lines(md(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"@type": "FAQPage",\n "mainEntity": [}', "line 2, column 17: expected JSON, and it breaks off here"),
        ('{"@type": "Recipe"}', "expected a schema.org FAQPage"),
        ('{"@type": "FAQPage"}', "expected a schema.org FAQPage"),
        ("[" * 100_000, "expected fewer levels"),
        ('{"a":' * 50_000, "expected fewer levels"),
        ('{"@type": "FAQPage", "@type": "Person"}', "expected `@type` once, not twice"),
        ("<html><p>hello</p></html>", 'a page with a FAQPage in `<script type="application/ld+json">`'),
        ("<html><script>1</script><script type='application/ld+json'>{</script>", "line 1, column 61: expected JSON"),
        ("12", "expected a schema.org FAQPage"),
        ('{"@type":"FAQPage","mainEntity":[\n{"@type":"Question","name":"Who?"}]}',
            "line 2, column 1: expected an answer below the question"),
        ('{"@type":"FAQPage","mainEntity":[{"@type":"Question","name":"\\ud800?","acceptedAnswer":{"text":"x"}}]}',
            "line 1, column 61, questions.en[0]: expected text; here is a character"),
        ('{"@type":"FAQPage","mainEntity":[\n\n  7]}', "line 3, column 3: expected a question"),
    ],
)  # fmt: skip
def test_wrong_data_of_a_page_is_told_by_line_and_column(text: str, expected: str) -> None:
    imported = jsonld(text)

    assert imported.entries == ()
    assert expected in lines(imported)[0]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Form.JSONLD, "<a " * 300_000),
        (Form.JSONLD, "<script type='application/ld+json'>" * 30_000),
        (Form.JSONLD, '{"@type":"FAQPage","mainEntity":[{"@type":"Question","name":"Who?","acceptedAnswer":{"text":"'
            + "<script><a href='" * 50_000 + '"}}]}'),
        (Form.JSONLD, '"' * 500_000),
        (Form.JSONLD, "[[" * 250_000),
        (Form.JSONLD, "[" + "{}," * 200_000 + "{}]"),
        (Form.MARKDOWN, "## Who?\n" + "[" * 500_000),
        (Form.MARKDOWN, "## Who?\n" + "*a" * 250_000),
        (Form.MARKDOWN, "## Who?\n" * 60_000),
        (Form.MARKDOWN, "## Who?\n" + "&lt;" * 100_000 + "<b>"),
        (Form.CSV, "id,text\n" + '"' * 500_000),
        (Form.CSV, "id,questions,text\n" + "," * 500_000),
        (Form.CSV, "," * 500_000),
        (Form.CSV, "id,questions\n" + "a,'\n" * 100_000),
        (Form.YAML, "- " + "a: " * 100_000),
        (Form.YAML, "- '" + "x\n\n" * 100_000),
        (Form.YAML, "- {a: b" + ", a: b" * 60_000 + "}"),
        (Form.YAML, "# " * 250_000),
    ],
)  # fmt: skip
def test_no_document_takes_long(form: Form, text: str) -> None:
    began = time.process_time()

    read(text.encode(), form, ASSUMED)

    assert time.process_time() - began < 10  # seconds of half a megabyte: far more than any takes, far less than a loop


JUNK = (
    b"\n", b"\t", b'"', b"'", b":", b"-", b"{", b"}", b"[", b"]", b"<script>", b"#", b"## ", b"```", b"```onethread\n",
    b"|", b",", b";", b"\\", b"\xff", b"\0", b"null", b"\\ud800", b"1e999", b"&a ", b"*a", b"? ", b"@type",
    b"additionalProperty",
)  # fmt: skip


@pytest.mark.parametrize("form", list(Form))
def test_whatever_becomes_of_a_document_it_is_read(form: Form) -> None:
    chance = random.Random(6)
    said = {"en": Said("From seven.", voice="Seven.", links=(Link("Map", "https://x.example"),))}
    entry = Entry("x", "live", "me", TODAY, "admin", {"en": "X"}, said, {"en": ("Who?", "Whose?"), "de": ("Wer?",)})
    whole = write([entry, replace(entry, id="y")], form).encode()

    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            start = chance.randrange(len(damaged) + 1)
            damaged[start : start + chance.choice((0, 0, 1, 3, 20))] = chance.choice(JUNK)
        imported = read(bytes(damaged), form, ASSUMED)

        assert all(line for line in lines(imported))
        assert imported.entries or imported.faults
        again = read(write(imported.entries, form).encode(), form, ASSUMED)
        assert again.entries == imported.entries


def test_what_is_about_a_language_names_it() -> None:
    about = '{"@type":"PropertyValue","propertyID":"onethread","value":{"id":"x","title":["a"]}}'
    ours = '{"@type":"Question","name":"Who?","additionalProperty":' + about + "}"

    imported = jsonld(
        '{"@type":"FAQPage","mainEntity":['
        + ours
        + ","
        + ours.replace('"@type":"Q', '"inLanguage":"en","@type":"Q')
        + "]}"
    )

    assert imported.entries == ()
    assert "line 1, column 34, title: expected a language code" in lines(imported)[0]


def test_every_fault_and_finding_has_its_sentence_in_every_language() -> None:
    assert languages() == ["de", "en", "sv"]
    assert keys("de") == keys("en") == keys("sv")


def test_a_row_without_a_question_is_said_with_its_line_and_not_taken() -> None:
    imported = read(
        b"question,answer\nDo you sell umbrellas?,At the desk.\n,An answer to nothing.\n", Form.CSV, ASSUMED
    )

    assert [entry.id for entry in imported.entries] == ["do-you-sell-umbrellas"]
    assert [(fault.line, fault.column, fault.rule) for fault in imported.faults] == [(3, 1, "expect.required")]
