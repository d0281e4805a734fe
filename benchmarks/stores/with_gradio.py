"""Gradio's own queue and HTTP API around a function that does nothing; nothing is durable."""

from __future__ import annotations

import os
import sys

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio


def paint(prompt: str) -> str:
    """The job."""
    return prompt


if __name__ == "__main__":
    with gradio.Blocks() as page:
        prompt = gradio.Textbox()
        prompt.submit(paint, prompt, prompt, api_name="paint", concurrency_limit=4)
    page.queue(max_size=None).launch(server_name="127.0.0.1", server_port=int(sys.argv[1]))
