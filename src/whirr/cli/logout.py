"""``whirr logout``: forget the token for a server."""

from __future__ import annotations

import click

from whirr.cli.screen import clean, emit
from whirr.credentials import Credentials
from whirr.errors import NotFound


@click.command()
@click.argument("url")
def command(url: str) -> None:
    """Forget the token for the server at URL. It stays good: whirr token revoke NAME ends that."""
    if not Credentials().forget(url):
        raise NotFound(f"there is no token for {url}", hint="whirr login URL keeps one")
    emit(f"{clean(url)}  forgotten")
