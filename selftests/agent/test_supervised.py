#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What goes without a service manager goes with one: sessions have keepers then."""

import sys

import test_exec
import test_session
import test_terminal
from guest import Tap
from supervisor import Supervised, settled


def main() -> int:
    with Tap() as tap, Supervised() as guest:
        guest.exec('true')
        before = guest.fds()
        for check in (test_exec.check_status, test_exec.check_refused,
                      test_exec.check_surroundings, test_exec.check_stdin, test_exec.check_bulk,
                      test_exec.check_slow_reader, test_exec.check_signals,
                      test_exec.check_time, test_exec.check_killed_clients,
                      test_session.check_detach, test_session.check_ended,
                      test_session.check_not_taken, test_session.check_kill,
                      test_session.check_stdin,
                      test_terminal.check_shell, test_terminal.check_ends,
                      test_terminal.check_detach):
            tap.diag(f'{check.__module__}.{check.__name__}')
            check(tap, guest)
        tap.ok(settled(guest) and guest.fds() <= before, 'nothing is left',
               (guest.ps(), guest.tree(), before, guest.fds()))
        tap.equal(guest.stop(), 0, 'kringd ends in order')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
