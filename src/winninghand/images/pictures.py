"""Encoded pictures (JPEG, PNG and a few formats more) decoded into one array, whoever made them.

Long, as what is checked before a pixel is decoded stands beside what decodes it.
"""

from __future__ import annotations

import io
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from winninghand.base.errors import InputError, counted, shown
from winninghand.base.files import regular
from winninghand.base.threads import usable_cores
from winninghand.images.checks import Int64Array, UInt8Array, check_memory
from winninghand.images.resizing import Size, geometry, shorter_side

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""The formats that are read and their suffixes, in the order they are tried: common ones first.

None of them holds another picture that its reader would hand on to a program, as IPTC and EPS do.
"""
_NO_FORMAT = f": it is no {', '.join(FORMATS)}"
_MOST_FILES = 2**22
SUFFIXES = {suffix for suffixes in FORMATS.values() for suffix in suffixes}


Other = tuple[str, Path]
"""A file that is no image of a known format: what kind it is, such as its suffix, and where it lies."""


def image_files(folder: Path) -> tuple[list[Path], list[Other]]:
    """Return the image files at any depth below a folder, sorted, and the other files there.

    Files are told by their suffixes. Hidden ones and those in hidden folders are passed over; a folder
    that is a link is not gone into, and is one of the others. Raises `InputError` for a folder that cannot
    be read and for more than four million files.
    """
    found: list[Path] = []
    others: list[Other] = []
    count = 0
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        others += [("linked folder", Path(place, name)) for name in folders if Path(place, name).is_symlink()]
        for name in names:
            path = Path(place, name)
            if not name.startswith("."):
                if is_picture(path):
                    found.append(path)
                else:
                    others.append((path.suffix.lower() or "no suffix", path))
        count += len(names)
        if count > _MOST_FILES:
            raise InputError(f"{folder} holds more than {_MOST_FILES:,} files; give a folder of images alone")
    return sorted(found), others


def is_picture(path: Path) -> bool:
    """Say whether a path is a file whose suffix is that of a known format, or a link to one that is gone.

    Such a link counts as a broken image: else a set would lose images as what it links to is moved.
    """
    if path.suffix.lower() not in SUFFIXES:
        return False
    return path.is_file() or (path.is_symlink() and not path.exists())


def left_out(others: Sequence[Other]) -> str:
    """Return one line on files that are no images of a known format, by kind and by name.

    Such as "2 files that are no JPEG, … are left out (.heic 1, .txt 1): cat/a.HEIC, dog/notes.txt".
    Names begin at the innermost folder that holds all of them.
    """
    kinds = sorted(Counter(kind for kind, _ in others).items(), key=lambda item: (-item[1], item[0]))
    counts = ", ".join(f"{shown(kind, 20)} {count:,}" for kind, count in kinds[:5])
    more = ", …" if len(kinds) > 5 else ""
    verb = "is" if len(others) == 1 else "are"
    files = counted(len(others), "file that is", "files that are")
    paths = [path.absolute() for _, path in others]
    start = os.path.commonpath([path.parent for path in paths if path.anchor == paths[0].anchor])
    told = sorted(
        os.path.relpath(path, start) if path.anchor == paths[0].anchor else str(path) for path in paths
    )
    names = listed([shown(path, 60) for path in told], ", ", _LONGEST_NAMES)
    return f"{files} no {', '.join(FORMATS)} {verb} left out ({counts}{more}): {names}"


def listed(texts: Sequence[str], between: str = "; ", longest: int = 1500) -> str:
    """Return texts one after the other; of those that make the line too long only how many there are."""
    line = texts[0]
    for place, text in enumerate(texts[1:], start=1):
        if len(line) + len(text) > longest:
            return f"{line}{between}and {len(texts) - place:,} more"
        line += between + text
    return line


def _refuse(error: OSError) -> None:
    raise InputError(
        f"{error.filename} cannot be read ({error.strerror}); give yourself the right to, or move it"
    )


LONGEST_SIDE = 2**16
"""In pixels, as of JPEG and GIF: the rows of a picture are converted whole."""
MOST_PIXELS = 2**26
"""Of one picture, and of all that are decoded at a time: half a gigabyte of memory."""
_PIXELS_OF_WEBP = 2.5
"""As many times the memory of others takes a WebP picture, whose reader keeps several copies."""
LARGEST_FILE = 2**28
_SMALL_FILE = 2**24
_MOST_SCANS = 100
"""Of a JPEG file. Each goes over the whole picture; ten are usual, a thousand take minutes."""
_MOST_THREADS = 16
_PICTURES_PER_JOB = 64
_LONGEST_NAMES = 300
_SKIP = "--skip-broken (in Python skip_broken=True, in a recipe images.skip_broken)"
_FINER = 2
"""As many times larger than asked for is what a JPEG file is decoded to at least, and then resized."""
_PIXELS_OF_BAND = 2**20
_ORIENTATION = 0x0112
_ORIENTED = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_TURNS: dict[int, Callable[[UInt8Array], UInt8Array]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
"""What each orientation of EXIF asks for; views, as a copy of a large picture is large."""
_ACROSS = (5, 6, 7, 8)
"""The orientations under which height and width change places."""
_LONGEST_HEADER = 2**16
_PPM = re.compile(rb"P(?:[14](?:(?:\s|#[^\r\n]*+)++\d++){2}|[2356](?:(?:\s|#[^\r\n]*+)++\d++){3})\s")
"""The header of a PPM, PGM or PBM file: width, height and, but for bits, the largest value."""
_DEEP_MODES = ("I", "F")
_DEEP_TILE = re.compile(r";16[BLNS]")
_TILE_WIDTH, _TILE_HEIGHT = 322, 323


_LOOKED_AT = (16, 16)

T = TypeVar("T")


class OtherSizeError(InputError):
    """Pictures of several sizes, of which one size is needed.

    It is raised for the first one of another size: whether others are broken is not known by then.
    """

    def __init__(self, message: str, pictures: Sequence[Picture] = ()) -> None:
        super().__init__(message)
        self.pictures = pictures

    def with_broken(self, skipped: bool = False) -> OtherSizeError:
        """Return the error that also names the pictures which are broken, or would be `skipped` as such."""
        if not self.pictures:
            return self
        found = decode(self.pictures, _LOOKED_AT, title="looking for broken files")
        reasons = [str(error) for _, error in found.broken]
        if not reasons:
            return self
        also = (
            f"left out as broken are {listed([without_remedy(reason) for reason in reasons])}"
            if skipped
            else broken_error(len(self.pictures), reasons)
        )
        return OtherSizeError(f"{self}; also, {also}")


@dataclass(frozen=True)
class Picture:
    """A picture: its bytes or what reads them, its file, or opened already, and what errors call it."""

    name: str
    content: bytes | Path | Image.Image | Callable[[], bytes | Path]


@dataclass(frozen=True)
class Decoded:
    """Pictures as pixels.

    `images` is uint8 RGB (N, H, W, 3) of those pictures whose indices, in order, `kept` holds; `broken` has
    the index of each of the others and what is wrong with it, `transparent` counts those laid on white.
    """

    images: UInt8Array
    kept: Int64Array
    broken: tuple[tuple[int, InputError], ...]
    transparent: int


def decoded(pictures: Sequence[Picture], size: Size | None, transform: str = "crop") -> UInt8Array:
    """Return pictures as uint8 RGB (N, H, W, 3): see `decode`; `InputError` names all that are broken."""
    found = decode(pictures, size, transform)
    if found.broken:
        raise broken_error(len(pictures), [str(error) for _, error in found.broken])
    return found.images


def decode(
    pictures: Sequence[Picture], size: Size | None, transform: str = "crop", title: str | None = None
) -> Decoded:
    """Decode pictures by a pool of threads, and say which of them could not be read.

    With `size` (height, width) each is brought to it by `transform` (see `Preparation`), bilinearly with
    antialiasing; without, all must have the size of the first. JPEG files that are much larger than asked
    for are decoded at a half, a quarter or an eighth of their size, at least twice as large as asked for, but
    whole for `resize256` and its like, which are to the pixel what others compute. Of
    several frames the first one is taken, and what is transparent is laid on white. Under a `title`
    progress is shown. Broken is what is no picture, is larger than 67 million pixels or deeper than 8 bits.
    Raises `OtherSizeError` where one has another size than the first, and `InputError` where they need more
    memory than there is.
    """
    broken: dict[int, InputError] = {}
    transparent: list[int] = []
    with warnings.catch_warnings():
        # Pillow warns of all that is odd about a picture, several lines each.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        expected = size or _first_size(pictures)
        check_memory(len(pictures), expected)
        images = np.empty((len(pictures), *expected, 3), dtype=np.uint8)
        threads = min(math.ceil(usable_cores()), _MOST_THREADS)
        share = min(_PICTURES_PER_JOB, -(-len(pictures) // threads))

        def decode_from(start: int) -> int:
            end = min(start + share, len(pictures))
            for index in range(start, end):
                try:
                    pixels, is_transparent = _pixels(pictures[index], size, transform)
                except InputError as error:
                    broken[index] = error
                    continue
                if pixels.shape[:2] != expected:
                    message = _other_size(pictures[index].name, pixels.shape[:2], expected)
                    raise OtherSizeError(message, pictures)
                images[index] = pixels
                if is_transparent:
                    transparent.append(index)
            return end - start

        with _progress(title, len(pictures)) as progress, ThreadPoolExecutor(threads) as pool:
            for count in pool.map(decode_from, range(0, len(pictures), share)):
                progress(count)
    kept = np.setdiff1d(np.arange(len(pictures), dtype=np.int64), sorted(broken))
    # Moved within the array, as a copy of what is left would take the memory twice.
    for place, index in enumerate(kept.tolist() if broken else ()):
        images[place] = images[index]
    return Decoded(images[: len(kept)], kept, tuple(sorted(broken.items())), len(transparent))


def broken_error(count: int, reasons: Sequence[str]) -> InputError:
    """Return the error that names all broken ones of `count` pictures, as far as a line holds them."""
    if len(reasons) == 1:
        return InputError(f"{reasons[0]}, or leave it out by {_SKIP}")
    wrong = listed([without_remedy(reason) for reason in reasons])
    return InputError(
        f"{len(reasons):,} of {count:,} images cannot be used: {wrong}; replace or remove them, or leave "
        f"them out by {_SKIP}"
    )


def without_remedy(message: str) -> str:
    """Return what an error says is wrong, without what it says to do about it, for a list of such."""
    return (message.rpartition("; ")[0] or message).removesuffix(_NO_FORMAT)


def _first_size(pictures: Sequence[Picture]) -> Size:
    """Return the size of the first picture that can be read; raise `InputError` where none can."""
    errors = []
    for picture in pictures:
        try:
            height, width = _pixels(picture, None, "crop")[0].shape[:2]
            return height, width
        except InputError as error:
            errors.append(str(error))
    raise broken_error(len(pictures), errors)


@contextmanager
def _progress(title: str | None, count: int) -> Iterator[Callable[[int], object]]:
    if title is None or count <= _PICTURES_PER_JOB:
        yield lambda done: None
        return
    from winninghand.base.progress import progress_bar  # which takes as long to import as many pictures

    with progress_bar(title, count) as progress:
        yield progress


def rgb(image: Image.Image) -> UInt8Array:
    """Return a picture's pixels as uint8 RGB (H, W, 3), what is transparent laid on white.

    Large ones are converted band by band, as they would take twice the memory in one.
    """
    rows = max(1, _PIXELS_OF_BAND // max(1, image.width))
    if rows >= image.height:
        return _rgb(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = _rgb(band)
    return pixels


def _rgb(image: Image.Image) -> UInt8Array:
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return pixels_of(image)


class _Room:
    """Room for the pixels of several pictures at a time; who finds none waits."""

    def __init__(self) -> None:
        self._free = MOST_PIXELS
        self._changed = Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_ROOM = _Room()


def _pixels(picture: Picture, size: Size | None, transform: str) -> tuple[UInt8Array, bool]:
    """Return one picture as uint8 RGB (H, W, 3), at `size` where one is given, and if it was transparent."""

    def prepared(image: Image.Image) -> tuple[UInt8Array, bool]:
        if size is not None:
            try:
                _reduce(image, size, transform)
            except InputError as error:
                raise InputError(f"{picture.name}: {error}") from None
        image.load()
        return _upright(image, size, transform)

    return read(picture, prepared)


def read(picture: Picture, prepared: Callable[[Image.Image], T]) -> T:
    """Return what a function makes of a picture that was opened, and mostly not yet decoded.

    Its format, its own size and its depth are checked before. Raises `InputError` that names it where it
    cannot be used.
    """
    try:
        if isinstance(picture.content, Image.Image):
            _check_format(picture.name, picture.content)
            with _ROOM.of(_room_for(picture.name, picture.content)):
                return prepared(picture.content.copy())
        content = picture.content() if callable(picture.content) else picture.content
        with _file(picture.name, content) as file, _opened(picture.name, file) as image:
            _check_scans(picture.name, image, file)
            with _ROOM.of(_room_for(picture.name, image)):
                return prepared(image)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(picture.name, MOST_PIXELS) from None
    except UnidentifiedImageError:
        raise InputError(
            f"{picture.name} cannot be read as an image{_NO_FORMAT}; replace or remove it"
        ) from None
    # Pillow's decoders raise nearly anything for broken data: SyntaxError, struct.error, IndexError …
    except Exception as error:
        raise InputError(
            f"{picture.name} cannot be read as an image ({error}); replace or remove it"
        ) from None


def _reduce(image: Image.Image, size: Size, transform: str) -> None:
    """Let a JPEG file be decoded at a fraction of its size, as far as the result hardly shows it.

    Raises `InputError` for a picture of any format that cannot be brought to its size.
    """
    is_jpeg = image.format in ("JPEG", "MPO")
    wanted = size[::-1] if is_jpeg and is_across(image) else size
    shape = geometry((image.height, image.width), wanted, transform)
    if not is_jpeg or shorter_side(transform) is not None:
        return
    ratio = min(shape.cut[0] / shape.inner[0], shape.cut[1] / shape.inner[1]) / _FINER
    part = next((part for part in (8, 4, 2) if part <= ratio), 1)
    if part > 1:
        image.draft(None, (image.width // part, image.height // part))


def _opened(name: str, file: BinaryIO) -> Image.Image:
    _check_header(name, file.read(_LONGEST_HEADER))
    file.seek(0)
    return Image.open(file, formats=tuple(FORMATS))


def _file(name: str, content: bytes | Path) -> BinaryIO:
    """Return the encoded picture as an open file; a small one is read at once."""
    if isinstance(content, bytes):
        return io.BytesIO(content)
    size = regular(content).stat().st_size
    if size > LARGEST_FILE:
        raise InputError(f"{name} is larger than {LARGEST_FILE:,} bytes; give a smaller file")
    return io.BytesIO(content.read_bytes()) if size <= _SMALL_FILE else content.open("rb")


def check_size(name: str, width: int, height: int) -> None:
    """Raise `InputError` for a picture of too many pixels, altogether or along one side."""
    if width * height > MOST_PIXELS:
        raise _too_large(name, MOST_PIXELS)
    if max(width, height) > LONGEST_SIDE:
        raise InputError(f"{name} has a side of more than {LONGEST_SIDE:,} pixels; cut it into pieces")


def _check_header(name: str, content: bytes) -> None:
    """Raise `InputError` for a PPM picture that begins with comments and hardly ends with them.

    Pillow reads these byte by byte, before anything is known of the picture.
    """
    if re.match(rb"P[1-6]\s", content) and len(content) == _LONGEST_HEADER and not _PPM.match(content):
        raise InputError(f"{name} has comments of more than {_LONGEST_HEADER:,} bytes; save it without them")


def _check_format(name: str, image: Image.Image) -> None:
    """Raise `InputError` for a picture that Pillow opened by a reader which is not used here.

    The one of EPS starts a program as soon as pixels are asked for. A picture made in memory has no format.
    """
    if image.format not in (
        None,
        "MPO",
        *FORMATS,
    ):  # MPO is what Pillow calls a JPEG file of several pictures
        raise InputError(
            f"{name} cannot be read as an image: its format is {shown(image.format, 20)} "
            f"and no {', '.join(FORMATS)}; give its pixels as an array"
        )


def _room_for(name: str, image: Image.Image) -> int:
    """Return the pixels that decoding takes; raise `InputError` for too many, or more than 8 bits each."""
    if image.mode.startswith(_DEEP_MODES) or any(map(_is_deep, getattr(image, "tile", ()))):
        raise InputError(
            f"{name} is not an 8-bit image: it has 16 bits or more (mode {image.mode}); convert it first"
        )
    check_size(name, image.width, image.height)
    pixels = image.width * image.height
    if image.format == "TIFF":  # whose tiles may be larger than the whole
        width, height = (getattr(image, "tag_v2", {}).get(tag, 0) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        pixels = max(pixels, width * height)
    weight = _PIXELS_OF_WEBP if image.format == "WEBP" else 1
    if pixels * weight > MOST_PIXELS:
        raise _too_large(name, int(MOST_PIXELS / weight))
    return int(pixels * weight)


def _is_deep(tile: tuple[Any, ...]) -> bool:
    """Say whether the encoded channels have more than 8 bits, which Pillow may drop without a word."""
    codec, *_, arguments = tile
    deep = codec.startswith("ppm") and isinstance(arguments, tuple) and arguments[-1] > 255
    return deep or _DEEP_TILE.search(str(arguments)) is not None


def _check_scans(name: str, image: Image.Image, file: BinaryIO) -> None:
    """Raise `InputError` for a JPEG picture that is gone over again and again."""
    if image.format not in ("JPEG", "MPO"):
        return
    file.seek(0)
    scans = sum(part.count(b"\xff\xda") for part in iter(lambda: file.read(2**20), b""))
    if scans > _MOST_SCANS:
        raise InputError(f"{name} has {scans} scans where ten are usual; save it anew")


def _upright(image: Image.Image, size: Size | None, transform: str) -> tuple[UInt8Array, bool]:
    """Return a decoded picture's pixels at `size`, turned as its metadata say, and if it was transparent."""
    transparent, across, turn = image.has_transparency_data, is_across(image), turning(image)
    if size is None:
        pixels = rgb(image)
        image.close()  # and with it goes a copy of the pixels
        return turn(pixels), transparent
    if image.mode not in ("RGB", "L") or transparent:
        pixels = rgb(image)
        image.close()
        image = Image.fromarray(pixels)
    if shorter_side(transform) is not None and turn is not _as_it_is:
        # Half a pixel is rounded to one side: which one, the upright picture says.
        return _sized(Image.fromarray(np.ascontiguousarray(turn(rgb(image)))), size, transform), transparent
    return turn(_sized(image, size[::-1] if across else size, transform)), transparent


