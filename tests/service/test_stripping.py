"""Pictures lose what was written beside them, and nothing that changes how they look."""

import random
import struct
import zlib

import pytest

from server.service.stripping import HEIF_PIECES, Broken, stripped, strips


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def exif(turned: int, order: str = ">") -> bytes:
    """As a phone writes it: how the photo is turned, and where it was taken."""
    tiff = {">": b"MM", "<": b"II"}[order] + struct.pack(f"{order}HIH", 42, 8, 2)
    tiff += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, turned, 0) + struct.pack(f"{order}HHII", 0x8825, 4, 1, 38)
    return b"Exif\0\0" + tiff + bytes(4) + b"52.5200 N 13.4050 E"


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
COLOURS = segment(0xE2, b"ICC_PROFILE\0\1\1colours")
TABLES = segment(0xDB, bytes(65)) + segment(0xC0, b"\x08\0\x08\0\x08\x01\x01\x11\0")
SCAN = segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x12\xff\0\x34\xff\xd0\x56"
ENDS = b"\xff\xd9"
ABOUT = (
    segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0where") + segment(0xED, b"Photoshop 3.0\0who") + segment(0xFE, b"why")
)


def test_a_photo_forgets_where_it_was_taken_and_stays_turned_as_it_was() -> None:
    for order in (">", "<"):
        photo = b"\xff\xd8" + segment(0xE1, exif(6, order)) + JFIF + ABOUT + COLOURS + TABLES + SCAN + ENDS + b"behind"
        turned = segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")

        assert stripped("image/jpeg", photo) == b"\xff\xd8" + turned + JFIF + COLOURS + TABLES + SCAN + ENDS


def test_a_photo_of_several_scans_keeps_them_all() -> None:
    photo = b"\xff\xd8" + JFIF + TABLES + SCAN + segment(0xC4, bytes(20)) + b"\xff" + SCAN + ENDS

    assert stripped("image/jpeg", photo) == photo.replace(b"\xff\xff\xda", b"\xff\xda")


@pytest.mark.parametrize("damage", [b"", b"\xff\xe1\xff\xffExif", b"\xff\xe1\0\0", b"words"])
def test_a_photo_that_breaks_off_is_no_photo(damage: bytes) -> None:
    with pytest.raises(Broken):
        stripped("image/jpeg", b"\xff\xd8" + JFIF + damage)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_a_png_keeps_only_what_draws() -> None:
    draws = [chunk(b"IHDR", bytes(13)), chunk(b"gAMA", bytes(4)), chunk(b"IDAT", b"pixels"), chunk(b"IEND", b"")]
    says = [chunk(b"tEXt", b"Author\0me"), chunk(b"eXIf", b"MM"), chunk(b"tIME", bytes(7)), chunk(b"prVt", b"own")]
    start = b"\x89PNG\r\n\x1a\n"

    whole = start + draws[0] + says[0] + draws[1] + says[1] + draws[2] + says[2] + says[3] + draws[3] + b"behind"
    assert stripped("image/png", whole) == start + b"".join(draws)
    with pytest.raises(Broken):
        stripped("image/png", whole[:60])


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_a_webp_keeps_only_what_draws_and_says_so() -> None:
    described = riff(
        (b"VP8X", b"\x2c" + bytes(9)), (b"ICCP", b"col"), (b"VP8 ", b"pix"), (b"EXIF", b"w"), (b"XMP ", b"x")
    )

    assert stripped("image/webp", described + b"behind") == riff(
        (b"VP8X", b"\x20" + bytes(9)), (b"ICCP", b"col"), (b"VP8 ", b"pix")
    )


