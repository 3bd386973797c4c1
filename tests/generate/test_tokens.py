"""The tokeniser against a byte-pair encoding that counts all pairs anew for each merge."""

import json
import re
from collections import Counter
from string import ascii_lowercase, digits

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffilter.generate.tokens import END, PAD, START, Tokeniser, normalise

CAPTIONS = [
    "A red cat sits on a mat.",
    "A red dog and a red cat; a black dog.",
    "The cat, the dog & the mat",
    "a photo of the number 10",
    "a photo of a café",
]
TRAINED = Tokeniser.train(CAPTIONS, size=110, length=24)

# Two letters make equal counts, runs of a letter and overlapping pairs frequent.
CORPORA = st.lists(st.text("ab ", max_size=12), max_size=8).filter(lambda c: "".join(c).strip())
TEXTS = st.text(ascii_lowercase + digits + " ", max_size=60)


def naive_join(spelled, pair):
    """Join a pair in a word whose tokens are separated by spaces."""
    pattern = rf"(?<!\S){re.escape(' '.join(pair))}(?!\S)"
    return re.sub(pattern, "".join(pair), spelled)


def naive_spelling(word):
    return " ".join(word) + "</w>"


def naive_merges(captions, number):
    words = Counter(naive_spelling(word) for text in captions for word in text.split())
    merges = []
    for _ in range(number):
        pairs = Counter()
        for spelled, times in words.items():
            tokens = spelled.split()
            for i in range(len(tokens) - 1):
                pairs[tokens[i], tokens[i + 1]] += times
        ranked = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
        if not ranked or pairs[ranked[0]] < 2:
            break
        merges.append(ranked[0])
        words = Counter({naive_join(spelled, ranked[0]): times for spelled, times in words.items()})
    return tuple(merges)


@given(CORPORA, st.integers(0, 12))
def test_merges_are_those_of_the_definition(captions, number):
    assert Tokeniser.train(captions, size=75 + number).merges == naive_merges(captions, number)


def test_merges_of_sentences_are_those_of_the_definition():
    plain = [normalise(text) for text in CAPTIONS]
    assert TRAINED.merges == naive_merges(plain, 110 - 75)


def test_merges_of_a_count_by_hand():
    # l o w</w> twice and l o w e r</w> once: "lo" occurs three times, then "low</w>" twice.
    assert Tokeniser.train(["low low lower"]).merges == (("l", "o"), ("lo", "w</w>"))
    # Of pairs that are equally frequent, the first in the alphabet.
    assert Tokeniser.train(["dab dab"], size=76).merges == (("a", "b</w>"),)


@given(CORPORA, st.text("abc", min_size=1, max_size=15))
def test_a_word_is_encoded_by_the_merges_in_the_order_of_training(captions, word):
    tokeniser = Tokeniser.train(captions)
    spelled = naive_spelling(word)
    for pair in tokeniser.merges:
        spelled = naive_join(spelled, pair)
    ids = tokeniser.encode(word)
    assert [tokeniser.vocabulary[i] for i in ids if i > END] == spelled.split()


@given(CORPORA)
def test_a_word_that_occurs_twice_is_one_token(captions):
    tokeniser = Tokeniser.train(captions)
    for word, times in Counter(" ".join(captions).split()).items():
        if times > 1:
            token = tokeniser.vocabulary.index(word + "</w>")
            assert tokeniser.encode(word).tolist() == [START, token, END] + [PAD] * 29


@given(st.permutations(CAPTIONS))
def test_the_order_of_captions_does_not_matter(captions):
    assert Tokeniser.train(iter(captions), size=110, length=24) == TRAINED


def test_merges_do_not_cross_words():
    tokeniser = Tokeniser.train(["ab cd"] * 100)
    assert tokeniser.merges == (("a", "b</w>"), ("c", "d</w>"))


# --- the vocabulary -------------------------------------------------------------------------


def test_vocabulary_begins_with_special_tokens_and_characters():
    vocabulary = TRAINED.vocabulary
    characters = [*ascii_lowercase, *digits]
    assert (vocabulary[PAD], vocabulary[START], vocabulary[END]) == ("<pad>", "<start>", "<end>")
    assert vocabulary[3:39] == tuple(characters)
    assert vocabulary[39:75] == tuple(character + "</w>" for character in characters)
    assert vocabulary[75:] == tuple("".join(pair) for pair in TRAINED.merges)


