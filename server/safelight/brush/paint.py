"""Painting one picture, step by step, as a print develops in a tray.

`paint` is pure: the same spec gives the same bytes with the same library
versions. The picture is rendered twice, small at once (for the previews) and full
size a few stages at a step, so that every step has something new to show and the
work is spread. NumPy and Pillow keep to one thread if the caller's environment
says so (OMP_NUM_THREADS and its like).
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from . import exposure
from .canvas import View, blank
from .composition import Composition, compose
from .finish import develop, halation, to_bytes
from .noise import Field
from .scenes import stages
from .spec import PaintSpec, Result, Step, check, message
from .stage import Paints, Stage, prepare
from .tray import Tray, preview, preview_size

SOFTWARE = "Safelight local brush"


def paint(spec: PaintSpec) -> Iterator[Step]:
    """The steps of one picture; the last one carries the PNG.

    Raises `BadSpec` or `BadInput` before the first step.
    """
    check(spec)
    photo = exposure.read(spec.image) if spec.image else None
    return _paint(spec, photo)


def _paint(spec: PaintSpec, photo: Image.Image | None) -> Iterator[Step]:
    picture = compose(spec.prompt, spec.seed, spec.negative)
    paints = prepare(picture)
    small = View(*preview_size(spec.width, spec.height))
    plate = rendered(small, paints, photo, spec.strength)
    tray = Tray(plate, spec.seed, spec.prompt)
    view = View(spec.width, spec.height)
    if small == view:
        sheet, work = plate, []
    else:
        sheet = blank(view, picture.palette.sky[0])
        work = _work(picture, photo, spec.strength, grit=1.0)
    done = 0
    for index in range(1, spec.steps + 1):
        due = len(work) * index // spec.steps
        for stage in work[done:due]:
            stage(sheet, view, paints)
        done = due
        shown = preview(tray.show(index / spec.steps))
        result = _png(sheet, spec) if index == spec.steps else None
        yield Step(index, spec.steps, message(index, spec.steps), shown, result)


def _work(
    picture: Composition, photo: Image.Image | None, strength: float, grit: float
) -> list[Stage]:
    """All stages, the finish included."""

    def both(sheet: Field, view: View, paints: Paints) -> None:
        if photo is not None:
            exposure.expose(sheet, exposure.brushed(photo, view), paints.composition, strength)

    def bleed(sheet: Field, view: View, paints: Paints) -> None:
        halation(sheet, view)

    def fix(sheet: Field, view: View, paints: Paints) -> None:
        develop(sheet, view, paints, grit)

    return [*stages(picture), both, bleed, fix]


def rendered(
    view: View, paints: Paints, photo: Image.Image | None, strength: float, grit: float = 1.0
) -> Field:
    """The whole finished picture for a view, 0 to 1, with `grit` times the usual grain."""
    sheet = blank(view, paints.composition.palette.sky[0])
    for stage in _work(paints.composition, photo, strength, grit):
        stage(sheet, view, paints)
    return sheet


def _png(sheet: Field, spec: PaintSpec) -> Result:
    notes = PngInfo()
    if spec.metadata:
        notes.add_text("prompt", spec.prompt)
        notes.add_text("seed", str(spec.seed))
        notes.add_text("Software", SOFTWARE)
    out = BytesIO()
    image = Image.fromarray(to_bytes(sheet))
    image.save(out, "PNG", pnginfo=notes, compress_level=2)
    return Result("image/png", out.getvalue(), spec.width, spec.height)
