"""Text from outside on a terminal or in a log for people: one line, no control characters."""


def is_utf8(text: str) -> bool:
    """Whether a text of the environment or the command line was UTF-8: Python keeps other bytes as surrogates."""
    return text.encode(errors="ignore").decode() == text


def printable(text: str) -> str:
    """The text with each character that does not print escaped: a line end is `\\n`, the escape character `\\x1b`.

    So nobody's text can move the cursor, change colours or forge a line.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
