from __future__ import annotations

import io
import os
import struct
import subprocess
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from winninghand.base.errors import InputError
from winninghand.images import checks, pictures
from winninghand.images.pictures import FORMATS, Picture, decoded


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels_of(content):
    return decoded([Picture("p", content)], None)[0]


def in_palette(level):
    image = Image.new("P", (1, 1), level)
    image.putpalette(range(12))
    return image


RED, BLUE = (200, 10, 20), (10, 20, 200)
# Two pixels beside each other: red, blue.
PAIR = Image.fromarray(np.array([[RED, BLUE]], np.uint8))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind):
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    read = pixels_of(encoded(PAIR.resize((16, 8), Image.Resampling.NEAREST), kind, **options))
    assert read.shape == (8, 16, 3)
    expected = np.array([[RED, BLUE]]).repeat(8, 0).repeat(8, 1)
    assert np.abs(read.astype(int) - expected).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (Image.new("RGBA", (1, 1), (*RED, 0)), {}, (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (*RED, 255)), {}, RED),
        (Image.new("RGBA", (1, 1), (200, 100, 0, 51)), {}, (244, 224, 204)),
        (Image.new("LA", (1, 1), (100, 51)), {}, (224, 224, 224)),
        (Image.new("RGB", (1, 1), RED), {"transparency": RED}, (255, 255, 255)),
        (Image.new("RGB", (1, 1), RED), {"transparency": BLUE}, RED),
        (Image.new("L", (1, 1), 9), {"transparency": 9}, (255, 255, 255)),
        (in_palette(3), {"transparency": 3}, (255, 255, 255)),
        (in_palette(3), {"transparency": bytes([255] * 3 + [0])}, (255, 255, 255)),
        (in_palette(2), {"transparency": 3}, (6, 7, 8)),
        (Image.new("1", (1, 1), 1), {}, (255, 255, 255)),
        (Image.new("L", (1, 1), 9), {}, (9, 9, 9)),
    ],
)
def test_what_is_transparent_is_laid_on_white(image, options, expected):
    assert tuple(pixels_of(encoded(image, **options))[0, 0]) == expected


def test_an_opaque_alpha_changes_no_pixel():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    opaque = np.dstack([levels, np.full((16, 16), 255, np.uint8)])
    assert np.array_equal(pixels_of(encoded(Image.fromarray(opaque))), levels)


