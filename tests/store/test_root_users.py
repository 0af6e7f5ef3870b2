"""A root knows the databases that keep files in it, and they are asked before any is removed."""

from __future__ import annotations

import re

import pytest

from optdet.errors import OptdetError
from optdet.store.engine import close_storage, open_storage
from optdet.store.root_users import NOTE_NAME, note_database, other_databases


@pytest.fixture
def open_file():
    opened = []

    def made(path):
        opened.append(open_storage(path))
        return opened[-1]

    yield made
    for storage in opened:
        close_storage(storage)


def names(root, storage):
    return [name for name, _ in other_databases(root, storage)]


def test_a_file_is_found_in_the_root_and_noted_from_elsewhere(tmp_path, open_file):
    root = tmp_path / "root"
    inside, elsewhere = open_file(root / "optdet.db"), open_file(tmp_path / "there" / "other.db")
    note_database(root, inside)
    assert not (root / NOTE_NAME).exists()
    for _ in range(2):
        note_database(root, elsewhere)
    assert (root / NOTE_NAME).read_text() == f"sqlite:///{tmp_path}/there/other.db\n"
    assert names(root, inside) == [str(tmp_path / "there" / "other.db")]
    assert names(root, elsewhere) == [str(root / "optdet.db")]


def test_a_line_that_somebody_wrote_without_its_end_stays_one(tmp_path, open_file):
    root = tmp_path / "root"
    inside, elsewhere = open_file(root / "optdet.db"), open_file(tmp_path / "there" / "other.db")
    (root / NOTE_NAME).write_text(f"sqlite:///{tmp_path}/third.db")
    note_database(root, elsewhere)
    lines = (root / NOTE_NAME).read_text().splitlines()
    assert lines == [f"sqlite:///{tmp_path}/third.db", f"sqlite:///{tmp_path}/there/other.db"]
    assert names(root, inside) == [str(tmp_path / "there" / "other.db")]


def test_a_file_that_is_gone_is_forgotten_and_a_folder_that_is_away_is_not(tmp_path, open_file):
    root = tmp_path / "root"
    inside, elsewhere = open_file(root / "optdet.db"), open_file(tmp_path / "disk" / "other.db")
    note_database(root, elsewhere)
    (tmp_path / "disk" / "other.db").unlink()
    assert names(root, inside) == []
    for path in (tmp_path / "disk").iterdir():
        path.unlink()
    (tmp_path / "disk").rmdir()
    with pytest.raises(
        OptdetError, match=r"cannot be asked which: its folder is not there; .*take it out of "
    ):
        names(root, inside)
    (root / NOTE_NAME).write_text("")
    assert names(root, inside) == []


def test_a_note_that_cannot_be_read_is_one_line(tmp_path, open_file):
    inside = open_file(tmp_path / "optdet.db")
    (tmp_path / NOTE_NAME).write_text("nonsense\n")
    with pytest.raises(OptdetError, match="'nonsense' is no database URL; take the line out"):
        names(tmp_path, inside)


def test_a_server_that_is_away_is_one_line(tmp_path, open_file):
    inside = open_file(tmp_path / "optdet.db")
    (tmp_path / NOTE_NAME).write_text("postgresql+psycopg://me@127.0.0.1:1/optdet\n")
    with pytest.raises(
        OptdetError, match=r"me@127.0.0.1:1/optdet: this database keeps files in .* PGPASSWORD"
    ):
        names(tmp_path, inside)


@pytest.mark.postgres
def test_a_database_on_a_server_is_noted_without_its_password_and_knows_itself(
    tmp_path, open_file, postgres_url
):
    inside = open_file(tmp_path / "optdet.db")
    with_password = re.sub(r"//([^/@]*)@", r"//\1:secret@", postgres_url)
    ours = open_file(f"{with_password}?application_name=x")
    note_database(tmp_path, ours)
    [line] = (tmp_path / NOTE_NAME).read_text().splitlines()
    assert line == f"{postgres_url}?application_name=x"
    assert names(tmp_path, inside) == [line]
    same = open_file(postgres_url.replace("127.0.0.1", "localhost"))
    assert names(tmp_path, same) == [str(tmp_path / "optdet.db")]