@given(CORPORA, st.integers(75, 90))
def test_vocabulary_has_no_token_twice_and_keeps_to_its_size(captions, size):
    vocabulary = Tokeniser.train(captions, size).vocabulary
    assert len(set(vocabulary)) == len(vocabulary) <= size


def test_vocabulary_is_as_large_as_asked_for_where_captions_suffice():
    assert [len(Tokeniser.train(CAPTIONS, size).vocabulary) for size in (75, 80)] == [75, 80]


# --- encoding and decoding ------------------------------------------------------------------


@given(TEXTS)
def test_decoding_inverts_encoding(text):
    tokeniser = Tokeniser(TRAINED.merges, length=70)
    assert tokeniser.decode(tokeniser.encode(text)) == " ".join(text.split())
    assert tokeniser.truncated(text) == ""


@given(TEXTS, st.integers(3, 20))
def test_what_is_encoded_and_what_is_truncated_are_the_text(text, length):
    tokeniser = Tokeniser(TRAINED.merges, length)
    ids, plain = tokeniser.encode(text), " ".join(text.split())
    kept, rest = tokeniser.decode(ids), tokeniser.truncated(text)
    assert plain in (kept + rest, f"{kept} {rest}")
    end = ids.tolist().index(END)
    assert ids[0] == START
    assert np.all(ids[1:end] > END)
    assert np.all(ids[end + 1 :] == PAD)
    assert end == length - 1 or not rest


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [START, END, PAD, PAD, PAD]),
        ("a b", [START, 39, 40, END, PAD]),
        ("ab9", [START, 3, 4, 74, END]),
        ("a b ab", [START, 39, 40, 3, END]),  # cut off inside a word
    ],
)
def test_encoding_has_start_end_and_padding(text, ids):
    encoded = Tokeniser((), length=5).encode(text)
    assert encoded.tolist() == ids
    assert encoded.dtype == np.int64


def test_words_of_training_are_encoded_like_others():
    stranger = Tokeniser(TRAINED.merges, TRAINED.length)
    np.testing.assert_array_equal(stranger.encode_all(CAPTIONS), TRAINED.encode_all(CAPTIONS))


def test_encode_all_stacks_the_rows_of_encode():
    ids = TRAINED.encode_all(CAPTIONS)
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, np.stack([TRAINED.encode(text) for text in CAPTIONS]))
    assert TRAINED.encode_all([]).shape == (0, 24)


def test_decoding_takes_any_ids():
    tokeniser = Tokeniser(())
    assert tokeniser.decode([]) == ""
    assert tokeniser.decode([3, 40, END, START, 74, PAD]) == "ab 9"


# --- normalisation and unknown words --------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  A red\tCAT\n", "a red cat"),
        ("light-blue; (it's) 3.5+x=6$7_8^9", "light blue it s 3 5 x 6 7 8 9"),
        ("Crème BRÛLÉE, e\u0301te\u0301", "creme brulee ete"),  # accents of their own, too
        ("Straße ﬁsh ２ ½ №5 “q”…", "strasse fish 2 1 2 no5 q"),
        ("soft\u00adhyphen \ufeffbom \u200b nul\x00 \udcffbyte", "softhyphen bom nul byte"),
        ("naïve猫 猫 🐱 cat", "naive cat"),
        ("", ""),
        ("İstanbul", "istanbul"),
    ],
)
def test_normalised_texts(text, plain):
    assert normalise(text) == plain


@given(st.text())
def test_normalised_text_is_words_of_the_alphabet(text):
    plain = normalise(text)
    assert re.fullmatch(r"([a-z0-9]+( [a-z0-9]+)*)?", plain)
    assert normalise(plain) == plain
    np.testing.assert_array_equal(TRAINED.encode(plain), TRAINED.encode(text))


def test_unknown_words_are_those_of_no_caption():
    assert TRAINED.unknown("THE red Zèbre, a café, the zèbre -- and 11 cats") == [
        "zèbre",
        "11",
        "cats",
    ]


def test_words_with_dropped_characters_are_unknown():
    assert TRAINED.unknown("猫 cat猫 🐱 한국 e\u0301") == ["猫", "cat猫", "🐱", "한국", "é"]


def test_punctuation_and_invisible_characters_are_no_unknown_words():
    assert TRAINED.unknown("cat\u200b \u200b \x00cat cat\udcff -- $ € ^ + ´ …") == []