def test_a_gif_keeps_its_pictures_and_how_often_they_repeat() -> None:
    start = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6)
    repeats = b"\x21\xff\x0bNETSCAPE2.0\x03\1\0\0\0"
    picture = b"\x21\xf9\x04\0\0\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\x80" + bytes(6) + b"\x02\x02\x44\x01\0"
    says = b"\x21\xfe\x03why\0" + b"\x21\xff\x0bXMP DataXMP\x03who\0"

    assert (
        stripped("image/gif", start + says + repeats + picture + says + b";behind") == start + repeats + picture + b";"
    )


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def test_a_film_forgets_where_it_was_taken_and_nothing_in_it_moves() -> None:
    def film(udta: bytes) -> bytes:
        track = box(b"trak", box(b"tkhd", bytes(8)) + udta)
        return (
            box(b"ftyp", b"isom\0\0\2\0") + box(b"moov", box(b"mvhd", bytes(8)) + track + udta) + box(b"mdat", b"\1\2")
        )

    for kind in ("video/mp4", "audio/mp4", "video/quicktime"):
        assert stripped(kind, film(box(b"udta", b"+52.52+013.40/"))) == film(box(b"free", bytes(14)))


def test_a_film_with_thousands_of_boxes_in_boxes_is_broken_and_never_an_accident() -> None:
    film = b"".join(struct.pack(">I4s", 8 * (5000 - place), b"moov") for place in range(5000))

    with pytest.raises(Broken):
        stripped("video/mp4", film)


def heif(exif: bytes, *, inside: bool = False, pieces: int = 1) -> bytes:
    """A picture of one item and its Exif, which lies behind it or in a box of its own."""
    full = bytes(4)
    items = b"".join(
        box(b"infe", b"\2" + bytes(3) + struct.pack(">HH4s", number, 0, kind) + b"\0")
        for number, kind in ((1, b"hvc1"), (2, b"Exif"))
    )

    def meta(picture: int, begins: int) -> bytes:
        def item(number: int, method: int, start: int, length: int) -> bytes:
            return struct.pack(">HHHH", number, method, 0, pieces) + struct.pack(">II", start, length) * pieces

        places = b"\1" + bytes(3) + b"\x44\0" + struct.pack(">H", 2)
        places += item(1, 0, picture, 4) + item(2, int(inside), begins, len(exif))
        kept = box(b"idat", exif) if inside else b""
        return box(b"meta", full + box(b"iinf", full + struct.pack(">H", 2) + items) + box(b"iloc", places) + kept)

    start = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    at = len(start) + len(meta(0, 0)) + 8
    return start + meta(at, 0 if inside else at + 4) + box(b"mdat", b"draw" + (b"" if inside else exif))


@pytest.mark.parametrize("inside", [False, True])
def test_an_iphones_picture_forgets_where_it_was_taken_and_nothing_in_it_moves(inside: bool) -> None:
    where = b"Exif\0\0N 52 31 12"

    assert stripped("image/heic", heif(where, inside=inside)) == heif(bytes(len(where)), inside=inside)
    assert strips("image/heic")


def test_a_picture_of_endless_pieces_is_broken_and_never_an_accident() -> None:
    for broken in (heif(b"where", pieces=HEIF_PIECES), heif(b"where")[:100], box(b"ftyp", b"heic"), b""):
        with pytest.raises(Broken):
            stripped("image/heic", broken)


def test_other_types_stay_as_they_are() -> None:
    assert stripped("application/pdf", b"%PDF-1.7") == b"%PDF-1.7"


def test_whatever_is_sent_as_a_picture_is_stripped_or_broken_and_never_an_accident() -> None:
    photo = b"\xff\xd8" + segment(0xE1, exif(6)) + JFIF + ABOUT + TABLES + SCAN + ENDS
    wholes = {
        "image/jpeg": photo,
        "image/png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"IEND", b""),
        "image/webp": riff((b"VP8X", b"\x2c" + bytes(9)), (b"VP8 ", b"pix")),
        "image/gif": b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b"\x2c\0\0\0\0\1\0\1\0\0\x02\x02\x44\x01\0;",
        "video/mp4": box(b"moov", box(b"trak", box(b"udta", b"where"))),
        "image/heic": heif(b"where"),
    }
    chance = random.Random(4)
    for kind, whole in wholes.items():
        for _ in range(400):
            damaged = bytearray(whole[: chance.randrange(len(whole) + 1)])
            for _ in range(chance.randrange(4)):
                if damaged:
                    damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                assert len(stripped(kind, bytes(damaged))) <= len(damaged) + 36  # at most a short Exif is added
            except Broken:
                continue
