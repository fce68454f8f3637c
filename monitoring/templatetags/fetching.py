"""Why something cannot be read, asked where a page has nothing to show and nowhere else."""

from django import template

from monitoring.fetching import not_let

register = template.Library()
register.simple_tag(not_let, name="not_let")
