"""The server that answers probes and scrapes, over real sockets: what it answers, and what bad clients cost."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from ecr_refresher.core import wire
from ecr_refresher.core.plan import Server
from ecr_refresher.daemon.machine.state import TURN_MAX_S
from ecr_refresher.daemon.web import connection, server
from ecr_refresher.daemon.web.listening import listen
from ecr_refresher.daemon.web.pages import Answer, Pages
from tests.testbed import parts
from tests.testbed.certificates import CertificateAuthority

from .house import PATIENCE_S, House
from .world import AIRFLOW, LIFE, World

PATHS = ["/", "/livez", "/healthz", "/readyz", "/startupz", "/metrics", "/status"]


@pytest.fixture
def house() -> Iterator[House]:
    house = House(World().served(), Server(port=0))
    yield house
    house.stop()


def rest_of(sock: socket.socket) -> bytes:
    """Everything until the other side hangs up."""
    found = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while chunk := sock.recv(65536):
            found += chunk
    return found


def asked(sock: socket.socket, path: str = "/livez") -> bytes:
    """Ask for a small page on a connection that is kept; the beginning of the answer, if any."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"ok\n") and (chunk := sock.recv(65536)):
        answer += chunk
    return answer


# --- answers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PATHS)
def test_every_path_of_the_contract_is_answered(house: House, path: str) -> None:
    answer = house.ask(path)
    assert answer.status == 200
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize("path", ["/nothing", "/livez/", "/LIVEZ", "/metrics/../status", "//livez", "/%6civez"])
def test_other_paths_are_not_found(house: House, path: str) -> None:
    answer = house.ask(path)
    assert answer.status == 404
    assert "/readyz" in answer.text  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_told_which_ones_there_are(house: House, path: str, method: str) -> None:
    answer = house.ask(path, method)
    assert answer.status == 405
    assert answer.getheader("Allow") == "GET, HEAD"


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_head_is_get_without_the_body(house: House, path: str) -> None:
    got, head = house.ask(path), house.ask(path, "HEAD")
    assert (head.status, head.text) == (got.status, "")  # type: ignore[attr-defined]
    assert head.getheader("Content-Length") == got.getheader("Content-Length")
    assert head.getheader("Content-Type") == got.getheader("Content-Type")
    with house.dial() as sock:
        sock.sendall(f"HEAD {path} HTTP/1.0\r\n\r\n".encode())
        assert rest_of(sock).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/startupz"])
def test_probes_say_one_word_unless_asked_for_more(house: House, path: str) -> None:
    assert house.text(path) == "ok\n"
    for query in ("?verbose", "?verbose=1", "?a=b&verbose"):
        text = house.text(path + query)
        assert text.startswith("[+]")
        assert text.endswith("passed\n")
    assert house.text(path + "?verboser") == "ok\n"


def test_livez_is_200_after_a_suspend_and_503_when_the_loop_hangs(house: House) -> None:
    house.world.turn()
    house.publish()
    house.world.sleep(3600.0)
    assert house.ask("/livez").status == 200
    assert json.loads(house.text("/status"))["live"] is True
    house.world.wait(3 * TURN_MAX_S)
    assert house.ask("/livez").status == 503


def test_readyz_is_503_from_the_moment_of_expiry_without_any_event(house: House) -> None:
    assert house.ask("/readyz").status == 200
    house.world.wait(LIFE)
    assert house.ask("/readyz").status == 503
    assert "failed: expired" in house.ask("/readyz?verbose").text  # type: ignore[attr-defined]


def test_what_is_published_is_answered_from_then_on(house: House) -> None:
    house.world.say(wire.Refused(("bad",))).ask("stop")
    assert house.ask("/readyz").status == 200
    house.publish()
    assert house.ask("/readyz").status == 503


def test_status_is_json(house: House) -> None:
    answer = house.ask("/status")
    assert answer.getheader("Content-Type") == "application/json"
    status = json.loads(house.text("/status"))
    assert status["ready"] is True
    assert [slot["sink"] for slot in status["slots"]][1] == AIRFLOW[0]


def test_metrics_come_as_text_or_as_openmetrics_where_asked_for(house: House) -> None:
    plain = house.ask("/metrics")
    assert str(plain.getheader("Content-Type")).startswith("text/plain; version=")
    assert list(parse_text(house.text("/metrics")))
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    opened = house.ask("/metrics", Accept=accept)
    assert str(opened.getheader("Content-Type")).startswith("application/openmetrics-text")
    assert list(parse_openmetrics(house.text("/metrics", Accept=accept)))  # type: ignore[no-untyped-call]
    assert not house.text("/metrics").endswith("# EOF\n")


