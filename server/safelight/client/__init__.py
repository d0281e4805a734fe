"""The Python client: create a task anywhere, watch it through anything.

    async with connect("http://127.0.0.1:4747") as client:
        task = await client.create(kind="image", prompt="a medieval monk")
        async for snapshot in client.watch(task.task_id):
            print(snapshot.status, snapshot.progress)
        image = snapshot.result_data.artifacts[0]
        await client.artifact(image.url, "monk.png", image.sha256)

A watch survives lost connections and restarts of the server, applies no event twice
and ends with the task. Imports nothing of the server.
"""

from .errors import Damaged, NotOpen, RequestRefused, Unreachable, WrongAnswer
from .fold import Event, UnknownEvent
from .providers import Provider
from .tasks import Client, Model, Open, Page, Spent, Upload, Usage, connect
from .times import Times
from .watch import Watch

__all__ = [
    "Client",
    "Damaged",
    "Event",
    "Model",
    "NotOpen",
    "Open",
    "Page",
    "Provider",
    "RequestRefused",
    "Spent",
    "Times",
    "UnknownEvent",
    "Unreachable",
    "Upload",
    "Usage",
    "Watch",
    "WrongAnswer",
    "connect",
]
