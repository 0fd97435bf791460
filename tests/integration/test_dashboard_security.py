"""Who may see and do what with a browser: sessions, roles, foreign pages, headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import demo_runs
import httpx
import pytest
from browser import Dashboard, browser_page, dashboard, session_cookies
from helpers import wait_until
from playwright.sync_api import expect
from servers import Served, running_server

from whirr.model import JobSpec, JobStatus, Role

PAGES = ("/", "/runs/job-1", "/compare", "/queue", "/workers", "/artifacts")
ASKED = ("/ui/runs", "/ui/keys", "/ui/queue", "/ui/workers", "/ui/events", "/ui/run/job-1", "/ui/metrics?runs=job-1")
ACTIONS = (
    "/ui/jobs/1/cancel",
    "/ui/jobs/1/retry",
    "/ui/jobs/1/priority",
    "/ui/jobs/1/again",
    "/ui/run/job-1/annotations",
)
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'self'",
}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("security") / ".whirr"
    demo_runs.make(root, runs=22, steps=40, metrics=4)
    with dashboard(root) as made:
        yield made


def error_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/json"
    return answer.json()["error"]["code"]  # type: ignore[no-any-return]


class TestWithoutASession:
    @pytest.mark.parametrize("path", PAGES)
    def test_pages_ask_for_a_token(self, board: Dashboard, path: str) -> None:
        with board.client(None) as client:
            found = client.get(path, headers={"Accept": "text/html"})
            assert found.status_code == 401
            assert 'name="token"' in found.text
            assert "vision" not in found.text
            assert board.root.parent.name not in found.text

    @pytest.mark.parametrize("path", ASKED)
    def test_nothing_is_told(self, board: Dashboard, path: str) -> None:
        with board.client(None) as client:
            found = client.get(path)
            assert (found.status_code, error_of(found)) == (401, "unauthenticated")

    @pytest.mark.parametrize("path", [*ACTIONS, "/ui/curves"])
    def test_nothing_is_done(self, board: Dashboard, path: str) -> None:
        with board.client(None) as client:
            assert client.post(path, json={}).status_code == 401

    def test_a_bearer_token_is_good_too(self, board: Dashboard) -> None:
        found = httpx.get(f"{board.url}/ui/runs", headers={"Authorization": f"Bearer {board.token(Role.READ)}"})
        assert found.status_code == 200


class TestSigningIn:
    def sign_in(self, board: Dashboard, token: str, **more: str) -> httpx.Response:
        return httpx.post(f"{board.url}/login", data={"token": token, **more}, headers={"Origin": board.url})

    def test_the_cookie(self, board: Dashboard) -> None:
        found = self.sign_in(board, board.token())
        assert found.status_code == 303
        cookie = found.headers["set-cookie"]
        assert re.search(r";\s*HttpOnly", cookie, re.IGNORECASE)
        assert re.search(r";\s*SameSite=Strict", cookie, re.IGNORECASE)
        assert board.token() not in cookie

    @pytest.mark.parametrize("token", ["", "wrong", "whirr_" + "x" * 40, "é" * 10, "session.a.9999999999." + "A" * 43])
    def test_a_wrong_token(self, board: Dashboard, token: str) -> None:
        found = self.sign_in(board, token)
        assert found.status_code == 401
        assert "set-cookie" not in found.headers
        assert "text/html" in found.headers["content-type"]

    @pytest.mark.parametrize(
        "there",
        [
            "//evil.example",
            "https://evil.example/",
            "/\\evil.example",
            "javascript:alert(1)",
            "\t//evil.example",
            "/..//x",
        ],
    )
    def test_it_leads_nowhere_else(self, board: Dashboard, there: str) -> None:
        found = self.sign_in(board, board.token(), next=there)
        assert found.status_code == 303
        target = httpx.URL(f"{board.url}/login").join(found.headers["location"])
        assert (target.scheme, target.netloc) == ("http", httpx.URL(board.url).netloc)

    def test_not_from_a_foreign_page(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server:
            found = httpx.post(
                f"{server.url}/login", data={"token": server.token}, headers={"Origin": "https://evil.example"}
            )
            assert found.status_code == 403
            assert "set-cookie" not in found.headers

    def test_a_changed_cookie_is_none(self, board: Dashboard) -> None:
        (cookie,) = board.cookies()
        value = cookie["value"]
        for changed in (
            value[:-2] + ("AA" if value[-2:] != "AA" else "BB"),
            value.replace(".", "x", 1),
            "",
            "a" * 5000,
        ):
            found = httpx.get(f"{board.url}/ui/runs", cookies={cookie["name"]: changed})
            assert found.status_code == 401


class TestForeignPages:
    @pytest.mark.parametrize("path", [*ACTIONS, "/ui/curves"])
    def test_a_post_needs_the_header_of_our_pages(self, board: Dashboard, path: str) -> None:
        with board.client() as client:
            del client.headers["X-Whirr"]
            found = client.post(path, json={})
            assert found.status_code == 403, found.text
        assert board.hub.job(1).status is not JobStatus.CANCELLED

    @pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/jobs/1/cancel", "/api/v1/tokens"])
    def test_so_does_the_api_by_cookie(self, board: Dashboard, path: str) -> None:
        with board.client() as client:
            del client.headers["X-Whirr"]
            assert client.post(path, json={}).status_code == 403

    def test_a_foreign_origin_is_refused(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server, closing(server.hub()) as hub:
            number = hub.submit(JobSpec(("true",), "/")).id
            names = {each["name"]: each["value"] for each in session_cookies(server.url, server.token)}
            headers = {"X-Whirr": "page", "Origin": "https://evil.example"}
            found = httpx.post(f"{server.url}/ui/jobs/{number}/cancel", cookies=names, headers=headers, json={})
            assert found.status_code == 403
            assert httpx.get(f"{server.url}/ui/runs", cookies=names, headers=headers).status_code == 403
            assert httpx.post(f"{server.url}/logout", cookies=names, headers=headers).status_code == 403
            assert hub.job(number).status is JobStatus.QUEUED

    def test_another_name_of_the_machine_is_refused(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server:
            found = httpx.get(f"{server.url}/", headers={"Host": "rebound.example"})
            assert found.status_code == 403


class TestHeaders:
    @pytest.mark.parametrize("path", [*PAGES, "/runs/none"])
    def test_a_page_says_what_it_may_load(self, board: Dashboard, path: str) -> None:
        with board.client() as client:
            found = client.get(path, headers={"Accept": "text/html"}, follow_redirects=False)
            policy = dict(part.strip().split(" ", 1) for part in found.headers["content-security-policy"].split(";"))
            assert {name: policy.get(name) for name in POLICY} == POLICY
            assert not re.search(r"unsafe|\*|https?:", found.headers["content-security-policy"])
            assert found.headers["x-content-type-options"] == "nosniff"
            assert found.headers["referrer-policy"] in ("no-referrer", "same-origin")
            assert "no-store" in found.headers["cache-control"] or "private" in found.headers["cache-control"]

    def test_static_files_are_kept_for_ever_and_tell_nothing(self, board: Dashboard) -> None:
        with board.client() as client:
            page = client.get("/").text
            (path,) = set(re.findall(r'href="([^"]*css/base\.css)"', page))
            found = httpx.get(str(httpx.URL(board.url + "/").join(path)))
            assert found.status_code == 200
            assert "immutable" in found.headers["cache-control"]
            assert "set-cookie" not in found.headers

    @pytest.mark.parametrize(
        "path", ["../app.py", "..%2fapp.py", "%2e%2e/pages.py", "css/../../pages.py", "/etc/passwd"]
    )
    def test_static_files_lead_nowhere_else(self, board: Dashboard, path: str) -> None:
        found = httpx.get(f"{board.url}/static/x/{path}", follow_redirects=True)
        assert found.status_code == 404


class TestRoles:
    @pytest.mark.parametrize("role", [Role.READ, Role.WORKER])
    @pytest.mark.parametrize("path", ACTIONS)
    def test_who_may_only_look_does_nothing(self, board: Dashboard, role: Role, path: str) -> None:
        with board.client(role) as client:
            found = client.post(path, json={"priority": 9, "notes": "x"})
            assert (found.status_code, error_of(found)) == (403, "access-denied")

    def test_and_is_offered_nothing(self, board: Dashboard) -> None:
        with board.page("/queue", role=Role.READ) as page:
            expect(page.get_by_text("whisper-s").first).to_be_visible()
            assert page.locator("body").get_attribute("data-role") == "read"
            for word in ("Cancel", "Retry"):
                assert page.get_by_role("button", name=re.compile(rf"^{word}", re.IGNORECASE)).count() == 0


class TestTheEndOfASession:
    def test_signing_out(self, board: Dashboard) -> None:
        with board.page("/queue", allowed=["401"]) as page:
            expect(page.get_by_text("whisper-s").first).to_be_visible()
            assert (
                page.evaluate("fetch('logout', {method: 'POST', headers: {'X-Whirr': 'page'}}).then(r => r.status)")
                < 400
            )
            assert page.context.cookies() == []
            page.goto(f"{board.url}/queue")
            expect(page.get_by_label("Token")).to_be_visible()

    def test_revoking_the_token(self, board: Dashboard) -> None:
        token = board.hub.tokens.create("to-be-revoked", Role.READ)
        names = {each["name"]: each["value"] for each in session_cookies(board.url, token)}
        assert httpx.get(f"{board.url}/ui/runs", cookies=names).status_code == 200
        board.hub.tokens.revoke("to-be-revoked")
        wait_until(lambda: httpx.get(f"{board.url}/ui/runs", cookies=names).status_code == 401)
        assert httpx.get(f"{board.url}/", cookies=names).status_code == 401

    def test_an_open_page_goes_to_the_way_in(self, board: Dashboard) -> None:
        token = board.hub.tokens.create("for-a-page", Role.SUBMIT)
        with browser_page(f"{board.url}/queue", cookies=session_cookies(board.url, token), allowed=["401"]) as page:
            expect(page.get_by_text("whisper-s").first).to_be_visible()
            board.hub.tokens.revoke("for-a-page")
            wait_until(lambda: _is_refused(board, page.context.cookies()), 20)
            page.reload()
            expect(page.get_by_label("Token")).to_be_visible()

    def test_it_outlives_the_server(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server:
            names = {each["name"]: each["value"] for each in session_cookies(server.url, server.token)}
            server.stop()
            server.start()
            assert httpx.get(f"{server.url}/ui/runs", cookies=names).status_code == 200

    def test_it_is_good_at_one_server_only(self, board: Dashboard, tmp_path: Path) -> None:
        names = {each["name"]: each["value"] for each in board.cookies()}
        with dashboard(tmp_path / ".whirr") as other:
            assert httpx.get(f"{other.url}/ui/runs", cookies=names).status_code == 401


def _is_refused(board: Dashboard, cookies: list[dict[str, str]]) -> bool:
    names = {each["name"]: each["value"] for each in cookies}
    return httpx.get(f"{board.url}/ui/runs", cookies=names).status_code == 401


class TestTheKey:
    def test_nobody_else_can_read_it(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server:
            session_cookies(server.url, server.token)
            key = _only(server)
            assert key.stat().st_mode & 0o077 == 0


def _only(server: Served) -> Path:
    (found,) = server.root.rglob("session.key")
    return found
