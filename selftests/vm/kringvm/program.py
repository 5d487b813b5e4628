# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A program that runs in the guest's background."""

import copy
import itertools
import os
import shlex
import time

_count = itertools.count()

START = '''
base={base}
(
    setsid sh -c 'echo $$ >"$0.pid"; eval "$1"' $base {command} </dev/null >$base.log 2>&1
    echo $? >$base.tmp
    mv $base.tmp $base.status
) </dev/null >/dev/null 2>&1 &
until [ -s $base.pid ]; do sleep 0.02; done
cat $base.pid
'''


class Program:
    """Its whole state is in the guest, so it goes through a snapshot with the guest."""

    def __init__(self, vm, command: str):
        self.vm = vm
        self.command = command
        self._base = f'/run/kringvm/program-{os.getpid()}-{next(_count)}'
        self.pid = int(vm.run(START.format(base=self._base, command=shlex.quote(command))))

    def on(self, vm) -> 'Program':
        """The same program in a VM that was restored from a snapshot of this one's."""
        other = copy.copy(self)
        other.vm = vm
        return other

    def poll(self) -> int | None:
        """The exit status as the shell has it (128 + the signal), None while it runs."""
        text = self.vm.run(f'cat {self._base}.status 2>/dev/null || true')
        return int(text) if text else None

    def wait(self, timeout: float = 60) -> int:
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise self.vm.error(f'{self.command!r} still runs after {timeout} s; '
                                    f'its output:\n{self.output()[-2000:]}')
            time.sleep(0.05)
        return status

    def output(self) -> str:
        """What it has printed so far."""
        return self.vm.run(f'cat {self._base}.log')

    def kill(self, sig: int = 15) -> None:
        """Signals the program and its children; it may have ended already."""
        self.vm.run(f'kill -{int(sig)} -- -{self.pid} 2>/dev/null || true')
