"""The HTTP layer: routing, errors, limits, streaming, draining, metrics; all over memory."""

from __future__ import annotations

import json
import threading

import pytest
from twisted.trial.unittest import SynchronousTestCase
from web_fixtures import Served

from pythanos import errors
from pythanos.web.errors import NotFound
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route, Router
from pythanos.web.stream import WINDOW_BYTES


def echo(request: Request) -> Response:
    args = {name: request.args.all(name) for name in ("a", "b")}
    said = {"method": request.method, "path": request.path, "args": args, "named": dict(request.path_args)}
    return Response(body=json.dumps(said).encode())


def failing(error: Exception) -> Route:
    def handler(request: Request) -> Response:
        raise error

    return Route("/api/v1/fail", handler, "fail")


ECHO = Route("/echo", echo, "echo", ("GET", "POST"))


class RoutingTests(SynchronousTestCase):
    def test_a_request_reaches_its_handler(self):
        """Parameters, status, length and a request id."""
        got = Served([ECHO]).ask("/echo?a=1&a=2&b=%20%C3%BC")
        self.assertEqual(got.status, 200)
        self.assertEqual(json.loads(got.text)["args"], {"a": ["1", "2"], "b": [" \u00fc"]})
        self.assertEqual(got.headers["content-length"], str(len(got.body)))
        self.assertEqual(len(got.headers["x-request-id"]), 32)

    def test_a_form_body_goes_before_the_query(self):
        """As Go's r.Form: POST parameters first, then those of the URL; other bodies are no parameters."""
        served = Served([ECHO])
        form = {"Content_Type": "application/x-www-form-urlencoded; charset=utf-8"}
        got = served.ask("/echo?a=url", "POST", b"a=body&b=x%2By+z", **form)
        self.assertEqual(json.loads(got.text)["args"], {"a": ["body", "url"], "b": ["x+y z"]})
        got = served.ask("/echo?a=url", "POST", b"a=body", Content_Type="text/plain")
        self.assertEqual(json.loads(got.text)["args"], {"a": ["url"], "b": []})

    def test_a_malformed_form_is_bad_data(self):
        """A bad escape or a semicolon is the caller's mistake."""
        served = Served([Route("/api/v1/echo", echo)])
        for query in ("a=%zz", "a=1;b=2", "a=%2"):
            got = served.ask(f"/api/v1/echo?{query}")
            self.assertEqual((got.status, json.loads(got.text)["errorType"]), (400, "bad_data"))

    def test_named_segments_are_decoded_one_by_one(self):
        """An escaped slash stays in its segment."""
        served = Served([Route("/label/<name>/values", echo)])
        self.assertEqual(json.loads(served.ask("/label/a%2Fb%20c/values").text)["named"], {"name": "a/b c"})
        self.assertEqual(served.ask("/label//values").status, 404)
        self.assertEqual(served.ask("/label/a/b/values").status, 404)

    def test_unknown_paths_and_methods(self):
        """404 for a path that is nobody's, 405 with Allow for a method that is not the route's; HEAD goes with GET."""
        served = Served([ECHO])
        self.assertEqual(served.ask("/nothing").status, 404)
        refused = served.ask("/echo", "PUT")
        self.assertEqual((refused.status, refused.headers["allow"]), (405, "GET, POST"))
        head = served.ask("/echo", "HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertGreater(int(head.headers["content-length"]), 0)

    def test_a_prefix_stands_before_every_path(self):
        """web.route_prefix."""
        served = Served([ECHO], prefix="/thanos/")
        self.assertEqual(served.ask("/thanos/echo").status, 200)
        self.assertEqual(served.ask("/echo").status, 404)

    def test_one_connection_serves_many_requests(self):
        """Keep-alive, also pipelined."""
        served = Served([ECHO])
        served.send(b"GET /echo?a=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?a=2 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(served.transport.value().count(b"HTTP/1.1 200 OK"), 2)

    def test_the_request_id_of_the_caller_is_kept(self):
        """X-Request-Id travels through (XC-28)."""
        self.assertEqual(Served([ECHO]).ask("/echo", X_Request_Id="abc").headers["x-request-id"], "abc")

    def test_the_tenant_header_becomes_the_tenant(self):
        """XC-58: the header names the tenant, else the default."""
        route = Route("/t", lambda request: Response(body=request.context.tenant.encode()))
        served = Served([route], tenant_header="THANOS-TENANT", default_tenant="default-tenant")
        self.assertEqual(served.ask("/t", THANOS_TENANT="team-a").text, "team-a")
        self.assertEqual(served.ask("/t").text, "default-tenant")


ERRORS = [
    (errors.BadRequest("no"), 400, "bad_data"),
    (errors.LimitExceeded("query.max_samples", 1), 422, "execution"),
    (errors.LimitExceeded("http_requests", 1, admission=True), 429, "execution"),
    (errors.QueryFailed("no"), 422, "execution"),
    (errors.NotSupported("no"), 422, "execution"),
    (errors.StoreFailed("no"), 422, "execution"),
    (errors.QueryTimeout("no"), 503, "timeout"),
    (errors.QueryCanceled("no"), 503, "canceled"),
    (errors.BucketUnavailable("no"), 503, "unavailable"),
    (errors.EndpointUnavailable("no"), 503, "unavailable"),
    (errors.CorruptData("index", 3, "no"), 500, "internal"),
    (errors.ObjectNotFound("x"), 404, "not_found"),
    (NotFound("x"), 404, "not_found"),
]


@pytest.mark.parametrize(("error", "status", "error_type"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_class_has_its_answer(error: Exception, status: int, error_type: str):
    """QU-25: the envelope names the type; errors are never stored by caches."""
    got = Served([failing(error)]).ask("/api/v1/fail")
    assert got.status == status and got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == "no-store"
    assert json.loads(got.text) == {"status": "error", "errorType": error_type, "error": str(error)}


class ErrorTests(SynchronousTestCase):
    def test_a_bug_is_500_and_logged(self):
        """The daemon keeps serving; the traceback is in the log."""
        served = Served([failing(KeyError("oops")), ECHO])
        self.assertEqual(served.ask("/api/v1/fail").status, 500)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(served.ask("/echo").status, 200)

    def test_outside_of_the_api_errors_are_text(self):
        """A person reads those."""
        got = Served([Route("/x", failing(errors.BadRequest("bad seconds")).handler)]).ask("/x")
        self.assertEqual((got.status, got.text), (400, "bad seconds\n"))

    def test_before_the_doors_open_only_probes_answer(self):
        """503 while starting and while stopping."""
        served = Served([Route("/api/v1/echo", echo), Route("/-/healthy", echo, always=True)])
        served.site.is_open = False
        got = served.ask("/api/v1/echo")
        self.assertEqual((got.status, json.loads(got.text)["error"]), (503, "not ready"))
        self.assertEqual(served.ask("/-/healthy").status, 200)

    def test_overflow_is_429(self):
        """The request that finds no thread is turned away at once; metrics say how that came."""
        served = Served([Route("/api/v1/echo", echo, "echo"), Route("/metrics", echo, always=True)])
        served.pool.full = True
        got = served.ask("/api/v1/echo")
        self.assertEqual((got.status, json.loads(got.text)["error"]), (429, "every thread is taken"))
        self.assertEqual(served.ask("/metrics").status, 200)
        self.assertEqual(served.site.active, set())

    def test_a_body_over_the_limit_is_413(self):
        """Announced or chunked, it is not kept."""
        served = Served([ECHO], body_bytes_max=100)
        self.assertEqual(served.ask("/echo", "POST", b"x" * 101).status, 413)
        served.transport.clear()
        served.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        served.send(b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
        self.assertEqual(served.answer().status, 413)
        self.assertEqual(served.ask("/echo", "POST", b"x" * 100).status, 200)

    def test_a_body_far_over_the_limit_ends_the_connection(self):
        """Nobody sends for ever."""
        served = Served([ECHO], body_bytes_max=100)
        served.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000)
        self.assertTrue(served.transport.disconnecting)

    def test_a_header_over_the_limit_is_400(self):
        """So is a URL."""
        served = Served([ECHO], header_bytes_max=1000)
        served.send(b"GET /echo?a=" + b"x" * 2000 + b" HTTP/1.1\r\n\r\n")
        self.assertTrue(served.transport.value().startswith(b"HTTP/1.1 400") or served.transport.disconnecting)

    def test_a_long_query_fits(self):
        """A PromQL expression of 100 kB in a URL is no reason to refuse."""
        self.assertEqual(Served([ECHO]).ask("/echo?a=" + "x" * 100_000).status, 200)


class DeliveryTests(SynchronousTestCase):
    def body(self, pieces: list[bytes], closed: list[str] | None = None) -> Route:
        def handler(request: Request) -> Response:
            def produce():
                try:
                    for piece in pieces:
                        request.context.check()
                        yield piece
                finally:
                    if closed is not None:
                        closed.append("closed")

            return Response(body=produce(), content_type="application/json")

        return Route("/api/v1/body", handler, "body")

    def test_small_pieces_become_one_answer_with_a_length(self):
        """Envelope, data and end go out together."""
        got = Served([self.body([b"{", b"1", b"}"])]).ask("/api/v1/body")
        self.assertEqual((got.headers["content-length"], got.body), ("3", b"{1}"))

    def test_large_answers_are_chunked(self):
        """Their length is not known before they are made."""
        pieces = [bytes([65 + n]) * 100_000 for n in range(5)]
        got = Served([self.body(pieces)]).ask("/api/v1/body")
        self.assertEqual((got.headers["transfer-encoding"], got.complete), ("chunked", True))
        self.assertEqual(got.body, b"".join(pieces))

    def test_gzip_where_it_is_taken_and_worth_it(self):
        """Streamed, at level 1; small answers and other clients get plain bytes."""
        pieces = [b"abcdefgh" * 20_000 for _ in range(4)]
        served = Served([self.body(pieces)])
        got = served.ask("/api/v1/body", Accept_Encoding="deflate, gzip;q=1.0")
        self.assertEqual((got.headers["content-encoding"], got.headers["vary"]), ("gzip", "Accept-Encoding"))
        self.assertEqual(got.gunzipped(), b"".join(pieces))
        self.assertNotIn("content-encoding", served.ask("/api/v1/body").headers)
        self.assertNotIn("content-encoding", served.ask("/api/v1/body", Accept_Encoding="gzip;q=0").headers)
        small = Served([self.body([b"{}"])]).ask("/api/v1/body", Accept_Encoding="gzip")
        self.assertNotIn("content-encoding", small.headers)

    def test_an_error_in_the_middle_breaks_the_connection(self):
        """The client must not take half an answer for a whole one."""

        def produce():
            yield b"x" * 100_000
            yield b"y" * 100_000
            raise errors.CorruptData("chunk", 1, "bad")

        served = Served([Route("/api/v1/body", lambda request: Response(body=produce()), "body")])
        served.send(b"GET /api/v1/body HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertFalse(served.answer().complete)
        self.assertTrue(served.transport.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(errors.CorruptData)), 1)

    def test_an_error_before_the_first_piece_is_a_whole_answer(self):
        """Nothing was sent yet, so the status can still tell."""

        def produce():
            raise errors.CorruptData("chunk", 1, "bad")
            yield b""

        served = Served([Route("/api/v1/body", lambda request: Response(body=produce()), "body")])
        self.assertEqual(served.ask("/api/v1/body").status, 500)

    def test_a_client_that_goes_away_stops_the_work(self):
        """The context is cancelled, the body closed, and nothing is written any more."""
        closed: list[str] = []
        served = Served([self.body([b"x" * 100_000] * 9, closed)])
        served.pool.keeps = True
        served.send(b"GET /api/v1/body HTTP/1.1\r\nHost: x\r\n\r\n")
        (exchange,) = served.site.active
        served.channel.connectionLost(errors.QueryCanceled("gone"))
        self.assertTrue(exchange.request.context.canceled)
        served.pool.run_one()
        self.assertEqual((closed, served.transport.value(), served.site.active), (["closed"], b"", set()))
        code = {"code": "499", "handler": "body", "method": "get"}
        self.assertEqual(served.registry.get_sample_value("http_requests_total", code), 1)

    def test_a_slow_reader_holds_up_the_producer(self):
        """At most the window is on its way while the transport takes nothing."""
        pieces = [b"x" * (WINDOW_BYTES // 4)] * 12
        made: list[int] = []

        def produce():
            for number, piece in enumerate(pieces):
                made.append(number)
                yield piece

        served = Served([Route("/api/v1/body", lambda request: Response(body=produce()), "body")])
        served.pool.keeps = True
        served.reactor.hold()
        served.send(b"GET /api/v1/body HTTP/1.1\r\nHost: x\r\n\r\n")
        done, job, args = served.pool.jobs.pop()
        thread = threading.Thread(target=job, args=args)
        thread.start()
        sink = args[1]
        while sink._underway < WINDOW_BYTES:
            threading.Event().wait(0.001)
        sink.pauseProducing()
        served.reactor.perform()
        thread.join(0.05)
        self.assertTrue(thread.is_alive())
        self.assertLessEqual(len(made), 6)
        sink.resumeProducing()
        while thread.is_alive():
            served.reactor.perform()
            thread.join(0.001)
        served.reactor.perform()
        done.callback(None)
        self.assertEqual((served.answer().body, served.answer().complete), (b"".join(pieces), True))

    def test_draining_waits_for_what_is_running(self):
        """Stopping refuses new requests and lets the old ones finish."""
        served = Served([self.body([b"{}"])])
        served.pool.keeps = True
        served.send(b"GET /api/v1/body HTTP/1.1\r\nHost: x\r\n\r\n")
        done = served.site.drain(10)
        self.assertNoResult(done)
        served.pool.run_one()
        self.successResultOf(done)
        self.assertEqual(served.answer().headers["connection"], "close")
        self.assertEqual(served.reactor.getDelayedCalls(), [])

    def test_draining_ends_after_the_grace_period(self):
        """What lasts longer is cancelled and cut off."""
        served = Served([self.body([b"{}"])])
        served.pool.keeps = True
        served.send(b"GET /api/v1/body HTTP/1.1\r\nHost: x\r\n\r\n")
        (exchange,) = served.site.active
        done = served.site.drain(10)
        served.reactor.advance(10)
        self.assertTrue(exchange.request.context.canceled and served.transport.disconnecting)
        served.channel.connectionLost(errors.QueryCanceled("cut"))
        self.successResultOf(done)


class HeaderTests(SynchronousTestCase):
    def test_cross_origin_requests_are_allowed(self):
        """XC-47, on the API and nowhere else, unless turned off."""
        routes = [ECHO, Route("/api/v1/echo", echo), Route("/api/v1/*", lambda _: Response(204), "o", ("OPTIONS",))]
        served = Served(routes)
        got = served.ask("/api/v1/echo")
        self.assertEqual(got.headers["access-control-allow-origin"], "*")
        self.assertEqual(got.headers["access-control-allow-methods"], "GET, POST, OPTIONS")
        self.assertNotIn("access-control-allow-origin", served.ask("/echo").headers)
        self.assertEqual(served.ask("/api/v1/anything", "OPTIONS").status, 204)
        self.assertNotIn("access-control-allow-origin", Served(routes, cors=False).ask("/api/v1/echo").headers)


class MetricsTests(SynchronousTestCase):
    def test_named_handlers_are_counted_as_in_thanos(self):
        """XC-48: names, labels and buckets; probes and unnamed routes are not counted."""
        served = Served([ECHO, Route("/-/ready", echo)])
        served.ask("/echo?a=1")
        served.ask("/-/ready")
        labels = {"code": "200", "handler": "echo", "method": "get"}
        value = served.registry.get_sample_value
        self.assertEqual(value("http_requests_total", labels), 1)
        self.assertEqual(value("http_request_duration_seconds_bucket", labels | {"le": "0.001"}), 1)
        self.assertEqual(value("http_request_duration_seconds_bucket", labels | {"le": "720.0"}), 1)
        self.assertEqual(value("http_request_size_bytes_bucket", labels | {"le": "32768.0"}), 1)
        self.assertEqual(value("http_response_size_bytes_bucket", labels | {"le": "64.0"}), 0)
        self.assertEqual(value("http_inflight_requests", {"handler": "echo", "method": "GET"}), 0)
        handlers = {
            sample.labels["handler"]
            for family in served.registry.collect()
            for sample in family.samples
            if "handler" in sample.labels
        }
        self.assertEqual(handlers, {"echo"})

    def test_the_querier_counts_by_tenant(self):
        """Every family has the label, with the default where no header is sent."""
        served = Served([ECHO], tenant_header="THANOS-TENANT")
        served.ask("/echo")
        served.ask("/echo", THANOS_TENANT="team-a")
        for tenant in ("default-tenant", "team-a"):
            labels = {"code": "200", "handler": "echo", "method": "get", "tenant": tenant}
            self.assertEqual(served.registry.get_sample_value("http_requests_total", labels), 1)


def test_what_is_not_below_the_prefix_is_found_where_it_is():
    """XC-51: probes and metrics answer at their own paths, however the API is prefixed; the API does not."""
    probe, api = (Route(path, lambda request: Response()) for path in ("/-/ready", "/api/v1/x"))
    router = Router([probe, api], "/thanos", unprefixed=[probe])
    for path in ("/-/ready", "/thanos/-/ready"):
        assert router.find("GET", path).route is probe
    assert router.find("GET", "/thanos/api/v1/x").route is api
    for path in ("/api/v1/x", "/thanosapi/v1/x"):
        with pytest.raises(NotFound):
            router.find("GET", path)


def test_slashes_too_many_do_not_hide_a_route():
    """A base URL with a slash at its end makes ``//api/v1/x``; Go's servers redirect, which a POST does not survive."""
    api = Route("/api/v1/x", lambda request: Response(), methods=("POST",))
    router = Router([api, Route("/", lambda request: Response())], "/thanos")
    for path in ("/thanos//api/v1/x", "/thanos/api/v1/x/", "//thanos/api//v1/x//"):
        assert router.find("POST", path).route is api
    assert router.find("GET", "/thanos/").route.pattern == "/"
    for path in ("/thanos/api/v1", "//thanos/nope/", "//"):
        with pytest.raises(NotFound):
            router.find("POST", path)


@pytest.mark.parametrize("target", ["/label/\u00fc/values?a=\u00f6", "http://x:1/label/%C3%BC/values?a=%C3%B6"])
def test_targets_as_some_clients_write_them(target):
    """UTF-8 that is not escaped, as a shell passes it to curl, and whole URLs, as a proxy's client sends them."""
    seen = []

    def handler(request):
        seen.append((request.path_args["name"], request.args.get("a")))
        return Response()

    assert Served([Route("/label/<name>/values", handler)]).ask(target).status == 200
    assert seen == [("\u00fc", "\u00f6")]
