"""Writes docs/frames.json anew: `python -m tests.e2e.record_frames`.

Then `safelight schema` puts the frames into docs/wire.md.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec

from tests.doubles.served import served
from tests.e2e.recorder import Scene
from tests.e2e.scenes import play

FILE = Path(__file__).parents[2] / "docs" / "frames.json"


async def record(directory: Path) -> list[Scene]:
    """Play every scene on a fresh server."""
    async with served(directory, png_text=False) as house:
        return await play(house)


def main() -> None:
    """Record and write."""
    with tempfile.TemporaryDirectory() as directory:
        scenes = asyncio.run(record(Path(directory) / "data"))
    text = msgspec.json.format(msgspec.json.encode(scenes), indent=2)
    FILE.write_bytes(text + b"\n")
    print(f"{len(scenes)} scenes in {FILE.name}")


if __name__ == "__main__":
    main()