def test_a_page_is_rendered_again_when_the_state_or_the_time_changes_it(house: House) -> None:
    def value(name: str) -> str:
        lines = house.text("/metrics").splitlines()
        return next(line.split()[-1] for line in lines if line.startswith(f"ecr_refresher_{name}{{"))

    assert value("sink_ready") == "1.0"
    house.world.turn().ask("refresh").turn().finish(house.world.fetched())
    house.publish()
    assert value("refresh_attempts_total") == "2.0"
    house.world.wait(LIFE)
    assert value("sink_ready") == "0.0"
    before = json.loads(house.text("/status"))["now"]
    house.world.wait(1.0)
    assert json.loads(house.text("/status"))["now"] > before


def test_a_page_that_takes_long_to_render_is_kept_for_a_second_and_probes_never() -> None:
    world = World().served()
    ticks = itertools.count()
    pages = Pages(world.state, lambda: world.boot, lambda: world.mono + next(ticks))  # each look takes a second

    def ready() -> bool:
        return bool(json.loads(pages.answer("GET", "/status").body)["ready"])

    assert ready()
    pages.state = world.ask("stop").state
    assert ready()
    assert pages.answer("GET", "/readyz").status == 503
    world.wait(1.0)
    assert not ready()


def test_all_clients_get_the_same_body(house: House) -> None:
    first, second = (house.pages.answer("GET", "/metrics").body for _ in range(2))
    assert first is second


# --- connections -----------------------------------------------------------------------------------------------------
def test_a_connection_is_kept_for_the_next_request(house: House) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", house.server.port, PATIENCE_S)) as client:
        client.connect()
        sock = client.sock
        for _ in range(3):
            client.request("GET", "/livez")
            answer = client.getresponse()
            assert (answer.read(), answer.getheader("Connection")) == (b"ok\n", None)
            assert client.sock is sock


@pytest.mark.parametrize(
    "head",
    [
        "GET /livez HTTP/1.0\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_connection_ends_where_the_client_says_so_or_sends_a_body(house: House, head: str) -> None:
    with house.dial() as sock:
        sock.sendall(head.encode())
        text = rest_of(sock)
    assert text.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in text
    assert text.count(b"HTTP/1.1") == 1


def test_requests_sent_in_one_go_are_answered_in_turn(house: House) -> None:
    with house.dial() as sock:
        sock.sendall(
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.0\r\n\r\n"
        )
        text = rest_of(sock)
    assert [line.split()[1] for line in text.splitlines() if line.startswith(b"HTTP/1.1")] == [b"200", b"404", b"200"]


# --- bad clients -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "head",
    [
        b"hello\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\xfc\r\n\r\n",
    ],
)
def test_what_is_no_http_is_told_so_and_let_go(house: House, head: bytes) -> None:
    with house.dial() as sock:
        sock.sendall(head)
        assert rest_of(sock).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_client_that_hangs_up_in_the_middle_of_a_request_harms_nobody(house: House) -> None:
    for head in (b"", b"G", b"GET /status HTTP/1.1\r\nHost: x\r\nHost"):
        with house.dial() as sock:
            sock.sendall(head)
    assert house.text("/livez") == "ok\n"


def test_a_head_of_ten_megabytes_is_cut_off_unread(house: House) -> None:
    for _ in range(5):
        with house.dial() as sock:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000_000)
            assert b" 200 " not in rest_of(sock)
    assert house.text("/livez") == "ok\n"


def test_a_head_that_is_too_long_is_refused(house: House) -> None:
    with house.dial() as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nX: " + b"x" * connection.HEAD_MAX)
        assert rest_of(sock).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_is_too_slow_is_let_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.05)
    with house.dial() as sock:
        sock.sendall(b"GET /livez HTT")
        assert rest_of(sock) == b""
    with house.dial() as sock:
        assert rest_of(sock) == b""


def test_a_kept_connection_is_let_go_when_nothing_more_comes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_S", 0.05)
    with house.dial() as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert rest_of(sock).count(b"HTTP/1.1 200 OK") == 1


def test_clients_that_send_byte_by_byte_hold_up_nobody(house: House) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(house.dial()) for _ in range(20)]
        for byte in b"GET /readyz HTTP/1.1":
            for sock in slow:
                sock.sendall(bytes([byte]))
            assert house.text("/livez") == "ok\n"


def test_five_hundred_connections_that_say_nothing_leave_others_answered(house: House) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            for _ in range(50):  # no more than wait in the queue of a listening socket
                stack.enter_context(house.dial())
            for path in PATHS:
                assert house.ask(path).status == 200


