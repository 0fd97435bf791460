"""The tokens of this user, in a file that only this user can read.

``$XDG_CONFIG_HOME/whirr/credentials.json`` (``~/.config`` where that is not set) holds for each server a token and the
addresses under which it is known. A token is sent to no other address.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from whirr.errors import FolderError, UsageError

PORTS = {"http": 80, "https": 443}


class Credentials:
    """The credentials file of a user.

    Args:
        environ: says where it is.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        base = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".config")
        self.path = Path(base, "whirr", "credentials.json")

    def token_for(self, url: str) -> str | None:
        """The token to send to a server's address; None where there is none.

        Raises:
            UsageError: others can read the file, or it is damaged.
        """
        address = normal(url)
        return next((one["token"] for one in self._read().values() if address in one["urls"]), None)

    def kept(self, server: str) -> str | None:
        """The token that is kept for a server; None where there is none.

        Raises:
            UsageError: others can read the file, or it is damaged.
        """
        known = self._read().get(server)
        return None if known is None else known["token"]

    def remember(self, server: str, urls: Iterable[str], token: str | None = None) -> bool:
        """Keep a token for a server; without one, only add addresses to a server that has one.

        Returns:
            Whether there is a token for it now.

        Raises:
            FolderError: the file cannot be written.
            UsageError: others can read it, or it is damaged.
        """
        if token is None and server not in self._read():
            return False

        def change(found: dict[str, Any]) -> None:
            kept = found.get(server, {"token": token, "urls": []})
            addresses = list(map(normal, urls))
            for other in found.values():  # an address leads to one server
                other["urls"] = [url for url in other["urls"] if url not in addresses]
            found[server] = {
                "token": token or kept["token"],
                "urls": list(dict.fromkeys([*addresses, *kept["urls"]])),
            }

        self._change(change)
        return True

    def forget(self, url: str) -> bool:
        """Forget the token for a server's address, under all its addresses; whether there was one."""
        address = normal(url)
        if not any(address in one["urls"] for one in self._read().values()):
            return False
        gone: list[str] = []

        def change(found: dict[str, Any]) -> None:
            gone.extend(server for server, one in found.items() if address in one["urls"])
            for server in gone:
                del found[server]

        self._change(change)
        return bool(gone)

    def _read(self) -> dict[str, Any]:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror}") from None
        with os.fdopen(handle, "rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise UsageError(f"others can read {self.path}, which holds tokens", hint=f"chmod 600 {self.path}")
            try:
                found = orjson.loads(file.read())["servers"]
                return {
                    server: {"token": str(one["token"]), "urls": list(one["urls"])} for server, one in found.items()
                }
            except (ValueError, KeyError, TypeError, AttributeError):
                raise UsageError(f"{self.path} is damaged", hint="delete it and log in again") from None

    def _change(self, change: Callable[[dict[str, Any]], None]) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._cannot_write(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self._read()
            change(found)
            self._write(orjson.dumps({"servers": found}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise self._cannot_write(error) from None
        finally:
            os.close(lock)

    def _write(self, data: bytes) -> None:
        draft = self.path.with_name(f".credentials.{os.urandom(6).hex()}.tmp")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(draft, self.path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise

    def _cannot_write(self, error: OSError) -> FolderError:
        return FolderError(
            f"cannot write {self.path}: {error.strerror}", hint="set XDG_CONFIG_HOME, or give WHIRR_TOKEN"
        )


def token_for(url: str) -> str | None:
    """The token that this user has for a server's address."""
    return Credentials().token_for(url)


def normal(url: str) -> str:
    """An address in the one form in which it is compared.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port or PORTS[parts.scheme]
        host = parts.hostname or ""
    except (ValueError, KeyError):
        host = ""
    if not host:
        raise UsageError(f"{url} is not the address of a server", hint="such as http://head-node:8080")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}:{port}{parts.path.rstrip('/')}"
