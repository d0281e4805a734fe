"""Both official clients of Replicate through the front, with a real model process behind it.

That they run here as they run against the emulator is what says that neither the front nor
the emulator is made to fit our own adapter.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError

from tests.cog.front import KEY, MODEL
from tests.cog.rig import Rig, rig
from tests.doubles.listener import listening

pytestmark = [pytest.mark.needs("cog"), pytest.mark.slow]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.fixture
def client(made: Rig) -> Iterator[Client]:
    client = Client(api_token=KEY, base_url=made.front.url)
    client.poll_interval = 0.02
    with closing(client._client):
        yield client


def test_a_run_gives_a_file(client: Client) -> None:
    """The output is uploaded to the front, and its address gives a PNG."""
    address = client.run(MODEL, input={"prompt": "a lamp"})
    assert httpx2.get(str(address)).content.startswith(b"\x89PNG")


def test_a_second_create_waits_for_its_turn(client: Client, made: Rig) -> None:
    """Cog has one place and answers 409; the second is starting, and runs when it is free."""
    slow = {"prompt": "a", "steps": 20, "step_seconds": 0.3}
    first = client.models.predictions.create(MODEL, slow, wait=False)
    second = client.models.predictions.create(MODEL, {"prompt": "b"}, wait=False)
    assert second.status == "starting" and made.front.runs == [first.id]
    second.wait()
    first.reload()
    assert (first.status, second.status) == ("succeeded", "succeeded")
    assert first.progress.percentage == 1.0
    assert made.front.runs == [first.id, second.id]


def test_cancel_refusal_and_failure(client: Client) -> None:
    """A cancel is Cog's own; an input that it refuses is 422; a model that raises has failed."""
    slow = {"prompt": "a", "steps": 400, "step_seconds": 0.05}
    running = client.models.predictions.create(MODEL, slow, wait=False)
    running.cancel()
    assert running.status == "canceled"
    with pytest.raises(ReplicateError, match="Input validation failed"):
        client.models.predictions.create(MODEL, {"prompt": "a", "steps": 0}, wait=False)
    with pytest.raises(ModelError, match="told to fail"):
        client.run(MODEL, input={"prompt": "a", "how": "raise"})


def test_its_webhooks_are_believed(client: Client) -> None:
    """Replicate's own validator takes them."""
    secret = client.webhooks.default.secret()
    with listening() as listener:
        client.models.predictions.create(MODEL, {"prompt": "a"}, wait=False, webhook=listener.url)
        calls = listener.wait(lambda call: call.json()["status"] == "succeeded")
    client.webhooks.validate(headers=calls[0].headers, body=calls[0].body.decode(), secret=secret)


@pytest.mark.needs("replicate 2")
def test_the_next_client_sees_the_same(made: Rig) -> None:
    """Everything that it asks of the emulator, it asks of this, by 2.0.0b4."""
    script = ROOT / "tests/emulators/replicate_next.py"
    asked = [ROOT / ".venv-sdk/bin/python", script, made.front.url, MODEL]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "file": "image/png",
        "waited": "succeeded",
        "ended": ["succeeded", True, 4],
        "listed": True,
        "canceled": "canceled",
        "schema": ["prompt"],
        "secret": "whsec_",
        "account": "emulated",
        "422": "required",
        "401": "Unauthenticated",
    }
