"""The Alembic migrations of our own tables, found as `crisis_engine.migrations`; the host's migrations never see them."""
