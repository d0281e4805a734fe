"""The emulated Replicate where it goes wrong: faults, webhooks, deadlines, and what it forgets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from safelight.emulators.replicate.models import BY_NAME
from safelight.emulators.replicate.prices import PRICES
from safelight.registry.catalog import read_catalog
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.listener import Call, Listener, listening

pytestmark = pytest.mark.slow

SCHNELL = "/v1/models/black-forest-labs/flux-schnell/predictions"
LLAMA = "/v1/models/meta/meta-llama-3-8b-instruct/predictions"
EVENTS = "webhook_events_filter"
PATIENCE = 20.0
RUNS = 60
"""So many that none of them being late would be one chance in a quarter of a million."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path, "replicate") as server:
        yield server


@pytest.fixture
def http(server: Emulated) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, headers=server.headers, timeout=PATIENCE) as http:
        yield http


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


def create(http: httpx2.Client, path: str = SCHNELL, **more: Any) -> dict[str, Any]:
    """A prediction, as it was answered."""
    answer = http.post(path, json={"input": {"prompt": "a lamp"}} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def ended(http: httpx2.Client, made: dict[str, Any]) -> dict[str, Any]:
    """The prediction when it has ended."""
    until = time.monotonic() + PATIENCE
    while made["status"] not in ("succeeded", "failed", "canceled", "aborted"):
        assert time.monotonic() < until, made
        made = http.get(made["urls"]["get"]).json()
    return made


def is_last(call: Call) -> bool:
    """Whether it says that its prediction succeeded."""
    return bool(call.json()["status"] == "succeeded")


def anything(call: Call) -> bool:
    """Any call."""
    return True


@pytest.mark.parametrize(
    ("fault", "runs", "error"),
    [
        ("lost-answer@1", 1, (httpx2.RemoteProtocolError, httpx2.ReadError)),
        ("lost-request@1", 0, (httpx2.RemoteProtocolError, httpx2.ReadError)),
        ("hang@1", 1, httpx2.ReadTimeout),
    ],
)
def test_an_answer_that_never_comes(
    server: Emulated, http: httpx2.Client, fault: str, runs: int, error: type[Exception]
) -> None:
    """The connection ends or stays silent; a lost answer's run lives on and is listed."""
    server.arm(fault)
    seconds = 0.5 if error is httpx2.ReadTimeout else PATIENCE
    with pytest.raises(error):
        http.post(SCHNELL, json={"input": {"prompt": "a lamp"}}, timeout=seconds)
    listed = http.get("/v1/predictions").json()["results"]
    assert [len(listed), len(server.runs())] == [runs, runs]
    create(http)


@pytest.mark.parametrize(
    ("fault", "status", "runs"),
    [("http-500", 500, 0), ("http-503", 503, 0), ("begun-500", 500, 1), ("no-credit", 402, 0)],
)
def test_an_answer_that_is_no_success(
    server: Emulated, http: httpx2.Client, fault: str, status: int, runs: int
) -> None:
    """Nothing begins, but where the fault says so; the next create is well."""
    server.arm(f"{fault}@1")
    answer = http.post(SCHNELL, json={"input": {"prompt": "a lamp"}})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    create(http)
    assert len(server.runs()) == runs + 1


def test_throttled_requests_say_how_long_in_their_body(
    server: Emulated, http: httpx2.Client
) -> None:
    """429 with `retry_after`, and no header."""
    server.arm("throttle=3@1", "throttle=2:get@1")
    answer = http.post(SCHNELL, json={"input": {"prompt": "a lamp"}})
    assert (answer.status_code, answer.json()["retry_after"]) == (429, 3)
    assert "retry-after" not in answer.headers
    made = create(http)
    assert http.get(made["urls"]["get"]).json()["retry_after"] == 2


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [("fail", "failed", "told to fail"), ("moderated", "failed", "E005"), ("abort", "aborted", "")],
)
def test_a_run_that_ends_badly_costs_nothing(
    server: Emulated, http: httpx2.Client, fault: str, status: str, words: str
) -> None:
    """Of models that are paid by what they make; one that was aborted never started."""
    server.arm(f"{fault}@1")
    made = ended(http, create(http))
    assert made["status"] == status and words in (made["error"] or "")
    assert (made["started_at"] is None) == (status == "aborted")
    assert [(run["outcome"], run["cost_micros"]) for run in server.runs()] == [(status, 0)]


