"""Damage to the bytes of any file: each takes a whole file, another one, and chance, and returns bytes."""

from __future__ import annotations

import random
from collections.abc import Callable

Damage = Callable[[bytes, bytes, random.Random], bytes]

# What sizes and counts overflow at, little and big endian.
_EXTREMES = (
    b"\xff\xff\xff\x7f",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x80",
    b"\x80\0\0\0",
    b"\0\0\0\0",
    b"\xff\xff",
    b"\x80",
    b"\xff" * 8,
)


def flipped_bit(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Flip one bit."""
    return _with_flips(whole, 1, chance)


def flipped_bits(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Flip 2 to 64 bits."""
    return _with_flips(whole, chance.randint(2, 64), chance)


def flipped_at_an_end(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Flip one bit of the first or last 256 bytes, where most formats say what follows."""
    place = chance.randrange(min(256, len(whole)))
    damaged = bytearray(whole)
    damaged[place if chance.random() < 0.5 else -1 - place] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def truncated(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Cut the end off."""
    return whole[: chance.randrange(len(whole))]


def lengthened(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Append up to 64 bytes."""
    return whole + chance.randbytes(chance.randint(1, 64))


def overwritten(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put random bytes, or zeros, over a run of up to 256."""
    start, end = _run(whole, chance)
    run = chance.randbytes(end - start) if chance.random() < 0.5 else bytes(end - start)
    return whole[:start] + run + whole[end:]


def extreme(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put one to four numbers at which sizes overflow anywhere."""
    damaged = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        number, place = chance.choice(_EXTREMES), chance.randrange(len(whole))
        damaged[place : place + len(number)] = number
    return bytes(damaged)


def cut_out(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Leave out a run of up to 256 bytes."""
    start, end = _run(whole, chance)
    return whole[:start] + whole[end:]


def moved(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put a run of up to 256 bytes over another place."""
    start, end = _run(whole, chance)
    target = chance.randrange(len(whole) - (end - start) + 1)
    return whole[:target] + whole[start:end] + whole[target + end - start :]


def joined(whole: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put the beginning of the other file before the end of this one."""
    found = whole
    for _ in range(100):
        place = chance.randrange(1, min(len(whole), len(other)))
        found = other[:place] + whole[place:]
        if found not in (whole, other):
            break
    return found


DAMAGES: tuple[Damage, ...] = (
    flipped_bit,
    flipped_bits,
    flipped_at_an_end,
    truncated,
    lengthened,
    overwritten,
    extreme,
    cut_out,
    moved,
    joined,
)


def _with_flips(content: bytes, count: int, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(count):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _run(whole: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(whole))
    return start, min(len(whole), start + chance.randint(1, 256))
