"""Readings and judgement: what instruments measured, how it got here, whom it concerns; knows no webhook."""
