"""The Safelight wire: pure types and state machines, without I/O, clock or chance.

These are the public names; the modules behind them may move. The client's end of the
socket is not among them, so that nothing on the server's side meets it by accident:
import `safelight_protocol.client`. The wire is written down in docs/wire.md.
"""

from __future__ import annotations

from .codes import CODES, Code, Refused
from .commands import (
    Cancel,
    Create,
    JoinGallery,
    JoinTask,
    read_app,
    read_generate,
    read_join_gallery,
    read_join_task,
    read_native,
)
from .cursor import Cursor, Reader, Verdict, read_cursor
from .events import (
    TERMINAL,
    Artifact,
    Charge,
    ErrorData,
    Eta,
    Event,
    Kind,
    ResultData,
    Status,
    TaskEvent,
    decode_event,
    encode_event,
)
from .frames import V1, V2, BinaryFrame, Frame, FrameError, Serializer, serializer_for
from .identity import Comparison, Difference, Found, Reuse, compare, decide, fingerprint
from .lifecycle import TABLE, Effect, Row, Step, WrongInput, born, step, verdict
from .session import Session
from .snapshot import Snapshot, fold, opening
from .task import Asked, Input, Resolved, State, Task
from .topics import ConversationTopic, GalleryTopic, RealtimeTopic, TaskTopic, Topic, parse, spell

__all__ = [
    "CODES",
    "TABLE",
    "TERMINAL",
    "V1",
    "V2",
    "Artifact",
    "Asked",
    "BinaryFrame",
    "Cancel",
    "Charge",
    "Code",
    "Comparison",
    "ConversationTopic",
    "Create",
    "Cursor",
    "Difference",
    "Effect",
    "ErrorData",
    "Eta",
    "Event",
    "Found",
    "Frame",
    "FrameError",
    "GalleryTopic",
    "Input",
    "JoinGallery",
    "JoinTask",
    "Kind",
    "Reader",
    "RealtimeTopic",
    "Refused",
    "Resolved",
    "ResultData",
    "Reuse",
    "Row",
    "Serializer",
    "Session",
    "Snapshot",
    "State",
    "Status",
    "Step",
    "Task",
    "TaskEvent",
    "TaskTopic",
    "Topic",
    "Verdict",
    "WrongInput",
    "born",
    "compare",
    "decide",
    "decode_event",
    "encode_event",
    "fingerprint",
    "fold",
    "opening",
    "parse",
    "read_app",
    "read_cursor",
    "read_generate",
    "read_join_gallery",
    "read_join_task",
    "read_native",
    "serializer_for",
    "spell",
    "step",
    "verdict",
]
