"""The production files, run for real as far as this machine can."""
