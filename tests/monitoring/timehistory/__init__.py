"""Tests of time histories on demand."""
