"""The thread in which the page's work is done."""

import threading
import time
from concurrent.futures import CancelledError

import pytest

from difffilter.view.worker import Superseded, Worker


def test_the_newest_task_of_a_kind_wins():
    worker, go = Worker(), threading.Event()
    first = worker.submit("a", lambda task: (go.wait(20) and task.report("on")) or "first")
    while worker.current is None:
        time.sleep(0.001)
    second = worker.submit("a", lambda task: "second")
    other = worker.submit("b", lambda task: "other")
    third = worker.submit("a", lambda task: "third")
    go.set()
    with pytest.raises(Superseded):
        first.result(20)
    with pytest.raises(CancelledError):
        second.result(20)
    assert (other.result(20), third.result(20)) == ("other", "third")


def test_an_error_is_told_to_whoever_asked():
    worker = Worker()
    with pytest.raises(ZeroDivisionError):
        worker.submit("a", lambda task: 1 / 0).result(20)
    assert worker.submit("a", lambda task: "goes on").result(20) == "goes on"


def test_what_is_being_done_can_be_shown():
    worker, seen = Worker(), []

    def call(task):
        task.report("filtering")
        seen.append(worker.current.doing)

    worker.submit("a", call).result(20)
    assert seen == ["filtering"]
