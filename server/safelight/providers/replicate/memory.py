"""What this process knows of predictions: which are followed, whose they are, who called.

Bounded, and lost with the process: nothing here is needed to be right, only to be quick,
and to tell two predictions apart that are equal in everything. Holds no connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..base import Prediction
from ..recent import Recent
from .course import Course

Attempt = tuple[str, int]


def attempt_of(prediction: Prediction) -> Attempt:
    """By what it is marked."""
    return prediction.uid, prediction.attempt


class Memory:
    """Predictions by their id, and attempts by uid and number."""

    def __init__(self) -> None:
        self._courses: Recent[str, Course] = Recent()
        self._ids: Recent[Attempt, str] = Recent()
        self._owners: Recent[str, Attempt] = Recent()
        self._heard: Recent[Attempt, str] = Recent()

    def known(self, attempt: Attempt, id: str) -> None:
        """This prediction is that attempt's."""
        self._ids.put(attempt, id)
        self._owners.put(id, attempt)

    def id_of(self, attempt: Attempt) -> str | None:
        """The prediction of an attempt, if it is known."""
        return self._ids.get(attempt)

    def is_anothers(self, id: str, attempt: Attempt) -> bool:
        """Whether it is known to belong to another attempt."""
        return self._owners.get(id) not in (None, attempt)

    def heard(self, attempt: Attempt, id: str) -> None:
        """A call named this attempt and that prediction; it is to be looked at."""
        self._heard.put(attempt, id)

    def rumour(self, attempt: Attempt) -> str | None:
        """The prediction that was named with an attempt."""
        return self._heard.get(attempt)

    def find(self, id: str) -> Course | None:
        """What is known of a prediction."""
        return self._courses.get(id)

    def course(self, id: str) -> Course:
        """The same, begun if nothing is."""
        course = self._courses.get(id)
        if course is None:
            course = Course(id)
            self._courses.put(id, course)
        return course

    @contextmanager
    def following(self, id: str) -> Iterator[Course]:
        """What is known of it, kept as long as it is followed."""
        course = self.course(id)
        course.followers += 1
        try:
            yield course
        finally:
            course.followers -= 1
            if not course.followers:
                self._courses.discard(id)
