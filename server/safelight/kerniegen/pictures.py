"""Classes that take pictures in and give them out: load, scale, save, show, animate, tell.

Saved PNGs carry the graph and the workflow in their text, as the real one writes them,
unless the server is asked not to.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .files import Outside, Place
from .movies import mjpeg_mp4
from .painting import png
from .values import Context, Images, Made, NodeClass, Spec

RESAMPLING = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
EFFORT = {"default": 4, "fastest": 0, "slowest": 6}
SIDE = {"default": 512, "min": 0, "max": 16384, "step": 1}
PREFIX = ("STRING", {"default": "ComfyUI"})
FPS = ("FLOAT", {"default": 6.0, "min": 0.01, "max": 1000.0, "step": 0.01})
HIDDEN = {"prompt": ("PROMPT",), "extra_pnginfo": ("EXTRA_PNGINFO",)}


def sources(place: Place) -> list[NodeClass]:
    """Classes that make or change pictures."""
    return [
        NodeClass(
            name="LoadImage",
            display="Load Image",
            category="image",
            inputs=lambda: {"required": {"image": (place.inputs(), {"image_upload": True})}},
            outputs=("IMAGE", "MASK"),
            run=_load,
            check=lambda image: _loadable(place, image),
            checked=("image",),
            changed=lambda image: _digest(place, image),
        ),
        NodeClass(
            name="EmptyImage",
            display="EmptyImage",
            category="image",
            inputs=_empty_inputs,
            outputs=("IMAGE",),
            run=_empty,
        ),
        NodeClass(
            name="ImageScale",
            display="Upscale Image",
            category="image/upscaling",
            inputs=_scale_inputs,
            outputs=("IMAGE",),
            run=_scale,
        ),
    ]


def sinks() -> list[NodeClass]:
    """Classes that show what was made."""

    def sink(name: str, run: Any, more: dict[str, Any] | None = None, **other: Any) -> NodeClass:
        inputs: Spec = {"required": {"images": ("IMAGE", {}), **(more or {})}, "hidden": HIDDEN}
        return NodeClass(
            name=name, category="image", inputs=lambda: inputs, run=run, is_output=True, **other
        )

    lossless = ("BOOLEAN", {"default": True})
    quality = ("INT", {"default": 80, "min": 0, "max": 100})
    method: tuple[Any, ...] = (list(EFFORT), {})
    level = ("INT", {"default": 4, "min": 0, "max": 9})
    fps, prefix = {"fps": FPS}, {"filename_prefix": PREFIX}
    webp = prefix | fps | {"lossless": lossless, "quality": quality, "method": method}
    return [
        sink("SaveImage", _save, prefix, display="Save Image"),
        sink("PreviewImage", _preview, display="Preview Image"),
        sink("SaveImageWebsocket", _over_socket, changed=lambda **_: time.time()),
        sink("SaveAnimatedWEBP", _animated_webp, webp),
        sink("SaveAnimatedPNG", _animated_png, prefix | fps | {"compress_level": level}),
        sink("SaveMJPEGVideo", _video, prefix | fps, module="custom_nodes.kerniegen"),
        NodeClass(
            name="PreviewAny",
            display="Preview as Text",
            category="utils",
            inputs=lambda: {"required": {"source": ("*", {})}},
            run=_tell,
            is_output=True,
        ),
    ]


def upscaling(models: tuple[str, ...]) -> list[NodeClass]:
    """The two classes that enlarge by a model; its factor is in its name."""
    return [
        NodeClass(
            name="UpscaleModelLoader",
            display="Load Upscale Model",
            category="loaders",
            inputs=lambda: {"required": {"model_name": ("COMBO", {"options": list(models)})}},
            outputs=("UPSCALE_MODEL",),
            run=lambda run, model_name: Made((model_name,)),
        ),
        NodeClass(
            name="ImageUpscaleWithModel",
            display="Upscale Image (using Model)",
            category="image/upscaling",
            inputs=lambda: {
                "required": {"upscale_model": ("UPSCALE_MODEL", {}), "image": ("IMAGE", {})}
            },
            outputs=("IMAGE",),
            run=_upscale,
        ),
    ]


def _empty_inputs() -> Spec:
    side = {"default": 512, "min": 1, "max": 16384, "step": 1}
    count = {"default": 1, "min": 1, "max": 4096}
    color = {"default": 0, "min": 0, "max": 0xFFFFFF, "step": 1, "display": "color"}
    return {
        "required": {
            "width": ("INT", side),
            "height": ("INT", side),
            "batch_size": ("INT", count),
            "color": ("INT", color),
        }
    }


def _scale_inputs() -> Spec:
    return {
        "required": {
            "image": ("IMAGE", {}),
            "upscale_method": (list(RESAMPLING), {}),
            "width": ("INT", SIDE),
            "height": ("INT", SIDE),
            "crop": (["disabled", "center"], {}),
        }
    }


def _loadable(place: Place, image: Any) -> bool | str:
    try:
        found = isinstance(image, str) and place.annotated(image).is_file()
    except (Outside, ValueError):
        found = False
    return found or f"Invalid image file: {image}"


def _digest(place: Place, image: str) -> str:
    return hashlib.sha256(place.annotated(image).read_bytes()).hexdigest()


def _load(run: Context, image: str) -> Made:
    with Image.open(run.place.annotated(image)) as opened:
        opened.load()
        alpha = opened.getchannel("A") if "A" in opened.getbands() else None
        mask = alpha or Image.new("L", (64, 64), 0)
        return Made(([opened.convert("RGB")], [mask]))


def _empty(run: Context, width: int, height: int, batch_size: int, color: int) -> Made:
    rgb = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return Made(([Image.new("RGB", (width, height), rgb)] * batch_size,))


def _scale(
    run: Context, image: Images, upscale_method: str, width: int, height: int, crop: str
) -> Made:
    wide, high = image[0].size
    width = width or max(1, round(wide * height / high)) if height or width else wide
    height = height or max(1, round(high * width / wide))
    how = RESAMPLING[upscale_method]
    return Made(([each.resize((width, height), how) for each in image],))


def _upscale(run: Context, upscale_model: str, image: Images) -> Made:
    factor = 4 if "4x" in upscale_model else 2
    made = []
    for number, each in enumerate(image, 1):
        made.append(each.resize((each.width * factor, each.height * factor)))
        run.progress(number, len(image), None)
    return Made((made,))


def _notes(run: Context) -> PngInfo:
    info = PngInfo()
    info.add_text("prompt", json.dumps(run.graph))
    for key, value in run.extra_pnginfo.items():
        info.add_text(key, json.dumps(value))
    return info


def _kept(run: Context, prefix: str, extension: str, *contents: bytes) -> list[dict[str, str]]:
    return [run.place.numbered("output", prefix, extension, content) for content in contents]


def _save(run: Context, images: Images, filename_prefix: str = "ComfyUI") -> Made:
    width, height = images[0].size
    prefix = filename_prefix.replace("%width%", str(width)).replace("%height%", str(height))
    notes = _notes(run)
    shown = _kept(run, prefix, ".png", *(png(each, notes) for each in images))
    return Made(ui={"images": shown})


def _preview(run: Context, images: Images) -> Made:
    prefix = f"ComfyUI{run.place.temp_prefix}"
    files = [run.place.numbered("temp", prefix, ".png", png(each, level=1)) for each in images]
    return Made(ui={"images": files})


def _over_socket(run: Context, images: Images) -> Made:
    for number, each in enumerate(images):
        run.progress(number, len(images), ("PNG", each))
    return Made(ui=None)


def _animated_webp(
    run: Context,
    images: Images,
    filename_prefix: str,
    fps: float,
    lossless: bool,
    quality: int,
    method: str,
) -> Made:
    how = {"lossless": lossless, "quality": quality, "method": EFFORT[method]}
    data = _animation(images, "WEBP", fps, **how)
    return Made(ui={"images": _kept(run, filename_prefix, ".webp", data), "animated": (True,)})


def _animated_png(
    run: Context, images: Images, filename_prefix: str, fps: float, compress_level: int
) -> Made:
    data = _animation(images, "PNG", fps, compress_level=compress_level)
    return Made(ui={"images": _kept(run, filename_prefix, ".png", data), "animated": (True,)})


def _animation(images: Images, form: str, fps: float, **how: Any) -> bytes:
    out = io.BytesIO()
    images[0].save(
        out,
        form,
        save_all=True,
        append_images=images[1:],
        duration=max(1, int(1000 / fps)),
        **how,
    )
    return out.getvalue()


def _video(run: Context, images: Images, filename_prefix: str, fps: float) -> Made:
    data = mjpeg_mp4(images, fps)
    return Made(
        ui={
            "gifs": [
                dict(each, format="video/mp4", frame_rate=fps)
                for each in _kept(run, filename_prefix, ".mp4", data)
            ]
        }
    )


def _tell(run: Context, source: Any) -> Made:
    if isinstance(source, list):
        told = f"{len(source)} picture(s) of {source[0].width}x{source[0].height}"
    else:
        told = getattr(source, "text", None) or str(source)
    return Made(ui={"text": (told,)})
