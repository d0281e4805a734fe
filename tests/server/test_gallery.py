"""All tasks of one owner: pages, changes since a position, and what a position is good for."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from safelight.gallery import PAGE_BYTES, TEXT_CHARACTERS
from safelight_protocol import inputs as happened
from safelight_protocol.codes import Refused
from safelight_protocol.events import Artifact
from safelight_protocol.task import Task
from tests.doubles.chronicle import Chronicle, chronicle
from tests.doubles.lives import ARTIFACT, NOW, asked, example, fresh
from tests.doubles.writes import artifact_row

CLAIMED = happened.Claimed(NOW + 60_000)
CANCEL = happened.CancelAsked("ann")


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Chronicle]:
    """An open log and the gallery over it."""
    async with chronicle(tmp_path) as opened:
        yield opened


async def begun(book: Chronicle, count: int, **fields: object) -> list[Task]:
    """So many new tasks, u0 first."""
    return [await book.begin(fresh(f"u{n}", **fields)) for n in range(count)]


async def pages(book: Chronicle, limit: int, owner: str = "ann") -> list[list[str]]:
    """The ids of every page, from the first to the last."""
    found, before = [], None
    while True:
        page = await book.gallery.page(owner, before, limit)
        found.append([snapshot.task_id for snapshot in page.tasks])
        if (before := page.next) is None:
            return found


async def test_pages_hold_every_task_once(book: Chronicle) -> None:
    """Newest first, whatever the size of a page; the last one names no next."""
    await begun(book, 5)
    assert await pages(book, 2) == [["u4", "u3"], ["u2", "u1"], ["u0"]]
    assert await pages(book, 5) == await pages(book, 9) == [["u4", "u3", "u2", "u1", "u0"]]
    assert await pages(book, 5, "bob") == [[]]


async def test_new_tasks_do_not_move_the_pages_behind(book: Chronicle) -> None:
    """Who pages on while others create sees no task twice and misses none."""
    await begun(book, 3)
    first = await book.gallery.page("ann", None, 2)
    await book.begin(fresh("new"))
    rest = await book.gallery.page("ann", first.next, 2)
    assert [s.task_id for s in (*first.tasks, *rest.tasks)] == ["u2", "u1", "u0"]


@pytest.mark.parametrize("before", ["", "x", "-1", "1.5", "²", "9" * 30, "\u0663"])
async def test_a_page_before_nothing_is_the_first(book: Chronicle, before: str) -> None:
    """What is no number, or none that a page could have, does no harm."""
    await begun(book, 2)
    assert len((await book.gallery.page("ann", before, 9)).tasks) == 2


async def test_a_page_shows_tasks_as_they_are(book: Chronicle) -> None:
    """Live and ended ones alike, each as of now."""
    one, two, _ = await begun(book, 3)
    await book.tell(one, CLAIMED, happened.Progressed(0.5))
    await book.tell(two, CANCEL)
    page = await book.gallery.page("ann", None, 9)
    shown = [(s.status, s.progress, s.seq) for s in page.tasks]
    assert shown == [("queued", 0.0, 1), ("canceled", 0.0, 2), ("processing", 0.5, 3)]
    assert page.position == book.store.position == 6


async def test_changes_after_a_page_are_all_that_it_lacks(book: Chronicle) -> None:
    """Each task once, at its latest, in the order of the changes."""
    one, two = await begun(book, 2)
    page = await book.gallery.page("ann", None, 9)
    assert await book.gallery.changes("ann", page.position, 9) == []
    two = await book.tell(two, CLAIMED)
    await book.tell(one, CLAIMED)
    await book.tell(two, happened.Progressed(0.5))
    changes = await book.gallery.changes("ann", page.position, 9)
    assert [(c.task_id, c.position) for c in changes] == [("u0", 4), ("u1", 5)]
    assert changes[1].task is not None and changes[1].task.progress == 0.5
    assert await book.gallery.changes("ann", changes[0].position, 9) == changes[1:]
    assert await book.gallery.changes("ann", page.position, 1) == changes[:1]
    assert await book.gallery.changes("bob", 0, 9) == []


async def test_a_deletion_is_a_change_without_a_task(book: Chronicle) -> None:
    """The gallery learns that it has gone, and what came after it."""
    one, two = await begun(book, 2)
    one = await book.tell(one, CANCEL)
    position = book.store.position
    await book.delete(one)
    await book.tell(two, CANCEL)
    changes = await book.gallery.changes("ann", position, 9)
    assert [(c.task_id, c.task is None) for c in changes] == [("u0", True), ("u1", False)]
    assert [s.task_id for s in (await book.gallery.page("ann", None, 9)).tasks] == ["u1"]


@pytest.mark.parametrize("happening", [happened.Wrote("a word"), CANCEL, happened.Stopped()])
async def test_a_change_is_shown_as_it_was_committed(
    book: Chronicle, happening: happened.Happening
) -> None:
    """Between a commit and its telling too: a gallery that showed the state before would
    move past the change, and nobody would show it again."""
    (task,) = await begun(book, 1)
    task = await book.tell(task, CLAIMED)
    moved, _ = await book.commit(task, happening)
    (change,) = await book.gallery.changes("ann", 0, 9)
    page = await book.gallery.page("ann", None, 9)
    assert change.position == page.position == book.store.position
    assert change.task == page.tasks[0]
    assert (change.task.seq, change.task.status) == (moved.seq, moved.status)


async def test_a_silent_move_changes_no_snapshot(book: Chronicle) -> None:
    """A saved handle has a position of its own and is told without harm."""
    (task,) = await begun(book, 1)
    task = await book.tell(task, CLAIMED)
    before = (await book.gallery.changes("ann", 0, 9))[0]
    await book.tell(task, happened.HandleSaved("p"))
    after = (await book.gallery.changes("ann", 0, 9))[0]
    assert (after.task, after.position) == (before.task, before.position + 1)


async def test_long_texts_are_cut(book: Chronicle) -> None:
    """A prompt and a text of any length do not fill a page; the cut is told."""
    long = asked(kind="text", prompt="p" * 9_000)
    task = await book.begin(fresh("u0", asked=long))
    await book.tell(task, CLAIMED, happened.Wrote("w" * 9_000))
    (shown,) = (await book.gallery.page("ann", None, 9)).tasks
    (change,) = await book.gallery.changes("ann", 0, 9)
    assert change.task == shown
    assert (shown.truncated, len(shown.text)) == (True, TEXT_CHARACTERS)
    assert len(shown.input_data["prompt"]) == TEXT_CHARACTERS


async def test_a_page_ends_before_it_is_too_large(book: Chronicle) -> None:
    """Many files in each task make shorter pages, of one task at least, and lose none."""
    for n in range(3):
        files = [happened.Produced(_file(f"{n}-{m}")) for m in range(3)]
        await book.tell(await book.begin(fresh(f"u{n}")), CLAIMED, *files)
    page = await book.gallery.page("ann", None, 9)
    assert len(page.tasks) < 3
    assert len(msgspec.json.encode(page.tasks)) < PAGE_BYTES * 1.01
    assert [id for found in await pages(book, 9) for id in found] == ["u2", "u1", "u0"]


def _file(name: str) -> Artifact:
    return msgspec.structs.replace(ARTIFACT, id=name, url="/api/artifacts/" + "x" * 60_000)


async def test_an_artifact_is_had_by_its_capability(book: Chronicle) -> None:
    """Nobody asks who it is that knows the name; a wrong one finds nothing."""
    (task,) = await begun(book, 1)
    await book.tell(task, CLAIMED, happened.Produced(ARTIFACT))
    assert await book.gallery.artifact("cap") == artifact_row(task, example(happened.Produced))
    assert await book.gallery.artifact("cat") is None


async def test_positions_of_this_log_are_good_up_to_now(book: Chronicle) -> None:
    """None without its log, none from the future, none of a log that we do not know."""
    await begun(book, 3)
    covers, log = book.gallery.covers, book.gallery.log
    assert log == book.log.id
    assert [await covers(log, at) for at in (0, 3, 4, 2**70)] == [True, True, False, False]
    assert not await covers(None, 1)
    assert not await covers("another", 1)


async def test_positions_of_an_earlier_log_are_good_up_to_its_end(tmp_path: Path) -> None:
    """After a restart a gallery goes on from where it was, and from nowhere it cannot have been."""
    logs = []
    for n in range(3):
        async with chronicle(tmp_path) as book:
            await book.begin(fresh(f"u{n}"))
            logs.append(book.gallery.log)
            for end, log in enumerate(logs[:-1], start=1):
                assert await book.gallery.covers(log, end)
                assert not await book.gallery.covers(log, end + 1)


async def test_a_gallery_knows_whether_its_store_answers(tmp_path: Path) -> None:
    """While it can be read the check is silent; once it cannot, it is `unavailable`."""
    async with chronicle(tmp_path) as book:
        await book.gallery.check()
        spoiler = sqlite3.connect(tmp_path / "safelight.sqlite3")
        spoiler.execute("DROP TABLE logs")
        spoiler.close()
        with pytest.raises(Refused, match="cannot be read") as refused:
            await book.gallery.check()
        assert refused.value.code.name == "unavailable"
