"""Takes out of pictures what their makers wrote beside them: where they were taken, with what, by whom, and when.

A phone's picture says where its owner lives. Nothing is decoded: each format is a row of parts with lengths, and those
that only describe are left out. What draws differently without them stays: how a photo is turned, its colours, how an
animation repeats. Whatever follows a picture's end goes too.

Sources: ITU-T T.81 annex B and CIPA DC-008 (JPEG, Exif); w3.org/TR/png-3; the WebP container specification; the GIF89a
specification; ISO/IEC 14496-12 for films, 23008-12 for HEIF.
"""

import struct
from collections.abc import Iterator

PNG_KEPT = frozenset(
    {
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"iCCP", b"cICP", b"mDCV",
        b"cLLI", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
    }
)  # fmt: skip
WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP"})
GIF_KEPT = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0"})  # how often it repeats
FILM_DROPPED = frozenset({b"udta", b"meta", b"uuid"})  # where, when, with what
FILM_ENTERED = frozenset({b"moov", b"trak", b"moof", b"traf"})
FILM_DEPTH = 8  # boxes within boxes that are entered: two are usual, and a thousand would be an attack
HEIF_PIECES = 10_000  # of all items of a picture: a phone's has some fifty, and more would be an attack
ORIENTATION = 0x0112
STANDS_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # JPEG markers without a length


class Broken(ValueError):
    """This is not the picture it begins as."""


def stripped(kind: str, data: bytes) -> bytes:
    """Return ``data`` without what only describes it; of a type that is not known here, as it is.

    Raises:
        Broken: it cannot be read as what it is said to be.
    """
    strip = {
        "image/jpeg": _jpeg,
        "image/png": _png,
        "image/webp": _webp,
        "image/gif": _gif,
        "image/heic": _heif,
        "video/mp4": _film,
        "video/quicktime": _film,
        "video/3gpp": _film,
        "audio/mp4": _film,
    }.get(kind)
    if strip is None:
        return data
    try:
        return strip(data)
    except (IndexError, struct.error):
        raise Broken from None


def strips(kind: str) -> bool:
    """Whether files of this type must be whole before they can be kept."""
    return kind in ("image/jpeg", "image/png", "image/webp", "image/gif", "image/heic") or kind in (
        "video/mp4",
        "video/quicktime",
        "video/3gpp",
        "audio/mp4",
    )


# JPEG -----------------------------------------------------------------------------------------------------------------


def _jpeg(data: bytes) -> bytes:
    if data[:2] != b"\xff\xd8":
        raise Broken
    kept, at, turned = [b"\xff\xd8"], 2, 0
    while True:
        if data[at] != 0xFF:
            raise Broken
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker == 0xD9:
            break
        elif marker in STANDS_ALONE:
            at += 2
        else:
            at, part = _segment(data, at)
            turned = turned or _turned(part)
            if _draws(marker, part):
                kept.append(part)
            if marker == 0xDA:
                end = _scan_end(data, at)
                kept.append(data[at:end])
                at = end
    if turned:
        kept.insert(1, _exif_of(turned))
    return b"".join([*kept, b"\xff\xd9"])


def _segment(data: bytes, at: int) -> tuple[int, bytes]:
    (length,) = struct.unpack_from(">H", data, at + 2)
    end = at + 2 + length
    if length < 2 or end > len(data):
        raise Broken
    return end, data[at:end]


def _draws(marker: int, part: bytes) -> bool:
    """Of the segments for programs only density, colours and Adobe's transformation change what is drawn."""
    if marker == 0xFE:
        return False
    if 0xE0 <= marker <= 0xEF:
        begins = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}.get(marker)
        return begins is not None and part[4:].startswith(begins)
    return True


def _scan_end(data: bytes, at: int) -> int:
    """Return where the next marker is that ends a scan; a picture that breaks off ends where it ends."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise Broken
        if data[at + 1] == 0 or data[at + 1] in STANDS_ALONE:
            at += 2
        elif data[at + 1] == 0xFF:
            at += 1
        else:
            return at


def _turned(part: bytes) -> int:
    """Return how a photo is turned, 2 to 8, or 0 where its Exif says nothing of use."""
    if part[1] != 0xE1 or part[4:10] != b"Exif\0\0":
        return 0
    tiff = part[10:]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 0
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for n in range(min(count, 256)):
            tag, kind, number, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * n)
            if (tag, kind, number) == (ORIENTATION, 3, 1):
                return value if 2 <= value <= 8 else 0
    except struct.error:
        return 0
    return 0


def _exif_of(turned: int) -> bytes:
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, ORIENTATION, 3, 1, turned, 0, 0)
    return struct.pack(">2sH6s", b"\xff\xe1", 8 + len(tiff), b"Exif\0\0") + tiff


# PNG ------------------------------------------------------------------------------------------------------------------


def _png(data: bytes) -> bytes:
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise Broken
    kept, at, name = [data[:8]], 8, b""
    while name != b"IEND":
        (length,) = struct.unpack_from(">I", data, at)
        name, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            raise Broken
        if name in PNG_KEPT:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


# WebP -----------------------------------------------------------------------------------------------------------------


def _webp(data: bytes) -> bytes:
    kind, size, form = struct.unpack_from("<4sI4s", data)
    end = 8 + size
    if (kind, form) != (b"RIFF", b"WEBP") or end > len(data) + 1:
        raise Broken
    kept, at = bytearray(b"WEBP"), 12
    while at + 8 <= min(end, len(data)):
        name, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        if len(body) < length:
            raise Broken
        if name == b"VP8X":
            body = bytes([body[0] & ~0x0C]) + body[1:]  # says that Exif and XMP follow: they do not
        if name in WEBP_KEPT:
            kept += struct.pack("<4sI", name, length) + body + b"\0" * (length & 1)
        at += 8 + length + (length & 1)
    return struct.pack("<4sI", b"RIFF", len(kept)) + bytes(kept)


# GIF ------------------------------------------------------------------------------------------------------------------


def _gif(data: bytes) -> bytes:
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        raise Broken
    at = 13 + _table(data[10])
    kept = [data[:at]]
    while data[at] != 0x3B:
        begin = at
        if data[at] == 0x2C:
            at = _blocks_end(data, at + 11 + _table(data[at + 9]))
            kept.append(data[begin:at])
        elif data[at] == 0x21:
            at = _blocks_end(data, at + 2)
            label = data[begin + 1]
            if label in (0xF9, 0x01) or (label == 0xFF and data[begin + 3 : begin + 14] in GIF_KEPT):
                kept.append(data[begin:at])
        else:
            raise Broken
    return b"".join([*kept, b";"])


def _table(packed: int) -> int:
    """Return how many bytes of colours follow."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _blocks_end(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1


