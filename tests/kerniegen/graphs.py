"""Graphs for tests: pictures from text and from a picture, steps, batches, animations."""

from __future__ import annotations

import copy
from typing import Any

Graph = dict[str, Any]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """One node."""
    return {"class_type": class_type, "inputs": inputs}


def txt2img(checkpoint: str = "kerniegen-v1.safetensors", **sampler: Any) -> Graph:
    """The graph that everybody begins with, small and of two steps."""
    given: dict[str, Any] = {"seed": 1, "steps": 2, "cfg": 5.0, "denoise": 1.0}
    given |= {"sampler_name": "euler", "scheduler": "normal"} | sampler
    links = {"positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name=checkpoint),
        "5": node("EmptyLatentImage", width=256, height=256, batch_size=1),
        "6": node("CLIPTextEncode", text="a red fox", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "3": node("KSampler", model=["4", 0], **links, **given),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0], filename_prefix="test"),
    }


def img2img(image: str, denoise: float = 0.5) -> Graph:
    """A picture out of one that was uploaded."""
    graph = txt2img(denoise=denoise)
    graph["10"] = node("LoadImage", image=image)
    graph["5"] = node("VAEEncode", pixels=["10", 0], vae=["4", 2])
    return graph


def steps(count: int = 3, seed: int = 0, delay_ms: int = 0, **more: Any) -> Graph:
    """A picture that takes steps and is then saved; what a KernieFault goes with is `more`."""
    given = {"fail_at": -1, "preview": "none"} | more
    size = {"width": 96, "height": 64, "batch_size": 1, "color": 3368652}
    return {
        "1": node("EmptyImage", **size),
        "2": node("LabSteps", image=["1", 0], steps=count, delay_ms=delay_ms, seed=seed, **given),
        "9": node("SaveImage", images=["2", 0], filename_prefix="steps"),
    }


def ending_in(graph: Graph, class_type: str, **inputs: Any) -> Graph:
    """The same graph with another last node."""
    changed = copy.deepcopy(graph)
    changed["9"] = node(class_type, images=graph["9"]["inputs"]["images"], **inputs)
    return changed
