"""``whirr server`` as people start, join and stop it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from helpers import wait_until
from servers import WHIRR, Served, running_server

from whirr.connect import open_hub
from whirr.credentials import Credentials
from whirr.model import JobSpec, WorkerInfo


def whirr(server: Served, *words: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**server.environ, **environ}
    return subprocess.run([WHIRR, *words], cwd=server.place, env=env, input=stdin, text=True, capture_output=True)


def test_it_is_found_by_this_user_and_ends_well_with_open_bells(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        credentials = Credentials(server.environ)
        assert stat.S_IMODE(credentials.path.stat().st_mode) == 0o600
        assert whirr(server, "status", "--server", f"http://localhost:{server.port}").returncode == 0
        hub = server.hub()
        worker = WorkerInfo("w1", "w1", {"host": "box"}, 1, (), 300.0, "", "")
        hub.register(worker)
        bell = hub.listen("w1")
        metrics = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.token}"})
        assert 'whirr_jobs{status="queued"} 0.0' in metrics.text
        assert 'route="/api/v1/workers/{worker_id}"' in metrics.text
        assert httpx.get(f"{server.url}/ready").json() == {"status": "ok"}
        assert server.stop() == 0
        bell.close()
        hub.close()
        first = server.url
        server.port = 0
        server.start()
        assert server.url != first
        assert credentials.token_for(server.url) == credentials.token_for(first)
        assert whirr(server, "status", "--server", server.url).returncode == 0


def test_a_second_signal_ends_it_at_once_with_a_request_under_way(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port)) as link:
        head = f"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
        link.sendall(head.encode() + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.is_up())
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0


def test_what_cannot_be_served_is_one_clear_error(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        other = tmp_path / "other" / ".whirr"
        taken = whirr(server, "server", "--data-dir", str(other), "--port", str(server.port))
        assert (taken.returncode, taken.stdout) == (2, "")
        assert taken.stderr.startswith(f"error: cannot listen at 127.0.0.1:{server.port}")
        assert "another --port" in taken.stderr
        twice = whirr(server, "server", "--data-dir", str(server.root), "--port", "0")
        assert twice.returncode == 2
        assert "another server runs over" in twice.stderr
        for words, told in (
            (["--replicas"], "--replicas needs a PostgreSQL database"),
            (["--certfile", str(server.log)], "belong together"),
            (["--certfile", str(server.log), "--keyfile", str(server.log)], "certificate and key cannot be used"),
            (["--host", "no.such.host.invalid"], "cannot listen at"),
        ):
            found = whirr(server, "server", "--data-dir", str(other), *words)
            assert (found.returncode, told in found.stderr) == (2, True), found.stderr
            assert "Traceback" not in found.stderr


def test_a_server_that_is_alone_and_replicas_exclude_each_other(tmp_path: Path, postgres_url: str) -> None:
    database = ("--database-url", postgres_url)
    again = ("server", "--port", "0", *database)
    with running_server(tmp_path, *database, "--replicas") as first:
        where = ("--data-dir", str(first.root))
        alone = whirr(first, *again, *where)
        assert (alone.returncode, alone.stdout) == (2, "")
        assert f"error: another server runs over {first.root}" in alone.stderr
        with running_server(tmp_path, *database, "--replicas"):
            first.kill()
            assert whirr(first, *again, *where).returncode == 2
    with running_server(tmp_path, *database) as server:
        replica = whirr(server, *again, *where, "--replicas")
        assert (replica.returncode, replica.stdout) == (2, "")
        assert f"error: a server without --replicas runs over {server.root}" in replica.stderr


def test_what_is_advised_for_a_server_names_it(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        advice = f"whirr worker --server {server.url}"
        for words in (["submit", "--", "true"], ["status"], ["doctor"], ["again", "1"], ["retry", "1"]):
            if words[0] == "retry":
                assert whirr(server, "cancel", "--server", server.url, "1").returncode == 0
            found = whirr(server, words[0], "--server", server.url, *words[1:])
            assert advice in found.stdout + found.stderr, (words, found)


def test_a_login_says_which_token_it_replaces(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        made = {
            role: whirr(server, "token", "create", role, "--role", role, "--server", server.url).stdout
            for role in ("worker", "read")
        }
        admin = server.token
        first = whirr(server, "login", server.url, stdin=made["worker"])
        assert "in place of one of role admin; for another such one" in first.stderr
        assert "whirr token create NAME --role admin" in first.stderr
        assert "in place of" not in whirr(server, "login", server.url, stdin=made["worker"]).stderr
        revoked = whirr(server, "token", "revoke", "worker", "--server", server.url, WHIRR_TOKEN=admin)
        assert revoked.returncode == 0, revoked.stderr
        wait_until(lambda: whirr(server, "status", "--server", server.url).returncode == 1)  # it is felt
        last = whirr(server, "login", server.url, stdin=made["read"])
        assert (last.returncode, "in place of one that is no longer good" in last.stderr) == (0, True)


def test_who_lacks_a_role_is_told_which_it_takes(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        run, mine = "import whirr; whirr.init().finish()", {"WHIRR_DIR": str(tmp_path / "mine")}
        subprocess.run([sys.executable, "-c", run], env={**server.environ, **mine}, check=True, capture_output=True)
        for role, hint in (("worker", "one of role submit or admin\n"), ("read", "one of role submit or admin, and")):
            token = whirr(server, "token", "create", role, "--role", role, "--server", server.url).stdout.strip()
            words = ("sync", "--server", server.url, "--dir", str(tmp_path / "mine"), "--all")
            refused = whirr(server, *words, WHIRR_TOKEN=token)
            assert (refused.returncode, hint in refused.stderr) == (1, True), refused.stderr
        working = whirr(server, "worker", "--server", server.url, "--drain", WHIRR_TOKEN=token)
        assert working.returncode == 1
        assert working.stderr == (
            f"error: the token for {server.url} has the role read\nhint: a worker takes one of role worker or admin\n"
        )


def test_another_user_joins_with_a_token_and_leaves(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        made = whirr(server, "token", "create", "box1", "--role", "worker", "--expires", "30d", "--server", server.url)
        token = made.stdout.strip()
        assert token.startswith("whirr_")
        elsewhere = {"HOME": str(tmp_path / "elsewhere")}
        refused = whirr(server, "status", "--server", server.url, **elsewhere)
        assert refused.returncode == 1
        assert "the server wants a token" in refused.stderr
        wrong = whirr(server, "login", server.url, stdin="whirr_nonsense\n", **elsewhere)
        assert wrong.returncode == 1
        assert "does not know this token" in wrong.stderr
        joined = whirr(server, "login", server.url, stdin=token + "\n", **elsewhere)
        assert (joined.returncode, "role worker" in joined.stdout) == (0, True)
        assert token not in joined.stdout + joined.stderr
        assert whirr(server, "status", "--server", server.url, **elsewhere).returncode == 0
        denied = whirr(server, "submit", "--server", server.url, "--workdir", "/", "--", "true", **elsewhere)
        assert denied.returncode == 1
        assert "has the role worker" in denied.stderr
        listed = json.loads(whirr(server, "token", "list", "--json").stdout)
        assert [(one["name"], one["role"]) for one in listed] == [("admin", "admin"), ("box1", "worker")]
        assert token.rpartition("_")[2] not in json.dumps(listed)
        assert whirr(server, "token", "revoke", "box1").returncode == 0
        assert whirr(server, "token", "revoke", "box1").returncode == 3
        wait_until(lambda: whirr(server, "status", "--server", server.url, **elsewhere).returncode == 1)
        assert whirr(server, "logout", server.url, **elsewhere).returncode == 0
        assert whirr(server, "logout", server.url, **elsewhere).returncode == 3


@pytest.mark.parametrize("stripped", [True, False])
def test_it_lies_under_a_path_whether_or_not_a_proxy_takes_it_off(tmp_path: Path, stripped: bool) -> None:
    with running_server(tmp_path, "--path-prefix", "/whirr", "--behind-proxy") as server:
        assert server.url.endswith("/whirr")
        if stripped:
            base = server.url.removesuffix("/whirr")
            headers = {"Authorization": f"Bearer {server.token}", "X-Forwarded-For": "6.6.6.6, 192.0.2.7"}
            assert httpx.get(f"{base}/api/v1/queue", headers=headers).status_code == 200
            wait_until(lambda: '"client": "192.0.2.7"' in server.log.read_text())
            assert "6.6.6.6" not in server.log.read_text()  # anybody may say that; only the last is the proxy's word
        else:
            hub = server.hub()
            assert hub.submit(JobSpec(argv=("true",), workdir="/")).id == 1
            odd = hub.run_dir(1) / "artifacts" / os.fsdecode(b"caf\xe9.txt")
            odd.parent.mkdir(exist_ok=True)
            odd.write_text("no UTF-8")
            headers = {"Authorization": f"Bearer {server.token}"}
            path = "/api/v1/runs/job-1/files/artifacts/caf%E9.txt"
            assert httpx.get(server.url + path, headers=headers).text == "no UTF-8"
            hub.close()


def test_the_address_it_tells_is_the_one_it_listens_at(tmp_path: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 here")
    with running_server(tmp_path, "--host", "::1") as server:
        assert server.url == f"http://[::1]:{server.port}"
        assert whirr(server, "status", "--server", server.url).returncode == 0


def test_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    with running_server(tmp_path, "--certfile", str(certificate), "--keyfile", str(key)) as server:
        assert server.url.startswith("https://")
        trusting = whirr(server, "status", "--server", server.url, SSL_CERT_FILE=str(certificate))
        assert trusting.returncode == 0, trusting.stderr
        doubting = whirr(server, "status", "--server", server.url)
        assert doubting.returncode == 1
        assert "cannot be reached" in doubting.stderr
        assert "Traceback" not in doubting.stderr


def test_an_address_that_others_reach_without_tls_is_warned_of() -> None:
    from whirr.cli.server import addresses, is_loopback

    assert [is_loopback(host) for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.0.2.1", "head-node")] == [False] * 4
    assert addresses("0.0.0.0", ("0.0.0.0", 1), "/p", tls=True)[0] == f"https://{os.uname().nodename}:1/p"


def test_a_request_that_breaks_is_told_and_logged(tmp_path: Path) -> None:
    """Over the whole application with one more route, which is broken."""
    import asyncio

    from whirr.server.app import create_app

    router = APIRouter()

    @router.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError("secret of the house")

    hub = open_hub(tmp_path / ".whirr", serving=True)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(hub, [router]))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/broken", headers={"X-Request-Id": "request-7"})

    try:
        answer = asyncio.run(ask())
    finally:
        hub.close()
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert (error["code"], "request-7" in error["hint"]) == ("error", True)
    assert "secret" not in answer.text
