"""The process of the command line: python -m difffilter"""

import signal
import sys

__all__ = ["main"]


def main():
    """Run the command line as a process that a signal ends without a traceback at any moment."""
    try:
        from difffilter.cli import main as run  # which takes a tenth of a second

        run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:
            # Objects that were being made are incomplete, and complain when they are deleted.
            sys.unraisablehook = lambda unraisable: None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while Python shuts down


if __name__ == "__main__":
    main()
