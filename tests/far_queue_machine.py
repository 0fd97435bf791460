"""The state machine of ``queue_machine`` with clients of a server, whose requests and answers are lost or doubled."""

from __future__ import annotations

import os
from contextlib import ExitStack

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import rule
from queue_machine import OpenDatabase, QueueMachine
from servers import serving

from whirr.errors import WhirrError
from whirr.folder import QUEUE
from whirr.local import LocalHub
from whirr.model import Role
from whirr.remote import RemoteHub
from whirr.transport import Transport

FAULTS = ("lost", "unanswered", "repeated")
NOT_SENT_AGAIN = ("/claim", "/retry")


class Line(httpx.HTTPTransport):
    """The connections of a client.

    Attributes:
        faults: what befalls the next requests that change something and may be sent again.
        met: how many faults have befallen one.
        without: a header that gets lost.
    """

    def __init__(self, without: str = "") -> None:
        super().__init__()
        self.faults: list[str] = []
        self.met = 0
        self.without = without

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.pop(self.without, None)
        if not self.faults or request.method == "GET" or request.url.path.endswith(NOT_SENT_AGAIN):
            return super().handle_request(request)
        fault = self.faults.pop()
        self.met += 1
        if fault == "lost":
            raise httpx.ConnectError("the request is lost")
        super().handle_request(request).read()
        if fault == "unanswered":
            raise httpx.ReadError("the answer is lost")
        return super().handle_request(request)


class Steady(LocalHub):
    """Claims alone take leases back: the server's own look would do it between two steps."""

    def expire(self) -> int:
        return 0


class FarQueueMachine(QueueMachine):
    """See the module.

    Args:
        without: a header that gets lost on the way.
    """

    died = WhirrError
    lock_s = 1e6

    def __init__(self, open_database: OpenDatabase, without: str = "") -> None:
        super().__init__(open_database)
        (self.place / QUEUE).mkdir()
        near = Steady(self.place, self.database, serving=True)
        self.line = Line(without)
        self.open = ExitStack()
        self.open.callback(near.close)
        url = self.open.enter_context(serving(near))
        token = near.tokens.create(f"machine-{os.urandom(4).hex()}", Role.ADMIN)
        self.hub = RemoteHub(Transport(url, token, client=httpx.Client(transport=self.line)))

    def teardown(self) -> None:
        super().teardown()
        self.open.close()

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3))
    def the_line_is_bad(self, faults: list[str]) -> None:
        self.line.faults = faults
