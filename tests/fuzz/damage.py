"""Ways in which bytes go wrong. Each takes some, a random generator and what else may be spliced in."""

import re

EXTREMES = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFF8,
    0xFFFFFFFE,
    0xFFFFFFFF,
]
NAME = re.compile(rb"[A-Za-z][A-Za-z0-9 ]{3}")  # of a chunk, an atom or a page


def flip(content, rng, other):
    for _ in range(rng.choice([1, 3, 30, 300])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return content


def flip_bits(content, rng, other):
    for _ in range(rng.choice([1, 2, 8])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def flip_header(content, rng, other):
    for _ in range(rng.choice([1, 2, 8])):
        content[rng.randrange(min(len(content), 256))] = rng.randrange(256)
    return content


def cut(content, rng, other):
    return content[: rng.randrange(len(content))]


def cut_start(content, rng, other):
    return content[rng.randrange(len(content)) :]


def double(content, rng, other):
    at, length = rng.randrange(len(content)), rng.randrange(1, 20_000)
    return content[: at + length] + content[at:]


def drop(content, rng, other):
    at, length = rng.randrange(len(content)), rng.randrange(1, rng.choice([8, 200, 20_000]))
    return content[:at] + content[at + length :]


def blank(content, rng, other):
    at, length = rng.randrange(len(content)), rng.randrange(1, 5_000)
    return content[:at] + bytes(min(length, len(content) - at)) + content[at + length :]


def splice(content, rng, other):
    return content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]


def insert(content, rng, other):
    at, start = rng.randrange(len(content)), rng.randrange(len(other))
    return content[:at] + other[start : start + rng.randrange(1, 5_000)] + content[at:]


def append(content, rng, other):
    return content + rng.choice([content, other, content[: rng.randrange(len(content))], bytes(rng.randrange(1, 99))])


def extreme(content, rng, other):
    """Numbers at their limits, beside the names of chunks or anywhere near the beginning."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        names = [found.start() for found in NAME.finditer(bytes(content[:4_096]))]
        near = rng.choice(names) + rng.choice([-8, -4, 4, 8]) if names and rng.random() < 0.7 else rng.randrange(300)
        size, order = rng.choice([1, 2, 4, 4, 8]), rng.choice(["little", "big"])
        at = max(0, min(near, len(content) - size))
        number = rng.choice(EXTREMES) % (1 << 8 * size)
        content[at : at + size] = number.to_bytes(size, order)
    return content


def swap(content, rng, other):
    """Two stretches that begin with a name change places."""
    names = sorted(found.start() for found in NAME.finditer(bytes(content[:65_536])))
    if len(names) < 4:
        return content[::-1]
    a, b, c, d = sorted(rng.sample(names, 4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def tagged(content, rng, other):
    """An ID3 tag of any size in front, which may lie, and stray bytes behind it."""
    size = rng.choice([0, 10, 127, 128, 70_000, rng.randrange(200_000)])
    told = size + rng.choice([0, 0, 1, -1, 1_000])
    digits = bytes(max(0, told) >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = b"ID3" + bytes([rng.choice([3, 4]), 0, rng.choice([0, 0x10])]) + digits
    return bytearray(head + bytes(size) + other[: rng.choice([0, 0, 1, 10])]) + content


DAMAGES = [
    *(flip, flip_bits, flip_header, cut, cut_start, double, drop, blank, splice, insert, append),
    *(extreme, extreme, extreme, swap, tagged),
]


def damaged(content, rng, other):
    """The bytes, gone wrong in one to three ways; and how."""
    content, done = bytearray(content), []
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not content:
            break
        damage = rng.choice(DAMAGES)
        content = bytearray(damage(content, rng, other))
        done.append(damage.__name__)
    return bytes(content), "+".join(done)
