"""The years of which Cirrusweb can be asked: near the ends of the calendar another zone's clock has no time to tell."""

YEARS = range(1970, 2101)