def test_the_connection_that_has_been_idle_longest_makes_room_for_a_new_one(house: House) -> None:
    with contextlib.ExitStack() as stack:
        kept = []
        for _ in range(server.CONNECTIONS_MAX):
            kept.append(stack.enter_context(house.dial()))
            assert asked(kept[-1]).startswith(b"HTTP/1.1 200 OK")
        assert asked(kept[0]).startswith(b"HTTP/1.1 200 OK")  # it is now the last that has to go
        assert house.text("/livez") == "ok\n"
        assert rest_of(kept[1]) == b""
        assert asked(kept[0]).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_never_stops_asking_has_its_turns_and_others_theirs(house: House) -> None:
    over = threading.Event()

    def ask() -> None:
        with contextlib.suppress(OSError), house.dial() as sock:
            while not over.is_set():
                sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
                sock.recv(1 << 20)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    for _ in range(50):
        assert house.text("/livez") == "ok\n"
    over.set()
    for thread in asking:
        thread.join(PATIENCE_S)


def test_a_page_that_fails_is_a_500_and_the_others_are_answered(capfd: pytest.CaptureFixture[str]) -> None:
    class BrokenPages(Pages):
        def answer(self, method: str, target: str, accept: str = "") -> Answer:
            if target == "/metrics":
                raise KeyError("a-token-that-nobody-may-see")
            return super().answer(method, target, accept)

    world = World().served()
    with House(world, Server(port=0), BrokenPages(world.state, lambda: world.boot, lambda: world.mono)) as house:
        answer = house.ask("/metrics")
        assert house.text("/livez") == "ok\n"
    assert answer.status == 500
    logged = "".join(capfd.readouterr())
    assert "page_failed" in logged
    assert "a-token" not in logged + answer.text  # type: ignore[attr-defined]


def test_an_answer_that_is_no_http_is_not_sent_but_logged(capfd: pytest.CaptureFixture[str]) -> None:
    class BrokenPages(Pages):
        def answer(self, method: str, target: str, accept: str = "") -> Answer:
            return Answer(200, "text/plain\r\nX-Forged: yes", b"a-token")

    world = World().served()
    pages = BrokenPages(world.state, lambda: world.boot, lambda: world.mono)
    with House(world, Server(port=0), pages) as house, house.dial() as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert rest_of(sock) == b""
    logged = "".join(capfd.readouterr())
    assert "connection_failed" in logged
    assert "a-token" not in logged


# --- the port --------------------------------------------------------------------------------------------------------
def test_a_port_in_use_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        House(World(), Server(port=taken.getsockname()[1]))


def test_stopping_frees_the_port_and_cuts_what_is_open(house: House) -> None:
    with house.dial() as sock:
        assert asked(sock)
        house.stop()
        assert rest_of(sock) == b""
    with pytest.raises(ConnectionRefusedError):
        house.dial()


def test_without_a_host_it_listens_at_every_interface_at_one_port() -> None:
    sockets = listen("", 0)
    try:
        assert {sock.family for sock in sockets} <= {socket.AF_INET, socket.AF_INET6}
        assert socket.AF_INET in {sock.family for sock in sockets}
        (port,) = {sock.getsockname()[1] for sock in sockets}
        for sock in sockets:
            address = "127.0.0.1" if sock.family == socket.AF_INET else "::1"
            socket.create_connection((address, port), PATIENCE_S).close()
    finally:
        for sock in sockets:
            sock.close()


def test_where_ipv6_is_switched_off_it_listens_on_ipv4() -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        parts.give_up("IPv6 switched off: a network namespace needs root and unshare")
    ask = "from ecr_refresher.daemon.web.listening import listen; print(listen('', 0), listen('localhost', 0))"
    off = "ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && exec"
    command = ["unshare", "-n", "sh", "-c", f'{off} "$0" "$@"', sys.executable, "-c", ask]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=parts.REPOSITORY)
    assert "laddr=('0.0.0.0', " in done.stdout
    assert "laddr=('127.0.0.1', " in done.stdout


def test_a_host_that_nobody_knows_is_an_os_error() -> None:
    with pytest.raises(OSError, match=r"not known|No address|failure"):
        listen("nowhere.invalid", 0)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def test_it_speaks_tls_with_a_certificate_and_a_key(authority: CertificateAuthority) -> None:
    certificate, key = authority.issue("127.0.0.1")
    house = House(World().served(), Server(port=0, tls_cert=certificate, tls_key=key))
    try:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        with contextlib.closing(
            http.client.HTTPSConnection("127.0.0.1", house.server.port, timeout=PATIENCE_S, context=context)
        ) as client:
            for _ in range(2):
                client.request("GET", "/readyz")
                assert client.getresponse().read() == b"ok\n"
        with house.dial() as sock:  # plain HTTP gets no answer there
            sock.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            assert b"200" not in rest_of(sock)
    finally:
        house.stop()