def is_across(image: Image.Image) -> bool:
    """Say whether a picture's height and width change places when it is turned upright."""
    return _orientation(image) in _ACROSS


def turning(image: Image.Image) -> Callable[[UInt8Array], UInt8Array]:
    """Return what turns a picture's pixels upright, as its metadata say."""
    return _TURNS.get(_orientation(image), _as_it_is)


def _as_it_is(pixels: UInt8Array) -> UInt8Array:
    return pixels


def _sized(image: Image.Image, size: Size, transform: str) -> UInt8Array:
    """Return an RGB or grey picture's pixels at `size`, uint8 (H, W, 3), as `at_size` does it."""
    top, left, (height, width), inner, down, right = geometry((image.height, image.width), size, transform)
    if (height, width) != (image.height, image.width):
        image = image.crop((left, top, left + width, top + height))
    if (height, width) != inner:
        image = image.resize(inner[::-1], Image.Resampling.BILINEAR)
    if down < 0 or right < 0:
        image, inner = image.crop((-right, -down, size[1] - right, size[0] - down)), size
    pixels = pixels_of(image)
    if inner == size:
        return pixels
    result = np.zeros((*size, 3), np.uint8)
    result[down : down + inner[0], right : right + inner[1]] = pixels
    return result


def pixels_of(image: Image.Image) -> UInt8Array:
    """Return the pixels of a picture without transparent parts, uint8 RGB (H, W, 3)."""
    # Pillow would copy one that is RGB already.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    """Return how a picture is turned, as its EXIF or XMP metadata say; 1 is upright."""
    if image.info.keys() & set(_ORIENTED):
        orientation: int = image.getexif().get(_ORIENTATION, 1)
        return orientation
    return 1


def _too_large(name: str, most: int) -> InputError:
    return InputError(f"{name} has more than {most} pixels; shrink it")


def _other_size(name: str, found: Size, expected: Size) -> str:
    return (
        f"{name} is {found[1]}×{found[0]} pixels where the first image is {expected[1]}×{expected[0]}; "
        "give one size for all, such as --size 64 (in Python size=64, in a recipe images.size)"
    )