@given(CORPORA)
def test_training_leaves_none_of_its_words_unknown(captions):
    tokeniser = Tokeniser.train(captions)
    assert [tokeniser.unknown(text) for text in captions] == [[]] * len(captions)
    assert tokeniser.unknown("c") == ["c"]


# --- JSON -----------------------------------------------------------------------------------


@given(CORPORA, st.integers(3, 100))
def test_json_keeps_everything(captions, length):
    tokeniser = Tokeniser.train(captions, length=length)
    assert Tokeniser.from_json(tokeniser.to_json()) == tokeniser


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "{}",
        '{"length": 8, "merges": []}',
        '{"length": 8, "merges": [["a", "b"]], "words": ""}',
        '{"length": 8, "merges": 1, "words": ""}',
        '{"length": 8, "merges": [], "words": ["a"]}',
        "[" * 100_000,
        None,
    ],
)
def test_json_of_something_else_is_refused(text):
    message = r"text is .*; expected the JSON of a tokeniser: length, merges, words"
    with pytest.raises(ValueError, match=f"^{message}$") as error:
        Tokeniser.from_json(text)
    assert len(str(error.value)) < 120


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"length": 8.0}, "length is 8.0; expected a whole number ≥ 3"),
        (
            {"merges": ["ab"]},
            "merges[0] is ('ab',); expected two earlier tokens of one word that make",
        ),
        ({"words": "cat Cat"}, "words[1] is 'Cat'; expected a word of a–z and 0–9"),
    ],
)
def test_json_of_an_impossible_tokeniser_is_refused(field, message):
    text = json.dumps({"length": 8, "merges": [], "words": ""} | field)
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        Tokeniser.from_json(text)


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pair",
    [
        ("a",),
        ("a", "b", "c"),
        "ab",
        ("a", "é"),
        ("a", "<end>"),
        ("bc", "a"),  # made by no earlier merge
        ("a</w>", "b"),  # across words
        ("a", "b"),  # made before
    ],
)
def test_impossible_merges_are_refused(pair):
    expected = "expected two earlier tokens of one word that make a new one"
    with pytest.raises(
        ValueError, match="^" + re.escape(f"merges[1] is {pair!r}; {expected}") + "$"
    ):
        Tokeniser((("a", "b"), pair))


@pytest.mark.parametrize("word", ["", "Cat", "a b", "é", 3])
def test_impossible_words_are_refused(word):
    message = f"words[1] is {word!r}; expected a word of a–z and 0–9"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        Tokeniser((), words=("cat", word))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Tokeniser((), 2), ValueError, "length is 2; expected a whole number ≥ 3"),
        (
            lambda: Tokeniser.train(CAPTIONS, size=74),
            ValueError,
            "size is 74; expected a whole number ≥ 75",
        ),
        (
            lambda: Tokeniser.train(["", "猫!"]),
            ValueError,
            "captions is ['', '猫!']; expected texts with words of a–z and 0–9",
        ),
        (
            lambda: Tokeniser.train("a cat"),
            TypeError,
            "captions is 'a cat'; expected several texts, not one",
        ),
        (lambda: Tokeniser.train(["a", None]), TypeError, "text is None; expected a str"),
        (lambda: TRAINED.encode(3), TypeError, "text is 3; expected a str"),
        (lambda: TRAINED.unknown(b"cat"), TypeError, "text is b'cat'; expected a str"),
        (lambda: TRAINED.truncated(None), TypeError, "text is None; expected a str"),
        (
            lambda: TRAINED.encode_all("cat"),
            TypeError,
            "texts is 'cat'; expected several texts, not one",
        ),
        (
            lambda: TRAINED.decode([[3]]),
            ValueError,
            "ids has shape (1, 1); expected one dimension",
        ),
        (
            lambda: Tokeniser(()).decode([3, 75]),
            ValueError,
            "ids[1] is 75; expected a whole number from 0 to 74",
        ),
        (
            lambda: Tokeniser(()).decode([-1]),
            ValueError,
            "ids[0] is -1; expected a whole number from 0 to 74",
        ),
        (
            lambda: Tokeniser(()).decode([3.0]),
            ValueError,
            "ids[0] is 3.0; expected a whole number from 0 to 74",
        ),
    ],
)
def test_errors_name_argument_value_and_expectation(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message) + "$"):
        call()
