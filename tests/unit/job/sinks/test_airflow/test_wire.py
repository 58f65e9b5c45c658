"""What goes wrong between us and Airflow: pages, redirects, cuts, silence."""

from __future__ import annotations

import dataclasses
import gc
import gzip
import logging
import socket
import time
import zlib
from collections.abc import Callable

import pytest

from ecr_refresher.core.model import Holding, Reason
from ecr_refresher.core.plan import Header, SecretRef
from ecr_refresher.job.sinks.airflow.transport import Transport
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.airflow_faults import LOGIN_PAGE
from tests.testbed.standins.script import Cut, HalfAnswer, Malformed
from tests.testbed.standins.serving import Reply

from .conftest import DOCKER_DEFAULT, ECR_TOKEN, HOST, PASSWORD, Scripted, World, credential, wanted

PATH = "/api/v2/connections/docker_default"
VERSION = Reply.json(200, {"version": "3.3.2"})
Start = Callable[..., Scripted]


# --- somebody else answers ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/v2/version", "/auth/token", PATH])
def test_a_login_page_is_named_as_such(airflow: AirflowStandIn, world: World, path: str) -> None:
    airflow.always(LOGIN_PAGE, path=path)
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID, "web page", "login page of a proxy")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_page_is_no_word_of_the_api_whatever_its_status(airflow: AirflowStandIn, world: World, status: int) -> None:
    airflow.next(dataclasses.replace(LOGIN_PAGE, status=status), path=PATH)
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID, f"web page ({status})")
    assert len(airflow.attempts) == 1


def test_a_gateway_without_airflow_behind_it_is_transient(airflow: AirflowStandIn, world: World) -> None:
    airflow.next(dataclasses.replace(LOGIN_PAGE, status=502), path=PATH)
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "502")


def test_a_wrong_path(scripted: Start, world: World) -> None:
    """On Airflow 3 itself an unknown path is its UI, a page; elsewhere it is 404."""
    server = scripted(lambda method, path: Reply.json(404, {"detail": "Not Found"}))
    world.failure(
        lambda: world.sink(url=server.url).look(DOCKER_DEFAULT, HOST), Reason.INVALID, "no Airflow API", server.url
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_proxy_that_wants_a_login_of_its_own(scripted: Start, world: World, status: int) -> None:
    server = scripted(lambda method, path: Reply.json(status, {"detail": "Who are you?"}))
    failure = world.failure(
        lambda: world.sink(url=server.url).look(DOCKER_DEFAULT, HOST), Reason.DENIED, str(status), "token_file"
    )
    assert not failure.login_refused


@pytest.mark.parametrize("status", [401, 403])
def test_what_was_given_to_a_proxy_and_refused_is_named(scripted: Start, world: World, status: int) -> None:
    server = scripted(lambda method, path: Reply.json(status, {"detail": "expired"}))
    world.secrets |= {"/token": "the-token-for-the-proxy", "/header": "the-word-for-the-proxy"}
    headers = (Header("X-Proxy", SecretRef("file", "/header")),)
    for changes, words in (
        ({"token": SecretRef("file", "/token"), "username": None, "password": None}, "the token in the file /token"),
        ({"headers": headers}, "the headers (X-Proxy)"),
    ):
        sink = world.sink(url=server.url, **changes)
        failure = world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, words, "expired")  # noqa: B023
        assert "token_file" not in failure.fix


def test_a_bearer_token_is_shown_to_a_proxy_from_the_first_request_on(scripted: Start, world: World) -> None:
    server = scripted(lambda method, path: VERSION if "version" in path else Reply.json(404, {"detail": "none"}))
    world.secrets["/token"] = "the-token-for-the-proxy"
    sink = world.sink(url=server.url, token=SecretRef("file", "/token"), username=None, password=None)
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()
    assert {authorization for _, _, authorization in server.asked} == {"Bearer the-token-for-the-proxy"}


def test_a_slash_at_the_end_of_the_url(airflow: AirflowStandIn, world: World) -> None:
    assert world.sink(url=airflow.url + "/").look(DOCKER_DEFAULT, HOST) == Holding()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(scripted: Start, world: World, status: int) -> None:
    elsewhere = scripted(lambda method, path: VERSION)
    target = f"{elsewhere.url}/sign-in?state=a-secret-of-theirs"

    def answer(method: str, path: str) -> Reply:
        if path.endswith("/version"):
            return VERSION
        if path == "/auth/token":
            return Reply.json(201, {"access_token": "a.jwt.of-its-own"})
        return Reply(status, headers={"Location": target})

    proxy = scripted(answer)
    sink = world.sink(url=proxy.url)
    failure = world.failure(
        lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.INVALID, f"to {elsewhere.url} ({status})", "final address"
    )
    assert "sign-in" not in failure.message
    assert "secret" not in failure.message
    assert elsewhere.asked == []


