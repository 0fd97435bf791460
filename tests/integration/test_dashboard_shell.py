"""``whirr dashboard``, signing in by a link, and what all pages share."""

from __future__ import annotations

import http.server
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import Dashboard, axe, browser_page, dashboard, session_cookies
from helpers import Process, outputs, start, wait_until
from hubs import spec
from playwright.sync_api import expect
from servers import WHIRR, running_server, serving

from whirr.cli.dashboard import OWNER, open_browser
from whirr.connect import open_hub
from whirr.errors import MissingExtra
from whirr.folder import QUEUE
from whirr.model import Role
from whirr.process import person
from whirr.server import events
from whirr.server.sessions import KEY, RENEWED_AFTER_S, Sessions, read_key

QUIET = "/runs/none"
"""A page that asks for nothing by itself but events."""


@contextmanager
def running_dashboard(place: Path, *options: str, **variables: str) -> Iterator[tuple[Process, str]]:
    """A real ``whirr dashboard``, and the address that it prints; it opens no browser."""
    variables = {"HOME": str(place), "DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": "", **variables}
    process = start([WHIRR, "dashboard", "--port", "0", *options], place, **variables)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.kill()
        outputs(process)


def base_of(link: str) -> str:
    return link.partition("/login")[0]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Dashboard]:
    with dashboard(tmp_path / ".whirr") as made:
        yield made


