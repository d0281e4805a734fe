"""What each setting is for, in a sentence: the one thing the types do not say.

A setting, or a field of a backend, without a row here fails the generation of
docs/settings.md.
"""

from __future__ import annotations


class Undescribed(Exception):
    """A setting has no sentence here yet."""


def meaning(name: str) -> str:
    """The sentence of a setting. Raises Undescribed."""
    if name not in SETTINGS:
        raise Undescribed(f"setting {name}: say what it is for in {__name__}.SETTINGS")
    return SETTINGS[name]


def field_meaning(table: str, field: str) -> str:
    """The sentence of a field of `[<table>.<name>]`. Raises Undescribed."""
    fields = {"backends": BACKENDS, "providers": PROVIDERS}[table]
    if field not in fields:
        raise Undescribed(f"field {field}: say what it is for in {__name__}.{table.upper()}")
    return fields[field]


SETTINGS = {
    "host": "The address to listen on.",
    "port": "The port to listen on.",
    "data_dir": "Where the database and the files are; one process at a time.",
    "public_url": "The address by which clients reach the server; makes URLs absolute.",
    "tokens": "Bearer tokens by owner. None: one owner, `local`, for callers on this machine.",
    "anonymous_owner": "The owner of everybody, on purpose, where there are no tokens.",
    "allowed_origins": "Pages of other origins that may ask.",
    "log_level": "The least that is logged.",
    "log_format": "For people or for programs.",
    "max_body_bytes": "The largest body of a request.",
    "max_frame_bytes": "The largest frame that a socket may send.",
    "max_artifact_bytes": "The largest file that a prediction may make.",
    "fetch_tries": "How often a result file is asked for before it is given up.",
    "fetch_seconds": "How long the source of a result file may say nothing.",
    "thumbnail_quality": "Of the small WebP of each picture. None: no thumbnails are made.",
    "png_text": "Whether a PNG tells prompt, seed, model and task id in a text chunk.",
    "max_upload_bytes": "The largest file that may be uploaded.",
    "upload_quota_bytes": "What the uploads of one owner may come to.",
    "storage": "Where files lie: in `data_dir`, or in an object store that speaks S3.",
    "s3_url": "Its bucket, and the beginning of every name in it.",
    "s3_region": "Its region. None: what the environment says, as for all S3 tools.",
    "s3_endpoint": "Its address, where it is not Amazon's.",
    "s3_key_id": "The access key. None: what the environment says.",
    "s3_secret": "The secret of the access key. None: what the environment says.",
    "attempts": "Predictions per task before a fault that may pass ends it.",
    "max_losses": "How often a restart may cost a task its attempt; once more ends it as `lost`.",
    "retry_base_seconds": "The pause before the second attempt; it doubles from there.",
    "retry_max_seconds": "The longest pause between attempts.",
    "attempt_timeout_seconds": "How long one attempt may take.",
    "deadline_factor": "Once a model is known: how many times as long as nearly all of its"
    " attempts took one may take, up to `attempt_timeout_seconds`.",
    "deadline_floor_seconds": "The shortest limit that is learnt so.",
    "breaker_faults": "Verified faults of a provider in a row after which a model there is left"
    " alone for a while.",
    "breaker_seconds": "How long, before one task tries it; doubles if that fails.",
    "task_timeout_seconds": "How long a task may take as a whole, waiting and retries included.",
    "cancel_timeout_seconds": "How long a provider may take to confirm a cancel.",
    "generate_wait_seconds": "How long POST /api/llm/generate waits for its text unless told.",
    "drain_seconds": "How long clients and requests may take to go when the server stops.",
    "settle_seconds": "How long a stopping server waits for paid answers that only it can hear.",
    "slow_reader_seconds": "How long a client may take nothing before its connection ends.",
    "request_seconds": "How long a client may take to begin a request, and to go on with its body.",
    "max_connections": "Connections at a time. None: the process's open files, less 64.",
    "longpoll_seconds": "How long a long-poll of the socket is held without an answer.",
    "longpoll_sessions": "Long-poll sessions of one owner at a time; of one address, if no tokens.",
    "log_retention_seconds": "How long an ended task keeps its log; the last event stays.",
    "task_retention_seconds": "How long an ended task is kept at all.",
    "artifact_retention_seconds": "How long result files are kept; their events stay.",
    "upload_retention_seconds": "How long uploads are kept.",
    "delivery_retention_seconds": "How long a webhook is kept that was given up.",
    "tail_events": "Encoded events that are held in memory, per task.",
    "local_concurrency": "Processes that paint.",
    "local_pace_seconds": "The pause between two strokes, so that there is something to watch.",
    "scripted": "Whether the provider `scripted` is there, for demonstrations and tests.",
    "models_file": "Models of your own, a TOML file laid over those that are shipped.",
    "workflows_dir": "A folder of workflow templates of your own, beside those that are shipped.",
    "backends": "Named places where models run; their fields are below.",
    "default_backend": "The backend of whoever names none. None: the first that can run the model.",
    "unreachable": "What becomes of a request for a backend that does not answer.",
    "backend_check_seconds": "How long a request may wait for its backend's word on it.",
    "budget_per_day": "US dollars that each owner may spend on a day (UTC). None: each priced"
    " request has to say `max_cost`.",
    "budgets": "The same of owners who have a budget of their own.",
    "weights": "Turns of an owner for each turn of others, where tasks wait; 1 unless given.",
    "webhook_seconds": "How long the receiver of a webhook may take to answer.",
    "webhook_allow_private": "Whether receivers of webhooks may be in private networks.",
    "providers": "Those that are asked over the network; their fields are below.",
}

BACKENDS = {
    "type": "What is spoken there.",
    "url": "Its address. No two backends may have the same.",
    "label": "Its name for people. None: the name of the table.",
    "token": "Sent as a bearer token.",
    "headers": "Sent with every request.",
    "concurrency": "Predictions of this server there at a time.",
    "timeout_seconds": "How long one answer may take.",
    "view_timeout_seconds": "How long the download of one file may take.",
    "max_frame_bytes": "The largest message on a backend's socket; whole pictures come there.",
}

PROVIDERS = {
    "type": "What is spoken there. None: its own name says it.",
    "url": "Its address, where it is not the usual one of its type.",
    "key": "What it knows this server by.",
    "concurrency": "Predictions of this server there at a time.",
    "request_seconds": "How long one answer may take.",
    "silence_seconds": "How long a stream may say nothing before it is taken for lost.",
    "webhook_secret": "What its webhooks are signed with. None: it is asked, where it can be.",
    "api": "Which of OpenAI's writes text. None: `responses` at OpenAI, `chat` elsewhere.",
}
