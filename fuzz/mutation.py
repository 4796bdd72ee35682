"""The loop around a fuzz target: atheris where it is installed, else seeded mutations of a corpus.

python fuzz/fuzz_X.py fuzz/corpus/X [libFuzzer options]           with atheris
python fuzz/fuzz_X.py --seconds 600 [--seed 1] [corpus folder]    without
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

INPUT_BYTES_MAX = 4096


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


def run(target: Callable[[bytes], None], corpus: list[bytes], seconds: float, seed: int) -> int:
    """Tries the corpus, then mutations of it for a while; the number of inputs. What the target raises ends it."""
    rng = random.Random(seed)
    tried, end = 0, time.monotonic() + seconds
    inputs = iter(corpus)
    while time.monotonic() < end:
        for _ in range(100):
            data = next(inputs, None)
            if data is None:
                data = mutate(rng, rng.choice(corpus), rng.choice(corpus))
            try:
                target(data)
            except BaseException:
                print(f"input {data.hex()}", file=sys.stderr)
                raise
            tried += 1
    return tried


def main(target: Callable[[bytes], None], corpus: Path) -> None:
    if atheris is not None and "--seconds" not in sys.argv:
        atheris.Setup(sys.argv, target)
        atheris.Fuzz()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=corpus)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seeds = [path.read_bytes() for path in sorted(options.corpus.iterdir())]
    print(f"{run(target, seeds, options.seconds, options.seed)} inputs, no fault")
