"""The schema of the first release, from which later revisions upgrade a database.

A new database is made from the models, and begins at the newest revision: no step makes this one.
"""

from __future__ import annotations

revision = "0001"
down_revision = None
