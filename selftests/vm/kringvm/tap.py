# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A producer of the Test Anything Protocol."""

import sys
import traceback


class Tap:
    """
    with Tap() as tap:
        tap.ok(1 + 1 == 2, 'addition')
    sys.exit(tap.status)
    """

    def __init__(self, stream=None):
        self._stream = stream or sys.stdout
        self.passed = self.failed = self.skipped = 0
        self._bailed = False

    def __enter__(self):
        self._print('TAP version 13')
        return self

    def __exit__(self, kind, error, trace):
        # An exception is a failure of whatever came next; only a wish to end goes on.
        if kind and issubclass(kind, Exception):
            lines = traceback.format_exception(kind, error, trace)
            self.ok(False, f'no exception ({kind.__name__})', ''.join(lines))
            error = None
        if not self._bailed and not error:
            self._print(f'1..{self._count}')
        return error is None

    @property
    def status(self) -> int:
        return 1 if self.failed or self._bailed or not self._count else 0

    @property
    def _count(self) -> int:
        return self.passed + self.failed + self.skipped

    def ok(self, condition, name: str, diag='') -> bool:
        if condition:
            self.passed += 1
        else:
            self.failed += 1
        self._print(f'{"ok" if condition else "not ok"} {self._count} - {name}')
        if not condition and diag != '':
            self.diag(diag)
        return bool(condition)

    def equal(self, have, want, name: str) -> bool:
        return self.ok(have == want, name, f'have {have!r}\nwant {want!r}')

    def skip(self, name: str, reason: str) -> None:
        self.skipped += 1
        self._print(f'ok {self._count} - {name} # SKIP {reason}')

    def bail(self, reason: str) -> None:
        """Nothing that follows would make sense."""
        self._bailed = True
        self._print(f'Bail out! {reason}')
        raise SystemExit(1)

    def diag(self, text) -> None:
        for line in str(text).splitlines():
            self._print(f'# {line}')

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
