"""Who may ask a real server for what, and that nothing asked of it leads out of a run's folder."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import wait_until
from servers import Served, running_server

from whirr.model import JobSpec, Role

OPEN = {("get", "/health"), ("get", "/ready")}
SECRET = "the-secret-of-another-folder"
LIMIT = 1 << 20
CALLER = "tester"
SEVERAL = itertools.count()
CLIENT = httpx.Client(verify=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("security")
    (place / "secret.txt").write_text(SECRET)
    with running_server(place) as made:
        yield made
        CLIENT.close()


@pytest.fixture(scope="module")
def tokens(server: Served) -> dict[str, str]:
    hub = server.hub()
    with closing(hub):
        return {role.value: hub.tokens.create(f"{CALLER}-{role}", role) for role in Role}


@pytest.fixture(scope="module")
def operations(server: Served) -> list[tuple[str, str]]:
    document = asked(server, "GET", "/api/v1/openapi.json", server.token).json()
    return [(method, path) for path, found in document["paths"].items() for method in found]


@pytest.fixture(scope="module")
def run(server: Served) -> Path:
    hub = server.hub()
    with closing(hub):
        job = hub.submit(JobSpec(argv=("true",), workdir="/"))
    folder = server.root / "runs" / job.run_id
    (folder / "output.log").write_text("ours\n")
    (folder / "out").symlink_to(server.place)
    (folder / "secret.txt").symlink_to(server.place / "secret.txt")
    return folder


def asked(server: Served, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
    headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
    return CLIENT.request(method, server.url + path, headers=headers, timeout=20, **more)


def raw(server: Served, data: bytes) -> bytes:
    """What the server answers to these bytes, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.sendall(data)
        answer = b""
        while piece := link.recv(65536):
            answer += piece
        return answer


def filled(path: str) -> str:
    return re.sub(r"{(\w+)(:path)?}", lambda found: "1" if found[1] == "job_id" else "x1", path)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) >= {"code", "message", "hint"}
    return error


def test_every_route_but_health_wants_a_token(server: Served, operations: list[tuple[str, str]]) -> None:
    assert len(operations) > 30
    for method, path in operations:
        answer = asked(server, method.upper(), filled(path))
        if (method, path) in OPEN:
            assert answer.status_code == 200
            continue
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
        if method != "head":
            assert error_of(answer)["code"] == "unauthenticated"


def test_who_asks_is_known_before_what_they_send_is_read(
    server: Served, tokens: dict[str, str], operations: list[tuple[str, str]]
) -> None:
    pages = [("post", "/ui/curves"), ("post", "/ui/jobs/1/cancel"), ("post", "/ui/run/x1/annotations")]
    sending = [(method, path) for method, path in (*operations, *pages) if method in ("post", "put", "patch")]
    assert len(sending) > 20
    for method, path in sending:
        for token, status in (("", 401), (tokens["read"], 403)):
            if status == 403 and path in ("/api/v1/code/known", "/ui/curves"):
                continue  # reading may be asked with a body
            head = f"{method.upper()} {filled(path)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            more = "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"  # and nothing of it comes
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
                link.sendall((head + more).encode())
                assert link.recv(12) == b"HTTP/1.1 %d" % status, (method, path)


