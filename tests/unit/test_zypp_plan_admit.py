"""Parting what can be installed together from what cannot: with few questions, whatever the answers."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

import zypp_plan

NUMBERS = st.integers(0, 40).map("p{}".format)


class Question:
    """Counts the questions; ``bad`` cannot be installed at all, ``apart`` are pairs that cannot be together."""

    def __init__(self, bad, apart=()):
        self.bad, self.apart, self.asked = set(bad), apart, []

    def __call__(self, names):
        self.asked.append(tuple(names))
        wrong = [name for name in names if name in self.bad]
        wrong += [f"{one} with {two}" for one, two in self.apart if one in names and two in names]
        return ", ".join(wrong) or None


@given(st.lists(NUMBERS, unique=True, max_size=40), st.sets(NUMBERS, max_size=6))
@example([f"p{number}" for number in range(8)], {"p4"})
@example([f"p{number}" for number in range(40)], set())
def test_independent_bad_ones_are_found_with_few_questions(names, bad):
    question = Question(bad)
    admitted, wrong = zypp_plan.admit(names, question)
    assert admitted == [name for name in names if name not in bad] and set(wrong) == set(names) & bad
    assert wrong == {name: name for name in wrong}
    depth = math.ceil(math.log2(len(names))) if len(names) > 1 else 0
    assert len(question.asked) <= 2 * len(wrong) * depth + 1 and len(set(question.asked)) == len(question.asked)
    assert wrong or question.asked == ([tuple(names)] if names else [])


@given(
    st.lists(NUMBERS, unique=True, max_size=16),
    st.sets(NUMBERS, max_size=3),
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8),
    st.sets(st.sampled_from(["k1", "k2"])),
)
def test_what_is_admitted_is_clean_and_nothing_more_could_be(names, bad, apart, kept):
    """Whatever cannot be together: each that was dropped was refused together with some of what is kept."""
    question, kept = Question(bad, apart), sorted(kept)
    admitted, wrong = zypp_plan.admit(names, question, kept)
    assert sorted([*admitted, *wrong]) == sorted(names)
    assert Question(bad, apart)([*kept, *admitted]) is None
    for name, why in wrong.items():
        assert why and Question(bad, apart)([*kept, *admitted, name]) is not None
        assert any(set(asked) - {name} <= {*kept, *admitted} and name in asked for asked in question.asked)
    assert all(asked[: len(kept)] == tuple(kept) for asked in question.asked)


@given(st.lists(NUMBERS, unique=True, max_size=10), st.randoms(use_true_random=False))
def test_what_is_admitted_is_clean_whatever_the_answers_depend_on(names, random):
    """A package may even be installable only together with another one: the answers to sets are any answers."""
    answers: dict[frozenset[str], str | None] = {frozenset(): None}

    def question(some):
        return answers.setdefault(frozenset(some), random.choice([None, "no"]))

    admitted, wrong = zypp_plan.admit(names, question)
    assert answers[frozenset(admitted)] is None and sorted([*admitted, *wrong]) == sorted(names)
