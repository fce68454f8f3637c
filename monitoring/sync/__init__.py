"""Fetching from MyCirrus into the tables: claims, schedule, ingest."""
