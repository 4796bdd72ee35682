"""What every Store does; each implementation runs this suite by defining ``open_store``.

A *stream* is one external label set with its series; a store serves several. Expectations are computed here, from the
streams and in plain Python, so a store is compared with the definition of a select and not with another store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from pythanos._chunks import decode_chunks
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, QueryCanceled
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.series import SeriesBatch
from pythanos.storeapi.requests import LabelNamesRequest, LabelValuesRequest, SeriesRequest, ShardInfo
from pythanos.storeapi.store import Store
from pythanos.testing.fake_store import series_of

Samples = list[tuple[int, float]]
ALWAYS = (-(1 << 40), 1 << 40)
EQ, NEQ, RE, NRE = MatchType


@dataclass
class Stream:
    """``series``: (labels, chunks), each chunk a list of (timestamp ms, value)."""

    external: Mapping[str, str]
    series: list[tuple[Mapping[str, str], list[Samples]]] = field(default_factory=list)


def one_chunk(*label_sets: Mapping[str, str]) -> list[tuple[Mapping[str, str], list[Samples]]]:
    """Series with one chunk of [0, 20] ms each."""
    return [(labels, [[(0, float(i)), (10, 1.0), (20, 2.0)]]) for i, labels in enumerate(label_sets)]


def sort_key(labels: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return sorted((name.encode(), value.encode()) for name, value in labels.items())


def matching(streams: Sequence[Stream], matchers: Sequence[Matcher], drop: Sequence[str] = ()) -> list[dict[str, str]]:
    """The label sets of all series that match, each once, in label order."""
    found = {}
    for stream in streams:
        for own, _ in stream.series:
            # An external label stands above a series label of the same name; empty values are no labels.
            if all(
                matcher.matches(stream.external.get(matcher.name, "") or own.get(matcher.name, ""))
                for matcher in matchers
            ):
                labels = {
                    name: value for name, value in {**own, **stream.external}.items() if name not in drop and value
                }
                found[tuple(sorted(labels.items()))] = labels
    return sorted(found.values(), key=sort_key)


def frames_of(store: Store, matchers: Sequence[Matcher], *, ctx: RequestContext | None = None, **request: object):
    mint, maxt = request.pop("mint", ALWAYS[0]), request.pop("maxt", ALWAYS[1])
    return list(store.series(ctx or RequestContext(), SeriesRequest(mint, maxt, tuple(matchers), **request)))


def select(store: Store, matchers: Sequence[Matcher], **request: object) -> list[tuple[dict[str, str], list]]:
    """(labels, chunk rows) of everything that a select gives."""
    batches = [frame for frame in frames_of(store, matchers, **request) if isinstance(frame, SeriesBatch)]
    return [series for batch in batches for series in series_of(batch)]


def label_sets(store: Store, matchers: Sequence[Matcher], **request: object) -> list[dict[str, str]]:
    return [labels for labels, _ in select(store, matchers, **request)]


def samples_of(rows) -> Samples:
    """The samples of chunk rows."""
    found = []
    for row in rows:
        decoded = decode_chunks(row.data, [0], [len(row.data)], [row.encoding])
        found += zip(decoded.timestamps.tolist(), decoded.values.tolist(), strict=True)
    return found


MATCHING_SERIES = one_chunk({"n": "1"}, {"n": "1", "i": "a"}, {"n": "1", "i": "b"}, {"n": "2"}, {"n": "2.5"})

# The matching behaviour of Prometheus' tsdb/querier_test.go, with what each combination is about.
COMBINATIONS = [
    [(EQ, "n", "1")],
    [(EQ, "n", "1"), (EQ, "i", "a")],
    [(EQ, "n", "1"), (EQ, "i", "missing")],
    [(EQ, "missing", "")],
    [(NEQ, "n", "1")],
    [(RE, "i", ".+")],
    [(RE, "i", ".*")],
    [(EQ, "i", "")],
    [(NEQ, "i", "")],
    [(NEQ, "missing", "")],
    [(EQ, "n", "1"), (NEQ, "i", "a")],
    [(EQ, "n", "1"), (NEQ, "i", "")],
    [(RE, "n", "^1$")],
    [(EQ, "n", "1"), (RE, "i", "^a$")],
    [(EQ, "n", "1"), (RE, "i", "^a?$")],
    [(RE, "i", "^$")],
    [(EQ, "n", "1"), (RE, "i", "^$")],
    [(EQ, "n", "1"), (RE, "i", "^.*$")],
    [(EQ, "n", "1"), (RE, "i", "^.+$")],
    [(NRE, "n", "^1$")],
    [(NRE, "n", "1")],
    [(NRE, "n", "1|2.5")],
    [(NRE, "n", "(1|2.5)")],
    [(EQ, "n", "1"), (NRE, "i", "^a$")],
    [(EQ, "n", "1"), (NRE, "i", "^a?$")],
    [(EQ, "n", "1"), (NRE, "i", "^$")],
    [(EQ, "n", "1"), (NRE, "i", "^.*$")],
    [(EQ, "n", "1"), (NRE, "i", "^.+$")],
    [(EQ, "n", "1"), (NEQ, "i", ""), (EQ, "i", "a")],
    [(EQ, "n", "1"), (NEQ, "i", "b"), (RE, "i", "^(b|a).*$")],
    [(RE, "n", "(1|2)")],
    [(RE, "i", "a|b")],
    [(RE, "i", "(a|b)")],
    [(RE, "n", "x1|2")],
    [(RE, "n", "2|2\\.5")],
    [(RE, "i", "c||d")],
    [(RE, "i", "(c||d)")],
    [(NRE, "i", "c||d"), (RE, "n", ".+")],
    [(EQ, "n", "1"), (EQ, "region", "eu")],
    [(EQ, "n", "1"), (EQ, "region", "us")],
    [(EQ, "n", "1"), (RE, "region", "eu|us")],
    [(EQ, "n", "1"), (NEQ, "region", "")],
    [(EQ, "n", "1"), (EQ, "region", "")],
]


class StoreContract:
    """Subclasses define ``open_store(streams) -> Store``; the flags say what a kind of store leaves out."""

    @pytest.fixture
    def open_store(self) -> Callable[[Sequence[Stream]], Store]:
        raise NotImplementedError

    @pytest.mark.parametrize(
        "conditions",
        COMBINATIONS,
        ids=lambda one: ",".join(f"{name}{kind.operator}{value}" for kind, name, value in one),
    )
    def test_all_kinds_of_matchers(self, open_store, conditions):
        streams = [Stream({"region": "eu"}, MATCHING_SERIES)]
        matchers = [Matcher(*one) for one in conditions]
        assert label_sets(open_store(streams), matchers) == matching(streams, matchers)

    def test_a_chunk_comes_back_with_the_samples_that_went_in(self, open_store):
        chunks = [[(i, i * 0.5) for i in range(0, 120)], [(i, -1.0) for i in range(200, 260)]]
        store = open_store([Stream({"region": "eu"}, [({"n": "1"}, chunks)])])
        ((labels, rows),) = select(store, [Matcher(EQ, "n", "1")])
        assert labels == {"n": "1", "region": "eu"}
        assert samples_of(rows) == chunks[0] + chunks[1]
        assert [(row.mint, row.maxt) for row in rows] == [(0, 119), (200, 259)]

    @pytest.mark.parametrize(
        ("mint", "maxt", "chunks"),
        [
            (0, 30, 2),
            (20, 20, 1),
            (21, 29, 0),
            (30, 30, 1),
            (20, 30, 2),
            (-10, -1, 0),
            (51, 60, 0),
            (50, 60, 1),
            (5, 7, 1),
        ],
    )
    def test_both_ends_of_the_time_range_are_inside(self, open_store, mint, maxt, chunks):
        """XC-40: a chunk that touches the range comes, and a series without one does not."""
        series = [({"n": "1"}, [[(0, 1.0), (20, 1.0)], [(30, 2.0), (50, 2.0)]]), ({"n": "2"}, [[(0, 0.0), (50, 0.0)]])]
        store = open_store([Stream({"region": "eu"}, series)])
        found = select(store, [Matcher(EQ, "n", "1")], mint=mint, maxt=maxt)
        assert [len(rows) for _, rows in found] == ([chunks] if chunks else [])

    def test_the_series_of_several_streams_come_in_one_order(self, open_store):
        streams = [
            Stream({"region": "eu"}, one_chunk({"n": "1"}, {"n": "3"}, {"n": "3", "z": "1"})),
            Stream({"region": "us"}, one_chunk({"n": "2"}, {"n": "3"}, {"a": "1", "n": "9"})),
        ]
        matchers = [Matcher(RE, "n", ".+")]
        assert label_sets(open_store(streams), matchers) == matching(streams, matchers)

    def test_an_external_label_behind_a_shorter_label_set_changes_the_order(self, open_store):
        """XC-40: {a} sorts before {a, b}, but {a, c} after {a, b, c}."""
        streams = [Stream({"c": "3"}, one_chunk({"a": "1"}, {"a": "1", "b": "2"}, {"a": "1", "b": "2", "bb": "1"}))]
        matchers = [Matcher(EQ, "a", "1")]
        found = label_sets(open_store(streams), matchers)
        assert found == matching(streams, matchers)
        assert found[-1] == {"a": "1", "c": "3"}

    def test_an_external_label_stands_above_a_series_label_of_its_name(self, open_store):
        streams = [Stream({"region": "eu"}, one_chunk({"n": "1", "region": "x"}, {"n": "0", "region": "y"}))]
        matchers = [Matcher(RE, "n", ".+")]
        found = label_sets(open_store(streams), matchers, skip_chunks=True)
        assert found == [{"n": "0", "region": "eu"}, {"n": "1", "region": "eu"}]

    def test_skip_chunks_gives_the_same_series_without_chunks(self, open_store):
        streams = [Stream({"region": "eu"}, MATCHING_SERIES)]
        found = select(open_store(streams), [Matcher(RE, "n", ".+")], skip_chunks=True)
        assert [labels for labels, _ in found] == matching(streams, [Matcher(RE, "n", ".+")])
        assert all(rows == [] for _, rows in found)

    def test_skip_chunks_still_looks_at_the_time(self, open_store):
        store = open_store([Stream({"region": "eu"}, [({"n": "1"}, [[(0, 1.0)]]), ({"n": "2"}, [[(9, 1.0)]])])])
        found = label_sets(store, [Matcher(RE, "n", ".+")], skip_chunks=True, mint=5, maxt=9)
        assert found == [{"n": "2", "region": "eu"}]

    def test_replica_labels_are_taken_out_and_the_order_is_that_of_the_rest(self, open_store):
        """ST-21: from the external labels and from the series; equal series become one."""
        streams = [
            Stream({"region": "eu", "replica": "a"}, one_chunk({"n": "1"}, {"n": "2"})),
            Stream({"region": "eu", "replica": "b"}, one_chunk({"n": "1"}, {"n": "3"})),
            Stream(
                {"region": "us"}, one_chunk({"n": "1", "replica": "x", "z": "2"}, {"n": "1", "replica": "y", "z": "1"})
            ),
        ]
        matchers = [Matcher(RE, "n", ".+")]
        found = label_sets(open_store(streams), matchers, without_replica_labels=("replica",))
        assert found == matching(streams, matchers, drop=("replica",))

    def test_a_replica_label_is_no_more_but_can_be_matched(self, open_store):
        streams = [
            Stream({"region": "eu", "replica": "a"}, one_chunk({"n": "1"})),
            Stream({"region": "us"}, one_chunk({"n": "1", "replica": "x"}, {"n": "2", "replica": "y"})),
        ]
        matchers = [Matcher(RE, "n", ".+"), Matcher(RE, "replica", "a|x")]
        found = label_sets(open_store(streams), matchers, without_replica_labels=("replica",))
        assert found == [{"n": "1", "region": "eu"}, {"n": "1", "region": "us"}]

    def test_equal_chunks_of_equal_series_come_once(self, open_store):
        """ST-20."""
        streams = [
            Stream({"replica": "a"}, [({"n": "1"}, [[(0, 1.0)], [(10, 2.0)]])]),
            Stream({"replica": "b"}, [({"n": "1"}, [[(0, 1.0)], [(10, 3.0)]])]),
        ]
        ((_, rows),) = select(open_store(streams), [Matcher(EQ, "n", "1")], without_replica_labels=("replica",))
        assert sorted(samples_of(rows)) == [(0, 1.0), (10, 2.0), (10, 3.0)]

    @pytest.mark.parametrize("limit", [1, 3, 5, 6, 100])
    def test_a_limit_cuts_the_number_of_series(self, open_store, limit):
        """ST-22."""
        streams = [
            Stream({"region": "eu"}, one_chunk(*({"n": str(i)} for i in range(3)))),
            Stream({"region": "us"}, one_chunk(*({"n": str(i)} for i in range(3)))),
        ]
        everything = matching(streams, [Matcher(RE, "n", ".+")])
        found = label_sets(open_store(streams), [Matcher(RE, "n", ".+")], limit=limit)
        assert len(found) == min(limit, 6)
        assert all(labels in everything for labels in found)
        assert found == sorted(found, key=sort_key)

    def test_a_batch_is_at_most_as_large_as_was_asked(self, open_store):
        store = open_store([Stream({"region": "eu"}, one_chunk(*({"n": f"{i:03d}"} for i in range(100))))])
        frames = frames_of(store, [Matcher(RE, "n", ".+")], response_batch_size=7)
        sizes = [len(frame) for frame in frames if isinstance(frame, SeriesBatch)]
        assert sum(sizes) == 100 and max(sizes) <= 7

    @pytest.mark.parametrize("by", [True, False])
    def test_the_shards_of_a_select_are_all_of_it(self, open_store, by):
        streams = [Stream({"region": "eu"}, one_chunk(*({"n": str(i % 10), "i": str(i)} for i in range(60))))]
        store, matchers = open_store(streams), [Matcher(RE, "n", ".+")]
        if not store.info().supports_sharding:
            pytest.skip("the store does not shard")
        shards = [
            label_sets(store, matchers, shard=ShardInfo(index, 3, by, ("n",) if by else ("i", "region")))
            for index in range(3)
        ]
        assert sorted((labels for shard in shards for labels in shard), key=sort_key) == matching(streams, matchers)
        groups = [{labels["n"] for labels in shard} for shard in shards]
        assert sum(map(len, groups)) == 10

    def test_no_matcher_but_on_external_labels_is_refused(self, open_store):
        """XC-42: nobody gets everything by accident."""
        store = open_store([Stream({"region": "eu"}, MATCHING_SERIES)])
        for matchers in ([Matcher(EQ, "region", "eu")], []):
            with pytest.raises(BadRequest, match="no matchers specified"):
                frames_of(store, matchers)

    def test_a_bad_pattern_is_the_callers_mistake(self, open_store):
        store = open_store([Stream({"region": "eu"}, MATCHING_SERIES)])
        with pytest.raises(BadRequest):
            frames_of(store, [Matcher(RE, "n", "a(b")])

    def test_a_canceled_request_stops(self, open_store):
        store, ctx = open_store([Stream({"region": "eu"}, MATCHING_SERIES)]), RequestContext()
        ctx.cancel()
        with pytest.raises(QueryCanceled):
            frames_of(store, [Matcher(RE, "n", ".+")], ctx=ctx)

    def test_an_answer_may_be_left_before_its_end(self, open_store):
        store = open_store([Stream({"region": "eu"}, one_chunk(*({"n": f"{i:03d}"} for i in range(100))))])
        request = SeriesRequest(*ALWAYS, (Matcher(RE, "n", ".+"),), response_batch_size=10)
        frames = store.series(RequestContext(), request)
        assert 0 < len(next(frames)) <= 10
        frames.close()
        assert len(label_sets(store, [Matcher(RE, "n", ".+")])) == 100

    def test_an_empty_store_has_nothing_to_say(self, open_store):
        store = open_store([])
        assert label_sets(store, [Matcher(EQ, "n", "1")]) == []
        assert store.label_names(RequestContext(), LabelNamesRequest(*ALWAYS)).values == ()
        assert store.label_values(RequestContext(), LabelValuesRequest("n", *ALWAYS)).values == ()

    def test_the_info_names_label_sets_and_time(self, open_store):
        info = open_store(
            [Stream({"region": "eu"}, one_chunk({"n": "1"})), Stream({"region": "us"}, [({"n": "1"}, [[(50, 1.0)]])])]
        ).info()
        assert sorted(map(dict, info.label_sets), key=sort_key) == [{"region": "eu"}, {"region": "us"}]
        assert info.mint <= 0 and info.maxt >= 50

    STREAMS = (
        Stream(
            {"region": "eu", "replica": "a"},
            one_chunk({"__name__": "up", "job": "x"}, {"__name__": "down", "zone": "1"}),
        ),
        Stream({"region": "us", "replica": "b"}, one_chunk({"__name__": "up", "job": "y", "path": "/é"})),
    )

    @pytest.mark.parametrize(
        ("matchers", "drop", "expected"),
        [
            ((), (), ["__name__", "job", "path", "region", "replica", "zone"]),
            ((), ("replica",), ["__name__", "job", "path", "region", "zone"]),
            (((EQ, "region", "eu"),), (), ["__name__", "job", "region", "replica", "zone"]),
            (((EQ, "__name__", "down"),), (), ["__name__", "region", "replica", "zone"]),
            (((EQ, "__name__", "up"), (EQ, "region", "us")), ("replica",), ["__name__", "job", "path", "region"]),
            (((EQ, "__name__", "none"),), (), []),
            (((EQ, "region", "none"),), (), []),
        ],
    )
    def test_label_names(self, open_store, matchers, drop, expected):
        """ST-26."""
        request = LabelNamesRequest(*ALWAYS, tuple(Matcher(*one) for one in matchers), without_replica_labels=drop)
        assert list(open_store(self.STREAMS).label_names(RequestContext(), request).values) == expected

    @pytest.mark.parametrize(
        ("label", "matchers", "expected"),
        [
            ("job", (), ["x", "y"]),
            ("region", (), ["eu", "us"]),
            ("absent", (), []),
            ("path", (), ["/é"]),
            ("job", ((EQ, "region", "us"),), ["y"]),
            ("job", ((EQ, "__name__", "up"),), ["x", "y"]),
            ("job", ((EQ, "__name__", "down"),), []),
            ("zone", ((RE, "__name__", ".+"),), ["1"]),
            ("region", ((EQ, "job", "x"),), ["eu"]),
            ("region", ((EQ, "job", "none"),), []),
            ("region", ((EQ, "region", "none"),), []),
        ],
    )
    def test_label_values(self, open_store, label, matchers, expected):
        """ST-26."""
        request = LabelValuesRequest(label, *ALWAYS, tuple(Matcher(*one) for one in matchers))
        assert list(open_store(self.STREAMS).label_values(RequestContext(), request).values) == expected

    def test_a_replica_label_that_was_taken_out_has_no_values(self, open_store):
        request = LabelValuesRequest("replica", *ALWAYS, without_replica_labels=("replica",))
        assert open_store(self.STREAMS).label_values(RequestContext(), request).values == ()

    def test_label_calls_look_at_the_time_and_the_limit(self, open_store):
        store, ctx = open_store(self.STREAMS), RequestContext()
        assert store.label_names(ctx, LabelNamesRequest(1000, 2000)).values == ()
        assert store.label_values(ctx, LabelValuesRequest("job", 1000, 2000)).values == ()
        assert store.label_names(ctx, LabelNamesRequest(*ALWAYS, limit=2)).values == ("__name__", "job")
        assert store.label_values(ctx, LabelValuesRequest("job", *ALWAYS, limit=1)).values == ("x",)

    def test_values_of_no_label_are_the_callers_mistake(self, open_store):
        with pytest.raises(BadRequest, match="label name parameter cannot be empty"):
            open_store(self.STREAMS).label_values(RequestContext(), LabelValuesRequest("", *ALWAYS))
