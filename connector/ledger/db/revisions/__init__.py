"""How the schema came about, for Alembic: its environment, and the revisions by number."""
