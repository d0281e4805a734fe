"""The classes every text-to-image graph is made of: loaders, encoders, latents, samplers.

Declarations are shaped as the real ones write them, options and ranges included, since
validation and clients both read them.
"""

from __future__ import annotations

import time
from typing import Any

from PIL import Image

from .painting import MAX_STEPS, Recipe, strokes
from .values import Conditioning, Context, Images, Latent, Made, Model, NodeClass, Spec

SAMPLERS = (
    "euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 exp_heun_2_x0 "
    "exp_heun_2_x0_sde dpm_2 dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral "
    "dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde "
    "dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde dpmpp_3m_sde_gpu "
    "ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_cfg_pp res_multistep_ancestral "
    "res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde "
    "seeds_2 seeds_3 sa_solver sa_solver_pece ddim uni_pc uni_pc_bh2"
).split()
NEWER_SAMPLERS = ("exp_heun_2_x0", "exp_heun_2_x0_sde")
SCHEDULERS = (
    "simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal"
).split()
MAX_SEED = 2**64 - 1
MAX_SIDE = 16384


def core(
    checkpoints: tuple[str, ...], loras: tuple[str, ...], modern: bool
) -> dict[str, NodeClass]:
    """All of them, by name."""
    samplers = [name for name in SAMPLERS if modern or name not in NEWER_SAMPLERS]
    empty = [_empty_latent("EmptyLatentImage"), _empty_latent("EmptySD3LatentImage")]
    found = [*_loaders(checkpoints, loras), *_samplers(samplers), *_coders(), *empty]
    return {each.name: each for each in found}


def _loaders(checkpoints: tuple[str, ...], loras: tuple[str, ...]) -> list[NodeClass]:
    return [
        NodeClass(
            name="CheckpointLoaderSimple",
            display="Load Checkpoint",
            category="loaders",
            inputs=lambda: {"required": {"ckpt_name": (list(checkpoints), {})}},
            outputs=("MODEL", "CLIP", "VAE"),
            run=_load_checkpoint,
        ),
        NodeClass(
            name="LoraLoader",
            display="Load LoRA",
            category="loaders",
            inputs=lambda: _lora_inputs(loras),
            outputs=("MODEL", "CLIP"),
            run=_load_lora,
        ),
    ]


def _samplers(samplers: list[str]) -> list[NodeClass]:
    return [
        NodeClass(
            name="KSampler",
            display="KSampler",
            category="sampling",
            inputs=lambda: _sampler_inputs(samplers),
            outputs=("LATENT",),
            run=_sample,
        ),
        NodeClass(
            name="KSamplerAdvanced",
            display="KSampler (Advanced)",
            category="sampling",
            inputs=lambda: _advanced_inputs(samplers),
            outputs=("LATENT",),
            run=_sample_advanced,
        ),
    ]


def _coders() -> list[NodeClass]:
    return [
        NodeClass(
            name="RepeatLatentBatch",
            display="Repeat Latent Batch",
            category="latent/batch",
            inputs=lambda: {"required": {"samples": ("LATENT", {}), "amount": ("INT", AMOUNT)}},
            outputs=("LATENT",),
            run=_repeat,
        ),
        NodeClass(
            name="CLIPTextEncode",
            display="CLIP Text Encode (Prompt)",
            category="conditioning",
            inputs=lambda: {"required": {"text": ("STRING", TEXT), "clip": ("CLIP", {})}},
            outputs=("CONDITIONING",),
            run=lambda run, text, clip: Made((Conditioning(text),)),
        ),
        NodeClass(
            name="VAEDecode",
            display="VAE Decode",
            category="latent",
            inputs=lambda: {"required": {"samples": ("LATENT", {}), "vae": ("VAE", {})}},
            outputs=("IMAGE",),
            run=_decode,
        ),
        NodeClass(
            name="VAEEncode",
            display="VAE Encode",
            category="latent",
            inputs=lambda: {"required": {"pixels": ("IMAGE", {}), "vae": ("VAE", {})}},
            outputs=("LATENT",),
            run=_encode,
        ),
    ]


TEXT = {"multiline": True, "dynamicPrompts": True}
STRENGTH = {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01}
SEED = {"default": 0, "min": 0, "max": MAX_SEED, "control_after_generate": True}
STEPS = {"default": 20, "min": 1, "max": 10000}
CFG = {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01}
DENOISE = {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}
AMOUNT = {"default": 1, "min": 1, "max": 64}
AT_STEP = {"default": 0, "min": 0, "max": 10000}


