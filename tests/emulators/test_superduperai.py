"""The emulator of SuperDuperAI, held against the bodies of its own front end's client.

No SDK of it exists: what a body must have is written down here, field by field, as that
client declares it. The emulator is a process of its own; every test asks for other words.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from tests.doubles.emulated import Emulated, emulated
from tests.doubles.superduper_talk import (
    PATIENCE,
    create,
    ended,
    image,
    is_file,
    talking,
    told,
)

pytestmark = pytest.mark.slow

FILE = {
    "id",
    "url",
    "thumbnail_url",
    "type",
    "image_generation_id",
    "image_generation",
    "video_generation_id",
    "video_generation",
    "audio_generation_id",
    "audio_generation",
    "duration",
    "tasks",
}
IMAGE_GENERATION = {
    "prompt",
    "negative_prompt",
    "width",
    "height",
    "steps",
    "shot_size",
    "seed",
    "id",
    "generation_config_name",
    "style_name",
    "references",
    "entity_ids",
}
TASK = {"id", "type", "status", "file_id", "project_id"}
USER = {"sub", "nickname", "email", "balance", "vip", "admin", "id"}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """One that takes its time, so that there is something to listen to."""
    with emulated(tmp_path_factory.mktemp("sd"), "superduperai", pace=0.02) as running:
        yield running


@pytest.fixture
def api(emulator: Emulated) -> Iterator[httpx2.Client]:
    """A client with the key."""
    with talking(emulator) as client:
        yield client


def test_a_picture_from_its_create_to_its_bytes(api: httpx2.Client) -> None:
    """A create answers with files that have no address; they are done when they have one."""
    file = create(api)
    assert file.keys() == FILE
    assert file["url"] is None
    assert file["image_generation"].keys() >= IMAGE_GENERATION
    assert file["image_generation_id"] == file["image_generation"]["id"]
    (task,) = file["tasks"]
    assert task.keys() == TASK
    assert (task["status"], task["type"]) == ("in_progress", "image-generation-flow")
    done = ended(api, file["id"])
    assert done["tasks"][0]["status"] == "completed"
    assert httpx2.get(done["url"]).content.startswith(b"\x89PNG")


def test_a_batch_is_one_run_of_several_files(api: httpx2.Client, emulator: Emulated) -> None:
    """Files of a batch differ, share their generation, and are run and paid once."""
    answer = api.post("/file/generate-image", json=image(batch_size=2)).json()
    assert len({file["id"] for file in answer}) == 2
    assert len({file["image_generation_id"] for file in answer}) == 1
    urls = [ended(api, file["id"])["url"] for file in answer]
    assert httpx2.get(urls[0]).content != httpx2.get(urls[1]).content
    ids = [file["id"] for file in answer]
    assert [run for run in emulator.runs() if run["marks"]["files"] == ids]


def test_a_video_starts_from_an_upload(api: httpx2.Client, emulator: Emulated) -> None:
    """A video is one file and no list; its reference is a file that was uploaded, and it is
    paid by the second."""
    png = httpx2.get(ended(api, create(api)["id"])["url"]).content
    upload = api.post("/file/upload", files={"payload": ("a.png", png, "image/png")}).json()
    assert upload["type"] == "image" and httpx2.get(upload["url"]).content == png
    config = {"prompt": uuid.uuid4().hex, "generation_config_name": "comfyui/ltx", "duration": 5}
    config["references"] = [{"type": "source", "reference_id": upload["id"]}]
    file = api.post("/file/generate-video", json={"config": config}).json()
    assert file.keys() == FILE and file["type"] == "video"
    done = ended(api, file["id"])
    answer = httpx2.get(done["url"])
    assert answer.headers["content-type"] == "video/mp4" and answer.content[4:8] == b"ftyp"
    (run,) = [run for run in emulator.runs() if run["run"] == done["video_generation_id"]]
    assert run["cost_micros"] == 5 * 400_000


def test_an_upload_without_its_part_is_refused(api: httpx2.Client) -> None:
    """The part of the form is called payload."""
    answer = api.post("/file/upload", files={"file": ("a.png", b"x", "image/png")})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "payload"]


def test_a_channel_tells_what_comes_after_it_was_opened(api: httpx2.Client) -> None:
    """Progress, the task and the file, in this order, without any id; and nothing of what
    was before."""
    messages = told(api, f"file.{create(api)['id']}", is_file)
    kinds = [message["type"] for message in messages]
    assert kinds[-2:] == ["task", "file"]
    assert set(kinds[:-2]) == {"render_progress"}
    shares = [message["object"]["progress"] for message in messages[:-2]]
    assert shares == sorted(shares)


def test_a_project_is_told_only_of_its_own(api: httpx2.Client, emulator: Emulated) -> None:
    """The channel of a project hears of files that name it, and of no others."""
    project = uuid.uuid4().hex
    create(api)
    mine = create(api, project_id=project)
    messages = told(api, f"project.{project}", is_file)
    files = [message["object"]["id"] for message in messages if message["type"] == "file"]
    assert files == [mine["id"]]


def test_the_socket_says_nothing_until_it_is_asked(api: httpx2.Client, emulator: Emulated) -> None:
    """The older socket echoes the subscription, and then tells as the channel does."""
    file = create(api)
    address = emulator.url.replace("http", "ws")
    channel = f"file.{file['id']}"
    with connect(f"{address}/api/v1/ws/{channel}", additional_headers=emulator.headers) as socket:
        socket.send(json.dumps({"type": "subscribe", "projectId": channel}))
        echo = json.loads(socket.recv(PATIENCE))
        assert echo == {"type": "subscribe", "projectId": channel}
        kinds = [json.loads(socket.recv(PATIENCE))["type"]]
        while kinds[-1] != "file":
            kinds.append(json.loads(socket.recv(PATIENCE))["type"])
    assert "task" in kinds


def test_nothing_is_generated_twice(api: httpx2.Client, emulator: Emulated) -> None:
    """The same prompt, seed and model again is refused by the database, and does not run;
    another seed is taken."""
    first = create(api)
    runs = len(emulator.runs())
    config = first["image_generation"]
    again = api.post("/file/generate-image", json={"config": config})
    assert (again.status_code, again.json()) == (409, {"detail": "Integrity error, create"})
    assert len(emulator.runs()) == runs
    assert api.post("/file/generate-image", json={"config": config | {"seed": 8}}).is_success


def test_a_reference_to_nothing_is_an_integrity_error(api: httpx2.Client) -> None:
    """A key that leads nowhere is the database's trouble as well."""
    body = image(references=[{"type": "source", "reference_id": "nobody"}])
    assert api.post("/file/generate-image", json=body).status_code == 409


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"prompt": None}, ["body", "config", "prompt"]),
        ({"width": "wide"}, ["body", "config", "width"]),
        ({"batch_size": 9}, ["body", "config", "batch_size"]),
        ({"shot_size": "Nearby"}, ["body", "config", "shot_size"]),
        ({"references": [{"type": "x", "reference_id": "y"}]}, ["body", "config", "references"]),
    ],
)
def test_a_field_that_does_not_fit_is_named(
    api: httpx2.Client, change: dict[str, Any], place: list[str]
) -> None:
    """What does not fit is answered with a list of places and reasons."""
    answer = api.post("/file/generate-image", json=image(**change))
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"][: len(place)] == place and problem["msg"] and problem["type"]


