"""Tests of the sync, the alerts, the charts and the pages of monitors."""
