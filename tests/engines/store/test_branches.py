"""A conversation is a tree: where it forks, and how one walks from branch to branch."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modeldeck.engines.store.branches import Fork, Tree, read_tree
from modeldeck.engines.store.conversation_tables import CONVERSATIONS
from modeldeck.engines.store.conversations import Conversations
from modeldeck.engines.store.database import Database

#   1 ─ 2 ─ 3 ─ 4
#   │   └── 5 ─ 6
#   └── 7
TREE = Tree({1: None, 2: 1, 3: 2, 4: 3, 5: 2, 6: 5, 7: 1})


def test_the_forks_of_a_branch_are_numbered() -> None:
    assert TREE.forks(4) == {2: Fork(1, 2), 3: Fork(1, 2)}
    assert TREE.forks(6) == {2: Fork(1, 2), 5: Fork(2, 2)}
    assert TREE.forks(7) == {7: Fork(2, 2)}
    assert TREE.forks(None) == {}
    assert str(Fork(2, 3)) == "2/3"


def test_every_branch_comes_round_the_newest_first() -> None:
    assert TREE.next_branch(7) == 6
    assert TREE.next_branch(6) == 4
    assert TREE.next_branch(4) == 7
    assert TREE.next_branch(2) == 7, "what is no end is followed by the newest"
    assert Tree({1: None, 2: 1}).next_branch(2) is None
    assert Tree().next_branch(None) is None


def test_a_first_question_can_fork_too() -> None:
    tree = Tree({1: None, 2: 1}).with_message(3, None)
    assert tree.forks(3) == {3: Fork(2, 2)}
    assert tree.next_branch(3) == 2
    assert tree.siblings(None) == (1, 3)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    count = draw(st.integers(1, 30))
    parents: dict[int, int | None] = {}
    for message in range(1, count + 1):
        above = draw(st.integers(0, message - 1))
        parents[message] = above or None
    return Tree(parents)


@given(trees(), st.data())
def test_walking_comes_to_every_end_once_and_back(tree: Tree, data: st.DataObject) -> None:
    ends = sorted(set(tree.parents) - set(tree.parents.values()))
    begin = end = data.draw(st.sampled_from(ends))
    seen: list[int] = []
    while (following := tree.next_branch(end)) is not None:
        assert tree.forks(end)
        seen.append(end := following)
        if end == begin:
            break
    assert sorted(seen) == (ends if len(ends) > 1 else [])
    assert bool(tree.forks(begin)) == (len(ends) > 1)


@given(trees(), st.data())
def test_a_fork_says_where_its_message_stands(tree: Tree, data: st.DataObject) -> None:
    message = data.draw(st.sampled_from(sorted(tree.parents)))
    for forked, fork in tree.forks(message).items():
        assert tree.siblings(tree.parents[forked])[fork.index - 1] == forked
        assert fork.count > 1


def test_rings_in_a_damaged_file_end() -> None:
    assert Tree({1: 2, 2: 1, 3: 3}).forks(2) == {}
    assert Tree({1: 2, 2: 1}).next_branch(1) is None


def test_the_tree_is_read_from_the_file(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "deck.db", [CONVERSATIONS])
    kept = Conversations(database)
    other = kept.create()
    kept.say(other.id, None, "elsewhere")
    chat = kept.create()
    question = kept.say(chat.id, None, "one")
    answers = [kept.begin_answer(chat.id, question.id, "m", "e") for _ in range(2)]
    tree = read_tree(database, chat.id)
    assert tree == Tree({question.id: None, **{answer.id: question.id for answer in answers}})
    assert kept.tree(chat.id) == tree
    database.close()