def test_a_model_that_makes_something_else_is_not_found(api: httpx2.Client) -> None:
    """A video model makes no pictures."""
    answer = api.post("/file/generate-image", json=image(generation_config_name="comfyui/ltx"))
    assert answer.status_code == 404


def test_lists_come_in_parts(api: httpx2.Client) -> None:
    """Newest first unless asked otherwise, `next` until the end, by type if one is given."""
    ids = [create(api)["id"] for _ in range(3)]
    page = api.get("/file", params={"limit": 2, "types": "image"}).json()
    assert [file["id"] for file in page["items"]] == [ids[2], ids[1]]
    assert page["next"] == {"offset": 2, "limit": 2}
    rest = api.get("/file", params=page["next"] | {"order": "ascendent"}).json()
    assert rest["offset"] == 2
    assert api.get("/file", params={"types": "music"}).json()["items"] == []
    assert api.get("/file", params={"order": "sideways"}).status_code == 422


def test_what_there_is_to_choose_from(api: httpx2.Client) -> None:
    """Offers have a name, a label, a type, a source and free params; styles have names."""
    offers = api.get("/generation-config").json()["items"]
    assert all(offer.keys() == {"name", "label", "type", "source", "params"} for offer in offers)
    named = {offer["name"]: offer["params"] for offer in offers}
    assert named["azure-openai/gpt-image-1"]["vip_required"] is True
    assert named["google-cloud/veo2"]["available_durations"] == [5, 6, 7, 8]
    assert "price" not in named["comfyui/flux"]
    assert "flux_steampunk" in {row["name"] for row in api.get("/style").json()["items"]}


def test_a_file_that_was_removed_is_not_there(api: httpx2.Client) -> None:
    """A removal answers with the file; after that there is none."""
    id = ended(api, create(api)["id"])["id"]
    assert api.delete(f"/file/{id}").json()["id"] == id
    assert api.get(f"/file/{id}").status_code == 404


def test_the_price_is_taken_at_once_and_not_given_back(
    api: httpx2.Client, emulator: Emulated
) -> None:
    """A run that fails has cost what it costs."""
    emulator.arm("fail")
    before = api.get("/user/me").json()
    assert before.keys() == USER
    file = create(api, generation_config_name="azure-openai/gpt-image-1", batch_size=2)
    assert ended(api, file["id"])["tasks"][0]["status"] == "error"
    assert api.get("/user/me").json()["balance"] == before["balance"] - 4
    (run,) = [r for r in emulator.runs() if r["run"] == file["image_generation_id"]]
    assert run["marks"]["files"][0] == file["id"]


def test_nobody_enters_without_the_key(api: httpx2.Client, emulator: Emulated) -> None:
    """Neither REST nor the socket; the storage of files asks nobody."""
    answer = httpx2.get(f"{emulator.url}/api/v1/file")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})
    with (
        pytest.raises(Exception, match="403"),
        connect(f"{emulator.url.replace('http', 'ws')}/api/v1/ws/project.x"),
    ):
        pass
