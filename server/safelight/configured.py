"""What the settings configure: the providers, the backends, the places of both, and the
storage of files.

The only module that knows every provider there is. Builds and decides nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .artifacts import ArtifactStore
from .backends import Backend
from .dispatch import host_of
from .patience import MOST_OPEN_SECONDS, Rules
from .providers.base import Provider
from .providers.comfyui import BadWorkflow, Comfy, ComfyBackend, Timings, Workflows, kept_in
from .providers.local import Local
from .providers.scripted import Scripted
from .registry import BadCatalog
from .registry import workflows as workflows_of_models
from .settings import ProviderSettings, Settings, SettingsError, check_backends, type_of
from .storage import Storage
from .storage.disk import Disk
from .storage.s3 import S3, Access

SDKS = {"gemini": "google-genai"}
"""Where a provider's SDK is not named like it."""


def backends_of(settings: Settings, timings: Timings | None = None) -> dict[str, Backend]:
    """The backends that the settings name, with other waits than usual where `timings` are
    given. Raises SettingsError for two at one address, and for a workflow or a file of models
    that cannot be."""
    check_backends(settings)
    if not settings.backends and settings.workflows_dir is None:
        return {}
    try:
        names = workflows_of_models(settings.models_file)
        workflows = Workflows.load(settings.workflows_dir, names)
    except (BadCatalog, BadWorkflow) as trouble:
        raise SettingsError(str(trouble)) from None
    directory = Path(settings.data_dir)
    return {
        name: ComfyBackend(name, one, workflows, timings=timings, known_as=kept_in(directory, name))
        for name, one in settings.backends.items()
    }


def providers_of(settings: Settings, backends: Mapping[str, Backend]) -> dict[str, Provider]:
    """The providers that the settings configure; one that runs things on backends is there
    if it has any. Raises SettingsError for one whose SDK is not installed."""
    providers: dict[str, Provider] = {
        "local": Local(settings.local_concurrency, settings.local_pace_seconds)
    }
    if settings.scripted:
        providers["scripted"] = Scripted()
    comfy = {name: one for name, one in backends.items() if isinstance(one, ComfyBackend)}
    if comfy:
        providers[Comfy.name] = Comfy(comfy)
    for name, one in settings.providers.items():
        providers[name] = _provider(name, one, settings)
    return providers


def _provider(name: str, one: ProviderSettings, settings: Settings) -> Provider:
    """A provider that is asked over the network. What it needs to be installed is imported
    only here: a server without it does without it."""
    type_ = type_of(name, one)
    try:
        match type_:
            case "anthropic":
                from .providers.anthropic import Anthropic

                return Anthropic(one, name=name)
            case "gemini":
                from .providers.gemini import Gemini

                return Gemini(one, name=name)
            case "openai":
                from .providers.openai import OpenAI

                return OpenAI(one, name=name)
            case "replicate":
                from .providers.replicate import Replicate

                return Replicate(one, name=name, public_url=settings.public_url)
            case "superduperai":
                from .providers.superduperai import SuperDuperAI

                return SuperDuperAI(one, name=name)
            case _:
                raise SettingsError(f"providers.{name}: there is no provider of type {type_}")
    except ModuleNotFoundError as missing:
        raise SettingsError(
            f"providers.{name}: {missing.name} is not installed;"
            f" pip install {SDKS.get(type_, type_)} brings it"
        ) from None


def places_of(settings: Settings) -> dict[str, int]:
    """How many tasks may run at once, by host."""
    places = {host_of(one.type, name): one.concurrency for name, one in settings.backends.items()}
    places |= {name: one.concurrency for name, one in settings.providers.items()}
    return {"local": settings.local_concurrency} | places


def patience_of(settings: Settings) -> Rules:
    """When a breaker opens, and how long an attempt may take."""
    return Rules(
        faults=settings.breaker_faults,
        open_seconds=settings.breaker_seconds,
        most_seconds=max(settings.breaker_seconds, MOST_OPEN_SECONDS),
        factor=settings.deadline_factor,
        floor_seconds=settings.deadline_floor_seconds,
        attempt_seconds=settings.attempt_timeout_seconds,
    )


def artifacts_of(settings: Settings) -> ArtifactStore:
    """The files of this server. What is being written lies on our disk, whatever they are
    kept in."""
    root = Path(settings.data_dir) / "artifacts"
    return ArtifactStore(
        root,
        settings.max_artifact_bytes,
        storage=_storage(settings, root),
        quality=settings.thumbnail_quality,
    )


def _storage(settings: Settings, root: Path) -> Storage:
    if settings.storage == "disk" or settings.s3_url is None:
        return Disk(root)
    access = Access(
        url=settings.s3_url,
        region=settings.s3_region,
        endpoint=settings.s3_endpoint,
        key_id=settings.s3_key_id,
        secret=settings.s3_secret,
    )
    return S3(access, root / "cache")
