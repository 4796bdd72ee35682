"""Whatever labels come in and go out, a select gives what its definition says, sorted, with small batches (XC-40)."""

import tempfile
from pathlib import Path

from contracts.store_contract import Stream, label_sets, matching, sort_key
from gateway.store_helpers import bucket_with, synced_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pythanos.model.matchers import Matcher, MatchType

NAMES = ("__name__", "a", "b", "c", "d", "e")
LABELS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("1", "2", "3")), min_size=1, max_size=5)
EXTERNAL = st.dictionaries(st.sampled_from(("Z", "a", "bb", "c", "f")), st.sampled_from(("1", "2", "9")), max_size=3)
SERIES = st.lists(LABELS, min_size=1, max_size=25, unique_by=lambda labels: tuple(sorted(labels.items())))
DROP = st.lists(st.sampled_from(("Z", "a", "c", "d", "f", "__name__")), max_size=2, unique=True)
CONDITIONS = st.lists(
    st.tuples(
        st.sampled_from(list(MatchType)),
        st.sampled_from((*NAMES, "bb")),
        st.sampled_from(("", "1", "2", "1|3", ".+", ".*", "[12]")),
    ),
    min_size=1,
    max_size=3,
)


def stream_of(external, sets):
    return Stream(external, [(labels, [[(0, 1.0)]]) for labels in sets])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(EXTERNAL, SERIES), min_size=1, max_size=3),
    DROP,
    CONDITIONS,
    st.integers(1, 4),
    st.booleans(),
)
def test_a_select_gives_what_its_definition_says(streams, drop, conditions, batch, lazy):
    streams = [stream_of(*one) for one in streams]
    # A matcher on a name that no stream has as external label keeps the request from being refused.
    matchers = [*(Matcher(*one) for one in conditions), Matcher(MatchType.RE, "absent", ".*")]
    config = f"debug: {{series_batch_size: {batch}, estimated_max_series_size: 40}}"
    config += (
        f"\nstore: {{enable_lazy_expanded_postings: {str(lazy).lower()}, posting_group_max_key_series_ratio: 0.1}}"
    )
    with tempfile.TemporaryDirectory() as folder:
        store = synced_store(bucket_with(streams), Path(folder), settings=config)
        found = label_sets(store, matchers, without_replica_labels=tuple(drop))
        store.close()
    assert found == matching(streams, matchers, drop)


@settings(max_examples=60, deadline=None)
@given(SERIES, st.sampled_from((("zz",), ("aa", "zz"), ("bb",), ("Z", "cc"))), st.integers(1, 5))
def test_label_sets_that_begin_each_other_come_in_order(sets, external_names, batch):
    """Chains of prefixes are what in_label_order is for; the names here are never labels of the series."""
    chains = {tuple(sorted(labels.items())[:length]) for labels in sets for length in range(1, len(labels) + 1)}
    external = dict.fromkeys(external_names, "5")
    streams = [stream_of(external, [dict(chain) for chain in sorted(chains)])]
    matchers = [Matcher(MatchType.RE, "absent", ".*")]
    with tempfile.TemporaryDirectory() as folder:
        store = synced_store(bucket_with(streams), Path(folder), settings=f"debug: {{series_batch_size: {batch}}}")
        found = label_sets(store, matchers)
        store.close()
    assert found == sorted(({**dict(chain), **external} for chain in chains), key=sort_key)
