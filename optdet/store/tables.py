"""optdet's own tables, in the same database as Optuna's.

Conventions: every name starts with ``optdet_`` and the metadata is our own, so that Optuna's schema upgrades
and its dashboard never meet these tables. The schema version is kept in a table of ours as well (the name
``alembic_version`` belongs to Optuna). Rows of a study are keyed by its UUID plus the trial's number: SQLite
gives the ids of a deleted study to the next one. Those of a submission are keyed by the SHA-256 of its bytes,
and belong to no study: what a leaderboard said outlives the studies. Times are seconds since the epoch,
scores are 0..1.

Version 2 has the three tables of submissions and that of playbooks, and differs from version 1 in nothing
else. Tables may come without a version of their own: one that is not there is made, and an optdet that knows
nothing of it is not troubled by it.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import Connection

from optdet import __version__
from optdet.errors import OptdetError

SCHEMA_VERSION = 2

METADATA = MetaData()

# The release is kept for the one message that needs it: "made by optdet 0.9.0".
VERSION = Table(
    "optdet_version",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("release", String(64), nullable=False),
)

# One row for each worker that has, or is about to have, a trial. NULL trial numbers do not collide.
SLOTS = Table(
    "optdet_slots",
    METADATA,
    Column("slot_id", Integer, primary_key=True),
    Column("study_uuid", String(36), nullable=False),
    Column("trial_number", Integer),
    Column("host", String(255), nullable=False),
    Column("boot_id", String(64), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Double, nullable=False),
    Column("beat", Double, nullable=False),
    Column("n_takeovers", Integer, nullable=False),
    UniqueConstraint("study_uuid", "trial_number"),
    # Without it SQLite would reuse the id of a deleted slot, and a late beat could refresh a stranger's.
    sqlite_autoincrement=True,
)

CHECKPOINTS = Table(
    "optdet_checkpoints",
    METADATA,
    Column("study_uuid", String(36), primary_key=True),
    Column("trial_number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("path", String(4096), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created", Double, nullable=False),
)

INNER_TRIALS = Table(
    "optdet_inner_trials",
    METADATA,
    Column("study_uuid", String(36), primary_key=True),
    Column("trial_number", Integer, primary_key=True, autoincrement=False),
    Column("inner_number", Integer, primary_key=True, autoincrement=False),
    Column("thresh", Double, nullable=False),
    Column("box_thresh", Double, nullable=False),
    Column("unclip_ratio", Double, nullable=False),
    Column("max_candidates", Integer, nullable=False),
    Column("use_polygon", Boolean, nullable=False),
    Column("min_side", Double, nullable=False),
    # Competition profile, macro. The official one is known for the chosen configuration, in the trial.
    *(Column(score, Double, nullable=False) for score in ("precision", "recall", "hmean")),
    # The key is half of such a row: without a rowid SQLite stores it once, not twice.
    sqlite_with_rowid=False,
)

# One row for each stage that a playbook entered; results and decisions are JSON.
PLAYBOOK_STEPS = Table(
    "optdet_playbook_steps",
    METADATA,
    Column("playbook", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("stage", String(64), nullable=False),
    Column("work", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("result", Text),
    Column("decision", Text),
)

# ``paths``, ``sources``, ``settings`` and ``local`` are JSON. The H-means of images lie beside them, 16 bytes
# each: a list of all submissions reads every row.
SUBMISSIONS = Table(
    "optdet_submissions",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("paths", Text, nullable=False),
    Column("command", String(64), nullable=False),
    Column("created", Double, nullable=False),
    Column("written", Double, nullable=False),
    Column("n_images", Integer, nullable=False),
    Column("n_polygons", Integer, nullable=False),
    Column("n_bytes", Integer, nullable=False),
    Column("image_set", String(64), nullable=False),
    Column("origin", String(64)),
    Column("sources", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("local", Text),
    Column("local_hmeans", LargeBinary),
)

BOARD_SCORES = Table(
    "optdet_board_scores",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("board", String(16), primary_key=True),
    Column("hmean", Double, nullable=False),
    Column("precision", Double),
    Column("recall", Double),
    Column("note", Text),
    Column("recorded", Double, nullable=False),
)

# The bytes of what was sent to a leaderboard, compressed: the file itself may be overwritten the next day.
SUBMISSION_FILES = Table(
    "optdet_submission_files",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)


def installed_version(connection: Connection) -> int | None:
    """The schema version found in the database, or None where optdet's tables were never made."""
    if not inspect(connection).has_table(VERSION.name):
        return None
    version: int | None = connection.scalar(select(func.max(VERSION.c.version)))
    return version


def check_version(connection: Connection) -> None:
    """Refuse a database written by a newer optdet: its rows may mean something else."""
    version = installed_version(connection)
    if version is None or version <= SCHEMA_VERSION:
        return
    release = connection.scalar(select(VERSION.c.release).where(VERSION.c.version == version))
    raise OptdetError(
        f"made by optdet {release} (schema {version}), this is {__version__} (schema {SCHEMA_VERSION})",
        where=connection.engine.url.render_as_string(hide_password=True),
        fix="upgrade optdet, or name another database with --storage",
    )


def is_complete(connection: Connection) -> bool:
    """Whether the database has this version and every table of it."""
    there = set(inspect(connection).get_table_names())
    return METADATA.tables.keys() <= there and installed_version(connection) == SCHEMA_VERSION


def ensure_tables(engine: Engine) -> None:
    """Make what is missing, in one transaction: the version's row appears together with the tables.

    A database of an earlier version gets the tables that it lacks; what is in it stays as it is.
    """
    with engine.begin() as connection:
        check_version(connection)
        if is_complete(connection):
            return
        METADATA.create_all(connection)
        if installed_version(connection) != SCHEMA_VERSION:
            connection.execute(insert(VERSION).values(version=SCHEMA_VERSION, release=__version__))
