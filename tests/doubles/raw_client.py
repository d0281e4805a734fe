"""A client that writes its frames by hand, against one session.

Refs and join_refs are whatever a test says, so that it can be stale, loose or wrong in
every way. What is written comes back as lists, which compare by meaning.
"""

from __future__ import annotations

import json
from typing import Any

from safelight_protocol.effects import Command, Data, Effect, Join, Send
from safelight_protocol.frames import V2
from safelight_protocol.session import Session

A, B = "task:a", "task:b"
OK = {"response": {}, "status": "ok"}


def session(**more: Any) -> Session:
    """A V2 session that began at 100 s."""
    return Session(V2(), now=100.0, **more)


def sent(join_ref: Any, ref: Any, topic: str, event: str, payload: Any = None) -> str:
    """A client's frame."""
    return json.dumps([join_ref, ref, topic, event, {} if payload is None else payload])


def give(to: Session, *frame: Any, now: float = 101.0) -> list[Any]:
    """What one frame asks for, with data read back into lists."""
    return read(to.receive(sent(*frame), now))


def read(effects: list[Effect]) -> list[Any]:
    """Effects with what they send as a list, so that they compare by meaning."""
    return [json.loads(e.data) if isinstance(e, Send) else e for e in effects]


def frames(data: list[Data]) -> list[Any]:
    """What was written."""
    return [json.loads(text) for text in data]


def join(to: Session, topic: str = A, join_ref: Any = "6", ref: Any = "60") -> Join:
    """A join that is pending. `join_ref` and `ref` differ, to tell them apart."""
    effect = give(to, join_ref, ref, topic, "phx_join")[-1]
    assert isinstance(effect, Join)
    return effect


def joined(topic: str = A, join_ref: Any = "6", **more: Any) -> Session:
    """A session with one channel."""
    to = session(**more)
    to.accept(join(to, topic, join_ref), b"{}")
    return to


def push(to: Session, join_ref: Any = "6", ref: Any = "7") -> Command:
    """A command that was taken."""
    effect = give(to, join_ref, ref, A, "ping", {"x": 1})[0]
    assert isinstance(effect, Command)
    return effect


def error_of(frame: Any) -> tuple[Any, Any, str, str, str]:
    """The parts of an error reply that the protocol settles, and our code."""
    join_ref, ref, topic, event, payload = frame
    assert (event, payload["status"]) == ("phx_reply", "error")
    response = payload["response"]
    assert set(response) == {"reason", "code", "message", "details"}
    return join_ref, ref, topic, response["reason"], response["code"]
