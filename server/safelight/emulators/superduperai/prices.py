"""What the emulator has to offer, and what it asks for it, in the provider's own units.

Prices are those of the provider's notes, where a unit is a US dollar: this list is the
emulator's own, and knows nothing of anybody's registry.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

MICROS_PER_UNIT = 1_000_000
"""A unit of a balance, in millionths of a US dollar."""


class Offer(msgspec.Struct, frozen=True):
    """One generation config. `params` says what it costs: `price` for a file, or
    `price_per_second` for a second of video; neither is free."""

    name: str
    label: str
    type: str
    source: str
    params: dict[str, Any]

    @property
    def makes(self) -> str:
        """The type of its files: image, video or audio."""
        return self.type.rpartition("_")[2]

    @property
    def vip(self) -> bool:
        """Whether only some users may use it."""
        return bool(self.params.get("vip_required"))

    def units(self, files: int, seconds: float = 0.0) -> Decimal:
        """What so many files of so many seconds cost together."""
        if "price_per_second" in self.params:
            each = Decimal(str(self.params["price_per_second"])) * Decimal(str(seconds))
        else:
            each = Decimal(str(self.params.get("price", 0)))
        return each * files


def micros(units: Decimal) -> int:
    """The same in millionths of a US dollar."""
    return int(units * MICROS_PER_UNIT)


def _video(price: float, durations: list[int], **more: Any) -> dict[str, Any]:
    said = {"price_per_second": price, "available_durations": durations}
    return said | {"max_duration": max(durations), "arguments_template": ASKED} | more


ASKED = '{"prompt": {{config.prompt|tojson}}, "duration": {{config.duration}}}'
_HD = {"max_resolution": {"width": 1920, "height": 1080}}

OFFERS = {
    offer.name: offer
    for offer in (
        Offer(
            "comfyui/flux",
            "Flux Dev",
            "text_to_image",
            "local",
            {"workflow_path": "flux/default.json"},
        ),
        Offer("comfyui/sdxl", "SDXL", "text_to_image", "local", {"workflow_path": "sdxl.json"}),
        Offer(
            "comfyui/flux/inpainting",
            "Flux Dev (Inpainting)",
            "image_to_image",
            "local",
            {"workflow_path": "flux/inpainting.json"},
        ),
        Offer(
            "fal-ai/flux-pro/v1.1-ultra",
            "Flux Pro 1.1 Ultra",
            "text_to_image",
            "fal_ai",
            {"price": 1, "num_images": 1, "safety_tolerance": 5},
        ),
        Offer(
            "azure-openai/gpt-image-1",
            "GPT Image 1",
            "text_to_image",
            "azure_openai_image",
            {"price": 2, "vip_required": True, "max_resolution": {"width": 1536, "height": 1536}},
        ),
        Offer(
            "comfyui/ltx",
            "LTX (Image-to-Video)",
            "image_to_video",
            "local",
            _video(0.4, [5], workflow_path="LTX/default.json"),
        ),
        Offer(
            "google-cloud/veo2",
            "Google VEO2 (Image-to-Video)",
            "image_to_video",
            "google_cloud",
            _video(2, [5, 6, 7, 8], vip_required=True, **_HD),
        ),
        Offer(
            "google-cloud/veo2-text2video",
            "Google VEO2 (Text-to-Video)",
            "text_to_video",
            "google_cloud",
            _video(2, [5, 6, 7, 8], vip_required=True, **_HD),
        ),
        Offer(
            "google-cloud/veo3-text2video",
            "Google VEO3 (Text-to-Video)",
            "text_to_video",
            "google_cloud",
            _video(3, [5, 6, 7, 8], vip_required=True, **_HD),
        ),
    )
}
"""Everything that can be asked for, by name."""

STYLES = {
    "flux_steampunk": "Steampunk",
    "flux_watercolor": "Watercolor",
    "flux_noir": "Noir",
}
"""Names of styles, and their titles."""
