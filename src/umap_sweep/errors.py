"""The one exception that a user is meant to read."""


class InputError(Exception):
    """Something the user gave is wrong, or something stored is damaged.

    Its message names the thing, the value and the remedy in one or two sentences; it is shown without a traceback.
    """
