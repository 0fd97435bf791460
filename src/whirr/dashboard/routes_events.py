"""The stream of events for pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from whirr.server.access import READ, identify
from whirr.server.events import Events

router = APIRouter()
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("/ui/events", dependencies=[READ])
async def events(
    request: Request,
    last: Annotated[str, Query(max_length=100)] = "",
    last_event_id: Annotated[str, Header(max_length=100)] = "",
) -> StreamingResponse:
    """What changes. After the last event that a page got, as the browser or the page itself says it."""
    found: Events = request.app.state.events
    stream = found.stream(last_event_id or last, lambda: identify(request))
    return StreamingResponse(stream, headers=HEADERS, media_type="text/event-stream")