@pytest.mark.parametrize(("fault", "status"), [("hang=run", "canceled"), ("hang=queue", "aborted")])
def test_a_deadline_ends_what_hangs(
    server: Emulated, http: httpx2.Client, fault: str, status: str
) -> None:
    """Reached while it runs it is canceled, reached before it started it is aborted."""
    server.arm(fault)
    asked = {"input": {"prompt": "a lamp"}}
    made = http.post(SCHNELL, json=asked, headers={"cancel-after": "1m"}).json()
    while fault == "hang=run" and made["status"] == "starting":
        made = http.get(made["urls"]["get"]).json()
    assert made["deadline"]
    server.forward(61)
    assert ended(http, made)["status"] == status


@pytest.mark.parametrize("header", ["4s", "soon", ""])
def test_a_deadline_of_less_than_five_seconds_is_refused(http: httpx2.Client, header: str) -> None:
    """422, and what is no duration as well."""
    asked = {"input": {"prompt": "a lamp"}}
    answer = http.post(SCHNELL, json=asked, headers={"cancel-after": header})
    assert answer.status_code == 422
    assert http.post(SCHNELL, json=asked, headers={"prefer": "wait=0"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "type", "field"),
    [
        ({"input": {"prompt": "a"}, "more": 1}, "additional_property_not_allowed", "(root)"),
        ({}, "required", "(root)"),
        ({"input": {}}, "required", "input"),
        ({"input": {"prompt": 1}}, "invalid_type", "input.prompt"),
        ({"input": {"prompt": "a", "seed": None}}, "invalid_type", "input.seed"),
        ({"input": {"prompt": "a", "num_outputs": True}}, "invalid_type", "input.num_outputs"),
        ({"input": {"prompt": "a", "num_outputs": 9}}, "number_lte", "input.num_outputs"),
        ({"input": {"prompt": "a", "num_outputs": 0}}, "number_gte", "input.num_outputs"),
        ({"input": {"prompt": "a", "aspect_ratio": "2:1"}}, "enum", "input.aspect_ratio"),
        ({"input": {"prompt": "a"}, "webhook": "http://example.com/"}, "format", "webhook"),
        ({"input": {"prompt": "a"}, "webhook_events_filter": ["end"]}, "enum", EVENTS),
    ],
)  # fmt: skip
def test_what_is_not_taken_is_named(
    server: Emulated, http: httpx2.Client, body: dict[str, Any], type: str, field: str
) -> None:
    """422 with the field and its trouble, and nothing runs."""
    answer = http.post(SCHNELL, json=body)
    assert answer.status_code == 422
    [wrong] = answer.json()["invalid_fields"]
    assert (wrong["type"], wrong["field"]) == (type, field)
    assert answer.json()["detail"] == f"- {field}: {wrong['description']}\n"
    assert server.runs() == []


def test_unknown_inputs_are_dropped_without_a_word(http: httpx2.Client) -> None:
    """As Cog drops them."""
    made = create(http, input={"prompt": "a", "mood": "grey"})
    assert made["input"] == {"prompt": "a"}


def test_an_hour_later_it_is_forgotten(server: Emulated, http: httpx2.Client) -> None:
    """Input, output and logs are gone and so is the file; that it was is still told."""
    made = ended(http, create(http))
    [address] = made["output"]
    assert httpx2.get(address).status_code == 200
    server.forward(3601)
    later = http.get(made["urls"]["get"]).json()
    assert (later["data_removed"], later["output"], later["input"]) == (True, None, {})
    assert later["status"] == "succeeded" and later["metrics"] == made["metrics"]
    assert httpx2.get(address).status_code == 404


def test_the_list_can_be_bounded_by_time(server: Emulated, http: httpx2.Client) -> None:
    """Only those that were made after a moment; a moment that is none is 422."""
    create(http)
    server.forward(10)
    second = create(http)
    found = http.get("/v1/predictions", params={"created_after": second["created_at"]}).json()
    assert [each["id"] for each in found["results"]] == [second["id"]]
    before = http.get("/v1/predictions", params={"created_before": second["created_at"]}).json()
    assert len(before["results"]) == 1
    assert http.get("/v1/predictions?created_after=soon").status_code == 422
    assert http.get("/v1/predictions?cursor=soon").status_code == 422


def test_only_the_last_call_is_tried_again(http: httpx2.Client, listener: Listener) -> None:
    """A receiver that refuses hears the start once, and the end until it takes it."""
    listener.answers = [500, 500, 204]
    create(http, webhook=listener.url, webhook_events_filter=["start", "completed"])
    calls = listener.wait(is_last, times=2)
    assert len({call.headers["webhook-id"] for call in calls}) == 1
    assert sum(call.json()["status"] == "processing" for call in listener.calls) <= 1


