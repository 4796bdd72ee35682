"""QU-34: whose request it is; and request logging of the site."""

import logging
from types import SimpleNamespace

import pytest
from web_fixtures import Served

from pythanos.errors import BadRequest
from pythanos.runtime.request_log import RequestLog
from pythanos.web.messages import Response
from pythanos.web.router import Route
from pythanos.web.tenants import tenant_of, tenant_of_certificate

WHO = Route("/api/v1/who", lambda request: Response(body=request.context.tenant.encode()), "who")


class Certificate:
    def __init__(self, *components):
        self.components = components

    def get_subject(self):
        return SimpleNamespace(get_components=lambda: self.components)


def test_a_header_names_the_tenant():
    """The configured header, or else Thanos' own, or else the default."""
    assert tenant_of({"x-team": "a", "thanos-tenant": "b"}, "X-Team", "d") == "a"
    assert tenant_of({"thanos-tenant": "b"}, "X-Team", "d") == "b"
    assert tenant_of({}, "X-Team", "d") == "d"


@pytest.mark.parametrize("tenant", ["a/b", "..", ".", "/"])
def test_a_path_is_no_tenant(tenant):
    with pytest.raises(BadRequest, match="Tenant name not valid"):
        tenant_of({"x-team": tenant}, "X-Team", "d")


@pytest.mark.parametrize("field, tenant", [("organization", "o"), ("organizationalUnit", "u"), ("commonName", "c")])
def test_a_certificate_names_the_tenant(field, tenant):
    assert tenant_of_certificate(Certificate((b"O", b"o"), (b"OU", b"u"), (b"CN", b"c"), (b"O", b"x")), field) == tenant
    with pytest.raises(BadRequest, match=f"could not get {field} field from client cert"):
        tenant_of_certificate(Certificate((b"C", b"c")), field)
    with pytest.raises(BadRequest, match="could not get required certificate field"):
        tenant_of_certificate(None, field)


def test_the_site_refuses_a_bad_tenant():
    served = Served([WHO], tenant_header="X-Team", default_tenant="d")
    assert served.ask("/api/v1/who", X_Team="a").text == "a"
    answer = served.ask("/api/v1/who", X_Team="a/b")
    assert (answer.status, "Tenant name not valid" in answer.text) == (400, True)


def test_without_a_certificate_nobody_is_let_in_but_probes():
    probe = Route("/-/ready", lambda request: Response(body=b"OK"))
    served = Served([WHO, probe], tenant_header="X-Team", tenant_certificate_field="commonName")
    assert served.ask("/api/v1/who", X_Team="a").status == 400
    assert served.ask("/-/ready").status == 200


def test_requests_are_logged_with_what_they_asked(caplog):
    log = RequestLog("http", starts=True, ends=True, level=logging.DEBUG, names=frozenset(["/api/v1/who:0"]))
    served = Served([WHO, Route("/api/v1/other", WHO.handler, "other")], tenant_header="X-Team", request_log=log)
    with caplog.at_level(logging.DEBUG):
        served.ask("/api/v1/other")
        served.ask("/api/v1/who?a=b", X_Request_Id="r1", X_Team="t", User_Agent="test")
    started, finished = caplog.records
    assert (started.message, finished.message) == ("started call", "finished call")
    assert vars(started)["tenant"] == "t"
    fields = vars(finished)
    assert fields["http.method"] == "GET /api/v1/who?a=b"
    assert (fields["http.request_id"], fields["http.user_agent"], fields["tenant"]) == ("r1", "test", "t")
    assert (fields["http.status_code"], fields["thanos.method_name"]) == (200, "who")
