"""Blocks that real Prometheus wrote are served whole."""

import shutil
from pathlib import Path

import pytest
from contracts.store_contract import samples_of, select
from gateway.store_helpers import synced_store

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher, MatchType
from pythanos.objstore.filesystem import FilesystemBucket
from pythanos.storeapi.requests import LabelNamesRequest

GOLDEN = Path(__file__).parent.parent / "golden" / "blocks"
ALWAYS = (-(1 << 50), 1 << 50)


@pytest.mark.parametrize("version", ["prometheus-2.42", "prometheus-3.14"])
def test_all_series_and_samples_come(tmp_path, version):
    shutil.copytree(GOLDEN / version, tmp_path / "bucket")
    store = synced_store(FilesystemBucket(str(tmp_path / "bucket")), tmp_path / "data")
    (meta,) = store.loaded_metas()
    found = select(store, [Matcher(MatchType.RE, "__name__", ".+")], mint=ALWAYS[0], maxt=ALWAYS[1])
    assert len(found) == meta.stats.num_series
    assert sum(len(rows) for _, rows in found) == meta.stats.num_chunks
    assert sum(len(samples_of(rows)) for _, rows in found) == meta.stats.num_samples
    names = {name for labels, _ in found for name in labels}
    assert list(store.label_names(RequestContext(), LabelNamesRequest(*ALWAYS)).values) == sorted(names)
