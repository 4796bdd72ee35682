"""OpenMetrics text for the golden blocks: non-ASCII labels, aligned and other times, constants, resets, specials."""

import random

START = 1_700_000_000  # 2023-11-14T22:13:20Z


def counter(rng: random.Random, index: int, count: int) -> list[str]:
    value, out = 0, []
    for step in range(count):
        value = 0 if step == 150 and index == 1 else value + rng.randrange(50)
        at = START + step * 15 + (rng.randrange(1000) / 1000 if index % 2 else 0)
        labels = f'instance="h{index}:9090",job="api",zone="zürich-{index % 3}"'
        out.append(f"http_requests_total{{{labels}}} {value} {at:.3f}")
    return out


def gauge(rng: random.Random, index: int, count: int) -> list[str]:
    specials = ["NaN", "+Inf", "-Inf", "0", "-0", "1e-320"]
    out = []
    for step in range(count):
        value = specials[step % 6] if index == 3 else "42" if index == 2 else f"{rng.gauss(0, 100):.6f}"
        labels = f'path="/日本/{index}",quoted="a\\"b\\\\c\\nd",long="{"x" * 150}"'
        out.append(f"temperature{{{labels}}} {value} {START + step * 60}")
    return out


def main() -> None:
    rng = random.Random(7)
    print("# TYPE http_requests counter")
    for index in range(6):
        print("\n".join(counter(rng, index, 300)))
    print("# TYPE temperature gauge")
    for index in range(5):
        print("\n".join(gauge(rng, index, 100)))
    print("# EOF")


main()