@pytest.mark.parametrize(
    ("fault", "calls"), [("lost-webhook=completed", 0), ("duplicate-webhook=completed", 2)]
)
def test_calls_are_lost_and_come_twice(
    server: Emulated, http: httpx2.Client, listener: Listener, fault: str, calls: int
) -> None:
    """The same id twice, or none at all; the run is the same."""
    server.arm(f"{fault}@1")
    first = create(http, webhook=listener.url, webhook_events_filter=["completed"])
    ended(http, first)
    second = create(http, webhook=listener.url, webhook_events_filter=["completed"])
    listener.wait(lambda call: call.json()["id"] == second["id"])
    listener.wait(lambda call: call.json()["id"] == first["id"], times=calls)
    heard = [call for call in listener.calls if call.json()["id"] == first["id"]]
    assert len(heard) == calls and len({call.headers["webhook-id"] for call in heard}) <= 1


@pytest.mark.parametrize("fault", ["bad-signature", "skew"])
def test_calls_that_nobody_should_believe(
    server: Emulated, http: httpx2.Client, listener: Listener, fault: str
) -> None:
    """Signed with another key, or ten minutes old: the verifier refuses them."""
    server.arm(fault)
    create(http, webhook=listener.url, webhook_events_filter=["completed"])
    [call] = listener.wait(anything)
    verifier = Webhook(http.get("/v1/webhooks/default/secret").json()["key"])
    with pytest.raises(WebhookVerificationError):
        verifier.verify(call.body, call.headers)


def test_disorder_sends_the_beginning_after_the_end(
    server: Emulated, http: httpx2.Client, listener: Listener
) -> None:
    """`processing` arrives when it has succeeded."""
    server.arm("disorder=0.3:start")
    create(http, webhook=listener.url, webhook_events_filter=["start", "completed"])
    calls = listener.wait(anything, times=2)
    assert [call.json()["status"] for call in calls] == ["succeeded", "processing"]


def test_some_calls_are_late_by_themselves(tmp_path: Path, listener: Listener) -> None:
    """Without any fault, of runs that are not too quick for order a few begin after their end."""
    with emulated(tmp_path, "replicate", pace=0.05) as server:
        with httpx2.Client(base_url=server.url, headers=server.headers) as http:
            for _ in range(RUNS):
                create(http, webhook=listener.url, webhook_events_filter=["start", "completed"])
        listener.wait(anything, times=2 * RUNS)
    done: set[str] = set()
    late = 0
    for call in listener.calls:
        told = call.json()
        late += told["status"] == "processing" and told["id"] in done
        done |= {told["id"]} if told["status"] == "succeeded" else set()
    assert 0 < late < RUNS / 2  # one in twelve, and some more on a busy machine


def test_a_stream_is_cut_in_the_middle(server: Emulated, http: httpx2.Client) -> None:
    """The connection ends after the first pieces; the prediction goes on and ends."""
    server.arm("cut@1")
    made = create(http, LLAMA, input={"prompt": "Say exactly: one two three four five"})
    with pytest.raises(httpx2.TransportError):
        httpx2.get(made["urls"]["stream"])
    assert "".join(ended(http, made)["output"]) == "one two three four five"
    whole = httpx2.get(made["urls"]["stream"]).text
    assert whole.count("event: output") == 5 and whole.rstrip().endswith("data: {}")


def test_text_is_paid_by_the_token_it_tells(server: Emulated, http: httpx2.Client) -> None:
    """The cost in the log is that of the counts in `metrics`, at the emulator's own prices."""
    made = ended(http, create(http, LLAMA, input={"prompt": "a story in 400 words"}))
    count = made["metrics"]
    expected = round(0.05 * count["input_token_count"] + 0.25 * count["output_token_count"])
    assert [run["cost_micros"] for run in server.runs()] == [expected]
    assert count["output_token_count"] == len(made["output"]) > 100


def test_what_is_shipped_can_be_tried() -> None:
    """Every row of ours that can still run at Replicate is a model that the emulator has."""
    rows = (row for row in read_catalog().models if row.provider == "replicate")
    assert {row.name for row in rows if row.shutdown_date is None} <= set(BY_NAME) == set(PRICES)


def test_chance_strikes_some_and_loses_none(tmp_path: Path) -> None:
    """Of 60 creates some go wrong by chance; every run that began has one end in the log."""
    with emulated(tmp_path, "replicate", chaos=0.3, seed=5) as server:
        with httpx2.Client(base_url=server.url, headers=server.headers) as http:
            wrong = 0
            for _ in range(60):
                try:
                    wrong += not http.post(SCHNELL, json={"input": {"prompt": "a"}}).is_success
                except httpx2.TransportError:
                    wrong += 1
            server.disarm()
            for each in http.get("/v1/predictions").json()["results"]:
                ended(http, each)
        outcomes = [run["outcome"] for run in server.runs()]
    assert 5 < wrong < 40 and None not in outcomes and len(set(outcomes)) > 1
