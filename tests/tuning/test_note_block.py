"""What of a note is written anew, and that nothing else of it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optdet.tuning.note_block import block, with_block

LINKS = "# mine\n\n- inner: [a](/dashboard/studies/3)"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=60)


def test_words_around_the_block_stay():
    note = f"Mine, above.\n\n{block(LINKS)}\n\nMine, below.\n"
    assert with_block(note, "# new") == f"Mine, above.\n\n{block('# new')}\n\nMine, below.\n"


def test_a_note_without_the_block_is_somebodys_own():
    for note in ("", "my own words", block(LINKS).partition("\n")[2]):
        assert with_block(note, "# new") == note


def test_words_in_the_block_are_kept_below_a_new_one():
    note = block(LINKS).replace("inner:", "the inner one, which is wrong:")
    written = with_block(note, "# new")
    assert written.startswith(block("# new"))
    assert "the inner one, which is wrong: a" in written
    assert "/dashboard/studies/3" not in written
    again = with_block(written, "# newer")
    assert again == written.replace(block("# new"), block("# newer"))


@given(before=texts, after=texts, first=texts, second=texts)
def test_writing_anew_is_writing_the_last_alone(before, after, first, second):
    if "[//]" in before + after + first + second:
        return
    note = f"{before}\n{block(first)}\n{after}"
    assert with_block(note, second) == f"{before}\n{block(second)}\n{after}"
    assert with_block(with_block(note, second), second) == with_block(note, second)
