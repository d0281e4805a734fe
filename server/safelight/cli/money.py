"""`safelight quote` and `safelight usage`: what something would cost, and what was spent."""

from __future__ import annotations

import argparse

from safelight_protocol.events import Charge
from safelight_protocol.prices import in_dollars
from safelight_protocol.quotes import Allowance, Quote

from ..client import Client, Spent, Usage
from . import remote
from .asking import asked_by, completed
from .params import add_request
from .table import print_table
from .world import World

DAY_HEADS = ("DAY", "SPENT", "CHARGES", "ESTIMATED", "UNKNOWN")
UNKNOWN_SHOWN = 10
"""Tasks of unknown cost that are named."""

MODEL_HEADS = ("PROVIDER", "SPENT", "CHARGES", "UNKNOWN", "MODEL")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both commands."""
    quote = commands.add_parser("quote", help="say what a task would cost, and make none")
    quote.add_argument("prompt", help="what to make")
    add_request(quote)
    remote.add_options(quote)
    quote.set_defaults(act=act_quote)
    usage = commands.add_parser("usage", help="show what you have spent, by day and by model")
    usage.add_argument("--from", dest="first", metavar="DAY", help="such as 2026-11-01 (UTC)")
    usage.add_argument("--to", metavar="DAY", help="the last day; today by default")
    remote.add_options(usage)
    usage.set_defaults(act=act_usage)


def act_quote(args: argparse.Namespace, world: World) -> int:
    """Print what it would cost. Exit code 0 if a create would be accepted, else 1."""
    asked = asked_by(args)

    async def quoted(client: Client) -> int:
        quote = await client.quote(**await completed(asked, client, world))
        world.say(f"{quote.model}: {range_in_words(quote)}")
        world.say(quote.basis)
        if quote.consent.needed:
            world.note(quote.consent.why)
        _tell_budget(world, quote.budget)
        return 0 if quote.consent.given else 1

    return remote.ask(args, world, quoted)


def act_usage(args: argparse.Namespace, world: World) -> int:
    """Print the sums, the tables and the budget."""

    async def listed(client: Client) -> int:
        show_usage(world, await client.usage(args.first, args.to))
        return 0

    return remote.ask(args, world, listed)


def show_usage(world: World, usage: Usage) -> None:
    """Everything of it."""
    world.say(f"{usage.first} to {usage.to}: {in_dollars(usage.total_micros)}")
    if usage.days:
        print_table(world, DAY_HEADS, [_day_row(one) for one in usage.days])
        print_table(world, MODEL_HEADS, [_model_row(one) for one in usage.models])
    _tell_unknown(world, usage)
    if usage.held_micros:
        world.note(f"Held for tasks that have not ended: {in_dollars(usage.held_micros)}")
    _tell_budget(world, usage.budget)


def _tell_unknown(world: World, usage: Usage) -> None:
    """What nobody knows yet, task by task, and the most that those of today may be."""
    attempts = sum(one.unknown for one in usage.days)
    if not attempts:
        return
    tasks = {one.task_id: one for one in usage.unknown}
    what = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    world.note(f"Unknown is what {what} cost; the sums have what is known of it:")
    for one in list(tasks.values())[:UNKNOWN_SHOWN]:
        world.note(f"  {one.day}  task {one.task_id}, {one.model}: {one.reason}")
    if len(tasks) > UNKNOWN_SHOWN:
        world.note("  and more: `unknown` and `entries` of GET /api/usage")
    if usage.budget is not None:
        today = sum(one.amount_micros for one in usage.days if one.day == usage.budget.day)
        feared = in_dollars(max(0, usage.budget.spent_micros - today))
        world.note(f"Today's may come to {feared} more; the budget counts that as spent.")


def _day_row(one: Spent) -> tuple[str, ...]:
    spent = in_dollars(one.amount_micros)
    return (one.day, spent, str(one.charges), str(one.estimated), str(one.unknown))


def _model_row(one: Spent) -> tuple[str, ...]:
    spent = in_dollars(one.amount_micros)
    return (one.provider, spent, str(one.charges), str(one.unknown), one.model)


def range_in_words(quote: Quote) -> str:
    """From the least to the most."""
    if quote.high_micros is None:
        return f"{in_dollars(quote.low_micros)} or more, nobody can say how much"
    if quote.low_micros == quote.high_micros:
        return "free" if not quote.high_micros else in_dollars(quote.high_micros)
    return f"{in_dollars(quote.low_micros)} to {in_dollars(quote.high_micros)}"


def charge_in_words(charge: Charge) -> str:
    """What a task cost, and how that is known."""
    amount = in_dollars(charge.amount_micros)
    if charge.verdict == "unknown":
        return f"cost unknown, {amount} known of it: {charge.reason}"
    return f"{charge.verdict}: {amount}" + (f" ({charge.reason})" if charge.reason else "")


def _tell_budget(world: World, budget: Allowance | None) -> None:
    if budget is not None:
        left, whole = in_dollars(budget.left_micros), in_dollars(budget.per_day_micros)
        spent, held = in_dollars(budget.spent_micros), in_dollars(budget.held_micros)
        used = f"{spent} spent, with what is unknown; {held} held"
        world.note(f"Budget of {budget.day} (UTC): {left} left of {whole} ({used})")
