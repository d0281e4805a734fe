"""The four lab nodes for a real ComfyUI, with which the recordings were made.

Copy this folder into `custom_nodes/` of the server that COMFYUI_URL names. It runs there,
not here: ComfyUI brings torch and its own modules. Nothing in this repository imports it.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

IMAGE = ("IMAGE",)
SEED = ("INT", {"default": 0, "min": 0, "max": 2**64 - 1})


class _Passes:
    """A node that hands its picture on; inputs are added by whoever is one."""

    MORE: ClassVar[dict[str, Any]] = {}
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "go"
    CATEGORY = "lab"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """As ComfyUI asks for them."""
        return {"required": {"image": IMAGE, **cls.MORE}}


class LabSteps(_Passes):
    """Steps of any length with previews; fails at one of them if told to."""

    MORE: ClassVar[dict[str, Any]] = {
        "steps": ("INT", {"default": 4, "min": 1, "max": 10000}),
        "delay_ms": ("INT", {"default": 100, "min": 0, "max": 600000}),
        "fail_at": ("INT", {"default": -1, "min": -1, "max": 10000}),
        "preview": (["JPEG", "PNG", "none"],),
        "seed": SEED,
    }

    def go(self, image, steps, delay_ms, fail_at, preview, seed):
        """Tell every step as samplers do, which compute between them as long as is asked."""
        import comfy.utils  # type: ignore[import-not-found]
        from PIL import Image

        bar = comfy.utils.ProgressBar(steps)
        for step in range(1, steps + 1):
            time.sleep(delay_ms / 1000)
            if step == fail_at:
                raise ValueError(f"lab failure at step {step}")
            size = (int(image.shape[2]), int(image.shape[1]))
            color = ((seed + step) * 40 % 256, (seed + step) * 90 % 256, 128)
            shown = None if preview == "none" else (preview, Image.new("RGB", size, color), 512)
            bar.update_absolute(step, steps, shown)
        return (image,)


class LabBusy(_Passes):
    """Takes its time and tells nothing."""

    MORE: ClassVar[dict[str, Any]] = {
        "seconds": ("FLOAT", {"default": 1.0, "min": 0.0}),
        "seed": SEED,
    }

    def go(self, image, seconds, seed):
        """Be busy as long as the graph says: this is the machine's work, nobody's wait."""
        time.sleep(seconds)
        return (image,)


class LabOOM(_Passes):
    """Runs out of memory at once."""

    MORE: ClassVar[dict[str, Any]] = {"seed": SEED}

    def go(self, image, seed):
        """Raise what ComfyUI takes for it."""
        import comfy.model_management  # type: ignore[import-not-found]

        raise comfy.model_management.OOM_EXCEPTION("lab: out of memory")


class LabText(_Passes):
    """Shows a text beside itself."""

    MORE: ClassVar[dict[str, Any]] = {"text": ("STRING", {"default": ""})}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """As ComfyUI asks for them, with the node's own id."""
        return {**super().INPUT_TYPES(), "hidden": {"unique_id": "UNIQUE_ID"}}

    def go(self, image, text, unique_id):
        """Send the text frame."""
        from server import PromptServer

        PromptServer.instance.send_progress_text(text, unique_id)
        return (image,)


NODE_CLASS_MAPPINGS = {each.__name__: each for each in (LabSteps, LabBusy, LabOOM, LabText)}
