"""Write the next revision of the schema, from what the models have changed: `make revision m="…"`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command

from connector.ledger.db.dialect import writer_engine
from connector.ledger.db.migrations import REVISIONS, alembic_config, migrate, newest_revision
from tools.first_schema import make_first_schema


def write_revision(message: str, revisions: Path = REVISIONS) -> None:
    """Write the difference between an upgraded database and the models into a numbered file."""
    number = f"{int(newest_revision(revisions)) + 1:04}"
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        engine = writer_engine(url)
        with engine.begin() as c:
            make_first_schema(c)
        migrate(url, revisions)
        with engine.begin() as c:
            config = alembic_config(c, revisions)
            command.revision(config, message, autogenerate=True, rev_id=number)
        engine.dispose()


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit('Say what changes: make revision m="add a column"')
    write_revision(sys.argv[1])
