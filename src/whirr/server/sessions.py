"""Who has signed in with a browser: a signed cookie in place of the token, and links that sign in once.

The cookie names a token, never holds it: a session ends with its token, and at the latest after ``LASTS_S``. It is
signed with a key that only this user can read, beside the queue, so that it outlives the server and holds for replicas.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from whirr.errors import FolderError, UsageError
from whirr.model import Token

KEY, KEY_BYTES = "session.key", 32
LASTS_S = 30 * 86400
RENEWED_AFTER_S = 86400
"""A session that is used is begun anew when it is so old."""

CODE_S, MOST_CODES = 600.0, 100
"""For how long a link signs in, and how many such links there are at once."""

TEXT = re.compile(r"session\.([A-Za-z0-9]{1,40})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})")
MARK = "session."
"""How the text of a session begins, and no token's."""


class Sessions:
    """See the module.

    Args:
        key: signs; from ``read_key``.
        server: what tells this server from others: cookies are the same for all ports of a machine.
        holder: gives the token of an id, where it is still good.
        owner: who signs in by a link to a dashboard of one's own, without any token; that is good nowhere else.
        now: seconds since 1970.
    """

    def __init__(
        self,
        key: bytes,
        server: str,
        holder: Callable[[str], Token | None],
        *,
        owner: Token | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.cookie = f"whirr_{'own' if owner else 'session'}_{server}"
        self.owner = owner
        self._key = key
        self._holder = holder
        self._now = now
        self._codes: OrderedDict[str, tuple[float, Token]] = OrderedDict()

    def begin(self, token: Token) -> str:
        """The text of a new session of who holds a token."""
        about = f"{token.id}.{int(self._now()) + LASTS_S}"
        return f"{MARK}{about}.{self._sign(about)}"

    def check(self, text: str) -> Token | None:
        """The token by which a session began; None where it is no session, or one that has ended."""
        match = TEXT.fullmatch(text)
        if match is None or not hmac.compare_digest(self._sign(f"{match[1]}.{match[2]}"), match[3]):
            return None
        if int(match[2]) <= self._now():
            return None
        if self.owner is not None and match[1] == self.owner.id:
            return self.owner
        return self._holder(match[1])

    def is_old(self, text: str) -> bool:
        """Whether a session that is good is worth beginning anew."""
        match = TEXT.fullmatch(text)
        return match is not None and int(match[2]) - self._now() < LASTS_S - RENEWED_AFTER_S

    def code(self, token: Token) -> str:
        """A text that signs in once, soon."""
        code = secrets.token_urlsafe(24)
        self._codes[_digest(code)] = (self._now() + CODE_S, token)
        while len(self._codes) > MOST_CODES:
            self._codes.popitem(last=False)
        return code

    def redeem(self, code: str) -> Token | None:
        """Who signs in with such a text; None where it is none, was used, or is too old."""
        until, token = self._codes.pop(_digest(code), (0.0, None))
        return token if until > self._now() else None

    def _sign(self, about: str) -> str:
        """The name of the cookie is signed too: the session of one server is none of another with the same key."""
        mac = hmac.digest(self._key, f"{self.cookie}.{about}".encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def _digest(code: str) -> str:
    """What is kept of a code, so that a look-up tells nothing by the time it takes."""
    return hashlib.sha256(code.encode()).hexdigest()


def read_key(folder: Path) -> bytes:
    """The key of a folder's sessions, made when it is first asked for.

    Raises:
        FolderError: it cannot be read or made.
        UsageError: others can read it, or it is damaged.
    """
    path = folder / KEY
    try:
        if not path.exists():
            _make_key(path)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            mode, key = os.fstat(file.fileno()).st_mode, file.read(KEY_BYTES + 1)
    except OSError as error:
        raise FolderError(f"the key {path} cannot be had: {error.strerror}", hint="see its folder") from None
    if mode & 0o077:
        raise UsageError(f"others can read {path}, which signs sessions", hint=f"chmod 600 {path}")
    if len(key) != KEY_BYTES:
        raise UsageError(f"{path} is damaged", hint="delete it: everybody signs in anew")
    return key


def _make_key(path: Path) -> None:
    """Whole or not at all; of two who make it at once both use the first."""
    draft = path.with_name(f".{KEY}.{os.urandom(6).hex()}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
