"""``whirr dashboard``: the pages of a folder of this machine, for this user, in the browser."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from whirr import clock
from whirr.cli.common import Place, dir_option
from whirr.cli.queue import place_of
from whirr.cli.screen import clean, emit, note
from whirr.cli.server import need_extra
from whirr.config import Settings
from whirr.connect import open_hub
from whirr.errors import NotFound, UsageError
from whirr.folder import RUNS
from whirr.local import LocalHub
from whirr.locks import SERVER, is_held, told
from whirr.model import Role, Token
from whirr.process import person

if TYPE_CHECKING:
    import socket

HOST, USUAL_PORT = "127.0.0.1", 8484
OWNER = "own"


@click.command()
@dir_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help=f"Port; 0: any free one (default: {USUAL_PORT}, or any where that is taken).",
)
@click.option("--no-browser", is_flag=True, help="Open no browser, only print the address.")
@click.option(
    "--path-prefix", default="", metavar="PATH", help="The path under which a proxy shows it, such as /proxy/8484."
)
@click.option("--allowed-host", multiple=True, metavar="NAME", help="A further name by which it may be called.")
def command(
    folder: Path | None, port: int | None, no_browser: bool, path_prefix: str, allowed_host: tuple[str, ...]
) -> None:
    """Show the runs and the queue of this folder in the browser. Ctrl-C ends it.

    It listens on this machine only. The address that is printed signs in once, and soon; the browser stays signed in.
    """
    gc.enable()
    settings = Settings.from_env()
    if (url := Place(folder, None).server_url(settings)) is not None:
        note(f"{url} has the runs (WHIRR_SERVER_URL); its pages are there")
        emit(url)
        if not no_browser:
            open_browser(url)
        return
    need_extra("the dashboard")
    from whirr.server.observe import LOG

    hub = open_hub(_root(folder), settings.database_url, said=LOG.warning)
    try:
        _serve(hub, listen(port), "/" + path_prefix.strip("/"), allowed_host, browser=not no_browser)
    finally:
        hub.close()


def _root(folder: Path | None) -> Path:
    if folder is not None and not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    root = place_of(folder)
    if not (root / RUNS).is_dir():
        note(f"there are no runs yet; {clean(os.fspath(root))} is made for them")
    return root


def listen(port: int | None) -> socket.socket:
    """A socket at a port; without one, at the usual port, or any where somebody else listens there.

    Raises:
        UsageError: the port cannot be had.
    """
    from whirr.server.serve import open_socket

    if port is not None:
        return open_socket(HOST, port)
    try:
        return open_socket(HOST, USUAL_PORT)
    except UsageError:
        return open_socket(HOST, 0)


def _serve(hub: LocalHub, listening: socket.socket, prefix: str, hosts: tuple[str, ...], *, browser: bool) -> None:
    from whirr.dashboard.app import application
    from whirr.server.guard import hosts_of
    from whirr.server.observe import log_to_stderr
    from whirr.server.serve import serve

    prefix = prefix.rstrip("/")
    owner = Token(OWNER, person(), Role.ADMIN, clock.stamp(), None, None)
    app = application(hub, hosts=hosts_of(HOST, hosts), prefix=prefix, owner=owner)
    log = log_to_stderr(as_json=False, requests=False)
    here = f"http://{HOST}:{listening.getsockname()[1]}"

    def link(base: str) -> str:
        return f"{base}/login?code={app.state.sessions.code(owner)}"

    note(f"whirr dashboard over {clean(os.fspath(hub.root))}; Ctrl-C ends it")
    if is_held(hub.queue / SERVER, shared=True):
        note(f"a server runs over this folder too: {told(hub.queue / SERVER) or 'see who started it'}")
    _tell_the_way(os.environ, listening.getsockname()[1])
    emit(link(here + prefix))
    if browser:
        threading.Thread(target=open_browser, args=(link(here + prefix),), daemon=True).start()
    serve(app, listening)
    log.close()


def _tell_the_way(environ: Mapping[str, str], port: int) -> None:
    """How to see it from where one sits."""
    if environ.get("SSH_CONNECTION"):
        note(
            f"from your own machine: ssh -N -L {port}:{HOST}:{port} {os.uname().nodename}, then open that address there"
        )


def open_browser(url: str, environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Open an address in the browser of this desktop; whether there is one.

    Without a desktop Python would start a browser for terminals, in this one.
    """
    env = os.environ if environ is None else environ
    if platform == "linux" and not any(env.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    import webbrowser

    return webbrowser.open(url)
