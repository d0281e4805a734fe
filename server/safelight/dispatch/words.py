"""Why a task waits, as a plain sentence. Numbers are exact while they are small, and coarse
above, so that a long line does not tell everybody something new at every step."""

from __future__ import annotations

from .host import Before, Host

EXACT = 9
"""Up to this a number is told as it is."""


def coarse(count: int) -> str:
    """A number for people: exact if it is small, else how much it is more than, in steps of
    1, 2 and 5."""
    if count <= EXACT:
        return str(count)
    step = 10
    while True:
        for least in (step, 2 * step, 5 * step):
            following = least * 2 if least != 2 * step else 5 * step
            if count < following:
                return f"{least} or more"
        step *= 10


def sentence(host: Host, model: str, before: Before) -> str:
    """Why a task waits before which that much has its turn."""
    own, owners, tasks, _ = before
    if host.held is not None:
        return host.held
    lane = host.lanes.get(model)
    if lane is not None and lane.held is not None:
        return lane.held
    limit = None if lane is None else lane.places
    if lane is not None and limit is not None and lane.busy + min(own + tasks, lane.ready) >= limit:
        if lane.trial is not None:
            why = f"{model} on {host.label} is tried again with one task"
        else:
            why = f"model {model} is busy ({lane.busy} of {limit} places)"
    elif host.busy + own + tasks < host.places:
        return f"{host.label} has a free place"
    else:
        why = f"{host.label} is busy ({host.busy} of {host.places} places)"
    if own:
        why += f", behind {coarse(own)} of yours"
    if owners:
        why += f", {coarse(owners)} {'owner' if owners == 1 else 'owners'} before you"
    return why
