"""Threads that apply the network. (Forks are in test_parallel, in processes of their own.)"""

import threading
import time

import pytest
import torch

from difffilter.ddpm import threads


@pytest.mark.parametrize("cores", [1, 3])
def test_results_keep_their_order_and_errors_are_passed_on(monkeypatch, cores):
    monkeypatch.setattr(threads, "free_cores", lambda: cores)

    def inverse(number):
        time.sleep(0.001 * (number % 3))
        return 1 / number

    assert list(threads.in_threads(inverse, [4, 2, 1])) == [0.25, 0.5, 1]
    with pytest.raises(ZeroDivisionError):
        list(threads.in_threads(inverse, [1, 0, 2, 3]))


@pytest.mark.parametrize("cores", [1, 2])
def test_no_more_at_once_than_cores_are_free(monkeypatch, cores):
    monkeypatch.setattr(threads, "free_cores", lambda: cores)
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "_executor", None)
    running, most = set(), 0

    def work(number):
        nonlocal most
        running.add(number)
        most = max(most, len(running))
        time.sleep(0.01)
        running.remove(number)

    list(threads.in_threads(work, range(8)))
    assert most == cores


def test_what_has_not_begun_is_dropped(monkeypatch):
    monkeypatch.setattr(threads, "free_cores", lambda: 1)
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.01)

    results = threads.in_threads(work, range(100))
    next(results)
    results.close()
    assert len(begun) < 10
    number = len(begun)
    time.sleep(0.05)
    assert len(begun) == number  # nothing goes on unseen


def test_threads_last():
    def name(item):
        return threading.get_ident()

    for _ in range(3):
        assert set(threads.in_threads(name, range(20))) <= {
            thread.ident for thread in threading.enumerate()
        }


def test_one_thread_restores_the_number():
    before = torch.get_num_threads()
    with threads.one_thread():
        assert torch.get_num_threads() == 1
        assert set(threads.in_threads(lambda _: torch.get_num_threads(), range(4))) == {1}
    assert torch.get_num_threads() == before