def test_cmyk_becomes_rgb_and_of_several_frames_the_first_is_taken():
    assert (
        np.abs(pixels_of(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")) - [254, 0, 0]).max()
        < 3
    )
    frames = [Image.new("RGB", (4, 4), color) for color in (RED, BLUE)]
    for kind in ("GIF", "PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (pixels_of(content) == RED).all()


def xmp(orientation, form):
    text = {"attribute": f'tiff:Orientation="{orientation}"', "element": f"<tiff:Orientation>{orientation}</"}
    return f"<x:xmpmeta {text[form]} />".encode()


@pytest.mark.parametrize("form", ["exif", "attribute", "element"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_and_xmp_turn_a_picture_upright(kind, orientation, form):
    image = PAIR.resize((16, 8), Image.Resampling.NEAREST)
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    if form == "exif":
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    elif kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp(orientation, form).decode())
    elif kind == "TIFF":
        options["tiffinfo"] = {700: xmp(orientation, form)}
    else:
        options["xmp"] = xmp(orientation, form)
    read = pixels_of(encoded(image, kind, **options))
    corners = {1: (RED, BLUE), 3: (BLUE, RED), 6: (RED, RED), 8: (BLUE, BLUE)}[orientation]
    assert read.shape == ((8, 16, 3) if orientation in (1, 3) else (16, 8, 3))
    assert np.abs(read[1, [1, -2]].astype(int) - corners).max() < 40


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_does(orientation):
    image = Image.fromarray(np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert np.array_equal(pixels_of(content), np.asarray(expected))
    opened = Image.open(io.BytesIO(content))
    for _ in range(2):  # a picture that somebody opened stays open
        assert np.array_equal(decoded([Picture("p", opened)], None)[0], np.asarray(expected))


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, color, rows, *chunks):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def tiff(width, height, tags, data):
    """A TIFF file of one RGB picture with these further tags of whole numbers."""
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 2, 277: 3, **tags}
    body = b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries))
    return (
        body + b"".join(struct.pack("<HHII", tag, 4, 1, entries[tag]) for tag in sorted(entries)) + bytes(4)
    )


DEEP = {
    "RGB PNG": png(2, 2, 16, 2, bytes(26)),
    "RGBA PNG": png(2, 2, 16, 6, bytes(34)),
    "grey and alpha PNG": png(2, 2, 16, 4, bytes(18)),
    "grey PNG": png(2, 2, 16, 0, bytes(10)),
    "PPM": b"P6 2 2 65535 " + bytes(24),
    "PPM of 10 bits": b"P6 2 2 1023 " + bytes(24),
    "plain PPM": b"P3 1 1 256 0 0 0 ",
    "PGM": b"P5 2 2 65535 " + bytes(8),
    "TIFF": tiff(2, 2, {258: 16, 273: 8, 278: 2, 279: 24}, bytes(24)),
    "TIFF of floats": encoded(Image.new("F", (2, 2)), "TIFF"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_more_than_eight_bits_are_refused(kind):
    with pytest.raises(InputError, match="p is not an 8-bit image"):
        pixels_of(DEEP[kind])


def test_less_than_eight_bits_are_read():
    assert (pixels_of(b"P3 1 1 15 15 0 0 ") == (255, 0, 0)).all()
    assert (pixels_of(png(1, 1, 2, 0, b"\0\xc0")) == 255).all()
    assert (pixels_of(b"P1 2 1 1 0 ")[0] == [[0], [255]]).all()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n%%EOF\n"


def iptc(payload):
    """An IPTC record that holds a picture, as Pillow's reader of that format takes it."""
    fields = [(3, 60, b"\1\0"), (3, 65, b"\0"), (3, 20, b"\0\x09"), (3, 30, b"\0\x09"), (3, 120, b"\1")]
    fields.append((8, 10, payload))
    return b"".join(bytes([0x1C, one, two, 0, len(text)]) + text for one, two, text in fields)


@pytest.mark.parametrize(
    "content",
    [
        EPS,
        iptc(EPS),
        b"\xc5\xd0\xd3\xc6" + bytes(28) + EPS,
        b"%PDF-1.4",
        encoded(PAIR, "ICO"),
        encoded(PAIR, "TGA"),
    ],
)
def test_formats_that_start_programs_or_hold_other_formats_are_not_read(content, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "system", refuse)
    with pytest.raises(InputError, match="cannot be read as an image"):
        pixels_of(content)


def test_what_pillow_opened_by_other_readers_is_not_read(monkeypatch):
    monkeypatch.setattr(subprocess, "check_call", None)
    for content in (EPS, encoded(PAIR, "TGA")):
        with pytest.raises(InputError, match=r"its format is (EPS|TGA)"):
            decoded([Picture("a", Image.open(io.BytesIO(content)))], None)
    opened = Image.open(io.BytesIO(encoded(PAIR, "PNG")))
    assert np.array_equal(decoded([Picture("a", opened)], None), decoded([Picture("a", PAIR)], None))


@pytest.mark.parametrize(
    "header", [b"P5 1#c\n#\n 1\t255\n", b"P4\n# a\n# b\n1 1\n", b"P5\n" + b"#\n" * 30_000 + b"1 1 255 "]
)
def test_comments_of_a_usual_length_are_passed_over(header):
    assert pixels_of(header + b"\x80" * 2**17).shape == (1, 1, 3)


def test_a_payload_in_a_jpeg_is_not_opened(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    plain = encoded(Image.new("RGB", (8, 8), RED), "JPEG")
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc(EPS))) + iptc(EPS)
    payload = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    assert np.array_equal(pixels_of(plain[:2] + payload + plain[2:]), pixels_of(plain))


def scans(count):
    progressive = encoded(Image.new("RGB", (8, 8), RED), "JPEG", progressive=True)
    end = progressive.rindex(b"\xff\xda")
    return progressive[:end] + progressive[end:-2] * count + progressive[-2:]


ZEROS = zlib.compress(bytes(2**24))
BOMBS = {
    "a PNG of few bytes": (png(9000, 9000, 1, 0, b""), "more than 67108864 pixels"),
    "sides beyond 32 bits": (png(2**31 - 1, 2**31 - 1, 8, 2, b""), "p "),
    "a GIF": (
        encoded(Image.new("P", (1, 1)), "GIF").replace(b"\1\0\1\0", b"\xff\xff\xff\xff"),
        "67108864 pixels",
    ),
    "a WebP": (encoded(Image.new("RGB", (8192, 4096)), "WEBP", lossless=True, method=0), "26843545 pixels"),
    "a tile larger than its picture": (
        tiff(8, 8, {322: 32768, 323: 32768, 324: 8, 325: 9}, bytes(9)),
        "67108864",
    ),
    "a side without end": (
        png(2**26, 1, 1, 0, zlib.compress(bytes(2**23 + 1))),
        "a side of more than 65,536",
    ),
    "comments without end": (
        b"P6\n" + b"#\n" * 5_000_000 + b"1 1 255\n\0\0\0",
        "comments of more than 65,536",
    ),
    "a thousand scans": (scans(1000), "scans where ten are usual"),
    "a profile that inflates": (png(1, 1, 8, 0, b"\0\0", (b"iCCP", b"a\0\0" + ZEROS)), "image"),
    "text that inflates": (
        png(1, 1, 8, 0, b"\0\0", (b"zTXt", b"a\0\0" + ZEROS)),
        "image",
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_pictures_made_to_fill_the_memory_are_refused(kind):
    content, message = BOMBS[kind]
    begin = time.perf_counter()
    with pytest.raises(InputError, match=message):
        pixels_of(content)
    assert time.perf_counter() - begin < 1


def test_many_pictures_at_a_time_take_no_more_than_one_large_one(monkeypatch):
    monkeypatch.setattr(pictures, "_PICTURES_PER_JOB", 1)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 10_000)
    monkeypatch.setattr(pictures, "_ROOM", pictures._Room())
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    busy, most, lock = [0], [0], threading.Lock()
    upright = pictures._upright

    def watched(image, size, transform):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.01)
        with lock:
            busy[0] -= 1
        return upright(image, size, transform)

    monkeypatch.setattr(pictures, "_upright", watched)
    large = Picture("p", encoded(Image.new("L", (80, 60), 7)))
    assert (decoded([large] * 8, (4, 4)) == 7).all()
    assert most[0] == 2


def test_a_set_that_needs_more_memory_than_there_is_is_refused(monkeypatch):
    monkeypatch.setattr(checks, "_memory", lambda: 10**6)
    small = Picture("p", encoded(Image.new("L", (8, 8))))
    with pytest.raises(InputError, match=r"6 images of 500×400 pixels take 3,600,000 bytes"):
        decoded([small] * 6, (500, 400))


def test_large_pictures_are_converted_by_bands(monkeypatch):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 20, 4), dtype=np.uint8))
    whole = pictures.rgb(image)
    monkeypatch.setattr(pictures, "_PIXELS_OF_BAND", 150)
    assert np.array_equal(pictures.rgb(image), whole)


def test_a_pipe_and_a_device_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "p.png")
    for path in (tmp_path / "p.png", checks.Path("/dev/zero")):
        with pytest.raises(InputError, match="is no file"):
            decoded([Picture(str(path), path)], None)
