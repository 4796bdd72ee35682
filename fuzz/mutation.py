"""The loop around a fuzz target: libFuzzer, by atheris, where that is installed, else seeded mutations of a corpus.

python fuzz/fuzz_X.py fuzz/corpus/X [libFuzzer options]           with atheris
python fuzz/fuzz_X.py --seconds 600 [--seed 1] [corpus folder]    without, or where --seconds says so

``fuzz/campaign.sh`` builds the kernels with coverage and AddressSanitizer and runs all targets with atheris.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

INPUT_BYTES_MAX = 4096


def instrumented() -> contextlib.AbstractContextManager[object]:
    """Within it, imported Python modules tell atheris which of their branches were taken."""
    return contextlib.nullcontext() if atheris is None else atheris.instrument_imports()


def mutate(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A few random changes: bits, bytes, cuts, insertions, repeats, large numbers, the head, another input's rest."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        kind, at = rng.randrange(8), rng.randrange(len(out) + 1)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.choice((0, 0xFF, 0x80, 0x7F, rng.randrange(256)))
        elif kind == 2:
            del out[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            out[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 4:
            out[at:at] = out[at : at + rng.randrange(1, 17)]
        elif kind == 5:
            out[at:at] = b"\xff" * rng.randrange(1, 10) + b"\x01"
        elif kind == 6:
            out[at:] = other[at:]
        elif out:
            # Counts and flags stand in front.
            out[rng.randrange(min(4, len(out)))] = rng.randrange(256)
    return bytes(out[:INPUT_BYTES_MAX])


def inputs(corpus: list[bytes], seed: int) -> Iterator[bytes]:
    """The corpus, then mutations of it without an end."""
    rng = random.Random(seed)
    yield from corpus
    while True:
        yield mutate(rng, rng.choice(corpus), rng.choice(corpus))


def run(target: Callable[[bytes], object], source: Iterator[bytes], count: int) -> None:
    """Tries the next ``count`` inputs. What the target raises ends it, and the input is printed."""
    for data in islice(source, count):
        try:
            target(data)
        except BaseException:
            print(f"input {data.hex()}", file=sys.stderr)
            raise


def read_corpus(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def main(target: Callable[[bytes], object], corpus: Path) -> None:
    if atheris is not None and "--seconds" not in sys.argv:
        atheris.Setup(sys.argv, lambda data: (target(data), None)[1])
        atheris.Fuzz()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=corpus)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source, tried, end = inputs(read_corpus(options.corpus), options.seed), 0, time.monotonic() + options.seconds
    while time.monotonic() < end:
        run(target, source, 100)
        tried += 100
    print(f"{tried} inputs, no fault")
