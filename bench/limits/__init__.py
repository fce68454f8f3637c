"""Bare programs that do the same work as ours with nothing else: what a benchmark's figures are held against."""
