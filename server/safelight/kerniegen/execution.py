"""Runs prompts, one at a time, in a thread of its own: the worker of one server.

Tells the client whose prompt it is, in the order in which the real one tells: start,
cached, nodes with their progress, the end, and only then history and `executing` without a
node. What goes wrong on request goes wrong here, at the points that faults.py names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from PIL import Image

from .faults import TIMED, Fault, OutOfMemory
from .files import Place
from .hub import Hub
from .lineup import Item, LineUp, Result
from .plan import Memory, Plan, is_link, signatures
from .progress import Progress
from .values import Graph, Interrupted, Made, NodeClass, Stopped

AT_NODES = ("fail", "oom", "hang", "stall")
ENDS_SOCKETS = ("drop-socket", "restart", "die")
OOM_TIP = (
    "This error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked "
    "before you might have accidentally set the batch_size to a large number."
)


class Settings(msgspec.Struct, frozen=True):
    """What the worker needs to know of how the server was started."""

    step_seconds: float
    previews: bool
    modern: bool


class Ends(msgspec.Struct, frozen=True):
    """How a fault ends this process; handed in by whoever started it."""

    restart: Callable[[], None]
    die: Callable[[], None]


class Worker:
    """Takes prompts until `stop`. `note` is told of each start and end."""

    def __init__(
        self,
        hub: Hub,
        line: LineUp,
        place: Place,
        catalog: Mapping[str, NodeClass],
        settings: Settings,
        ends: Ends,
        note: Callable[..., None],
    ) -> None:
        self.hub, self.line, self.place, self.catalog = hub, line, place, catalog
        self.settings, self.ends, self._note = settings, ends, note
        self.interrupted = threading.Event()
        self.stopped = threading.Event()
        self.runs: dict[str, int] = {}
        """Prompt id to how often it has been started here."""
        self._memory = Memory()
        self._free = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kerniegen", daemon=True)

    def start(self) -> None:
        """Begin to take prompts."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Take no more, break off what runs, and wait for it, though not for ever."""
        self.stopped.set()
        self.interrupted.set()
        self.line.close()
        self._thread.join(seconds)

    def free(self) -> None:
        """Forget cached results before the next prompt."""
        self._free.set()

    def interrupt(self, prompt_id: str | None) -> None:
        """Interrupt what runs; with an id only if it is that prompt."""
        running = self.line.running()
        if prompt_id is None or (running is not None and running.prompt_id == prompt_id):
            self.interrupted.set()

    def _work(self) -> None:
        while (item := self.line.take()) is not None:
            self.runs[item.prompt_id] = self.runs.get(item.prompt_id, 0) + 1
            self._note("start", prompt_id=item.prompt_id, number=item.number)
            if self._free.is_set():
                self._free.clear()
                self._memory.clear()
            try:
                result = Run(self, item, self._memory).execute()
            except Stopped:
                return
            self.line.done(item, result)
            outcome = result.messages[-1][0]
            self._note("end", prompt_id=item.prompt_id, number=item.number, outcome=outcome)
            if self.hub.client_id is not None:
                ended = {"node": None, "prompt_id": item.prompt_id}
                self.hub.send("executing", ended, self.hub.client_id)
            self.hub.client_id = None


