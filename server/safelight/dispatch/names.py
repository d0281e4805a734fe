"""What has places, and what it is called: a host is a provider, or one backend of it."""

from __future__ import annotations

from safelight_protocol.task import Resolved


def host_of(provider: str, backend: str | None) -> str:
    """What has the places for a task: its backend, or its provider where there is none."""
    return provider if backend is None else f"{provider}/{backend}"


def host_for(resolved: Resolved) -> str:
    """The same of what a request was taken to mean."""
    return host_of(resolved.provider, resolved.backend)


def backend_of(host: str) -> str | None:
    """The backend that a host is; None for a provider."""
    return host.partition("/")[2] or None


def label_of(host: str) -> str:
    """A host's name in a sentence: that of the backend."""
    return host.rpartition("/")[2]
