"""The parts of a server, built out of the settings and wired to each other.

Nothing here decides anything, and nothing runs: app.py opens, starts and stops.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio.abc
import msgspec

from .admission import Admission
from .artifacts import ArtifactStore
from .backends import Directory
from .callbacks import Deliver, callbacks_of
from .checks import Checks
from .configured import patience_of, places_of
from .dispatch import Dispatcher
from .drawings import Drawings
from .fetches import Fetches, Tries
from .fetching import Fetcher
from .greetings import Receptions
from .ids import uuid7
from .log import Log
from .machine import Machine
from .orchestrator import Orchestrator
from .patience import Patience
from .preferences import Preferences
from .production import Production
from .providers.base import Provider
from .pulse import Pulse
from .purse import Purse
from .reckoning import Reckoning
from .registry import Places, Registry
from .retention import Retention, Rules
from .retry import Dice, RetryPolicy
from .settings import Settings
from .store import Store
from .subscriptions import Subscriptions, tasks_of
from .webhooks import Notices, Outbox, Poster, Secrets, Sender


class Parts(msgspec.Struct, frozen=True):
    """The parts that need nothing but the store, the settings and each other."""

    settings: Settings
    machine: Machine
    store: Store
    artifacts: ArtifactStore
    backends: Directory
    receptions: Receptions
    checks: Checks
    callbacks: Mapping[str, Deliver]
    preferences: Preferences
    purse: Purse
    log: Log
    subscriptions: Subscriptions
    registry: Registry
    dispatcher: Dispatcher
    patience: Patience
    production: Production
    drawings: Drawings
    policy: RetryPolicy
    pulse: Pulse
    sender: Sender
    outbox: Outbox


def parts_of(
    settings: Settings,
    machine: Machine,
    store: Store,
    artifacts: ArtifactStore,
    fetcher: Fetcher,
    poster: Poster,
    subscriptions: Subscriptions,
    backends: Directory,
    receptions: Receptions,
    providers: Mapping[str, Provider],
) -> Parts:
    """Built of what needs to be opened and closed."""

    def tell(owner: str) -> None:
        subscriptions.wake(tasks_of(owner))

    policy = _policy(settings)
    fetches = Fetches(store, fetcher, _tries(settings, machine, policy), machine.clock)
    secrets = Secrets(store, machine.clock, machine.token)
    sender = Sender(store, poster, secrets, machine)
    registry = _registry(settings, machine, backends, providers)
    dispatcher = Dispatcher(places_of(settings), weights=settings.weights, limits=registry.limits())
    return Parts(
        settings=settings,
        machine=machine,
        store=store,
        artifacts=artifacts,
        backends=backends,
        receptions=receptions,
        checks=Checks(providers, settings.backend_check_seconds),
        callbacks=callbacks_of(providers),
        preferences=Preferences(store, backends, tell),
        purse=Purse(settings.budget_per_day, settings.budgets, machine.clock),
        log=Log(store, settings.tail_events),
        subscriptions=subscriptions,
        registry=registry,
        dispatcher=dispatcher,
        patience=Patience(dispatcher, patience_of(settings), registry.equals, machine.clock),
        production=Production(
            artifacts, subscriptions, settings.public_url, fetches, png_text=settings.png_text
        ),
        drawings=Drawings(store, artifacts),
        policy=policy,
        pulse=Pulse(machine.sleep, machine.monotonic),
        sender=sender,
        outbox=Outbox(store, sender, secrets),
    )


def _policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        attempts=settings.attempts,
        losses=settings.max_losses,
        base_seconds=settings.retry_base_seconds,
        max_seconds=settings.retry_max_seconds,
    )


def _tries(settings: Settings, machine: Machine, policy: RetryPolicy) -> Tries:
    return Tries(
        most=settings.fetch_tries,
        pause=lambda tries: policy.pause(tries - 1, machine.share()),
        sleep=machine.sleep,
    )


def _registry(
    settings: Settings,
    machine: Machine,
    backends: Directory,
    providers: Mapping[str, Provider],
) -> Registry:
    return Registry.load(
        frozenset(providers),
        places=Places({one.name: one.type for one in backends}, settings.default_backend),
        own=settings.models_file,
        clock=machine.clock,
        billed=frozenset(name for name, one in providers.items() if one.billed),
    )


def orchestrator_of(
    parts: Parts, providers: Mapping[str, Provider], group: anyio.abc.TaskGroup
) -> Orchestrator:
    """Who owns the tasks; what it starts runs in the group."""
    settings = parts.settings
    return Orchestrator(
        store=parts.store,
        log=parts.log,
        subscriptions=parts.subscriptions,
        production=parts.production,
        purse=parts.purse,
        notices=Notices(parts.store.log, settings.public_url, parts.sender.news),
        admission=_admission(parts),
        providers=providers,
        backends=parts.backends,
        dispatcher=parts.dispatcher,
        patience=parts.patience,
        receptions=parts.receptions,
        policy=parts.policy,
        cancel_seconds=settings.cancel_timeout_seconds,
        task_seconds=settings.task_timeout_seconds,
        clock=parts.machine.clock,
        dice=Dice(parts.machine.share, parts.machine.seed),
        group=group,
    )


def _admission(parts: Parts) -> Admission:
    return Admission(
        store=parts.store,
        registry=parts.registry,
        artifacts=parts.artifacts,
        backends=parts.backends,
        checks=parts.checks,
        preferences=parts.preferences,
        purse=parts.purse,
        check_seconds=parts.settings.backend_check_seconds,
        queues=parts.settings.unreachable == "queue",
        outlook=parts.patience.newcomer,
        mint=lambda now: uuid7(now, parts.machine.token),
        draw_seed=parts.machine.seed,
        clock=parts.machine.clock,
        private_webhooks=parts.settings.webhook_allow_private,
    )


def retention_of(parts: Parts, orchestrator: Orchestrator) -> Retention:
    """Who lets go of what was kept long enough."""
    return Retention(
        store=parts.store,
        log=parts.log,
        artifacts=parts.artifacts,
        expire=orchestrator.expire,
        rules=Rules(
            log_seconds=parts.settings.log_retention_seconds,
            task_seconds=parts.settings.task_retention_seconds,
            artifact_seconds=parts.settings.artifact_retention_seconds,
            upload_seconds=parts.settings.upload_retention_seconds,
            delivery_seconds=parts.settings.delivery_retention_seconds,
        ),
        clock=parts.machine.clock,
        sleep=parts.machine.sleep,
        monotonic=parts.machine.monotonic,
    )


def reckoning_of(parts: Parts, providers: Mapping[str, Provider]) -> Reckoning:
    """Who asks later what was not learnt at the end."""
    machine = parts.machine
    return Reckoning(parts.store, providers, parts.purse, parts.log, machine.clock, machine.sleep)