class Run:
    """One prompt; also what its nodes may ask (`values.Context`)."""

    def __init__(self, worker: Worker, item: Item, memory: Memory) -> None:
        self._worker = worker
        self._item = item
        self._memory = memory
        self._hub = worker.hub
        self._struck: set[str] = set()
        self.graph: Graph = item.graph
        self.extra_pnginfo: dict[str, Any] = item.extra_data.get("extra_pnginfo") or {}
        self.node_id = ""
        self.place = worker.place
        self.step_seconds = worker.settings.step_seconds
        self.previews = self._shows_previews()
        self._signatures = signatures(item.graph, worker.catalog)
        throttled = worker.settings.modern
        self._progress = Progress(worker.hub, item.prompt_id, throttled)
        self._executed: list[str] = []
        self._result = Result({}, {}, [], completed=True)

    def execute(self) -> Result:
        """Run it to its end, whatever that is."""
        self._worker.interrupted.clear()
        self._hub.client_id = self._item.extra_data.get("client_id")
        self._tell("execution_start", {}, everyone=False)
        self._memory.turn_to(self._signatures)
        known = [n for n, sign in self._signatures.items() if self._memory.get(sign) is not None]
        self._tell("execution_cached", {"nodes": known}, everyone=False)
        self._at("start")
        plan = Plan(self.graph, self._item.outputs, self._worker.catalog, set(known))
        while (node_id := plan.pick()) is not None:
            if not self._node(node_id):
                self._result.completed = False
                break
            plan.finish(node_id)
        else:
            self._tell("execution_success", {}, everyone=False)
            self._at("end")
            self.rest(self._seconds("late-history", 0.0))
        self._hub.node_id = None
        return self._result

    def progress(self, value: int, most: int, preview: tuple[str, Image.Image] | None) -> None:
        """See values.Context."""
        self._break_off()
        if value:
            self.rest(self._seconds("slow", 0.0))
        self._progress.step(self.node_id, value, most, preview)
        if value * 2 >= most:
            self._at("sampling")

    def send_text(self, text: str) -> None:
        """See values.Context."""
        self._progress.text(self.node_id, text)

    def rest(self, seconds: float) -> None:
        """See values.Context."""
        if seconds > 0:
            self._worker.stopped.wait(seconds)
        if self._worker.stopped.is_set():
            raise Stopped

    def _node(self, node_id: str) -> bool:
        """Run one node; whether the prompt may go on."""
        known = self._memory.get(self._signatures[node_id])
        if known is not None:
            self._show(node_id, known, cached=True)
            self._progress.finish(node_id)
            return True
        self.node_id = self._hub.node_id = node_id
        self._progress.begin(node_id)
        if self._hub.client_id is not None:
            about = {"node": node_id, "display_node": node_id, "prompt_id": self._item.prompt_id}
            self._hub.send("executing", about, self._hub.client_id)
        inputs: dict[str, Any] = {}
        try:
            self._break_off()
            inputs = self._inputs(node_id)
            made = self._made(node_id, inputs)
        except Interrupted:
            self._tell("execution_interrupted", self._about_end(node_id), everyone=True)
            return False
        except Exception as trouble:
            about = self._about_end(node_id) | self._about_trouble(trouble, inputs)
            self._tell("execution_error", about, everyone=False)
            return False
        self._memory.keep(self._signatures[node_id], made)
        self._executed.append(node_id)
        self._show(node_id, made, cached=False)
        self._progress.finish(node_id)
        return True

    def _made(self, node_id: str, inputs: dict[str, Any]) -> Made:
        class_type = self.graph[node_id]["class_type"]
        if class_type == "KernieFault" and inputs["fault"] != "none":
            value = str(inputs["value"] or "") if inputs["fault"] in TIMED else ""
            self._strike(Fault(inputs["fault"], value))
        for fault in self._item.faults:
            if fault.name in AT_NODES and self._is_place_of(fault, node_id):
                self._strike(fault)
        return self._worker.catalog[class_type].run(self, **inputs)

    def _is_place_of(self, fault: Fault, node_id: str) -> bool:
        """Whether a fault comes at this node: the one named, or the first sampler, or an output."""
        known = self._worker.catalog[self.graph[node_id]["class_type"]]
        if fault.name in ("fail", "oom") and fault.value:
            return fault.value in (node_id, known.name)
        return known.name.startswith(("KSampler", "LabSteps")) or known.is_output

    def _strike(self, fault: Fault) -> None:
        if fault.name in ENDS_SOCKETS:
            self._hub.flush()  # so that what came before it was heard
        match fault.name:
            case "slow" | "hang":
                self.rest(fault.seconds(1.0 if fault.name == "slow" else 86_400.0))
            case "stall":
                self._hub.stall(fault.seconds(1.0))
                self.rest(fault.seconds(1.0))
            case "fail":
                raise RuntimeError("kerniegen: a failure that was asked for")
            case "oom":
                raise OutOfMemory("Allocation on device 0 would exceed allowed memory.")
            case "drop-socket":
                self._hub.cut(self._hub.client_id)
            case "restart":
                self._worker.ends.restart()
            case "die":
                self._worker.ends.die()

    def _at(self, point: str) -> None:
        """Strike what shall come at this point, once."""
        if point in self._struck:
            return
        self._struck.add(point)
        for fault in self._item.faults:
            if fault.name in ENDS_SOCKETS and fault.point == point:
                self._strike(fault)

    def _seconds(self, name: str, otherwise: float) -> float:
        return sum(f.seconds(1.0) for f in self._item.faults if f.name == name) or otherwise

    def _shows_previews(self) -> bool:
        asked = self._item.extra_data.get("preview_method")
        if self._worker.settings.modern and asked in ("none", "auto", "latent2rgb", "taesd"):
            return bool(asked != "none")
        return self._worker.settings.previews

    def _break_off(self) -> None:
        if self._worker.interrupted.is_set():
            self._worker.interrupted.clear()
            raise Interrupted

    def _inputs(self, node_id: str) -> dict[str, Any]:
        node = self.graph[node_id]
        spec = self._worker.catalog[node["class_type"]].inputs()
        names = {*spec.get("required", {}), *spec.get("optional", {})}
        inputs: dict[str, Any] = {}
        for name, value in node["inputs"].items():
            if name in names:
                inputs[name] = self._behind(value) if is_link(value) else value
        return inputs

    def _behind(self, link: list[Any]) -> Any:
        made = self._memory.get(self._signatures[link[0]])
        assert made is not None, "a node runs after those it waits for"
        return made.values[link[1]]

    def _show(self, node_id: str, made: Made, cached: bool) -> None:
        if made.ui is None and not cached:
            return
        if made.ui is not None:
            self._result.outputs[node_id] = made.ui
            self._result.meta[node_id] = {
                "node_id": node_id,
                "display_node": node_id,
                "parent_node": None,
                "real_node_id": node_id,
            }
        if self._hub.client_id is not None:
            about = {"node": node_id, "display_node": node_id, "output": made.ui}
            about["prompt_id"] = self._item.prompt_id
            self._hub.send("executed", about, self._hub.client_id)

    def _tell(self, kind: str, data: dict[str, Any], everyone: bool) -> None:
        data = {**data, "prompt_id": self._item.prompt_id, "timestamp": int(time.time() * 1000)}
        self._result.messages.append((kind, data))
        if self._hub.client_id is not None or everyone:
            self._hub.send(kind, data, self._hub.client_id)

    def _about_end(self, node_id: str) -> dict[str, Any]:
        node_type = self.graph[node_id]["class_type"]
        return {"node_id": node_id, "node_type": node_type, "executed": list(self._executed)}

    def _about_trouble(self, trouble: Exception, inputs: dict[str, Any]) -> dict[str, Any]:
        lacking = isinstance(trouble, OutOfMemory)
        return {
            "exception_message": f"{trouble}\n{OOM_TIP if lacking else ''}",
            "exception_type": OutOfMemory.kind if lacking else type(trouble).__name__,
            "traceback": ['  File "kerniegen/execution.py", in execute\n'],
            "current_inputs": {name: [_shown(value)] for name, value in inputs.items()},
            "current_outputs": list(self.graph),
        }


def _shown(value: Any) -> Any:
    """An input as an error discloses it."""
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)[:200]
