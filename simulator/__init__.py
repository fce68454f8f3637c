"""A MyCirrus to run against, as its own process; it must not import anything of the project."""
