"""Known words in place of others near in meaning."""

import numpy as np
import pytest

from difffilter.generate import similarity
from difffilter.generate.neighbours import in_known_words, nearest, table
from difffilter.generate.tokens import Tokeniser

KNOWN = Tokeniser.train(["a small red cup beside a big cat, said he"])


def test_table_names_other_words_and_each_once():
    numbers, words, neighbours = table()
    assert [numbers[word] for word in words] == list(range(len(words)))
    assert neighbours.shape == (len(words), 32)
    assert neighbours.max() < len(words)
    assert (neighbours != np.arange(len(words))[:, None]).all()
    assert (np.diff(np.sort(neighbours.astype(int), axis=1), axis=1) > 0).all()


@pytest.mark.parametrize(
    ("word", "expected"),
    [("huge", "big"), ("tiny", "small"), ("mug", "cup"), ("kitten", "cat"), ("qwzx", None)],
)
def test_the_nearest_known_word(word, expected):
    assert nearest(word, KNOWN.words) == expected


def test_the_first_known_neighbour_is_taken():
    numbers, words, neighbours = table()
    near = [words[k] for k in neighbours[numbers["mug"]]]
    assert nearest("mug", set(near)) == near[0]
    assert nearest("mug", {near[5], near[20]}) == near[5]
    assert nearest("mug", set(words) - set(near)) is None


def test_known_words_and_words_without_neighbours_stay():
    assert in_known_words("A HUGE, red kitten & a Qwzx!", KNOWN) == "a big red cat a qwzx"
    assert in_known_words("", KNOWN) == ""


def test_a_picture_is_as_similar_to_a_word_as_to_the_known_one():
    image = np.random.default_rng(0).random((64, 64, 3))
    known, other, unlike = similarity(image, ["a small ring", "a tiny ring", "a big ring"])
    assert other == pytest.approx(known, abs=1e-6)
    assert abs(unlike - known) > 1e-3
