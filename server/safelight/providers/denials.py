"""What an answer that is no success says of us, where no run begins or ends by it.

A create that is refused has an outcome, which carries it; a greeting, a check and a look at
what runs have none. Decides nothing and asks nobody.
"""

from __future__ import annotations

import msgspec

from safelight_protocol.codes import Refused

from .base import Never
from .greeting import Away, Denied, Heard
from .http import Fault, refusal_of

STRANGE = Away("its answer is none that such a server gives, is it the right address?")


def unable(fault: Fault, provider: str, heard: Heard) -> Refused:
    """Why a request cannot be held against what its provider takes: to be raised. What is said
    of our key is heard."""
    refusal = overheard(fault, provider, heard)
    if refusal is not None:
        return Refused("provider_refused", f"{refusal.message}.")
    return Refused("provider_unreachable", f"{provider} cannot be asked now: {fault.why}.")


def overheard(fault: Fault, provider: str, heard: Heard) -> Never | None:
    """Have it heard if an answer, which is none to a create, says something of our key or our
    credit; what a create would come to by it."""
    refusal = refusal_of(fault, provider)
    if not isinstance(refusal, Never) or refusal.denied is None:
        return None
    heard(refusal.denied)
    return refusal


def greeted(fault: Fault, refusal: object) -> Denied | Away:
    """What a greeting comes to that was not answered as one, by what a create would come to.
    Who may not even greet has a key that is no use."""
    said = refusal.denied if isinstance(refusal, Never) else None
    if said is not None:
        return msgspec.structs.replace(said, about="key") if said.about == "rights" else said
    if fault.status is not None and (fault.status < 400 or fault.status in (404, 405)):
        return Away(f"{fault.why}, is it the right address?")
    return Away(fault.why)