# films ----------------------------------------------------------------------------------------------------------------


def _film(data: bytes) -> bytes:
    """Blank the boxes that describe: what else is in the file is found by its place, so nothing may move."""
    film = bytearray(data)
    _blank(film, 0, len(film))
    return bytes(film)


def _blank(film: bytearray, at: int, end: int, depth: int = 0) -> None:
    if depth > FILM_DEPTH:
        raise Broken
    while at + 8 <= end:
        length, name = struct.unpack_from(">I4s", film, at)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", film, at + 8), 16
        elif length == 0:  # to the end
            length = end - at
        if length < head or at + length > end:
            raise Broken
        if name in FILM_DROPPED:
            film[at + 4 : at + 8] = b"free"
            film[at + head : at + length] = bytes(length - head)
        elif name in FILM_ENTERED:
            _blank(film, at + head, at + length, depth + 1)
        at += length


# HEIF -----------------------------------------------------------------------------------------------------------------


def _heif(data: bytes) -> bytes:
    """Blank what lies where the Exif and XMP of a picture are said to lie; nothing may move here, either."""
    picture = bytearray(data)
    inside = _box(data, b"meta", 0, len(data))
    if inside is None:
        raise Broken
    begin, end = inside[0] + 4, inside[1]  # behind version and flags
    described, places = _box(data, b"iinf", begin, end), _box(data, b"iloc", begin, end)
    if described is None or places is None:
        raise Broken
    kept_inside = _box(data, b"idat", begin, end)
    which = _describing(data, *described)
    for item, method, start, length in _extents(data, places[0]):
        if item not in which:
            continue
        if method == 1 and kept_inside is not None:
            start += kept_inside[0]
        elif method != 0:
            raise Broken
        if length == 0 or start + length > len(data):
            raise Broken
        picture[start : start + length] = bytes(length)
    return bytes(picture)


def _box(data: bytes, wanted: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Return from where to where the inside of the first box of this name goes."""
    for name, begin, after in _boxes(data, at, end):
        if name == wanted:
            return begin, after
    return None


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        elif length == 0:  # to the end
            length = end - at
        if length < head or at + length > end:
            raise Broken
        yield name, at + head, at + length
        at += length


def _describing(data: bytes, begin: int, end: int) -> set[int]:
    """Return the numbers of the items that only describe."""
    found = set()
    for name, at, _ in _boxes(data, begin + (6 if data[begin] == 0 else 8), end):
        if name != b"infe" or data[at] < 2:
            raise Broken
        number, width = (">H", 2) if data[at] == 2 else (">I", 4)
        (item,) = struct.unpack_from(number, data, at + 4)
        kind = data[at + 4 + width + 2 : at + 4 + width + 6]
        if kind in (b"Exif", b"mime", b"uri "):
            found.add(item)
    return found


def _extents(data: bytes, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield item, where it is counted from, where it begins, and its length, for each piece of each item."""
    version, sizes, more = data[at], data[at + 4], data[at + 5]
    offset, length, base, index = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    wide = version == 2
    at, count = at + 6, _number(data, at + 6, 4 if wide else 2)
    at += 4 if wide else 2
    left = HEIF_PIECES
    for _ in range(count):
        item = _number(data, at, 4 if wide else 2)
        at += 4 if wide else 2
        method = 0
        if version:
            method = data[at + 1] & 15
            at += 2
        start = _number(data, at + 2, base)
        pieces = _number(data, at + 2 + base, 2)
        at += 4 + base
        left -= 1 + pieces
        if left < 0:
            raise Broken
        for _ in range(pieces):
            at += index
            begins, long = _number(data, at, offset), _number(data, at + offset, length)
            at += offset + length
            yield item, method, start + begins, long


def _number(data: bytes, at: int, width: int) -> int:
    if at + width > len(data):
        raise Broken
    return int.from_bytes(data[at : at + width], "big")
