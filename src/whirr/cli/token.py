"""``whirr token``: who may do what at a server."""

from __future__ import annotations

import click

from whirr.cli.common import Place, json_option, place_option, print_json
from whirr.cli.queue import Duration, queue_of
from whirr.cli.screen import clean, emit, note, screen_of
from whirr.cli.table import Cell, Column, render
from whirr.model import Role, Token


@click.group()
def command() -> None:
    """Make, list and revoke the tokens of a server: on its own machine, or with --server and an admin's token."""


@command.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([str(role) for role in Role]),
    required=True,
    help="What it is good for: look, also submit and cancel, only run jobs, or everything.",
)
@click.option("--expires", type=Duration(), metavar="TIME", help="Good for so long (default: until revoked).")
@place_option
def create(name: str, role: str, expires: float | None, place: Place) -> None:
    """Make a token and print it, once."""
    with queue_of(place, make=True) as hub:
        emit(hub.tokens.create(name, Role(role), expires))
    note("it is told only now; on the other machine: whirr login URL")


@command.command("list")
@place_option
@json_option
def list_(place: Place, json: bool) -> None:
    """List the tokens; what proves them is kept nowhere."""
    with queue_of(place) as hub:
        tokens, now = hub.tokens.all(), hub.now()
    if json:
        print_json([one._asdict() | {"role": str(one.role)} for one in tokens])
        return
    if not tokens:
        note("no tokens; whirr token create NAME --role ROLE makes one")
        return
    columns = [
        Column("name", [Cell(clean(one.name), "bold") for one in tokens]),
        Column("role", [Cell(str(one.role)) for one in tokens]),
        Column("state", [_state(one, now) for one in tokens]),
        Column("made", [Cell(one.created_at[:10], "dim") for one in tokens]),
        Column("expires", [Cell((one.expires_at or "")[:10], "dim") for one in tokens]),
    ]
    emit("\n".join(render([column for column in columns if any(cell.text for cell in column.cells)], screen_of())))


def _state(token: Token, now: float) -> Cell:
    from whirr import clock

    if token.revoked_at is not None:
        return Cell("revoked", "red")
    if token.expires_at is not None and clock.epoch(token.expires_at) <= now:
        return Cell("expired", "red")
    return Cell("good", "green")


@command.command()
@click.argument("name")
@place_option
def revoke(name: str, place: Place) -> None:
    """Let a token be good no more, at once."""
    with queue_of(place) as hub:
        hub.tokens.revoke(name)
    emit(f"{clean(name)}  revoked")