def test_a_renewed_certificate_is_shown_and_half_a_renewal_changes_nothing(
    authority: CertificateAuthority, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shown, key = (tmp_path / name for name in ("shown.crt", "shown.key"))
    first, second = (authority.issue(name) for name in ("127.0.0.1", "localhost"))

    def put(certificate: str, its_key: str) -> None:
        for place, source in ((shown, certificate), (key, its_key)):
            place.with_suffix(".new").write_bytes(Path(source).read_bytes())
            place.with_suffix(".new").replace(place)

    def seen() -> bytes:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        context.check_hostname = False
        with here.dial() as sock, context.wrap_socket(sock) as tls:
            return tls.getpeercert(binary_form=True) or b""

    put(*first)
    here = House(World().served(), Server(port=0, tls_cert=str(shown), tls_key=str(key)))
    try:
        one = seen()
        put(second[0], first[1])  # the key has not come yet
        assert seen() == seen() == one
        put(*second)
        assert seen() != one
    finally:
        here.stop()
    assert "".join(capfd.readouterr()).count("certificate_not_read") == 1


def test_handshakes_that_never_end_are_let_go(authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)
    certificate, key = authority.issue("127.0.0.1")
    house = House(World().served(), Server(port=0, tls_cert=certificate, tls_key=key))
    try:
        with house.dial() as sock:
            assert rest_of(sock) == b""
    finally:
        house.stop()


@pytest.mark.timeout(30)
def test_key_updates_without_end_hold_up_nobody(authority: CertificateAuthority) -> None:
    """TLS 1.3 lets a client renew its keys at any time; Python's ssl can't, but the library below it can."""
    certificate, key = authority.issue("127.0.0.1")
    house = House(World().served(), Server(port=0, tls_cert=certificate, tls_key=key))
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    try:
        with house.dial() as flood:
            cut = threading.Event()
            threading.Thread(target=_update_keys, args=(flood, cut), daemon=True).start()
            for _ in range(20):
                began = time.monotonic()
                with house.dial() as sock, context.wrap_socket(sock, server_hostname="127.0.0.1") as tls:
                    tls.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
                    assert b"200" in tls.recv(100)
                assert time.monotonic() - began < 2
            assert cut.wait(5)
    finally:
        house.stop()


def _update_keys(sock: socket.socket, cut: threading.Event) -> None:
    import _ssl

    tls = ctypes.CDLL(_ssl.__file__)  # finds OpenSSL's functions, which Python's module is linked to
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(tls, name).restype = ctypes.c_void_p
    sock.setblocking(True)
    method = ctypes.c_void_p(tls.TLS_client_method())
    client = ctypes.c_void_p(tls.SSL_new(ctypes.c_void_p(tls.SSL_CTX_new(method))))
    tls.SSL_set_fd(client, sock.fileno())
    assert tls.SSL_connect(client) == 1
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at and tls.SSL_key_update(client, 0) == 1 and tls.SSL_do_handshake(client) == 1:
        continue
    if time.monotonic() < ends_at:
        cut.set()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", ["a pipe", "a device", "an encrypted key"])
def test_a_certificate_that_would_block_the_daemon_leaves_the_old_one_at_work(
    authority: CertificateAuthority, tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    shown, key = (tmp_path / name for name in ("shown.crt", "shown.key"))
    for place, source in zip((shown, key), authority.issue("127.0.0.1"), strict=True):
        place.write_bytes(Path(source).read_bytes())
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    house = House(World().served(), Server(port=0, tls_cert=str(shown), tls_key=str(key)))
    try:
        if what == "a pipe":
            shown.unlink()
            os.mkfifo(shown)
        elif what == "a device":
            shown.unlink()
            shown.symlink_to("/dev/zero")
        else:
            plain = serialization.load_pem_private_key(key.read_bytes(), None)
            pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            key.write_bytes(plain.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"a-word")))
        with house.dial() as sock, context.wrap_socket(sock, server_hostname="127.0.0.1") as tls:
            tls.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            assert b"200" in tls.recv(100)
    finally:
        house.stop()
    assert "without a passphrase" in "".join(capfd.readouterr())


def test_a_certificate_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        House(World(), Server(port=0, tls_cert=str(tmp_path / "none.crt")))
