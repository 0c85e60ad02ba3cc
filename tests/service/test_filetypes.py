"""What a file is, by its first bytes; and names that are only names."""

import pytest

from server.service.filetypes import ALLOWED, cleaned_name, type_of

BEGINS = {
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
    "png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
    "gif": (b"GIF89a\1\0\1\0", "image/gif"),
    "webp": (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
    "pdf": (b"%PDF-1.7\n", "application/pdf"),
    "voice note": (b"OggS\0\2\0\0\0\0\0\0\0\0OpusHead", "audio/ogg"),
    "mp3 with a tag": (b"ID3\4\0\0\0\0\0\0", "audio/mpeg"),
    "mp3 without": (b"\xff\xfb\x90\x64\0\0", "audio/mpeg"),
    "aac": (b"\xff\xf1\x50\x80\0\0", "audio/aac"),
    "wave": (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
    "amr": (b"#!AMR\n", "audio/amr"),
    "m4a": (b"\0\0\0\x20ftypM4A \0\0\0\0", "audio/mp4"),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0", "video/mp4"),
    "iphone picture": (b"\0\0\0\x24ftypheic\0\0\0\0", "image/heic"),
    "iphone film": (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime"),
    "3gp": (b"\0\0\0\x18ftyp3gp5\0\0\0\0", "video/3gpp"),
    "webm": (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
    "page": (b"<!DOCTYPE html><script>", ""),
    "drawing with script": (b'<svg xmlns="http://www.w3.org/2000/svg">', ""),
    "program": (b"MZ\x90\0\3\0\0\0", ""),
    "archive": (b"PK\3\4\x14\0", ""),
    "matroska": (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska", ""),
    "words": (b"Hello", ""),
    "bits that are no sound": (b"\xff\xff\xff\xff", ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("what", BEGINS)
def test_a_file_is_what_its_first_bytes_say(what: str) -> None:
    head, kind = BEGINS[what]

    assert type_of(head, "image/png") == kind
    assert kind == "" or kind in ALLOWED


def test_only_of_a_container_for_both_is_the_sender_believed_that_it_has_no_picture() -> None:
    assert type_of(BEGINS["webm"][0], "audio/webm;codecs=opus") == "audio/webm"
    assert type_of(BEGINS["mp4"][0], "audio/mp4") == "audio/mp4"


@pytest.mark.parametrize(
    ("name", "kind", "cleaned"),
    [
        ("Befund März.pdf", "application/pdf", "Befund März.pdf"),
        ("photo.JPEG", "image/jpeg", "photo.JPEG"),
        ("photo.jpg.exe", "image/jpeg", "photo.jpg.exe.jpg"),
        ("..\\..\\etc/passwd", "image/png", "passwd.png"),
        ("/", "image/png", ""),
        ("...", "image/png", ""),
        ("", "image/png", ""),
        ("a\r\nSet-Cookie: x\0.png", "image/png", "aSet-Cookie_ x.png"),
        ("\u202egnp.exe", "image/png", "gnp.exe.png"),
        ('"><img>.gif', "image/gif", "___img_.gif"),
        ("letter.docx", "application/octet-stream", "letter.docx"),
        ("x" * 300 + ".png", "image/png", "x" * 116 + ".png"),
    ],
)
def test_a_name_is_only_a_name_and_ends_as_its_type_does(name: str, kind: str, cleaned: str) -> None:
    assert cleaned_name(name, kind) == cleaned
