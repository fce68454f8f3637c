"""gunicorn's configuration file for the bare programs: empty, so that the project's own is not taken."""
