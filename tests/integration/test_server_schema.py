"""The API keeps to its OpenAPI document, whatever it is sent: no 5xx, and no answer that does not stand there.

Left out is that whatever fits a schema be accepted: some conditions, such as "an id of a worker that has registered",
stand in no schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from servers import Served, running_server

from whirr.hub import Target
from whirr.model import JobSpec, Outcome, Verdict, WorkerInfo
from whirr.remote import RemoteHub
from whirr.transport import Transport

EXAMPLES = 15
WITHOUT_END = ".*/bell$"
"""Rings until the server ends: tests/unit/test_bells.py."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with running_server(tmp_path) as made:
        hub = made.hub()
        job = hub.submit(JobSpec(argv=("true",), workdir=str(tmp_path)))
        hub.submit(JobSpec(argv=("true",), workdir=str(tmp_path), after=(job.id,)))
        line = '{"_idx": 0, "_timestamp": "2026-01-01T00:00:00Z", "a": 1}\n'
        (made.root / "runs" / job.run_id / "metrics.jsonl").write_text(line)
        yield made
        hub.close()


def test_every_route_keeps_to_the_document_whatever_it_is_sent(server: Served) -> None:
    url, headers = server.url, {"Authorization": f"Bearer {server.token}"}
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", headers=headers)
    failures = []
    tried = 0
    for result in schema.exclude(path_regex=WITHOUT_END).get_all_operations():
        operation = result.ok()
        calls = 0

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            nonlocal calls
            (case.query or {}).pop("wait", None)  # waits as long as it says
            calls += 1
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        try:
            check()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failures.append(f"{operation.label}: {error}")
        tried += calls > 0
    assert not failures, "\n\n".join(failures)
    assert tried > 30


def test_a_job_from_submission_to_end_is_answered_as_the_document_says(server: Served) -> None:
    schema = schemathesis.openapi.from_url(
        f"{server.url}/api/v1/openapi.json", headers={"Authorization": f"Bearer {server.token}"}
    )
    seen = set()

    def compare(answer: httpx.Response) -> None:
        if answer.request.url.path.endswith("/bell"):
            return
        answer.read()
        for result in schema.get_all_operations():
            operation = result.ok()
            route = re.sub(r"{path(:path)?}", ".+", re.sub(r"{(?!path)\w+}", "[^/]+", operation.full_path))
            if operation.method.upper() == answer.request.method and re.fullmatch(route, answer.request.url.path):
                operation.validate_response(answer)
                seen.add(operation.label)
                return
        raise AssertionError(f"{answer.request} is not in the document")

    client = httpx.Client(event_hooks={"response": [compare]})
    hub = RemoteHub(Transport(server.url, server.token, client=client))
    worker = WorkerInfo("w1", "w1", {"host": "box"}, 2, ("GPU-1",), 300.0, "", "")
    hub.register(worker)
    hub.tell_folders("w1", dict.fromkeys(hub.unknown_folders("w1"), True))
    claim = hub.claim(worker)
    assert claim is not None
    assert hub.renew(worker) == hub.leases("w1")
    target = Target(claim.job.run_id, claim.lease)
    hub.inbox.begin(target)
    hub.inbox.append(target, "output.log", 0, b"hello\n")
    hub.finish(claim.lease, Outcome(Verdict.COMPLETED, None, 1.0, "2026-11-25T12:00:00.000000Z"))
    hub.retry(hub.cancel(2, "me").id)
    for look in (hub.counts, hub.jobs, hub.workers, hub.sightings, hub.upcoming, hub.tokens.all):
        look()
    hub.job(1), hub.attempts(1), hub.dependencies(2), hub.runs.detail("job-1"), hub.runs.files("job-1")
    hub.close()
    assert len(seen) > 18
