"""Compare pairs of expressions, one JSON line each, until the input ends: run as a program by `equivalence.py`.

It stands apart so that an expression that would take for ever (a tower of powers) is ended with its process.
"""

from __future__ import annotations

import json
import sys

MEMORY = 4 * 2**30  # bytes


def main() -> None:
    """Answer each line `[reference, answer]` with true, false, or null where the reference is no expression."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, OSError, ValueError):  # not every system has it
        pass
    from math_verify import parse, verify

    for line in sys.stdin:
        reference, answer = json.loads(line)
        try:
            expected = parse(reference, parsing_timeout=None)
            actual = parse(answer, parsing_timeout=None)
            is_equal = bool(verify(expected, actual, timeout_seconds=None)) if expected else None
        except Exception:  # of whatever a model wrote
            is_equal = None
        sys.stdout.write(json.dumps(is_equal) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
