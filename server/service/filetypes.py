"""What a file is, by its first bytes; and a name that is only a name.

What a sender says about a file is not believed: browsers act on the type we give it. The list is short on purpose and
is the list of what may be sent, so it is a table of our own: a library that knows a thousand types would still need it.

Source: mimesniff.spec.whatwg.org and each format's own specification.
"""

import re
import unicodedata

HEAD = 64  # bytes that are enough to tell
PLAIN = "application/octet-stream"  # anything else: kept only where a provider sent it, and never shown
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})  # browsers draw these and run nothing
SOUNDS = frozenset({"audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/wav", "audio/amr", "audio/webm"})
FILMS = frozenset({"video/mp4", "video/quicktime", "video/3gpp", "video/webm"})
HEIC = "image/heic"  # what an iPhone keeps: no browser but its own draws it, and no WhatsApp takes it from us
ALLOWED = PICTURES | SOUNDS | FILMS | {"application/pdf", HEIC}

MAX_NAME = 120  # characters
MAX_ENDING = 10  # characters that still are one
_ENDINGS = {
    "application/pdf": ".pdf",
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "image/gif": ".gif",
    "image/heic": ".heic",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "video/3gpp": ".3gp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}
_ALSO = {"audio/ogg": (".opus", ".oga"), "image/heic": (".heif",), "image/jpeg": (".jpeg",), "video/mp4": (".m4v",)}
_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
)
_BRANDS = {  # of the ISO base media format, whose first box says what it is
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"isom": "video/mp4",
    b"iso2": "video/mp4",
    b"iso4": "video/mp4",
    b"iso5": "video/mp4",
    b"iso6": "video/mp4",
    b"avc1": "video/mp4",
    b"mp41": "video/mp4",
    b"mp42": "video/mp4",
    b"M4V ": "video/mp4",
    b"MSNV": "video/mp4",
    b"dash": "video/mp4",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), HEIC),
}
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # what some file system takes for something else than a name


def type_of(head: bytes, said: str = "") -> str:
    """Return the type of a file that begins so, or an empty string when it is none that may be sent.

    Args:
        head: the first ``HEAD`` bytes, or all of a shorter file.
        said: what its sender calls it. Believed in one thing alone: whether a container with both has sound only.
    """
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _of_brand(head[8:12], said)
    if head[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in head:
        return "audio/webm" if said.startswith("audio/") else "video/webm"
    return _of_frame(head)


def _of_brand(brand: bytes, said: str) -> str:
    if brand[:3] in (b"3gp", b"3g2"):
        return "audio/mp4" if said.startswith("audio/") else "video/3gpp"
    kind = _BRANDS.get(brand, "")
    return "audio/mp4" if kind == "video/mp4" and said.startswith("audio/") else kind


def _of_frame(head: bytes) -> str:
    """Sound without a container: eleven set bits, then a version and a layer."""
    if len(head) < 4 or head[0] != 0xFF:
        return ""
    if head[1] & 0xF6 == 0xF0:  # layer 0 is AAC in an ADTS frame
        return "audio/aac"
    real = head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08 and head[1] & 0x06 == 0x02  # layer III
    return "audio/mpeg" if real and head[2] >> 4 not in (0, 15) and head[2] & 0x0C != 0x0C else ""


def cleaned_name(name: str, kind: str) -> str:
    """Return a name that is only a name and ends as its type does; empty stays empty.

    Paths, control characters and marks that turn the reading direction go, and so do leading dots: `photo.jpg.exe`
    that is a picture becomes `photo.jpg.exe.jpg`.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    plain = "".join(each for each in last if unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
    plain = " ".join(_UNSAFE.sub("_", plain).split()).strip(". ")
    if not plain:
        return ""
    ending = _ENDINGS.get(kind, "")
    if not plain.lower().endswith((ending, *_ALSO.get(kind, ()))):
        plain += ending
    _, dot, last = plain.rpartition(".")
    tail = f".{last}" if dot and len(last) <= MAX_ENDING else ""
    return plain if len(plain) <= MAX_NAME else plain[: MAX_NAME - len(tail)] + tail


def name_for(kind: str) -> str:
    """Return a name for a file that came without one."""
    return f"file{_ENDINGS.get(kind, '')}"
