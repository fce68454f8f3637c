"""Tests of events, their sound and their time histories."""
