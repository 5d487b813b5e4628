#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The doorbell carries no state: kicks may be lost, doubled or made up."""

import os
import sys
import tempfile

import rig
from kringvm import VM, Relay, Tap

RESCUE_MS = 100         # both ends' timer, by default
SLACK_MS = 100          # for a machine that has other things to do


class Machine:
    def __init__(self, directory: str):
        self.vm = VM(**rig.guest(directory))
        self.region, self.port = rig.add_kring(self.vm)
        self._runs = 0

    def traffic(self, relay: dict | None, guest: str, **host):
        """One run over a relay; exit statuses, all numbers of both ends, and what the guest's
        driver counted meanwhile."""
        self._runs += 1
        doorbell = self.port.socket
        before = rig.counters(self.vm)
        if relay is not None:
            listen = os.path.join(self.vm.workdir, f'relay{self._runs}')
            relay = Relay(listen, doorbell, **relay)
            doorbell = listen
        try:
            log = os.path.join(self.vm.workdir, f'host{self._runs}.log')
            end = rig.HostEnd(self.region, doorbell, log, **host)
            program = self.vm.spawn(f'traffic-guest {guest}')
            status = end.wait(120), program.wait(30)
        finally:
            if relay is not None:
                relay.stop()
        after = rig.counters(self.vm)
        delta = {name: after[name] - before[name] for name in after}
        text = end.output() + program.output()
        return status, rig.numbers(text), delta, f'{text}guest driver: {delta}'


def check_healthy(tap, m: Machine) -> None:
    status, numbers, delta, text = m.traffic(None, '--echo 300', ping=300)
    tap.equal(status, (0, 0), 'healthy: 300 frames there and back')
    # A kick that is a moment late may look lost to a timer: some, not many.
    rescued = numbers['wakeups_rescued'] + delta['wakeups_rescued']
    tap.ok(rescued < 30, 'healthy: kicks wake, not the timers', text)


def check_lossy(tap, m: Machine, name: str, frames: int, poll: str, **relay) -> None:
    """Streams both ways, with receivers that are faster than senders and the reverse."""
    for delay in (0, 300):
        status, numbers, _, text = m.traffic(
            relay, f'--send {frames} --receive {frames} --delay {delay} {poll}', send=frames,
            receive=frames, delay=delay)
        tap.ok(status == (0, 0) and numbers['lost'] == numbers['duplicated'] == 0 and
               numbers['received'] == 2 * frames, f'{name}: no frame is lost (delay {delay})',
               f'{status} {text}')


def check_all_dropped(tap, m: Machine, poll: str) -> None:
    name = f'all kicks dropped{", poll()" if poll else ""}'
    status, numbers, delta, text = m.traffic({'drop_h2g': 1.0, 'drop_g2h': 1.0},
                                             f'--echo 20 {poll}', ping=20)
    tap.equal(status, (0, 0), f'{name}: 20 frames there and back')
    # A round trip has two sleepers.
    longest = numbers['max_us'] / 1000
    tap.ok(longest <= 2 * RESCUE_MS + SLACK_MS,
           f'{name}: nobody sleeps longer than the timer', f'{longest} ms\n{text}')
    tap.ok(delta['wakeups_rescued'] >= 15, f'{name}: the guest counts its rescues', text)
    tap.ok(numbers['wakeups_rescued'] >= 15, f'{name}: the host counts its rescues', text)
    tap.diag(f'{name}: round trip mean {numbers["mean_us"] / 1000:.1f} ms, max {longest:.1f} ms, '
             f'rescued {delta["wakeups_rescued"]} in the guest, {numbers["wakeups_rescued"]} at '
             'the host')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        m = Machine(directory)
        with m.vm:
            m.vm.run(rig.LOAD)
            m.vm.run(rig.PAIRED)
            check_healthy(tap, m)
            for poll in ('', '--poll'):
                check_all_dropped(tap, m, poll)
            for seed, poll in ((1, ''), (2, '--poll')):
                check_lossy(tap, m, f'half of the kicks dropped{poll}', 1000, poll,
                            drop_h2g=0.5, drop_g2h=0.5, seed=seed)
                check_lossy(tap, m, f'doubled and made up{poll}', 1000, poll,
                            double=0.5, spurious_hz=500, seed=seed)
                check_lossy(tap, m, f'dropped, doubled, made up and late{poll}', 1000, poll,
                            drop_h2g=0.3, drop_g2h=0.3, double=0.3, spurious_hz=100, delay=0.002,
                            seed=seed)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