def test_a_redirected_login_does_not_carry_the_password_along(scripted: Start, world: World) -> None:
    elsewhere = scripted(lambda method, path: VERSION)
    proxy = scripted(
        lambda method, path: VERSION if "version" in path else Reply(307, headers={"Location": elsewhere.url + path})
    )
    world.failure(lambda: world.sink(url=proxy.url).look(DOCKER_DEFAULT, HOST), Reason.INVALID, elsewhere.url)
    assert elsewhere.asked == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib3 drops the connection unclosed
@pytest.mark.parametrize("location", ["http://[::1", "//[", "http://x:port/", "\x1b[31m"])
def test_a_location_that_is_no_url_is_the_servers_fault(scripted: Start, world: World, location: str) -> None:
    server = scripted(lambda method, path: Reply(302, headers={"Location": location}))
    failure = world.failure(lambda: world.sink(url=server.url).look(DOCKER_DEFAULT, HOST), Reason.INVALID, server.url)
    assert "redirect" in failure.message
    assert failure.message.isprintable()
    gc.collect()


def test_on_the_same_server_the_version_follows_a_redirect_and_the_rest_goes_there(
    airflow: AirflowStandIn, scripted: Start, world: World
) -> None:
    def answer(method: str, path: str) -> Reply:
        if path.startswith("/deployment/"):
            return VERSION if path.endswith("/version") else Reply.json(201, {"access_token": "a.jwt", "detail": ""})
        return Reply(307, headers={"Location": f"/deployment{path}"})

    server = scripted(answer)
    sink = world.sink(url=server.url)
    assert sink.version() == "3.3"
    sink.enter()
    assert [path for _, path, _ in server.asked] == [
        "/api/v2/version",
        "/deployment/api/v2/version",
        "/deployment/api/v2/version",
        "/deployment/auth/token",
    ]


def test_a_slash_behind_the_version_is_followed_and_changes_nothing_else(scripted: Start, world: World) -> None:
    def answer(method: str, path: str) -> Reply:
        if path == "/api/v2/version":
            return Reply(308, headers={"Location": "/api/v2/version/"})
        return VERSION if path.endswith("/version/") else Reply.json(201, {"access_token": "a.jwt"})

    server = scripted(answer)
    world.sink(url=server.url).enter()
    assert [path for _, path, _ in server.asked] == ["/api/v2/version", "/api/v2/version/", "/auth/token"]


def test_a_redirect_on_the_same_server_shows_its_whole_target_but_no_query(scripted: Start, world: World) -> None:
    target = "/deployment/auth/token?state=a-secret-of-theirs"
    server = scripted(
        lambda method, path: VERSION if path.endswith("/version") else Reply(307, headers={"Location": target})
    )
    failure = world.failure(
        lambda: world.sink(url=server.url).look(DOCKER_DEFAULT, HOST),
        Reason.INVALID,
        f"redirects the login to {server.url}/deployment/auth/token (307)",
    )
    assert "secret" not in failure.message


def test_a_circle_of_redirects_ends(scripted: Start, world: World) -> None:
    server = scripted(lambda method, path: Reply(302, headers={"Location": path}))
    world.failure(lambda: world.sink(url=server.url).look(DOCKER_DEFAULT, HOST), Reason.INVALID, "redirects GET")
    assert len(server.asked) < 8


