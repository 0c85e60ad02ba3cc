"""Markup as plain text: what a reader of the page would see, without what a program would run.

Our texts are plain everywhere and never become HTML, so this is about reading well; and about scripts, which have no
place in an answer even as text. Each pass looks at every character once, however the document is broken.
"""

import html
import re

_PASSES = 4  # of markup inside escaped markup; what is still left after them loses its brackets
_COMMENT = "<!--"
_DROPPED = ("script", "style", "template", "iframe", "object", "noscript", "svg", "math", "head", "textarea")
_BREAKS = frozenset({"p", "div", "br", "ul", "ol", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "section", "dt"})
_NAMES = """
    a abbr acronym address applet area article aside audio b base basefont bdi bdo big blockquote body br
    button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl
    dt em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header
    hgroup hr html i iframe image img input ins kbd label legend li link main map mark marquee math menu
    meta meter nav noframes noscript object ol optgroup option output p param picture plaintext pre progress
    q rp rt ruby s samp script search section select slot small source span strike strong style sub summary
    sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr xmp
"""
_KNOWN = frozenset(_NAMES.split())
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)(?![\w-])([^<>]*)>?|<!(?:--|[a-zA-Z])")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]+")
_LINES = re.compile(r" *\n *")
_PARAGRAPHS = re.compile(r"\n{3,}")
SCHEMES = ("https://", "tel:", "mailto:")


def plain(text: str) -> str:
    """Return a text without markup; one that has none comes back as it is, entities and all."""
    return _without(text, []) if has_markup(text) else text


def page_text(text: str, *, lines: bool = False) -> tuple[str, list[tuple[str, str]]]:
    """Return what a piece of a page says, its entities read, and the links in it that an answer may have.

    Args:
        lines: whether a new line is one that a reader sees, as in Markdown.
    """
    links: list[tuple[str, str]] = []
    shown = (
        _without(text if lines else text.replace("\n", " "), links) if has_markup(text) else html.unescape(text).strip()
    )
    return plain(shown), list(dict.fromkeys(links))


def has_markup(text: str) -> bool:
    """Whether there is a tag that HTML knows; `a < b` and `<3` are none."""
    return "<" in text and any(_is_tag(found) for found in _TAG.finditer(text))


def _is_tag(found: re.Match[str]) -> bool:
    return found[2] is None or found[2].lower() in _KNOWN


def _without(text: str, links: list[tuple[str, str]]) -> str:
    for _ in range(_PASSES):
        text = _tidy(html.unescape(_pass(text, links)))
        if not has_markup(text):
            return text
    return text.replace("<", "")


def _pass(text: str, links: list[tuple[str, str]]) -> str:
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that becomes two would move every place after it
        lowered = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    parts: list[str] = []
    href, label_from, start = "", 0, 0
    while (found := _TAG.search(text, start)) is not None:
        parts.append(text[start : found.start()])
        start = found.end()
        name = (found[2] or "").lower()
        if not _is_tag(found):
            parts.append(found[0])
        elif not name:
            start = _after(text, "-->" if found[0] == _COMMENT else ">", start)
        elif name in _DROPPED and not found[1]:
            start = _after(text, ">", lowered.find(f"</{name}", start))
        elif name == "a" and not found[1]:
            href, label_from = _href(found[3]), len(parts)
        elif name == "a":
            label = _tidy(html.unescape("".join(parts[label_from:]))).replace("\n", " ")
            if href and label:
                links.append((label, href))
            href = ""
        elif name == "li" and not found[1]:
            parts.append("\n- ")
        elif name in _BREAKS:
            parts.append("\n\n" if name == "p" else "\n")
    return "".join([*parts, text[start:]])


def _after(text: str, end: str, start: int) -> int:
    """Return where the text goes on after ``end``; at its very end where that never comes."""
    found = text.find(end, start) if start >= 0 else -1
    return found + len(end) if found >= 0 else len(text)


def _href(attributes: str) -> str:
    found = _HREF.search(attributes)
    url = html.unescape(next((each for each in found.groups() if each), "")).strip() if found else ""
    fits = url.startswith(SCHEMES) and not any(letter.isspace() for letter in url) and url.isprintable()
    return url if fits else ""


def _tidy(text: str) -> str:
    text = _LINES.sub("\n", _BLANKS.sub(" ", text.replace("\u00a0", " ")))
    return _PARAGRAPHS.sub("\n\n", text).strip()
