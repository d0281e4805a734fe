"""The emulated Replicate, driven by its official clients as they are.

1.0.7 stands among our own packages; 2.0.0b4 has an environment of its own and tells what it
saw in one object (replicate_next.py).
"""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import InvalidSignatureError, Webhooks
from standardwebhooks import Webhook

from tests.doubles.emulated import Emulated, emulated
from tests.doubles.listener import Call, listening

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCHNELL = "black-forest-labs/flux-schnell"
LLAMA = "meta/meta-llama-3-8b-instruct"
VIDEO = "wan-video/wan-2.2-i2v-fast"
LANTERN = "emulated/lantern"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path, "replicate") as server:
        yield server


@pytest.fixture
def client(server: Emulated) -> Iterator[Client]:
    with official(server) as client:
        yield client


@contextmanager
def official(server: Emulated, key: str = "emulated") -> Iterator[Client]:
    """The present client; its connections are closed, for which it has no way of its own."""
    client = Client(api_token=key, base_url=server.url)
    client.poll_interval = 0.02
    try:
        yield client
    finally:
        client._client.close()


def status_of(call: Call) -> str:
    """What a webhook says of its prediction."""
    return str(call.json()["status"])


def is_over(call: Call) -> bool:
    """Whether it is the last of its prediction."""
    return status_of(call) in ("succeeded", "failed", "canceled")


def test_run_gives_pictures_that_can_be_fetched(server: Emulated, client: Client) -> None:
    """`run` waits, and each address it returns is a WebP; one run is in the log, with its cost."""
    addresses = client.run(SCHNELL, input={"prompt": "a lamp", "num_outputs": 2})
    files = [httpx2.get(str(each)) for each in addresses]
    assert [file.headers["content-type"] for file in files] == ["image/webp"] * 2
    assert files[0].content[8:12] == b"WEBP" and files[0].content != files[1].content
    client.predictions.list().results[0].wait()
    assert [(run["outcome"], run["cost_micros"]) for run in server.runs()] == [("succeeded", 6000)]


def test_a_prediction_is_followed_to_its_end(client: Client) -> None:
    """Created without a wait it is starting; its logs have a bar that the client can read."""
    made = client.models.predictions.create(SCHNELL, {"prompt": "a lamp"}, wait=False)
    assert (made.status, made.output, made.version) == ("starting", None, "hidden")
    made.wait()
    assert made.status == "succeeded" and len(made.output) == 1
    assert made.progress is not None and made.progress.percentage == 1.0
    metrics = made.metrics or {}
    assert metrics["image_count"] == 1 and metrics["predict_time"] >= 0


def test_a_film_begins_with_an_uploaded_picture(client: Client, tmp_path: Path) -> None:
    """A file of the client's is uploaded, used as input, and a film comes back."""
    [still] = client.run(SCHNELL, input={"prompt": "a lamp", "output_format": "png"})
    picture = io.BytesIO(httpx2.get(str(still)).content)
    film = client.run(VIDEO, input={"prompt": "it swings", "image": picture})
    assert httpx2.get(str(film)).content[8:12] == b"WEBP"
    uploaded = client.files.list()[0]
    assert uploaded.size == len(picture.getvalue())
    assert client.files.get(uploaded.id).checksums == uploaded.checksums
    assert client.files.delete(uploaded.id) and client.files.list() == []


def test_text_comes_in_pieces(client: Client) -> None:
    """As a list of pieces, and as a stream of events that ends with `done`."""
    asked = {"prompt": "Say exactly: one lamp, lit"}
    assert "".join(client.run(LLAMA, input=asked)) == "one lamp, lit"
    events = list(client.stream(LLAMA, input=asked))
    assert "".join(map(str, events)) == "one lamp, lit"
    assert len(events) > 3 and events[-1].event.value == "done"


def test_a_version_and_a_deployment_run(server: Emulated, client: Client) -> None:
    """A community model is named by its version; a deployment tells its name."""
    newest, older = (version.id for version in client.models.get(LANTERN).versions.list())
    for version in (newest, older):
        made = client.predictions.create(version=version, input={"prompt": "a lamp"}, wait=False)
        made.wait()
        assert (made.status, made.version, made.model) == ("succeeded", version, LANTERN)
    assert str(client.run(f"{LANTERN}:{newest}", input={"prompt": "a lamp"})).endswith(".webp")
    deployment = client.deployments.get("emulated/lantern-at-home")
    deployment.predictions.create(input={"prompt": "a lamp"}).wait()
    assert [run["marks"]["version"] for run in server.runs()] == [newest, older, newest, newest]


def test_a_model_that_raises_is_told(client: Client, server: Emulated) -> None:
    """`run` raises with the model's error; by the second, a failed run costs its time."""
    version = client.models.get(LANTERN).latest_version.id
    with pytest.raises(ModelError, match="the lantern was told to fail"):
        client.run(f"{LANTERN}:{version}", input={"prompt": "a lamp", "fail": True})
    assert server.runs()[0]["outcome"] == "failed"


def test_cancel_ends_it(tmp_path: Path) -> None:
    """A run that would take long is canceled, and costs nothing where nothing was made."""
    with emulated(tmp_path, "replicate", pace=30) as server, official(server) as client:
        made = client.models.predictions.create(SCHNELL, {"prompt": "a lamp"}, wait=False)
        made.cancel()
        assert made.status == "canceled" and made.completed_at
        assert [(run["outcome"], run["cost_micros"]) for run in server.runs()] == [("canceled", 0)]


