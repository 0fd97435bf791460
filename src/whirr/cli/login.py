"""``whirr login``: keep a token for a server."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from whirr.cli.screen import clean, emit, note
from whirr.config import Settings
from whirr.connect import reach
from whirr.credentials import Credentials, normal
from whirr.errors import AccessDenied, UsageError

NEW = "whirr token create NAME --role"


@click.command()
@click.argument("url")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Read the token from this file; -: from stdin (default: ask for it).",
)
def command(url: str, token_file: Path | None) -> None:
    """Keep a token for the server at URL, so that every command and WhirrClient finds it by itself.

    It is asked for and never taken from the command line, which other users of the machine can see.
    """
    address = url.strip().rstrip("/")
    normal(address)  # or it is none
    token = _token(token_file)
    hub = reach(address, Settings({"WHIRR_TOKEN": token}))
    try:
        credentials = Credentials()
        before = credentials.kept(hub.info.id)
        credentials.remember(hub.info.id, [address], token)
        emit(f"{clean(address)}  role {hub.info.role}")
        note(f"kept in {credentials.path}")
        if before is not None and before != token:
            note(_replaced(address, before))
        if hub.info.role == "worker":
            note(f"next: whirr worker --server {address}")
        else:
            note(f"next: whirr status --server {address}, or set WHIRR_SERVER_URL")
    finally:
        hub.close()


def _replaced(address: str, token: str) -> str:
    """What to say of the token that was kept before, of which nothing is left here."""
    try:
        hub = reach(address, Settings({"WHIRR_TOKEN": token}))
    except AccessDenied:
        return "in place of one that is no longer good"
    role = hub.info.role
    hub.close()
    return f"in place of one of role {role}; for another such one, where the server runs: {NEW} {role}"


def _token(file: Path | None) -> str:
    if file is not None and str(file) != "-":
        text = file.read_text()
    elif file is None and sys.stdin.isatty():
        text = click.prompt("token", hide_input=True, err=True)
    else:
        text = sys.stdin.readline()
    if not text.strip():
        raise UsageError("no token was given", hint=f"on the server: {NEW} ROLE")
    return text.strip()