def test_roles_open_what_is_theirs_and_nothing_else(
    server: Served, tokens: dict[str, str], operations: list[tuple[str, str]]
) -> None:
    """Asked with nothing to act on: whoever passes is told 404, 422 or the like instead of 403."""
    opened: dict[str, set[str]] = {role: set() for role in tokens}
    for method, path in operations:
        if path.endswith("/bell") or method == "head":
            continue
        for role, token in tokens.items():
            if asked(server, method.upper(), filled(path), token).status_code != 403:
                opened[role].add(f"{method} {path.removeprefix('/api/v1')}")
    changing = {role: {one for one in found if not one.startswith("get ")} for role, found in opened.items()}
    assert changing["read"] == {"post /code/known"}
    jobs = [f"post /jobs/{{job_id}}/{what}" for what in ("cancel", "retry", "priority", "again")]
    for action in ("post /jobs", *jobs, "put /code/{tree}"):
        assert action in changing["submit"]
        assert action not in changing["worker"]
    for action in ("put /workers/{worker_id}", "post /workers/{worker_id}/claim", "post /workers/{worker_id}/finish"):
        assert action in changing["worker"]
        assert action not in changing["submit"]
    for action in ("get /tokens", "post /tokens", "delete /tokens/{name}"):
        assert [role for role, found in opened.items() if action in found] == ["admin"]
    assert opened["admin"] >= opened["read"] | opened["submit"] | opened["worker"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_foreign_host_or_page_is_refused_whatever_the_method(server: Served, method: str) -> None:
    for headers in ({"Host": "evil.example"}, {"Host": "localhost.evil.example:80"}, {"Origin": "http://evil.example"}):
        answer = asked(server, method, "/api/v1/jobs/1", server.token, headers=headers)
        assert answer.status_code == 403, headers
    for headers in ({"Origin": "null"}, {"Origin": "file://"}):
        assert asked(server, method, "/health", headers=headers).status_code == 403, headers
    for host in (f"localhost:{server.port}", f"127.0.0.1:{server.port}", "LOCALHOST", "[::1]:1"):
        assert asked(server, "GET", "/health", headers={"Host": host}).status_code == 200, host


def test_a_request_without_one_host_is_refused(server: Served) -> None:
    end = b"Connection: close\r\n\r\n"
    assert b" 403 " in raw(server, b"GET /health HTTP/1.0\r\n" + end)
    assert b" 403 " in raw(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + end)
    assert b" 200 " in raw(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + end)


WAYS_OUT = [
    "../../../secret.txt",
    "%2e%2e/%2e%2e/%2e%2e/secret.txt",
    "..%2f..%2f..%2fsecret.txt",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret.txt",
    "..%5c..%5c..%5csecret.txt",
    "..\\..\\..\\secret.txt",
    "artifacts/../../../../secret.txt",
    "out/secret.txt",
    "out/.whirr/queue/queue.db",
    "secret.txt",
    "output.log%00.txt",
    "./output.log",
    "%252e%252e/%252e%252e/%252e%252e/secret.txt",
    "%c0%ae%c0%ae/secret.txt",
]


def ways_out(server: Served, run: Path) -> list[str]:
    absolute = f"{server.place}/secret.txt"
    return [*WAYS_OUT, absolute, absolute.replace("/", "%2f"), "/" + absolute]


def request(server: Served, method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """Sent as it stands: a client would tidy the path up."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    return raw(server, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def test_no_path_reads_outside_of_a_run(server: Served, run: Path) -> None:
    base = f"/api/v1/runs/{run.name}/files"
    assert b" 200 " in request(server, "GET", f"{base}/output.log", server.token)
    for way in ways_out(server, run):
        answer = request(server, "GET", f"{base}/{way}", server.token)
        assert re.match(rb"HTTP/1.1 4\d\d ", answer), (way, answer[:100])
        assert SECRET.encode() not in answer
        assert b"SQLite" not in answer
    for other in ("..", "%2e%2e", "%2e%2e%2f%2e%2e", ".", "..%5c", "x%00"):
        for tail in ("", "/files", "/files/secret.txt", "/metrics", "/progress"):
            answer = request(server, "GET", f"/api/v1/runs/{other}{tail}", server.token)
            assert re.match(rb"HTTP/1.1 4\d\d ", answer), (other, tail, answer[:100])


def test_no_path_writes_outside_of_a_run(server: Served, run: Path) -> None:
    name = f"local-20260101-{next(SEVERAL):06d}"
    assert asked(server, "POST", f"/api/v1/runs/{name}/inbox", server.token).status_code == 200
    (server.root / "runs" / name / "out").symlink_to(server.place)
    before = tree(server.place)
    for way in ways_out(server, run):
        if way == "secret.txt":  # no link in this run: a plain name
            continue
        for method, query in (("PUT", ""), ("PATCH", "?offset=0")):
            answer = request(server, method, f"/api/v1/runs/{name}/inbox/{way}{query}", server.token, b"changed")
            assert re.match(rb"HTTP/1.1 4\d\d ", answer) or not way.startswith(("..", "out", "/")), (way, answer[:200])
        offer = {"path": way, "sha256": "0" * 64, "size": 0}
        asked(server, "POST", f"/api/v1/runs/{name}/contents", server.token, json=offer)
    for other in ("..", "%2e%2e", "local-20260101-x%2f..%2f..", "queue", "jobs-1"):
        request(server, "POST", f"/api/v1/runs/{other}/inbox", server.token)
    changed = {path for path in tree(server.place).symmetric_difference(before) if not inside(path, name)}
    assert changed == set()
    assert (server.place / "secret.txt").read_text() == SECRET


def tree(place: Path) -> set[tuple[str, int]]:
    """Every file but those the server itself writes all the time."""
    own = ("server.log", "queue", "audit.jsonl", "doorbell")
    found = [Path(folder, name) for folder, _, names in os.walk(place) for name in names]
    return {
        (str(path.relative_to(place)), path.lstat().st_size)
        for path in found
        if not any(part.startswith(own) for part in path.relative_to(place).parts)
    }


def inside(change: tuple[str, int], run: str) -> bool:
    return change[0].startswith((f".whirr/runs/{run}/", ".whirr/inbox/", ".whirr/code/"))


def test_what_is_too_large_is_refused(server: Served) -> None:
    path = "/api/v1/tokens"
    large = b"[" + b" " * LIMIT + b"]"
    answer = asked(server, "POST", path, server.token, content=large, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "too-large"
    pieces = (large[start : start + 65536] for start in range(0, len(large), 65536))
    answer = asked(server, "POST", path, server.token, content=pieces, headers={"Content-Type": "application/json"})
    assert (answer.status_code, error_of(answer)["code"]) == (413, "too-large")  # without Content-Length too
    answer = asked(server, "POST", "/api/v1/jobs/1/cancel", server.token, content=large)
    assert (answer.status_code, error_of(answer)["code"]) == (413, "too-large")
    answer = asked(server, "GET", "/health", headers={f"X-{number}": "1" for number in range(101)})
    assert answer.status_code == 413
    for head in (b"GET /" + b"x" * 900_000, b"GET /health HTTP/1.1\r\nX: " + b"x" * 900_000):
        assert not re.match(rb"HTTP/1.1 2", closed(server, head))
    for head in (b"GET /health?" + b"x" * 66_000 + b" HTTP/1.1", b"GET /health HTTP/1.1\r\nX: " + b"x" * 66_000):
        answer = raw(server, head + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert re.match(b"HTTP/1.1 4(00|13) ", answer)
    assert asked(server, "GET", "/health").status_code == 200


def closed(server: Served, data: bytes) -> bytes:
    """Like ``raw``; the server may have closed before it was sent everything."""
    try:
        return raw(server, data)
    except ConnectionError:
        return b""


def test_connections_that_never_finish_stop_nobody(server: Served) -> None:
    head = f"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n".encode()
    with ExitStack() as links:
        for number in range(300):
            link = links.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            unfinished = head + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            link.sendall(head if number % 2 else unfinished)
        assert asked(server, "GET", "/api/v1/queue", server.token).status_code == 200


def test_every_error_is_json_with_a_code(server: Served) -> None:
    for method, path, status, code in (
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/api/v1/jobs/99999", 404, "not-found"),
        ("DELETE", "/api/v1/jobs", 405, "usage"),
        ("GET", "/api/v1/jobs/word", 422, "usage"),
        ("GET", "/docs", 404, "not-found"),
    ):
        answer = asked(server, method, path, server.token)
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)
    answer = asked(server, "POST", "/api/v1/tokens", server.token, content=b"{")
    assert (answer.status_code, error_of(answer)["code"]) == (422, "usage")


def test_an_answer_is_named_and_no_page(server: Served) -> None:
    answer = asked(server, "GET", "/health", headers={"X-Request-Id": "one-of-mine"})
    assert answer.headers["x-request-id"] == "one-of-mine"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    other = asked(server, "GET", "/health", headers={"X-Request-Id": "a b"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", other)


def test_a_revocation_is_felt(server: Served) -> None:
    name = f"short-{next(SEVERAL)}"
    hub = server.hub()
    with closing(hub):
        token = hub.tokens.create(name, Role.READ)
        assert asked(server, "GET", "/api/v1/queue", token).status_code == 200
        hub.tokens.revoke(name)
    wait_until(lambda: asked(server, "GET", "/api/v1/queue", token).status_code == 401)


def test_the_log_and_the_audit_say_who_did_what_and_no_secret(server: Served, tokens: dict[str, str]) -> None:
    hub = server.hub(tokens["submit"])
    with closing(hub):
        job = hub.submit(JobSpec(argv=("train", "--api-key=hunter2hunter2"), workdir="/", env={"API_TOKEN": "xyzzy1"}))
        hub.cancel(job.id, "me")
    audit = server.root / "audit.jsonl"
    assert stat.S_IMODE(audit.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    mine = [line for line in lines if line.get("job_id") == job.id]
    assert [(line["action"], line["caller"]) for line in mine] == [
        ("submit", f"{CALLER}-submit"),
        ("cancel", f"{CALLER}-submit"),
    ]
    assert mine[0]["client"] == "127.0.0.1"
    wait_until(lambda: f'"job_id": {job.id}' in server.log.read_text())
    requests = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert {"method", "path", "status", "ms", "caller", "request_id"} <= set(requests[-1]) | set(requests[-2])
    for text in (server.log.read_text(), audit.read_text()):
        for secret in (*tokens.values(), server.token, "hunter2hunter2", "xyzzy1"):
            assert secret not in text


def test_who_guesses_is_held_back_and_others_go_on(server: Served, tokens: dict[str, str]) -> None:
    """Last in this file: this address stays held back for a minute."""
    assert asked(server, "GET", "/api/v1/queue", tokens["read"]).status_code == 200
    statuses = [
        asked(server, "GET", "/api/v1/queue", f"whirr_{number:012x}_{'A' * 43}").status_code for number in range(30)
    ]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert asked(server, "GET", "/api/v1/queue", tokens["read"]).status_code == 200
