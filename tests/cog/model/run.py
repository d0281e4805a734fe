"""The model that the tests' Cog serves: a small picture, or whatever `how` says.

Copied to a folder of its own and imported by Cog's worker, by name; it knows nothing of
ours. What it prints is the logs.
"""

import os
import time

from cog import BaseRunner, Input, Path  # type: ignore[import-untyped]
from PIL import Image


class Runner(BaseRunner):
    """Paints one colour, step by step."""

    def setup(self) -> None:
        """Nothing to load."""

    def run(
        self,
        prompt: str = Input(description="What to make"),
        steps: int = Input(default=4, ge=1, le=500),
        step_seconds: float = Input(default=0.02, ge=0, le=5),
        how: str = Input(default="well", choices=["well", "raise", "exit"]),
        image: Path = Input(default=None, description="What to begin with"),  # noqa: B008
        seed: int = Input(default=None),
    ) -> Path:
        """One picture. A step takes its time, as a model's does; who asks for it says how long."""
        print(f"Using seed: {seed}", flush=True)
        for step in range(1, steps + 1):
            time.sleep(step_seconds)
            share = step / steps
            bar = "#" * max(1, int(share * 10))
            print(f"{share:4.0%}|{bar:<10}| {step}/{steps} [00:01<00:00]", flush=True)
            if how == "exit":
                os._exit(9)
        if how == "raise":
            raise ValueError("the model was told to fail")
        colour = tuple(prompt.encode()[:3].ljust(3, b"\x80"))
        painted = Image.new("RGB", (64, 48), colour)
        if image is not None:
            painted.paste(Image.open(image).convert("RGB").resize((32, 24)), (16, 12))
        painted.save("out-0.png")
        self.record_metric("image_count", 1)
        return Path("out-0.png")
