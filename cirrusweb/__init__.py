"""Configuration and glue: the only package that may know every app; it holds no rule of the field.

It imports nothing by itself: the supervisor lives in it and must stay small. Celery comes with apps.py.
"""