class TestCommand:
    def test_it_prints_an_address_that_signs_in_once_and_ends_by_ctrl_c(self, tmp_path: Path) -> None:
        with running_dashboard(tmp_path) as (process, link):
            with httpx.Client(base_url=base_of(link), follow_redirects=True) as browser:
                assert browser.get(link).status_code == 200
                assert browser.get("/ui/session").json()["role"] == "admin"
                assert browser.get(link).status_code == 200  # who is signed in needs no code
            used = httpx.get(link)
            assert used.status_code == 401
            assert "used before" in used.text
            unknown = httpx.get(base_of(link))
            assert unknown.status_code == 401
            assert "Start it again for a new one" in unknown.text
            process.send_signal(signal.SIGINT)
            rest, told = outputs(process)
            assert process.returncode == 0
            assert rest == ""
            assert "Ctrl-C ends it" in told
            assert "no runs yet" in told
            assert "Traceback" not in told

    def test_a_session_outlives_it(self, tmp_path: Path) -> None:
        with running_dashboard(tmp_path) as (_, link):
            cookies = dict(httpx.get(link).cookies)
        with running_dashboard(tmp_path) as (_, link):
            assert httpx.get(base_of(link) + "/ui/runs", cookies=cookies).status_code == 200
        assert stat.S_IMODE((tmp_path / ".whirr" / QUEUE / KEY).stat().st_mode) == 0o600

    def test_it_runs_beside_a_server_over_the_same_folder(self, tmp_path: Path) -> None:
        with running_server(tmp_path) as server, running_dashboard(tmp_path) as (process, link):
            own = dict(httpx.get(link).cookies)
            (cookie,) = session_cookies(server.url, server.token)
            served = {cookie["name"]: cookie["value"]}
            both = own | served
            assert len(both) == 2  # neither takes the place of the other in a browser, which knows no ports
            for url in (server.url, base_of(link)):
                assert httpx.get(f"{url}/ui/runs", cookies=both).status_code == 200
            assert httpx.get(f"{server.url}/ui/runs", cookies=own).status_code == 401
            forged = {cookie["name"]: next(iter(own.values()))}
            assert httpx.get(f"{server.url}/ui/runs", cookies=forged).status_code == 401
            process.send_signal(signal.SIGTERM)
            assert f"a server runs over this folder too: {server.url}" in outputs(process)[1]
            assert server.is_up()

    def test_what_it_changes_is_audited(self, tmp_path: Path) -> None:
        with running_dashboard(tmp_path) as (_, link):
            cookies = dict(httpx.get(link).cookies)
            hub = open_hub(tmp_path / ".whirr")
            job = hub.submit(spec("true"))
            hub.close()
            done = httpx.post(
                f"{base_of(link)}/api/v1/jobs/{job.id}/cancel", json={}, cookies=cookies, headers={"X-Whirr": "page"}
            )
            assert done.status_code == 200, done.text
            assert done.json()["cancelled_by"] == person()
            kept = (tmp_path / ".whirr" / "audit.jsonl").read_text()
            assert re.search(r'"action": "sign-in", "caller": "[^"]+@', kept)
            assert re.search(r'"action": "cancel", "caller": "[^"]+@', kept)
            assert link.partition("code=")[2] not in kept

    def test_it_listens_on_this_machine_only(self, tmp_path: Path) -> None:
        with running_dashboard(tmp_path) as (_, link):
            assert link.startswith("http://127.0.0.1:")
            foreign = httpx.get(base_of(link), headers={"Host": "rebound.example"})
            assert foreign.status_code == 403
        with running_dashboard(tmp_path, "--allowed-host", "hub.example") as (_, link):
            assert httpx.get(base_of(link), headers={"Host": "hub.example"}).status_code == 401

    def test_a_prefix_stands_in_the_address(self, tmp_path: Path) -> None:
        with running_dashboard(tmp_path, "--path-prefix", "proxy/8484/") as (_, link):
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/proxy/8484/login\?code=[\w-]+", link)
            assert httpx.get(link, follow_redirects=True).status_code == 200

    def test_the_way_through_ssh_is_told(self, tmp_path: Path) -> None:
        with running_dashboard(tmp_path, SSH_CONNECTION="1.2.3.4 1 5.6.7.8 22") as (process, link):
            process.send_signal(signal.SIGINT)
            port = httpx.URL(link).port
            assert f"ssh -N -L {port}:127.0.0.1:{port} {os.uname().nodename}" in outputs(process)[1]

    def test_a_browser_is_opened_signed_in(self, tmp_path: Path) -> None:
        opened = tmp_path / "opened"
        program = tmp_path / "browser"
        program.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
        program.chmod(0o755)
        with running_dashboard(tmp_path, BROWSER=f"{program} %s") as (_, link):
            wait_until(opened.exists)
            address = opened.read_text().strip()
            assert address != link  # each signs in once: the printed one is still good
            assert base_of(address) == base_of(link)
            assert [httpx.get(each).status_code for each in (address, link)] == [303, 303]

    @pytest.mark.parametrize(
        ("options", "code", "words"),
        [
            (("--dir", "missing"), 3, "there is no folder missing"),
            (("--port", "70000"), 2, "70000"),
            (("--path",), 2, "--path"),
        ],
    )
    def test_what_cannot_be_is_said_in_a_line(
        self, tmp_path: Path, options: tuple[str, ...], code: int, words: str
    ) -> None:
        done = subprocess.run([WHIRR, "dashboard", *options], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (code, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / ".whirr").exists()

    def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            command = [WHIRR, "dashboard", "--no-browser", "--port", port]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"cannot listen at 127.0.0.1:{port}" in done.stderr

    def test_where_a_server_has_the_runs_its_pages_are_named(self, tmp_path: Path) -> None:
        environ = {**os.environ, "WHIRR_SERVER_URL": "http://head:8080/"}
        command = [WHIRR, "dashboard", "--no-browser"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environ)
        assert (done.returncode, done.stdout) == (0, "http://head:8080\n")
        assert not (tmp_path / ".whirr").exists()

    def test_what_is_not_installed_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from whirr.cli import server

        monkeypatch.setattr(server, "EXTRA", ("sys", "no_such_package"))
        with pytest.raises(MissingExtra) as told:
            server.need_extra("the dashboard")
        assert str(told.value) == "the dashboard needs no_such_package"
        assert "server]" in str(told.value.hint)

    def test_no_browser_of_a_terminal_is_started(self) -> None:
        assert not open_browser("http://127.0.0.1:1", {}, "linux")


class TestSessions:
    def test_an_old_session_is_begun_anew_by_a_page(self, board: Dashboard) -> None:
        text, server = board.token(), board.hub.tokens.server_id()
        holder = board.hub.tokens.check(text)
        assert holder is not None
        earlier = Sessions(
            read_key(board.hub.queue), server, lambda _: holder, now=lambda: time.time() - RENEWED_AFTER_S - 60
        )
        cookies = {earlier.cookie: earlier.begin(holder)}
        found = httpx.get(f"{board.url}/queue", cookies=cookies)
        assert found.status_code == 200
        assert found.cookies[earlier.cookie] != cookies[earlier.cookie]
        assert not httpx.get(f"{board.url}/queue", cookies=dict(found.cookies)).cookies
        assert not httpx.get(f"{board.url}/ui/runs", cookies=cookies).cookies

    def test_behind_tls_the_cookie_is_sent_by_tls_only(self, tmp_path: Path) -> None:
        with running_server(tmp_path, "--behind-proxy") as server:
            found = httpx.post(
                f"{server.url}/login", data={"token": server.token}, headers={"X-Forwarded-Proto": "https"}
            )
            assert "; Secure" in found.headers["set-cookie"]

    def test_signing_out_by_the_button(self, board: Dashboard) -> None:
        with board.page("/queue") as page:
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_text("You have signed out.")).to_be_visible()
            assert page.context.cookies() == []
            axe(page)

    def test_an_own_dashboard_has_nothing_to_sign_out_of(self, tmp_path: Path) -> None:
        with running_dashboard(tmp_path) as (_, link), browser_page(link) as page:
            expect(page.get_by_role("button", name="Light or dark")).to_be_visible()
            expect(page.get_by_role("button", name="Sign out")).to_have_count(0)

    def test_a_link_on_another_site_leads_in(self, board: Dashboard, tmp_path: Path) -> None:
        """The cookie is not sent with what another site starts; the page asks for itself again."""
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "index.html").write_text(f'<a href="{board.url}/queue?x=1">look</a>')
        with (
            elsewhere(tmp_path / "elsewhere") as site,
            browser_page(site, cookies=board.cookies(), allowed=["401", "favicon"]) as page,
        ):
            page.get_by_role("link", name="look").click()
            expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
            assert page.url == f"{board.url}/queue?x=1"

    def test_a_wrong_token_is_told_and_the_way_kept(self, board: Dashboard) -> None:
        with board.page("/queue?q=7", role=None, allowed=["401"]) as page:
            page.get_by_label("Token").fill("wrong")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert")).to_contain_text("does not know this token")
            axe(page)
            page.get_by_label("Token").fill(board.token(Role.READ))
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
            assert page.url == f"{board.url}/queue?q=7"
            assert page.locator("body").get_attribute("data-role") == "read"

    def test_a_page_whose_session_has_ended_asks_for_a_token(self, board: Dashboard) -> None:
        with board.page(f"{QUIET}?x=1", allowed=["401", "404"]) as page:
            page.context.clear_cookies()
            page.evaluate(
                """import(document.querySelector('script[src$="shell.js"]').src.replace("shell", "api"))
                .then((api) => { void api.getJson("/ui/runs").catch(() => null); })"""
            )
            expect(page.get_by_role("status")).to_have_text("Your session has ended.")
            page.get_by_label("Token").fill(board.token())
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
            assert page.url == f"{board.url}{QUIET}?x=1"

    def test_an_open_page_says_that_its_session_has_ended(
        self, board: Dashboard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "BEAT_S", 0.5)
        token = board.hub.tokens.create("leaves", Role.READ)
        cookies = session_cookies(board.url, token)
        with browser_page(board.url + QUIET, cookies=cookies, allowed=["401", "404"]) as page:
            expect(page.locator("#live")).to_have_attribute("data-state", "on")
            board.hub.tokens.revoke("leaves")
            expect(page.locator("#live")).to_have_text("Signed out: reload")


