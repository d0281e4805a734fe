"""Figures that pages print in prose are the code's: providers, money, patience, stopping.

Each row is a phrase of a page, what decides it in the code, and what the phrase says: whoever
changes the one meets the other. Those of docs/wire.md are in test_docs.py, those on pauses
and places of webhooks in tests/server/webhooks/test_promises.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safelight import doors, doubt, patience, reckoning, recovery, retention, retry, runner, waits
from safelight.dispatch import words
from safelight.edges import guests
from safelight.emulators import speech
from safelight.emulators.openai import desk, ordered
from safelight.emulators.openai import responses as kept
from safelight.emulators.replicate import hooks as calls
from safelight.emulators.replicate import models, store
from safelight.patience import eta, history
from safelight.patience import patience as patiently
from safelight.providers.anthropic import asking as anthropic
from safelight.providers.comfyui import pace as comfyui
from safelight.providers.gemini import asking as gemini
from safelight.providers.openai import chat, following, images, params, sizes
from safelight.providers.openai import client as openai
from safelight.providers.replicate import fitting, provider, standard
from safelight.providers.replicate import pace as replicate
from safelight.providers.superduperai import client as superduperai
from safelight.providers.superduperai import following as watched
from safelight.providers.superduperai import offers
from safelight.providers.superduperai import pace as seldom
from safelight.settings import Settings
from safelight.store import checkpoints
from safelight.webhooks import secrets
from safelight_protocol import hooks, quotes
from tests.faults import test_backend_faults, test_superduperai_chaos
from tests.simulation import test_planted, test_schedules

ROOT = Path(__file__).parents[2]
MINUTE, HOUR, DAY = 60, 3600, 86_400

OURS = Settings()
REPLICATE = replicate.Timings()
OPENAI = openai.Timings()
SUPERDUPERAI = seldom.Timings()
PATIENT = patiently.Rules()

FIGURES: dict[str, list[tuple[str, Any, Any]]] = {
    "docs/money.md": [
        ("and 1,024 around them", quotes.MARGIN, 1024),
        ("up to six hours", reckoning.LONGEST_SECONDS, 6 * HOUR),
        ("for seven days", reckoning.GIVE_UP_SECONDS, 7 * DAY),
        ("After seven days", "7 days" in reckoning.TOO_LONG, True),
    ],
    "docs/guarantees.md": [
        ("asked for seven days", reckoning.GIVE_UP_SECONDS, 7 * DAY),
        ("gets a minute more than its deadline", runner.RESUME_SECONDS, MINUTE),
        ("asked twice, 1.5 s apart", comfyui.Timings().settle, 1.5),
        ("(sixteen faults", len(test_backend_faults.FAULTS), 16),
        ("Seven bugs planted", len(test_planted.PLANTED), 7),
        ("about 2,000 worlds", test_schedules.BLOCKS * test_schedules.MANY, 1920),
    ],
    "docs/lifecycle.md": [
        ("(six hours at most)", retry.MAX_WAIT_SECONDS, 6 * HOUR),
        ("At least three look-ups", doubt.LEAST_TRIES, 3),
        ("at least a minute, also past", runner.RESUME_SECONDS, MINUTE),
    ],
    "docs/patience.md": [
        ("at most once in five seconds", waits.TELL_SECONDS, 5),
        ("(1, 2, 5, 10, 20, 50 … seconds", eta.STEPS, (1, 2, 5)),
        ("Numbers above nine are coarse", words.EXACT, 9),
        ("the last 200 that completed", history.KEPT, 200),
        ("the last 2,000 tasks are read", recovery.LEARNT, 2000),
        ("eight attempts, or progress", history.SOME, 8),
        ("from 5 % and a second on", patiently.LEAST_PROGRESS_MS, 1000),
        ("up to a quarter of an hour", patience.MOST_OPEN_SECONDS, HOUR / 4),
        ("up to sixteen at the head", patiently.PASSED_OVER, 16),
        ("Once twenty attempts", history.ENOUGH, 20),
        ("what 98 of 100 of them took", history.NEARLY_ALL, 0.98),
        ("a fifth more than the longest", history.LATE, 0.2),
        ("A time-out doubles it", history.WIDER, 2),
    ],
    "docs/webhooks.md": [
        ("at most 20,000 bytes", hooks.MAX_NOTICE, 20_000),
        ("for a day both sign", secrets.OVERLAP_MS, DAY * 1000),
        ("`webhook_seconds` (20)", OURS.webhook_seconds, 20),
    ],
    "docs/replicate.md": [
        ("kept for an hour", REPLICATE.schema, HOUR),
        ("above 2³¹-1 where it does not say", fitting.MOST_SEED, 2**31 - 1),
        ("up to 256 kB travels", provider.INLINE, 256 * 1024),
        ("every 0.3 s", REPLICATE.poll, 0.3),
        ("up to every 5 s", REPLICATE.poll_most, 5),
        ("every 15 s", REPLICATE.hooked, 15),
        ("twice with 5 s between", REPLICATE.settle, 5),
        ("more than five minutes off", standard.MOST_SKEW, 5 * MINUTE),
        ("at most every 30 s in vain", REPLICATE.secret, 30),
    ],
    "docs/openai.md": [
        ("get five minutes at least", OPENAI.whole, 5 * MINUTE),
        ("three times in a row", following.BELIEVED, 3),
        ("16 or more", params.FIELDS["responses"]["max_tokens"].read(16), 16),
        ("with two partial ones", images.PREVIEWS, 2),
        ("`partial_images`, 0 to 3", params.FIELDS["images"]["partial_images"].read(3), 3),
        ("nearest multiple of 16", sizes.GRAIN, 16),
        ("nearest of the three sizes", len(sizes.FIXED), 3),
        ("about a megapixel", sizes.AREA, 1024 * 1024),
        ("still waits two minutes after", OPENAI.stuck, 2 * MINUTE),
        ("by its last 31 bits", chat.SEEDS, 2**31),
    ],
    "docs/text.md": [
        ("(4096 where a schema", anthropic.MOST_TOKENS, 4096),
        ("the last 31 bits of the task's", gemini.SEEDS, 2**31),
    ],
    "docs/superduperai.md": [
        ("kept for ten minutes", SUPERDUPERAI.fresh, 10 * MINUTE),
        ("three at most", offers.MOST_FILES, 3),
        ("again after 1.5 s", SUPERDUPERAI.poll, 1.5),
        ("up to every 10 s", SUPERDUPERAI.poll_most, 10),
        ("twice with five seconds between", SUPERDUPERAI.settle, 5),
        ("after three looks", watched.MOST_MISSES, 3),
        ("the newest 1,000 files", superduperai.MOST_ROWS, 1000),
        ("Twice a hundred tasks", test_superduperai_chaos.TASKS, 100),
    ],
    "docs/operations.md": [
        ("over half of `drain_seconds`", doors.SEEING_OUT, 0.5),
        ("groups of at least ten", guests.LEAST, 10),
        ("every 0.1 s", guests.STEP_SECONDS, 0.1),
        ("up to `settle_seconds` (30)", OURS.settle_seconds, 30),
        ("at most 65,536", doors.MOST_FILES, 65_536),
        ("less 64", doors.OTHER_FILES, 64),
        ("every 2,000 writes or 256 groups", checkpoints.MEMBERS, 2000),
        ("every 2,000 writes or 256 groups", checkpoints.GROUPS, 256),
        ("`log_retention_seconds` (a week)", OURS.log_retention_seconds, 7 * DAY),
        ("behind, go after an hour", retention.STRAYS_SECONDS, HOUR),
        ("made every minute", retention.EVERY_SECONDS, MINUTE),
        ("at most 500 events or", retention.EVENTS_PER_STEP, 500),
        ("or eight tasks or", retention.REMOVALS_PER_STEP, 8),
        ("or 50 files", retention.EXPIRED_PER_STEP, 50),
    ],
    "docs/emulators.md": [
        ("ten minutes ago", calls.SKEW_SECONDS, 10 * MINUTE),
        ("one run in twelve", calls.LATE_SHARE, 1 / 12),
        ("Models are ten", len(models.MODELS), 10),
        ("the hour after which outputs are gone", store.KEPT_SECONDS, HOUR),
        ("2 s by default", speech.LATE, 2),
        ("0.1 s by default", calls.LATE_SECONDS, 0.1),
        ("of a prompt of 1,024 or more", desk.CACHED_FROM, 1024),
        ("is kept for 30 days", kept.KEPT_SECONDS, 30 * DAY),
        ("272, 1056 or 4160 tokens", [*ordered.QUALITIES.values()][:3], [272, 1056, 4160]),
    ],
}
ROWS = [(page, *row) for page, rows in FIGURES.items() for row in rows]


@pytest.mark.parametrize(("page", "phrase", "found", "told"), ROWS, ids=lambda part: str(part)[:40])
def test_a_figure_in_prose_is_the_codes(page: str, phrase: str, found: Any, told: Any) -> None:
    """The page has the phrase, and the code does what it says."""
    assert phrase in " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert found == told
