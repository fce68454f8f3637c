"""Time history in steps of a second and finer, fetched for a stretch that somebody chose and kept for a while."""
