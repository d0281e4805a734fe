"""phoenix.js in a Node process, joining one topic.

The process is `phoenix_client.mjs`, which adds nothing to the package but a cursor in its
joins.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

from tests.e2e.node_process import Node, node_process


def node_client(
    url: str, version: str, topic: str, join: Any, **options: Any
) -> AbstractContextManager[Node]:
    """phoenix.js in Node against a server's address, joining a topic."""
    address = url.replace("http", "ws") + "/socket"
    arguments = (f"phoenix-{version}", address, topic, json.dumps(join), json.dumps(options))
    return node_process("phoenix_client.mjs", *arguments)
