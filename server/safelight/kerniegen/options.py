"""How a KernieGen is started: address, folders, version, pace, faults.

Two releases of the real one are known, since clients meet both; what differs between them
is asked of `modern` at the places where it differs.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Literal

import msgspec

VERSIONS = {"0.33": "0.33.0", "0.3.64": "0.3.64"}
"""What `--version` takes, and the release that it stands for."""

CHECKPOINTS = ("kerniegen-v1.safetensors", "kerniegen-portrait.safetensors")
LORAS = ("kerniegen-grain.safetensors", "kerniegen-warm.safetensors")
UPSCALERS = ("kerniegen-2x.pth", "kerniegen-4x.pth")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`data_dir` holds the folders input, output and temp. `step_seconds` is the least time
    a sampling step takes. `client_id_bug` keeps the fault that both known releases have:
    the older of two sockets with one client id deafens the newer when it closes.
    `log` is a file that gets one JSON line per request and per run."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8189
    step_seconds: float = 0.05
    previews: Literal["auto", "none"] = "auto"
    version: str = "0.33"
    faults: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = CHECKPOINTS
    loras: tuple[str, ...] = LORAS
    upscalers: tuple[str, ...] = UPSCALERS
    client_id_bug: bool = True
    log: Path | None = None

    @property
    def release(self) -> str:
        """The full version that is told to clients."""
        return VERSIONS[self.version]

    @property
    def modern(self) -> bool:
        """Whether it behaves as the newer of the two releases."""
        return self.version == "0.33"


def is_canonical(prompt_id: object) -> bool:
    """Whether this is a UUID in lower case with hyphens."""
    try:
        return isinstance(prompt_id, str) and str(uuid.UUID(prompt_id)) == prompt_id
    except ValueError:
        return False
