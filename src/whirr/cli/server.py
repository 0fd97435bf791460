"""``whirr server``: give many machines one queue and one place for runs."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from whirr import config
from whirr.cli.queue import Duration, place_of
from whirr.cli.screen import note
from whirr.connect import open_hub
from whirr.credentials import Credentials
from whirr.errors import MissingExtra, UsageError, WhirrError, how_to_install
from whirr.local import LocalHub
from whirr.locks import SERVER, Held
from whirr.model import Role

if TYPE_CHECKING:
    from fastapi import FastAPI

OUTAGE_S = 7200.0
PROBED_S = 0.5
"""How long others may be looking whether a server runs, before it counts as one that does."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ADMIN = "admin"
EXTRA = ("fastapi", "httptools", "jinja2", "numpy", "prometheus_client", "tsdownsample", "uvicorn")
EXPOSED = (
    "warning: this address is open to the network without TLS. Whoever can read the network can read tokens, "
    "and with one run commands on every worker. Give --certfile and --keyfile, or --behind-proxy behind TLS."
)


@click.command(epilog="Durations: seconds, or with units: 90, 30s, 10m, 1h30m, 2d.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, metavar="N", help="Port; 0: any free one."
)
@click.option("--database-url", metavar="URL", help="A PostgreSQL database (default: SQLite in the data folder).")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder of queue and runs (default: the .whirr folder of this place).",
)
@click.option("--certfile", type=click.Path(path_type=Path, exists=True), metavar="FILE", help="TLS certificate, PEM.")
@click.option("--keyfile", type=click.Path(path_type=Path, exists=True), metavar="FILE", help="Its key, PEM.")
@click.option("--behind-proxy", is_flag=True, help="It is reached only through a proxy, which speaks TLS.")
@click.option("--path-prefix", default="", metavar="PATH", help="The path under which it lies, such as /whirr.")
@click.option("--allowed-host", multiple=True, metavar="NAME", help="A further name by which it may be called.")
@click.option("--replicas", is_flag=True, help="Other servers share this PostgreSQL database.")
@click.option(
    "--outage",
    type=Duration(zero=True),
    metavar="TIME",
    help="Jobs run on so long while no server listens (default: 2h; 0 with --replicas).",
)
@click.option("--log-json", is_flag=True, help="Log JSON lines on a terminal too.")
def command(
    host: str,
    port: int,
    database_url: str | None,
    data_dir: Path | None,
    certfile: Path | None,
    keyfile: Path | None,
    behind_proxy: bool,
    path_prefix: str,
    allowed_host: tuple[str, ...],
    replicas: bool,
    outage: float | None,
    log_json: bool,
) -> None:
    """Serve the queue and the runs of a folder to other machines. SIGTERM or Ctrl-C: answer what was asked, then end.

    Whoever holds a token of role submit or admin runs commands on the workers: see docs/explanation/security.md.
    """
    gc.enable()
    need_extra("the server")
    from whirr.server.guard import hosts_of
    from whirr.server.observe import LOG, log_to_stderr
    from whirr.server.serve import Tls, check, open_socket, serve

    tls = None
    if certfile or keyfile:
        if not (certfile and keyfile):
            raise UsageError("--certfile and --keyfile belong together")
        tls = Tls(certfile, keyfile)
        check(tls)
    environ = {"WHIRR_DATABASE_URL": database_url} if database_url else os.environ
    database = config.Settings.from_env(environ).database_url
    if replicas and database is None:
        raise UsageError("--replicas needs a PostgreSQL database", hint="give --database-url")
    outage_s = 0.0 if replicas else OUTAGE_S if outage is None else outage
    prefix = "/" + path_prefix.strip("/") if path_prefix.strip("/") else ""
    hub = open_hub(data_dir or place_of(None), database, serving=True, outage_s=outage_s, said=LOG.warning)
    try:
        lock = _held(hub, replicas=replicas)
        listening = open_socket(host, port)
        urls = addresses(host, listening.getsockname()[:2], prefix, tls=tls is not None)
        hub.hold_leases()
        hub.inbox.sweep()
        lock.tell(urls[0])
        _greet(hub, urls)
        if tls is None and not behind_proxy and not is_loopback(host):
            note(EXPOSED)
        log = log_to_stderr(as_json=log_json or not sys.stderr.isatty())
        app = _app(hub, hosts_of(host, allowed_host), prefix)
        serve(app, listening, tls, behind_proxy=behind_proxy)
        log.close()
        lock.release()
    finally:
        hub.close()


def need_extra(what: str) -> None:
    """See that all is installed that a server imports.

    Raises:
        MissingExtra: something is not.
    """
    for name in EXTRA:
        if find_spec(name) is None:
            raise MissingExtra(f"{what} needs {name}", hint=how_to_install("server"))


def _app(hub: LocalHub, hosts: frozenset[str], prefix: str) -> FastAPI:
    from whirr.dashboard.app import application

    return application(hub, hosts=hosts, prefix=prefix)


def _held(hub: LocalHub, *, replicas: bool) -> Held:
    """The lock that keeps a server that is alone from running beside any other."""
    try:
        return Held(hub.queue / SERVER, shared=replicas, patience_s=PROBED_S)
    except BlockingIOError:
        alone = f"a server without --replicas runs over {hub.root}"
        raise UsageError(
            alone if replicas else f"another server runs over {hub.root}",
            hint="stop it, or give all of them --replicas where they share PostgreSQL",
        ) from None


def addresses(host: str, bound: tuple[str, int], prefix: str, *, tls: bool) -> list[str]:
    """The addresses of a server, the one to tell others first.

    Args:
        host: what was asked for, such as a name.
        bound: the address and port at which it listens.
    """
    name, (address, port) = os.uname().nodename, bound
    if host in ("0.0.0.0", "::", ""):
        hosts = [name, socket.getfqdn(), *LOOPBACK]
    else:
        hosts = [address, *LOOPBACK] if host in LOOPBACK else [host]
    scheme = "https" if tls else "http"
    return list(dict.fromkeys(f"{scheme}://{f'[{one}]' if ':' in one else one}:{port}{prefix}" for one in hosts))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def _greet(hub: LocalHub, urls: list[str]) -> None:
    credentials = Credentials()
    first = not any(token.role is Role.ADMIN for token in hub.tokens.all())
    server = hub.tokens.server_id()
    note(f"whirr server at {urls[0]}, over {hub.root} ({hub.database.kind}); the dashboard is there too")
    try:
        if first:
            credentials.remember(server, urls, hub.tokens.create(ADMIN, Role.ADMIN))
            note(f"an admin token was made; {credentials.path} holds it for this user")
        elif not credentials.remember(server, urls):
            note(f"this user has no token for it: whirr token create NAME --role admin | whirr login {urls[0]}")
    except WhirrError as error:
        note(f"{error}: make a token with whirr token create NAME --role admin")
    note(f"on another machine: whirr login {urls[0]}   (with a token of whirr token create NAME --role worker)")
