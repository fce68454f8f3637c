"""Measures the hot paths as ratios to small bare programs that do the same work; it is never a timed test."""
