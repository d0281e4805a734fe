"""The components of this server: the wire's own, and the types that live in its modules.

Owns which component belongs to which published file. Everything else about schemas
is in `safelight_protocol.schema`.
"""

from __future__ import annotations

import functools

import msgspec

from safelight_protocol.quotes import Quote
from safelight_protocol.schema import Components, Schema, closure, located, swift, typescript, wire

from ..accounts import Usage
from ..edges.backends import BackendShown
from ..edges.providers import ProviderShown
from ..edges.told import Status
from ..registry import DIALECT, Model, Offer
from ..registry.params import Param
from ..shelf import Filed
from ..subscriptions import PreviewHeader
from ..uploads import Uploaded
from ..webhooks import DeliveryPage, SecretShown


class ModelsData(msgspec.Struct):
    """Every model, in the order in which they would be defaults."""

    models: list[Model]


class OffersData(msgspec.Struct):
    """The text models that may be named here, the default first."""

    models: list[Offer]


class BackendsData(msgspec.Struct):
    """The named backends, in the order of the settings."""

    backends: list[BackendShown]


class ProvidersData(msgspec.Struct):
    """The providers that are asked over the network, in the order of the settings."""

    providers: list[ProviderShown]


class ImagesData(msgspec.Struct):
    """A page of images, newest first, and the `before` of the next one."""

    images: list[Filed]
    next: str | None


class VideosData(msgspec.Struct):
    """A page of videos, newest first, and the `before` of the next one."""

    videos: list[Filed]
    next: str | None


class DeliveryMoved(msgspec.Struct):
    """A notice that was moved."""

    id: str


class UploadGone(msgspec.Struct):
    """An upload that was deleted."""

    id: str


EVENTS = ("TaskEvent", "Snapshot")
REST = (
    "CreateTask",
    "AppCreateTask",
    "CreateTasks",
    "GenerateText",
    "CreatedData",
    "BatchData",
    "TextData",
    "TaskData",
    "TaskListData",
    "EventsData",
    "GapData",
    "DeletedData",
    "ModelsData",
    "OffersData",
    "Param",
    "Quote",
    "Usage",
    "BackendsData",
    "Backend",
    "ProvidersData",
    "Provider",
    "Preferences",
    "PreferencesChange",
    "Uploaded",
    "UploadGone",
    "DeliveryPage",
    "DeliveryMoved",
    "WebhookSecret",
    "Filed",
    "ImagesData",
    "VideosData",
    "RunModel",
    "HealthData",
    "ReadyData",
    "Problem",
    "AppProblem",
)
SOCKET = (
    "TaskEvent",
    "JoinTaskPayload",
    "JoinTaskReply",
    "JoinGalleryPayload",
    "JoinGalleryReply",
    "ListPayload",
    "ListReply",
    "GeneratePayload",
    "GenerateReply",
    "StatusPush",
    "GalleryTask",
    "GalleryDeletion",
    "Preferences",
    "PreviewHeader",
    "PreviewReady",
    "Accepted",
    "TextResponse",
    "Refusal",
    "SocketError",
)
IN_SWIFT = (
    "TaskEvent",
    "CreateTask",
    "CreatedData",
    "TaskData",
    "TaskListData",
    "EventsData",
    "DeletedData",
    "ModelsData",
    "Quote",
    "Usage",
    "BackendsData",
    "Backend",
    "ProvidersData",
    "Provider",
    "Preferences",
    "PreferencesChange",
    "Problem",
    "JoinTaskPayload",
    "JoinTaskReply",
    "JoinGalleryPayload",
    "JoinGalleryReply",
    "ListPayload",
    "ListReply",
    "StatusPush",
    "GalleryTask",
    "GalleryDeletion",
    "PreviewHeader",
    "PreviewReady",
    "SocketError",
)
BUILT_BY_APPS = frozenset(
    (
        "CreateTask",
        "Input",
        "JoinTaskPayload",
        "JoinGalleryPayload",
        "ListPayload",
        "PreferencesChange",
    )
)


@functools.cache
def components() -> Components:
    """Every component by name."""
    made = wire(
        {
            "StatusPush": Status,
            "PreviewHeader": PreviewHeader,
            "ModelsData": ModelsData,
            "OffersData": OffersData,
            "Param": Param,
            "Quote": Quote,
            "Usage": Usage,
            "BackendsData": BackendsData,
            "Backend": BackendShown,
            "ProvidersData": ProvidersData,
            "Provider": ProviderShown,
            "Uploaded": Uploaded,
            "UploadGone": UploadGone,
            "DeliveryPage": DeliveryPage,
            "DeliveryMoved": DeliveryMoved,
            "WebhookSecret": SecretShown,
            "Filed": Filed,
            "ImagesData": ImagesData,
            "VideosData": VideosData,
        }
    )
    made["RunModel"] = _run_model(made["CreateTask"])
    made["StatusPush"]["properties"]["status"] = {"$ref": "TaskStatus"}
    made["Backend"]["properties"]["url"] = {
        "type": "string",
        "description": "Its address, without credentials.",
    }
    params = made["Model"]["properties"]["params"]
    params["description"] = "Each parameter as a fragment of JSON Schema."
    params["additionalProperties"] = {"$ref": "Param"}
    return made


def _run_model(create: Schema) -> Schema:
    """The native body, whose kind is known by where it is sent."""
    required = [name for name in create["required"] if name != "kind"]
    return create | {
        "description": "The native body of a create, without its kind.",
        "required": required,
    }


def document(title: str, roots: tuple[str, ...], *, union: bool) -> str:
    """A JSON Schema file with these components and those they need.

    With `union` the document itself is the first of them; else it validates nothing
    and is only a place for its definitions.
    """
    found = closure(components(), roots)
    head = {"$schema": DIALECT, "title": title}
    body = {"$ref": roots[0]} if union else {}
    return as_json(head | located(body, "#/$defs/") | {"$defs": located(found, "#/$defs/")})


def declarations() -> str:
    """The TypeScript file."""
    return typescript(closure(components(), (*EVENTS, *REST, *SOCKET)), "EventEnvelope")


def swift_components() -> Components:
    """What the Swift file has. Where a field takes several forms an app needs only the
    native one."""
    made = dict(components())
    payload = made["JoinTaskPayload"]
    native = {"after": {"type": "string"}, "create": {"$ref": "CreateTask"}}
    described = {
        name: {"description": payload["properties"][name]["description"]} | form
        for name, form in native.items()
    }
    made["JoinTaskPayload"] = payload | {"properties": payload["properties"] | described}
    return closure(made, IN_SWIFT)


def swift_file() -> str:
    """The Swift file."""
    return swift(swift_components(), BUILT_BY_APPS)


def as_json(value: object) -> str:
    """A document as its file has it: indented by two, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