def test_a_wait_that_was_too_short_says_starting(tmp_path: Path) -> None:
    """The client then polls by itself, as it does with the real one."""
    with emulated(tmp_path, "replicate", pace=0.2) as server, official(server) as client:
        made = client.models.predictions.create(SCHNELL, {"prompt": "a lamp"}, wait=1)
        assert made.status == "starting"
        made.wait()
        assert client.predictions.get(made.id).status == "succeeded"


def test_the_list_goes_on_where_its_page_ended(client: Client) -> None:
    """A hundred a page, newest first, none twice and none left out while more are made."""

    def create() -> str:
        return client.models.predictions.create(SCHNELL, {"prompt": "a"}, wait=False).id

    made = [create() for _ in range(102)]
    first = client.predictions.list()
    create()
    second = client.predictions.list(first.next)
    assert [each.id for each in [*first, *second]] == made[::-1]
    assert (first.previous, second.next) == (None, None)
    back = client.predictions.list(second.previous)
    assert [each.id for each in back] == [each.id for each in first]


def test_a_schema_is_as_cog_writes_it(client: Client) -> None:
    """Choices by reference, nullable where it may be left out, sorted by x-order, and outputs."""
    schemas = client.models.get(SCHNELL).latest_version.openapi_schema["components"]["schemas"]
    fields = schemas["Input"]["properties"]
    assert schemas["Input"]["required"] == ["prompt"]
    assert fields["aspect_ratio"]["allOf"] == [{"$ref": "#/components/schemas/aspect_ratio"}]
    assert schemas["aspect_ratio"]["enum"][0] == "1:1"
    assert fields["seed"]["nullable"] and "default" not in fields["seed"]
    assert sorted(fields, key=lambda name: fields[name]["x-order"])[0] == "prompt"
    assert schemas["Output"]["items"] == {"type": "string", "format": "uri"}
    told = client.models.get(LLAMA).latest_version.openapi_schema["components"]["schemas"]["Output"]
    assert (told["x-cog-array-type"], told["x-cog-array-display"]) == ("iterator", "concatenate")


def test_models_are_found_by_words(client: Client) -> None:
    """The list has all, and a search those whose name or description has the words."""
    assert SCHNELL in [model.id for model in client.models.list()]
    assert [model.id for model in client.models.search("lantern")] == [LANTERN]
    assert len(client.hardware.list()) == 3 and client.accounts.current().username == "emulated"


def test_webhooks_are_signed_as_both_verifiers_ask(client: Client) -> None:
    """Replicate's own validator and Standard Webhooks' take every call, and no other secret."""
    secret = client.webhooks.default.secret()
    with listening() as listener:
        hook = {"webhook": listener.url, "webhook_events_filter": ["start", "completed"]}
        client.models.predictions.create(SCHNELL, {"prompt": "a lamp"}, wait=False, **hook)
        listener.wait(is_over)
        calls = listener.wait(lambda call: True, times=2)
    assert sorted(map(status_of, calls)) == ["processing", "succeeded"]
    for call in calls:
        text = call.body.decode()
        Webhooks.validate(headers=call.headers, body=text, secret=secret, tolerance=300)
        Webhook(secret.key).verify(call.body, call.headers)
        with pytest.raises(InvalidSignatureError):
            Webhooks.validate(headers=call.headers, body=text + " ", secret=secret)
    [last] = [call.json() for call in calls if is_over(call)]
    assert last["output"] and last["urls"]["get"].endswith(last["id"])


def refused(client: Client, **given: object) -> ReplicateError:
    """The error of a create."""
    with pytest.raises(ReplicateError) as caught:
        client.models.predictions.create(SCHNELL, given, wait=False)
    return caught.value


def test_refusals_are_the_clients_own_errors(server: Emulated, client: Client) -> None:
    """401, 402, 404, 422 and 429 as Replicate words them; nothing ran."""
    with official(server, "wrong") as stranger:
        assert refused(stranger, prompt="a").title == "Unauthenticated"
    assert refused(client).detail == "- input: prompt is required\n"
    assert "less than or equal to 4" in str(refused(client, prompt="a", num_outputs=9).detail)
    server.arm("no-credit@1", "throttle=7@2")
    assert (paid := refused(client, prompt="a")).status == 402 and paid.title
    late = refused(client, prompt="a")
    assert late.status == 429 and str(late.detail).endswith("resets in ~7s.")
    with pytest.raises(ReplicateError) as unknown:
        client.models.get("nobody/nothing")
    assert unknown.value.status == 404
    with pytest.raises(ReplicateError, match="version does not exist"):
        client.predictions.create(version="0" * 64, input={})
    assert server.runs() == []


@pytest.mark.needs("replicate 2")
def test_the_next_client_sees_the_same(server: Emulated) -> None:
    """Run, wait, list, cancel, schema, secret, 401 and 422 with its fields, by 2.0.0b4."""
    python, script = ROOT / ".venv-sdk/bin/python", ROOT / "tests/emulators/replicate_next.py"
    asked = [python, script, server.url, SCHNELL]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("canceled") in ("canceled", "succeeded")
    assert told.pop("waited") in ("processing", "succeeded")
    assert told == {
        "file": "image/webp",
        "ended": ["succeeded", True, 4],
        "listed": True,
        "schema": ["prompt"],
        "secret": "whsec_",
        "account": "emulated",
        "422": "required",
        "401": "Unauthenticated",
    }