def _empty_latent(name: str) -> NodeClass:
    side = {"default": 512, "min": 16, "max": MAX_SIDE, "step": 8}
    count = {"default": 1, "min": 1, "max": 4096}
    return NodeClass(
        name=name,
        display="Empty Latent Image",
        category="latent",
        inputs=lambda: {
            "required": {
                "width": ("INT", side),
                "height": ("INT", side),
                "batch_size": ("INT", count),
            }
        },
        outputs=("LATENT",),
        run=lambda run, width, height, batch_size: Made((Latent(width, height, batch_size),)),
    )


def _lora_inputs(loras: tuple[str, ...]) -> Spec:
    return {
        "required": {
            "model": ("MODEL", {}),
            "clip": ("CLIP", {}),
            "lora_name": (list(loras), {}),
            "strength_model": ("FLOAT", STRENGTH),
            "strength_clip": ("FLOAT", STRENGTH),
        }
    }


def _sampler_inputs(samplers: list[str]) -> Spec:
    return {
        "required": {
            "model": ("MODEL", {}),
            "seed": ("INT", SEED),
            "steps": ("INT", STEPS),
            "cfg": ("FLOAT", CFG),
            "sampler_name": (samplers, {}),
            "scheduler": (SCHEDULERS, {}),
            "positive": ("CONDITIONING", {}),
            "negative": ("CONDITIONING", {}),
            "latent_image": ("LATENT", {}),
            "denoise": ("FLOAT", DENOISE),
        }
    }


def _advanced_inputs(samplers: list[str]) -> Spec:
    return {
        "required": {
            "model": ("MODEL", {}),
            "add_noise": (["enable", "disable"], {}),
            "noise_seed": ("INT", SEED),
            "steps": ("INT", STEPS),
            "cfg": ("FLOAT", CFG),
            "sampler_name": (samplers, {}),
            "scheduler": (SCHEDULERS, {}),
            "positive": ("CONDITIONING", {}),
            "negative": ("CONDITIONING", {}),
            "latent_image": ("LATENT", {}),
            "start_at_step": ("INT", AT_STEP),
            "end_at_step": ("INT", AT_STEP | {"default": 10000}),
            "return_with_leftover_noise": (["disable", "enable"], {}),
        }
    }


def _load_checkpoint(run: Context, ckpt_name: str) -> Made:
    model = Model(ckpt_name)
    return Made((model, model, model))


def _load_lora(
    run: Context, model: Model, clip: Any, lora_name: str, strength_model: float, **_: float
) -> Made:
    if strength_model == 0:
        return Made((model, clip))
    return Made((Model(model.name, (*model.loras, f"{lora_name}:{strength_model}")), clip))


def _sample(
    run: Context,
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: float,
) -> Made:
    texts = (positive.text, negative.text)
    recipe = Recipe(model, seed, steps, cfg, sampler_name, scheduler, *texts, denoise, latent_image)
    return Made((_painted(run, recipe),))


def _sample_advanced(
    run: Context, noise_seed: int, start_at_step: int, end_at_step: int, **given: Any
) -> Made:
    for name in ("add_noise", "return_with_leftover_noise"):
        given.pop(name)
    every = given["steps"]
    given["steps"] = max(1, min(every, end_at_step) - start_at_step)
    return _sample(run, seed=noise_seed, denoise=1 - min(start_at_step, every) / every, **given)


def _painted(run: Context, recipe: Recipe) -> Latent:
    latent = recipe.latent
    began = time.monotonic()
    for stroke in strokes(recipe, run.previews):
        run.rest(run.step_seconds * stroke.index - (time.monotonic() - began))
        shown = ("JPEG", stroke.preview) if stroke.preview else None
        done = (
            stroke.index if recipe.steps <= MAX_STEPS else stroke.index * recipe.steps // MAX_STEPS
        )
        run.progress(done, recipe.steps, shown)
        latent = Latent(latent.width, latent.height, latent.count, stroke.pictures)
    return latent


def _decode(run: Context, samples: Latent, vae: Model) -> Made:
    if samples.images:
        return Made((list(samples.images),))
    blank = Image.new("RGB", (samples.width, samples.height), (127, 127, 127))
    return Made(([blank] * samples.count,))


def _repeat(run: Context, samples: Latent, amount: int) -> Made:
    count, images = samples.count * amount, samples.images * amount
    return Made((Latent(samples.width, samples.height, count, images),))


def _encode(run: Context, pixels: Images, vae: Model) -> Made:
    width, height = pixels[0].size
    return Made((Latent(width - width % 8, height - height % 8, len(pixels), tuple(pixels)),))