@contextmanager
def elsewhere(folder: Path) -> Iterator[str]:
    """A site of another name that shows the files of a folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{site.server_port}/index.html"
        finally:
            site.shutdown()
            thread.join()


def test_jobs_in_postgresql_are_heard_of(tmp_path: Path, postgres_url: str) -> None:
    hub = open_hub(tmp_path / ".whirr", postgres_url)
    try:
        with serving(hub) as url:
            headers = {"Authorization": f"Bearer {hub.tokens.create('reader', Role.READ)}"}
            with httpx.stream("GET", f"{url}/ui/events", headers=headers, timeout=60) as answer:
                lines = answer.iter_lines()
                next(line for line in lines if line == "event: counts")
                hub.submit(spec("true"))
                next(line for line in lines if line == "event: queue")
    finally:
        hub.close()


class TestHeader:
    def test_the_keyboard_is_explained(self, board: Dashboard) -> None:
        with board.page("/queue") as page:
            page.keyboard.press("?")
            dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
            expect(dialog).to_contain_text("Jump to a run, a metric or a command")
            axe(page)
            page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)

    def test_ctrl_k_opens_the_command_field(self, board: Dashboard) -> None:
        with board.page("/queue") as page:
            page.keyboard.press("Control+k")
            expect(page.get_by_role("combobox", name="Jump to a run, metric or command")).to_be_focused()
            page.keyboard.press("Escape")
            page.locator("#palette-open").click()
            expect(page.get_by_role("combobox", name="Jump to a run, metric or command")).to_be_focused()

    def test_a_link_to_the_view_is_copied(self, board: Dashboard) -> None:
        with board.page("/queue?x=1") as page:
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            page.get_by_role("button", name="Copy a link").click()
            expect(page.get_by_text("The link to this view is copied")).to_be_visible()
            assert page.evaluate("navigator.clipboard.readText()") == page.url

    def test_the_tabs_count_and_all_share_one_stream(self, board: Dashboard) -> None:
        with board.page("/queue") as page:
            expect(page.locator("#live")).to_have_attribute("data-state", "on")
            others = [page.context.new_page() for _ in range(3)]
            for other in others:
                other.goto(f"{board.url}/workers")
                expect(other.locator("#live")).to_have_attribute("data-state", "on")
            board.hub.submit(spec("true"))
            for each in (page, *others):
                expect(each.locator("[data-count=queue]")).to_have_text("1")
                expect(each.locator("[data-count=runs]")).to_have_text("1")
            with board.client() as client:
                assert "\nwhirr_pages 1.0\n" in client.get("/metrics").text

    def test_the_first_key_leads_past_the_header(self, board: Dashboard) -> None:
        with board.page("/queue") as page:
            page.keyboard.press("Tab")
            expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
            page.keyboard.press("Enter")
            expect(page.locator("main")).to_be_focused()


def test_the_name_of_a_folder_shows_as_text(tmp_path: Path) -> None:
    place = tmp_path / "<img src=x>"
    place.mkdir()
    with dashboard(place / ".whirr") as board, board.page("/queue") as page:
        expect(page.locator(".crumb")).to_contain_text("<img src=x>")
        assert page.locator("header img").count() == 0


def test_the_owner_is_no_id_of_a_token() -> None:
    assert not re.fullmatch("[0-9a-f]{12}", OWNER)
