"""Classes for tests: steps of any length, a sleep, a text, an exception, and any fault.

The four Lab classes are those that the recordings of real servers were made with.
`KernieFault` passes its picture on and does to this prompt what its `fault` says.
"""

from __future__ import annotations

from PIL import Image

from .faults import NODE_FAULTS, OutOfMemory
from .values import Context, Images, Made, NodeClass

WHOLE = {"default": 0, "min": 0, "max": 2**64 - 1}
MODULE = "custom_nodes.labnodes"


def lab() -> list[NodeClass]:
    """All of them."""

    def passes(name: str, run: object, **inputs: tuple[object, ...]) -> NodeClass:
        required = {"image": ("IMAGE", {}), **inputs}
        return NodeClass(
            name=name,
            category="lab",
            module=MODULE,
            inputs=lambda: {"required": required},
            outputs=("IMAGE",),
            run=run,  # type: ignore[arg-type]
        )

    seed = ("INT", WHOLE)
    return [
        passes(
            "LabSteps",
            _steps,
            steps=("INT", {"default": 4, "min": 1, "max": 10000}),
            delay_ms=("INT", {"default": 100, "min": 0, "max": 600000}),
            fail_at=("INT", {"default": -1, "min": -1, "max": 10000}),
            preview=(["JPEG", "PNG", "none"], {}),
            seed=seed,
        ),
        passes("LabBusy", _busy, seconds=("FLOAT", {"default": 1.0, "min": 0.0}), seed=seed),
        passes("LabOOM", _out_of_memory, seed=seed),
        passes("LabText", _text, text=("STRING", {"default": ""})),
        passes(
            "KernieFault",
            lambda run, image, fault, value, seed: Made((image,)),
            fault=(["none", *NODE_FAULTS], {}),
            value=("FLOAT", {"default": 0.0, "min": 0.0, "max": 86400.0}),
            seed=seed,
        ),
    ]


def _steps(
    run: Context, image: Images, steps: int, delay_ms: int, fail_at: int, preview: str, seed: int
) -> Made:
    for step in range(1, steps + 1):
        run.rest(delay_ms / 1000)
        if step == fail_at:
            raise ValueError(f"lab failure at step {step}")
        shown = None if preview == "none" else (preview, _tinted(image[0], seed + step))
        run.progress(step, steps, shown)
    return Made((image,))


def _tinted(image: Image.Image, number: int) -> Image.Image:
    return Image.new("RGB", image.size, (number * 40 % 256, number * 90 % 256, 128))


def _busy(run: Context, image: Images, seconds: float, seed: int) -> Made:
    run.rest(seconds)
    return Made((image,))


def _out_of_memory(run: Context, image: Images, seed: int) -> Made:
    raise OutOfMemory("lab: out of memory")


def _text(run: Context, image: Images, text: str) -> Made:
    run.send_text(text)
    return Made((image,))
