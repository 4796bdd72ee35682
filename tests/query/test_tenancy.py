"""QU-34: whatever is asked of a store, it is asked for the tenant's series."""

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher, MatchType
from pythanos.promql.engine import Engine, EngineOptions, InstantQuery
from pythanos.query.queryable import SelectOptions, StoreQueryable
from pythanos.query.tenancy import TenantStore, enforced
from pythanos.storeapi.requests import LabelNamesRequest, LabelValuesRequest, SeriesRequest
from pythanos.testing.block_builder import float_chunk
from pythanos.testing.fake_store import ChunkRow, FakeStore
from pythanos.workers import Workers

OWN = Matcher(MatchType.EQ, "tenant_id", "a")
UP = Matcher(MatchType.EQ, "__name__", "up")


def test_the_tenant_takes_the_place_of_any_matcher_on_its_label():
    for given in (Matcher(MatchType.EQ, "tenant_id", "b"), Matcher(MatchType.RE, "tenant_id", ".*"), OWN):
        assert enforced((given, UP), "tenant_id", "a") == (UP, OWN)
    assert enforced((), "tenant_id", "a") == (OWN,)


def test_every_request_is_for_the_tenant():
    inner = FakeStore()
    store, ctx = TenantStore(inner, "tenant_id"), RequestContext(tenant="a")
    list(store.series(ctx, SeriesRequest(0, 1, (UP,))))
    store.label_names(ctx, LabelNamesRequest(0, 1))
    store.label_values(ctx, LabelValuesRequest("job", 0, 1, (Matcher(MatchType.NEQ, "tenant_id", "a"),)))
    assert [request.matchers for request in inner.requests] == [(UP, OWN), (OWN,), (OWN,)]


def test_no_query_reaches_the_series_of_another_tenant():
    """Neither by a matcher, nor in a parameter of an aggregation, a subquery, or the series that info() reads."""
    chunk = float_chunk([(1000, 1.0)])
    row = ChunkRow(chunk.mint, chunk.maxt, chunk.data)
    inner = FakeStore(
        [({"__name__": name, "tenant_id": tenant}, [row]) for name in ("down", "up") for tenant in ("a", "b")]
    )
    queryable = StoreQueryable(TenantStore(inner, "tenant_id"), SelectOptions())
    engine = Engine(EngineOptions(), Workers.inline())
    for text in (
        'up{tenant_id="b"}',
        "topk(scalar(down), up)",
        "max_over_time(up[1m:1s])",
        'up{tenant_id=~".+"} + on () group_left () down',
    ):
        inner.requests.clear()
        result = engine.instant(RequestContext(tenant="a"), queryable, InstantQuery(text, 2000))
        assert len(result.value.labels) == 1
        assert inner.requests
        assert all(OWN in request.matchers for request in inner.requests)
        assert not any(m.name == "tenant_id" and m != OWN for request in inner.requests for m in request.matchers)
