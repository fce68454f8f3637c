"""Organisations, people, keys and instruments; knows neither readings nor webhooks."""
