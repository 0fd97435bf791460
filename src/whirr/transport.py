"""HTTP to a whirr server: one client for all that speaks to it, with errors that say what to do."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from whirr import wire
from whirr.errors import BadAnswer, MissingExtra, StoreError, TooMany, Unreachable, UsageError, how_to_install

if TYPE_CHECKING:
    import httpx

CONNECT_S, ANSWER_S, LONGEST_S = 3.0, 20.0, 1e6
"""Seconds to wait for a connection and for an answer, and the most that a socket is told to: it bears no infinity."""

TRIES = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
BUSY = (429, 502, 503, 504)
"""Answers that say: later."""

T = TypeVar("T")
PARTS = (200, 206, 416)
Body = bytes | Iterable[bytes]


class Transport:
    """One server, as one client speaks to it; good for several threads.

    Args:
        url: of the server, with the prefix under which it lies, if any.
        token: sent with every request; None: none.
        timeout_s: the longest wait for an answer.
        tries: so often a safe request is sent, with growing pauses between.
        client: makes the connections (default: a new ``httpx.Client``).

    Attributes:
        reached: it has answered at least once.

    Raises:
        MissingExtra: httpx is not installed.
        UsageError: the token cannot be sent.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = ANSWER_S,
        tries: int = TRIES,
        client: httpx.Client | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("a server is spoken to with httpx", hint=how_to_install("server")) from None
        if token and not (token.isascii() and token.isprintable()):
            raise UsageError("the token holds a character that no token has", hint="give it as whirr token showed it")
        self.url = url.rstrip("/")
        self._httpx = httpx
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s, self._tries = timeout_s, tries
        self.reached = False
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30)
        self._client = client or httpx.Client(limits=limits, follow_redirects=False)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """What a GET answers, as plain values."""
        return self.call("GET", path, params=params, safe=True)

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: Body | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool = False,
        timeout_s: float | None = None,
    ) -> Any:
        """Send a request; the answer as plain values, None where it is empty.

        Args:
            path: below the API's root, such as ``/jobs/7``.
            json: records or plain values to send.
            content: bytes to send.
            safe: it may be sent again without harm, and is, when the connection fails or the server is busy.

        Raises:
            Unreachable: no answer.
            BadAnswer: what answered is no whirr server.
            WhirrError: what the server answered.
        """

        def request() -> httpx.Request:
            return self._request(method, path, json, content, params, headers, timeout_s)

        return self._understood(self._sent(request, self._tries if safe else 1))

    def part(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> tuple[Mapping[str, str], int, bytes]:
        """Headers, status (200, 206, 416) and bytes of a part of a file; raises as ``call`` does."""

        def request() -> httpx.Request:
            return self._request(method, path, None, None, params, headers, timeout_s)

        answer = self._sent(request, self._tries)
        if answer.status_code not in PARTS:
            if method == "HEAD":  # what refuses it has no body: that of a GET says why
                return self.part("GET", path, params=params, headers={**(headers or {}), "Range": "bytes=0-0"})
            self._understood(answer)
        return answer.headers, answer.status_code, answer.content

    def again(self, read: Callable[[], T]) -> T:
        """What ``read`` gives, which is called again like a safe request when the server fails it."""
        for tries in range(1, self._tries):
            try:
                return read()
            except (StoreError, TooMany):
                pause(tries)
        return read()

    def _sent(self, request: Callable[[], httpx.Request], tries: int) -> httpx.Response:
        """The answer to a request, which is made and sent so often at most."""
        for number in range(1, tries):
            try:
                answer = self._client.send(request())
            except self._httpx.HTTPError:
                pass
            else:
                if answer.status_code not in BUSY:
                    return answer
            pause(number)
        try:
            return self._client.send(request())
        except self._httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _request(
        self,
        method: str,
        path: str,
        json: Any,
        content: Body | None,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        timeout_s: float | None,
    ) -> httpx.Request:
        sent = {**self._headers, **(headers or {})}
        if json is not None:
            content, sent["Content-Type"] = wire.dumps(json), "application/json"
        given = {name: wire.plain(value) for name, value in (params or {}).items() if value is not None}
        limit = min(self._timeout_s if timeout_s is None else timeout_s, LONGEST_S)
        timeout = self._httpx.Timeout(limit, connect=min(CONNECT_S, limit))
        try:
            return self._client.build_request(
                method, self.url + wire.API + path, content=content, params=given, headers=sent, timeout=timeout
            )
        except UnicodeEncodeError as error:
            raise UsageError(f"{error.object!r} cannot be sent to a server: it is no valid text") from None
        except (self._httpx.InvalidURL, ValueError) as error:
            raise BadAnswer(
                f"{self.url} is no address of a server: {error}", hint="such as http://head-node:8080"
            ) from None

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        method: str = "GET",
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[httpx.Response]:
        """A request whose answer is read piece by piece; raises as ``call`` does, also while it is read."""
        request = self._request(method, path, json, None, params, headers, timeout_s)
        try:
            answer = self._client.send(request, stream=True)
            try:
                if answer.status_code >= 300:
                    answer.read()
                    self._understood(answer)
                yield answer
            finally:
                answer.close()
        except self._httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _unreachable(self, error: Exception) -> Unreachable:
        refused = isinstance(error, self._httpx.ConnectError) and "refused" in str(error).lower()
        if isinstance(error, self._httpx.TimeoutException):
            what = "gave no answer in time"
        elif refused:
            what = "is not running: nothing listens there"
        else:
            what = f"cannot be reached: {error or type(error).__name__}"
        hint = "is the address right, and the server up?"
        return Unreachable(f"the server {self.url} {what}", hint=hint, refused=refused)

    def _understood(self, answer: httpx.Response) -> Any:
        found: Any = None
        if answer.content:
            try:
                found = wire.loads(answer.content)
            except ValueError:
                found = None
        good = 200 <= answer.status_code < 300 and (found is not None or not answer.content)
        error = wire.error_of(found)
        self.reached = self.reached or good or error is not None
        if good:
            return found
        if error is not None:
            raise error
        if answer.status_code in BUSY:
            raise Unreachable(f"the server {self.url} is not ready: it answered {answer.status_code}")
        raise BadAnswer(
            f"{self.url} gave an answer that whirr does not understand ({answer.status_code})",
            hint="is this the address of a whirr server, with its prefix?",
        )


def pause(tries: int) -> None:
    """Wait before the next try, longer each time and never all clients at once."""
    time.sleep(min(FIRST_PAUSE_S * 2.0 ** (tries - 1), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0))
