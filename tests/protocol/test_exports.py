"""The public names of the protocol package: a name that goes or comes is seen here."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import safelight_protocol

CODES = "CODES Code Refused"
COMMANDS = (
    "Cancel Create JoinGallery JoinTask"
    " read_app read_generate read_join_gallery read_join_task read_native"
)
CURSOR = "Cursor Reader Verdict read_cursor"
EVENTS = (
    "Artifact Charge ErrorData Eta Event Kind ResultData Status TERMINAL TaskEvent"
    " decode_event encode_event"
)
FRAMES = "BinaryFrame Frame FrameError Serializer V1 V2 serializer_for"
IDENTITY = "Comparison Difference Found Reuse compare decide fingerprint"
LIFECYCLE = "Effect Row Step TABLE WrongInput born step verdict"
TASKS = "Asked Input Resolved Session Snapshot State Task fold opening"
TOPICS = "ConversationTopic GalleryTopic RealtimeTopic TaskTopic Topic parse spell"

PUBLIC = " ".join(
    (CODES, COMMANDS, CURSOR, EVENTS, FRAMES, IDENTITY, LIFECYCLE, TASKS, TOPICS)
).split()


def test_the_public_names_are_these() -> None:
    """The package exports exactly the names listed above, each once."""
    assert sorted(safelight_protocol.__all__) == sorted(PUBLIC)


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be imported."""
    assert [name for name in PUBLIC if not hasattr(safelight_protocol, name)] == []


def test_nothing_else_looks_public() -> None:
    """Beside its modules the package has no name without a leading underscore."""
    found = {
        name
        for name, value in vars(safelight_protocol).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert found - set(PUBLIC) == {"annotations"}


def test_the_clients_end_is_not_met_by_accident() -> None:
    """Importing the package loads neither the client's end nor the schema writers."""
    loaded = "import safelight_protocol, sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    modules = set(result.stdout.split())
    assert {"safelight_protocol", "safelight_protocol.session"} <= modules
    assert not {"safelight_protocol.client", "safelight_protocol.schema"} & modules
