"""The words of an incident's steps, as its messages have them."""

from django import template

from monitoring.alerts.words import step_of

register = template.Library()
register.filter("step_words", step_of)
