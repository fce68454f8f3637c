"""The one way in which a start is refused; it carries a sentence, never a traceback."""


class Refusal(Exception):
    """One sentence for the person at the terminal: what is wrong and what to do."""
