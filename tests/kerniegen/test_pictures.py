"""What KernieGen gives out: pictures that a graph decides, previews, animations, texts."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.doubles.kernie import Kernie, kerniegen
from tests.kerniegen.asker import Asker, asker
from tests.kerniegen.graphs import ending_in, img2img, node, steps, txt2img


@pytest.fixture(scope="module")
def kernie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernie]:
    """One server for this file."""
    with kerniegen(tmp_path_factory.mktemp("pictures") / "kernie") as one:
        yield one


@pytest.fixture
def client(kernie: Kernie) -> Iterator[Asker]:
    """A client of it."""
    with asker(kernie.url) as one:
        yield one


def opened(data: bytes) -> Image.Image:
    """A picture, read in full."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_equal_graphs_give_equal_bytes(client: Asker) -> None:
    """Without its cache the server paints the same file again."""
    first = client.files(client.run(txt2img(seed=11)))
    client.http.post("/free", json={"free_memory": True})
    second = client.run(txt2img(seed=11))
    assert second["status"]["messages"][1][1]["nodes"] == []
    assert client.files(second) == first


def test_only_results_of_the_last_prompt_are_kept(client: Asker) -> None:
    """After another prompt the first one is run again from its beginning."""
    first, other = steps(seed=1), txt2img(seed=25)
    known = []
    for graph in (first, first, other, first):
        known.append(client.run(copy.deepcopy(graph))["status"]["messages"][1][1]["nodes"])
    assert [known[1], known[3]] == [["1", "2", "9"], []]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 13},
        {"steps": 3},
        {"cfg": 6.0},
        {"sampler_name": "heun"},
        {"scheduler": "karras"},
        {"checkpoint": "kerniegen-portrait.safetensors"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_a_picture_changes_it(client: Asker, change: dict[str, Any]) -> None:
    """Seed, steps, cfg, sampler, scheduler and checkpoint each give another picture."""
    plain = opened(client.files(client.run(txt2img(seed=12)))[0])
    other = opened(client.files(client.run(txt2img(**({"seed": 12} | change))))[0])
    assert plain.tobytes() != other.tobytes()


def test_a_lora_changes_the_picture(client: Asker) -> None:
    """A LoRA put between loader and sampler gives another picture."""
    graph = txt2img(seed=14)
    graph["20"] = node(
        "LoraLoader",
        model=["4", 0],
        clip=["4", 1],
        lora_name="kerniegen-grain.safetensors",
        strength_model=0.8,
        strength_clip=1.0,
    )
    plain = client.files(client.run(copy.deepcopy(graph)))
    graph["3"]["inputs"]["model"] = ["20", 0]
    assert client.files(client.run(graph)) != plain


def test_a_saved_png_tells_graph_and_workflow(client: Asker) -> None:
    """The text of a PNG holds the graph that made it and the workflow that came with it."""
    graph = txt2img(seed=15)
    extra = {"extra_pnginfo": {"workflow": {"nodes": [1, 2]}}}
    [data] = client.files(client.run(graph, extra_data=extra))
    text = opened(data).text
    assert json.loads(text["prompt"]) == graph
    assert json.loads(text["workflow"]) == {"nodes": [1, 2]}


def test_previews_are_jpegs_of_every_step(client: Asker) -> None:
    """Each step comes with a frame of event 4 that names prompt and node."""
    prompt_id = client.submit(txt2img(seed=16, steps=4))
    client.hear_end(prompt_id)
    assert len(client.binary) == 4
    for frame in client.binary:
        size = int.from_bytes(frame[4:8], "big")
        about = json.loads(frame[8 : 8 + size])
        assert frame[:4] == bytes([0, 0, 0, 4])
        assert (about["prompt_id"], about["node_id"]) == (prompt_id, "3")
        assert opened(frame[8 + size :]).format == "JPEG"


def test_a_prompt_may_ask_for_no_previews(client: Asker) -> None:
    """The newer release reads the way of previews from the prompt's extra data."""
    client.run(txt2img(seed=17), extra_data={"preview_method": "none"})
    assert client.binary == []


def test_a_picture_over_the_socket_is_whole(client: Asker) -> None:
    """SaveImageWebsocket sends a PNG of full size and leaves nothing in history."""
    past = client.run(ending_in(txt2img(seed=18), "SaveImageWebsocket"))
    frame = client.binary[-1]
    image = opened(frame[8 + int.from_bytes(frame[4:8], "big") :])
    assert (image.format, image.size) == ("PNG", (256, 256))
    assert past["outputs"] == {}


def test_a_picture_in_decides_the_picture_out(client: Asker) -> None:
    """What was uploaded shows through when denoise is low, and less when it is high."""
    red = io.BytesIO()
    Image.new("RGB", (256, 256), (250, 10, 10)).save(red, "PNG")
    answer = client.http.post("/upload/image", files={"image": ("red.png", red.getvalue())})
    near, far = (
        opened(client.files(client.run(img2img(answer.json()["name"], denoise)))[0])
        for denoise in (0.1, 1.0)
    )
    assert redness(near) > redness(far) + 20


def test_a_picture_in_gives_several_out(client: Asker) -> None:
    """A latent that is repeated gives so many pictures out of one, each another."""
    grey = io.BytesIO()
    Image.new("RGB", (256, 256), (90, 90, 90)).save(grey, "PNG")
    answer = client.http.post("/upload/image", files={"image": ("grey.png", grey.getvalue())})
    graph = img2img(answer.json()["name"])
    graph["14"] = node("RepeatLatentBatch", samples=["5", 0], amount=3)
    graph["3"]["inputs"]["latent_image"] = ["14", 0]
    assert len(set(client.files(client.run(graph)))) == 3
    graph["8"]["inputs"]["samples"] = ["14", 0]
    assert len(client.files(client.run(graph))) == 3, "also without a sampler"


def redness(image: Image.Image) -> float:
    """How much redder than green a picture is on average."""
    red, green, _ = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return red - green


def test_a_batch_gives_its_pictures_in_order(client: Asker) -> None:
    """Three pictures of a batch are three files, numbered, each another."""
    graph = txt2img(seed=19)
    graph["5"]["inputs"]["batch_size"] = 3
    past = client.run(graph)
    names = [file["filename"] for file in past["outputs"]["9"]["images"]]
    assert names == sorted(names) and len(set(client.files(past))) == 3


@pytest.mark.parametrize(
    "class_type, more, form",
    [
        ("SaveAnimatedWEBP", {"lossless": False, "quality": 60, "method": "fastest"}, "WEBP"),
        ("SaveAnimatedPNG", {"compress_level": 1}, "PNG"),
    ],
)
def test_an_animation_has_a_frame_per_picture(
    client: Asker, class_type: str, more: dict[str, Any], form: str
) -> None:
    """Animated WebP and PNG hold every picture of the batch and say that they are animated."""
    graph = txt2img(seed=20, steps=1)
    graph["5"]["inputs"]["batch_size"] = 6
    past = client.run(ending_in(graph, class_type, filename_prefix="moving", fps=8.0, **more))
    image = opened(client.files(past)[0])
    assert (image.format, image.n_frames) == (form, 6)
    assert past["outputs"]["9"]["animated"] == [True]


def test_a_video_is_an_mp4(client: Asker) -> None:
    """The video saver's file has the boxes of an MP4 and stands under `gifs`."""
    graph = txt2img(seed=21, steps=1)
    graph["5"]["inputs"]["batch_size"] = 6
    past = client.run(ending_in(graph, "SaveMJPEGVideo", filename_prefix="video", fps=8.0))
    [data] = client.files(past, key="gifs")
    assert data[4:12] == b"ftypisom" and data.count(b"\xff\xd8\xff") == 6
    assert b"moov" in data and b"stsz" in data


def test_a_text_output_is_told(client: Asker) -> None:
    """PreviewAny gives the text of what it is linked to."""
    graph = txt2img(seed=22)
    graph["9"] = node("PreviewAny", source=["6", 0])
    assert client.run(graph)["outputs"]["9"] == {"text": ["a red fox"]}


def test_upscaling_by_a_model_enlarges(client: Asker) -> None:
    """The model's factor is that of its name."""
    graph = txt2img(seed=23)
    graph["11"] = node("UpscaleModelLoader", model_name="kerniegen-2x.pth")
    graph["12"] = node("ImageUpscaleWithModel", upscale_model=["11", 0], image=["8", 0])
    graph["9"]["inputs"]["images"] = ["12", 0]
    assert opened(client.files(client.run(graph))[0]).size == (512, 512)


def test_options_come_in_both_shapes(client: Asker) -> None:
    """One loader lists its options plainly, the other as a COMBO."""
    shapes = {}
    for name, field in (
        ("CheckpointLoaderSimple", "ckpt_name"),
        ("UpscaleModelLoader", "model_name"),
    ):
        info = client.http.get(f"/object_info/{name}").json()[name]
        shapes[name] = info["input"]["required"][field]
    assert isinstance(shapes["CheckpointLoaderSimple"][0], list)
    assert shapes["UpscaleModelLoader"][0] == "COMBO"
    assert shapes["UpscaleModelLoader"][1]["options"] == ["kerniegen-2x.pth", "kerniegen-4x.pth"]


def test_an_advanced_sampler_takes_its_range_of_steps(client: Asker) -> None:
    """Steps from 1 to 3 of 4 are two strokes."""
    graph = txt2img()
    given = dict(graph["3"]["inputs"], noise_seed=24, steps=4, start_at_step=1, end_at_step=3)
    for name in ("seed", "denoise"):
        del given[name]
    given |= {"add_noise": "enable", "return_with_leftover_noise": "disable"}
    graph["3"] = node("KSamplerAdvanced", **given)
    client.run(graph)
    bars = [m["data"]["max"] for m in client.heard if m["type"] == "progress"]
    assert bars == [2, 2]
