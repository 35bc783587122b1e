"""The console command `koji-amplitude`, also `python -m connector`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from connector.cli.terminal import say, show_error
from connector.errors import ConnectorError, SettingsError, consequence
from connector.text.redaction import safe

INTERRUPTED = 130
BAD_SETTINGS = 2
BROKEN_PIPE = 141
FAULT = 1
_FRAMES = 6


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `words` are the arguments without the program's name."""
    # What a command needs is imported when it is called, so that help answers at once.
    from connector.cli.catalogue import dispatch  # noqa: PLC0415

    try:
        return dispatch(sys.argv[1:] if words is None else words)
    except SettingsError as error:
        say(f"error: {error}")
        return BAD_SETTINGS
    except ConnectorError as error:
        show_error(error)
        return consequence(error).exit_code
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the answer has enough; without this Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - a stack trace would show what people said
        return _say_fault(error)


def _say_fault(error: Exception) -> int:
    from connector.log import described  # noqa: PLC0415

    say(f"error: a fault of this program: {safe(described(error))}")
    for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]:
        say(f"  {frame.filename}:{frame.lineno} {frame.name}")
    return FAULT


if __name__ == "__main__":
    sys.exit(main())
