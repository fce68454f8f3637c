"""Runs a whole installation on one machine as supervised processes; standard library only, never Django."""
