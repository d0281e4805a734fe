"""What the next official client of Replicate (2.0.0b4) sees, told as one JSON object.

Run by an interpreter that has it (`make sdk`), with the address of a server and a model's
name; it stands alone and imports nothing of ours. tests/emulators/test_replicate_sdk.py
and tests/cog read what it says.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx
import replicate


def main(address: str, model: str) -> None:
    """Ask everything once."""
    client = replicate.Replicate(bearer_token="emulated", base_url=f"{address}/v1", max_retries=0)
    owner, name = model.split("/")
    told: dict[str, Any] = {}

    def create(**params: Any) -> Any:
        given = {"prompt": "a lamp"} | params.pop("input", {})
        return client.models.predictions.create(
            model_owner=owner, model_name=name, input=given, **params
        )

    output = client.run(model, input={"prompt": "a lamp"})
    address_of = str(output[0] if isinstance(output, list) else output)
    told["file"] = httpx.get(address_of).headers["content-type"]
    made = create(prefer="wait=20", cancel_after="1m")
    told["waited"] = made.status
    ended = client.predictions.wait(made.id)
    told["ended"] = [ended.status, bool(ended.output), ended.logs.count("%|")]
    told["listed"] = made.id in [each.id for each in client.predictions.list()]
    told["canceled"] = client.predictions.cancel(prediction_id=create().id).status
    told["schema"] = sorted(
        client.models.get(model_owner=owner, model_name=name).latest_version.openapi_schema[
            "components"
        ]["schemas"]["Input"]["required"]
    )
    told["secret"] = client.webhooks.default.secret.get().key[:6]
    told["account"] = client.account.get().username
    try:
        client.models.predictions.create(model_owner=owner, model_name=name, input={})
    except replicate.UnprocessableEntityError as refused:
        told["422"] = refused.body["invalid_fields"][0]["type"]
    wrong = replicate.Replicate(bearer_token="wrong", base_url=f"{address}/v1", max_retries=0)
    try:
        wrong.account.get()
    except replicate.AuthenticationError as refused:
        told["401"] = refused.body["title"]
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
