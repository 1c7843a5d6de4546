"""The one kind of error that is the caller's to mend."""


class InputError(ValueError):
    """Input that cannot be used; its message is one line that says what is wrong and how to mend it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
