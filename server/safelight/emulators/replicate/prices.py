"""What a run would cost at this emulator, in millionths of a US dollar.

Its own list, which no other module of Safelight reads: what a run is charged there must
come out the same, and only can if both count the same thing. As at the real one, models
of partners and official models are paid by what they make, all others by the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

PRICES: Mapping[str, Mapping[str, Decimal]] = {
    "black-forest-labs/flux-schnell": {"image_count": Decimal(3_000)},
    "black-forest-labs/flux-1.1-pro": {"image_count": Decimal(40_000)},
    "wan-video/wan-2.2-i2v-fast": {"video_output_count": Decimal(50_000)},
    "minimax/video-01": {"video_output_duration_seconds": Decimal(80_000)},
    "bytedance/seedream-3": {"image_count": Decimal(30_000)},
    "bytedance/seedance-1-lite": {"video_output_duration_seconds": Decimal(36_000)},
    "bytedance/seedance-1-pro": {"video_output_duration_seconds": Decimal(60_000)},
    "kwaivgi/kling-v2.1": {"video_output_duration_seconds": Decimal(50_000)},
    "meta/meta-llama-3-8b-instruct": {
        "input_token_count": Decimal("0.05"),
        "output_token_count": Decimal("0.25"),
    },
    "emulated/lantern": {"predict_time": Decimal(225)},
}
"""For one unit of each figure in a prediction's `metrics`."""

HARDWARE = [
    {"name": "CPU", "sku": "cpu"},
    {"name": "Nvidia T4 GPU", "sku": "gpu-t4"},
    {"name": "Nvidia A100 (80GB) GPU", "sku": "gpu-a100-large"},
]


def cost(model: str, metrics: Mapping[str, Any]) -> int:
    """What a run with these metrics costs."""
    total = sum(
        (rate * Decimal(str(metrics.get(figure, 0))) for figure, rate in PRICES[model].items()),
        Decimal(0),
    )
    return int(total.quantize(Decimal(1), ROUND_HALF_EVEN))
