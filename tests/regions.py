"""Two regions, each with two replicas, in a bucket of its own: counters, gauges, classic and native histograms."""

import math
import random
from pathlib import Path

from pythanos._histogram_encode import encode_histograms
from pythanos.model.chunks import FLOAT_HISTOGRAM
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.testing.block_builder import EncodedChunk, build_block, float_chunk
from pythanos.testing.buckets import numbered_ulid
from pythanos.testing.promqltest.histogram_columns import stored_hints, to_columns
from pythanos.testing.promqltest.histograms import Histogram

HOUR_MS = 3_600_000
BLOCK_MS = 2 * HOUR_MS
# A whole number of blocks after the epoch.
START_MS = 236_111 * BLOCK_MS
END_MS = START_MS + 2 * BLOCK_MS
SCRAPE_MS = 15_000
CHUNK_SAMPLES = 120
REPLICA = "replica"
REGIONS = ("eu", "us")

QUERIES = [
    "gauge",
    'gauge{region="eu"}',
    "rate(requests_total[5m])",
    "sum(rate(requests_total[5m]))",
    "sum by (code) (increase(requests_total[10m]))",
    "sum by (region) (rate(requests_total[5m]))",
    "sum without (pod, region) (rate(requests_total[5m]))",
    "avg(gauge)",
    "avg by (pod) (gauge)",
    "min(gauge) - max(gauge)",
    "count by (code) (requests_total)",
    "group(gauge)",
    "topk(2, gauge)",
    "bottomk by (region) (1, gauge)",
    "quantile(0.3, gauge)",
    "stddev by (region) (gauge)",
    'count_values("value", round(gauge))',
    "gauge > 0.5 or gauge < -0.5",
    "gauge * on (region, pod) gauge",
    "sum by (pod, code) (rate(requests_total[5m])) / on (pod) group_left sum by (pod) (gauge)",
    'sum(rate(requests_total{code="500"}[5m])) / sum(rate(requests_total[5m]))',
    "histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))",
    "histogram_quantile(0.9, rate(latency_bucket[5m]))",
    "native",
    "rate(native[5m])",
    "sum(rate(native[5m]))",
    "sum by (region) (native)",
    "avg(native)",
    "histogram_quantile(0.9, sum(rate(native[5m])))",
    "histogram_count(sum by (pod) (native))",
    "max_over_time(sum(gauge)[10m:1m])",
    "avg_over_time(gauge[10m] offset 5m)",
    "absent(nothing)",
    'absent(gauge{pod="p0"})',
    "scalar(sum(gauge)) + gauge",
    "clamp(gauge, -0.5, 0.5) + scalar(vector(2))",
    'label_replace(gauge, "zone", "$1-z", "region", "(.*)")',
    "sum(gauge) + time()",
    "changes(requests_total[10m])",
    "vector(1)",
    "gauge @ end()",
    f"sum(gauge @ {START_MS // 1000 + 7200}) by (region)",
    "rate(requests_total[5m] offset 1m)",
    "-gauge ^ 2 - -gauge",
    'gauge{pod=~"p[01]"} unless on (region, pod) gauge{pod="p0"}',
    "histogram_fraction(0, 1, rate(native[5m]))",
    "predict_linear(gauge[10m], 600)",
    'label_join(gauge, "both", "-", "pod", "region")',
    "sum by (region) (gauge) and on (region) sum by (region) (gauge) > 0",
    "sum(sum_over_time((gauge > 0)[5m:30s]))",
    "stdvar without (pod) (gauge)",
    "sort_desc(sum by (pod) (gauge))",
]


def fill_regions(home: Path) -> list[str]:
    """Writes the blocks; the folders of both buckets."""
    folders = []
    for number, region in enumerate(REGIONS):
        folder = home / f"bucket-{region}"
        folder.mkdir()
        bucket = FilesystemBucket(str(folder))
        for replica in range(2):
            series = _series(region, replica)
            for block in range(2):
                start = START_MS + block * BLOCK_MS
                build_block(
                    bucket,
                    numbered_ulid(1 + 4 * number + 2 * replica + block),
                    [
                        (labels, [chunk for chunk in chunks if start <= chunk.mint < start + BLOCK_MS])
                        for labels, chunks in series
                    ],
                    external={"region": region, REPLICA: "ab"[replica]},
                    mint=start,
                    maxt=start + BLOCK_MS,
                )
        folders.append(str(folder))
    return folders


def _within(chunks, start):
    return [chunk for chunk in chunks if start <= chunk.mint < start + BLOCK_MS]


def _series(region, replica):
    """The same truth for both replicas, scraped at the same times; one misses half an hour."""
    times = range(START_MS, END_MS, SCRAPE_MS)
    lost = range(START_MS + BLOCK_MS // 2, START_MS + BLOCK_MS // 2 + HOUR_MS // 2)
    times = [t for t in times if not (replica and t in lost)]
    found = []
    for pod in range(3):
        chooser = random.Random(f"{region} {pod}")
        size = 1 + chooser.random()
        labels = {"pod": f"p{pod}"}
        elapsed = [(t - START_MS) / 1000 for t in times]
        gauge = [(t, math.sin(s / 1000 * size + pod)) for t, s in zip(times, elapsed, strict=True)]
        found.append(({"__name__": "gauge", **labels}, _chunked(gauge)))
        for code, share in (("200", 1.0), ("500", 0.25)):
            counter = [(t, 10_000 + math.floor(s * size * share)) for t, s in zip(times, elapsed, strict=True)]
            found.append(({"__name__": "requests_total", "code": code, **labels}, _chunked(counter)))
        for le, share in (("0.1", 0.3), ("0.5", 0.7), ("1", 0.9), ("+Inf", 1.0)):
            bucket = [(t, math.floor(100 + s * size * share)) for t, s in zip(times, elapsed, strict=True)]
            found.append(({"__name__": "latency_bucket", "le": le, **labels}, _chunked(bucket)))
        native = [(t, _histogram(s * size)) for t, s in zip(times, elapsed, strict=True)]
        found.append(({"__name__": "native", **labels}, _histogram_chunks(native)))
    return found


def _histogram(seen):
    positive = {index: float(math.floor(10 + seen * share)) for index, share in ((-1, 0.2), (0, 0.5), (3, 0.1))}
    return Histogram(
        schema=1,
        count=sum(positive.values()) + 3.0,
        sum=float(math.floor(seen)),
        zero_count=3.0,
        zero_threshold=0.001,
        positive=positive,
    )


def _parts(samples):
    """Cut into chunks that do not lie in two blocks."""
    for start in (START_MS, START_MS + BLOCK_MS):
        own = [sample for sample in samples if start <= sample[0] < start + BLOCK_MS]
        yield from (own[i : i + CHUNK_SAMPLES] for i in range(0, len(own), CHUNK_SAMPLES))


def _chunked(samples):
    return [float_chunk(part) for part in _parts(samples)]


def _histogram_chunks(samples):
    found = []
    for part in _parts(samples):
        hints = stored_hints(part)
        columns = to_columns([[(t, histogram, hint, 0) for (t, histogram), hint in zip(part, hints, strict=True)]])
        data, offset, length, encoding = encode_histograms(columns, [FLOAT_HISTOGRAM])
        whole = bytes(data[offset[0] : offset[0] + length[0]])
        found.append(EncodedChunk(part[0][0], part[-1][0], whole, int(encoding[0])))
    return found