def test_an_endless_answer_is_not_read_to_its_end(airflow: AirflowStandIn, world: World) -> None:
    airflow.next(Malformed(b'{"description": "' + b"x" * (2 << 20) + b'"}'), path=PATH)
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID, "more than 256 KiB")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"version": "3.3.2"}', None),
        (b'{"version": "' + b"x" * (64 << 20) + b'"}', "more than 256 KiB"),
    ],
    ids=["small", "bomb"],
)
def test_an_answer_that_is_packed_unasked_is_read_and_has_the_same_largest_size(
    scripted: Start, world: World, pack: Callable[[bytes], bytes], text: bytes, words: str | None
) -> None:
    """Before 2.6 urllib3 unpacks the whole of it at once: a megabyte to a gigabyte."""
    encoding = {"Content-Encoding": "gzip" if pack is gzip.compress else "deflate"}
    version = Reply(200, pack(text), headers=encoding)
    token = Reply.json(201, {"access_token": "a.jwt"})
    ours = world.sink(url=scripted(lambda _, path: version if path.endswith("/version") else token).url)
    if words is None:
        ours.enter()
    else:
        world.failure(ours.enter, Reason.INVALID, words)


def test_an_answer_that_is_packed_otherwise_than_it_says(scripted: Start, world: World) -> None:
    server = scripted(lambda *_: Reply(200, b"[", headers={"Content-Encoding": "gzip"}))
    world.failure(world.sink(url=server.url).enter, Reason.INVALID, "something other than a JSON object")


def test_deeply_nested_json(airflow: AirflowStandIn, world: World) -> None:
    airflow.next(Malformed(b"[" * 200_000), path=PATH)
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID)


# --- nobody answers ----------------------------------------------------------------------------------------------
def test_a_refused_connection(airflow: AirflowStandIn, world: World) -> None:
    airflow.stop()
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "refused", airflow.url)


def test_a_server_that_hangs_up(airflow: AirflowStandIn, world: World) -> None:
    airflow.down = True
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "broke")


def test_no_answer_in_time(airflow: AirflowStandIn, world: World) -> None:
    airflow.slow(30)
    world.failure(
        lambda: world.sink(read_timeout_s=0.2).look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "not answer within 0.2 s"
    )


def test_a_name_that_dns_does_not_know(world: World) -> None:
    sink = world.sink(url="http://airflow.invalid:8080")
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "DNS", "airflow.invalid:8080")


def test_no_connection_in_time(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # a queue that is full drops what comes next
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        sink = world.sink(url=f"http://127.0.0.1:{full.getsockname()[1]}")
        began = time.monotonic()
        world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "no answer within 2 s")
        assert time.monotonic() - began < 5  # one try, no retries
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("fault", [Cut(processed=True), Cut(processed=False), HalfAnswer()])
def test_a_write_whose_answer_is_cut_is_not_repeated(airflow: AirflowStandIn, world: World, fault: Cut) -> None:
    sink = world.sink()
    sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted)
    airflow.next(fault, method="PATCH")
    newer = credential(life=50_000)
    world.failure(lambda: sink.deliver(DOCKER_DEFAULT, HOST, newer, still_wanted=wanted), Reason.TRANSIENT, "broke")
    processed = fault != Cut(processed=False)
    assert len(airflow.writes) == 1 + processed
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding((newer if processed else credential()).expires_at)


@pytest.mark.parametrize("status", [429, 503, 413])
def test_nothing_is_ever_sent_twice_even_where_retry_after_invites_to(
    scripted: Start, world: World, status: int
) -> None:
    server = scripted(lambda method, path: Reply(status, b"{}", headers={"Retry-After": "0"}))
    reason = {429: Reason.THROTTLED, 503: Reason.TRANSIENT, 413: Reason.INVALID}[status]
    world.failure(lambda: world.sink(url=server.url).look(DOCKER_DEFAULT, HOST), reason)
    assert [path for _, path, _ in server.asked] == ["/api/v2/version", "/api/v1/version"][: 1 + (status == 413)]


def test_connections_to_airflow_are_used_again(airflow: AirflowStandIn, world: World) -> None:
    """A second login, look or write does not pay for another TLS handshake."""
    sink = world.sink()
    sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted)
    assert isinstance(sink._transport, Transport)
    pools = sink._transport._client.pool_manager.pool.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 - it is no dict
    assert [pools[key].num_requests for key in pools.keys()] == [4]  # noqa: SIM118 - version, login, look, write


# --- and nothing of it is told -----------------------------------------------------------------------------------
def test_no_library_logs_a_secret_at_warning_or_above(
    airflow: AirflowStandIn, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    airflow.next(Malformed(b"{}", status=500), HalfAnswer(), method="POST", path="/api/v2/connections")
    for _ in range(2):
        world.failure(
            lambda: world.sink().deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted), Reason.TRANSIENT
        )
    assert ECR_TOKEN not in caplog.text
    assert PASSWORD not in caplog.text
