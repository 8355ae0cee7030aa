"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """A mistake its user can mend.

    The message names the file or setting and the remedy. Launchers print it without a traceback and
    exit with status 2; anything else that escapes is a bug of ours and keeps its traceback.
    """
