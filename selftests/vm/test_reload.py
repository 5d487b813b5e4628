#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring.ko replaced under traffic: the region's own cursors are what the next one goes on from, so
no frame is lost and none comes twice."""

import os
import sys
import tempfile
import time

import rig
from kringvm import VM, Tap

FRAMES = 20000
DELAY_US = 200
RELOADS = 5

# Whoever has the device open hears that it is gone, and closes it; then the module can go.
RELOAD = '''
echo {device} >/sys/bus/virtio/drivers/kring_pmem/unbind
until rmmod kring 2>/dev/null; do usleep 1000; done
lsmod | grep -qw ^kring && exit 1
''' + rig.LOAD


class Machine:
    def __init__(self, directory: str):
        self.vm = VM(**rig.guest(directory))
        self.region, self.port = rig.add_kring(self.vm)

    def virtio(self) -> str:
        """virtioN of the region."""
        address = self.vm.pci_address('kring-region')
        return self.vm.run(f'basename $(echo /sys/bus/pci/devices/{address}/virtio*)').strip()

    def in_flight(self) -> int:
        stat = rig.stat(self.region)
        return min(stat['h2g']['in_flight'], stat['g2h']['in_flight'])


def check_reload(tap, m: Machine, name: str, options: str) -> None:
    log = os.path.join(m.vm.workdir, f'host{options}.log')
    host = rig.HostEnd(m.region, m.port.socket, log, send=FRAMES, receive=FRAMES, delay=DELAY_US)
    program = m.vm.spawn(f'traffic-guest --reopen --send {FRAMES} --receive {FRAMES} '
                         f'--delay {DELAY_US} {options}')
    in_flight = []
    for _ in range(RELOADS):
        time.sleep(0.3)
        in_flight.append(m.in_flight())
        m.vm.run(RELOAD.format(device=m.virtio()))
        m.vm.run(rig.PAIRED)
    still = program.poll() is None
    status = program.wait(120), host.wait(60)
    text = host.output() + program.output()
    numbers = rig.numbers(text)
    tap.ok(still and min(in_flight) > 0, f'{name}: {RELOADS} times, with frames in flight each way',
           f'{in_flight}, {"still" if still else "no longer"} running')
    tap.ok(status == (0, 0) and numbers['received'] == 2 * FRAMES and
           numbers['lost'] == numbers['duplicated'] == numbers['corrupt'] == 0,
           f'{name}: nothing lost, nothing doubled', f'{status}\n{text}')
    tap.diag(f'{name}: in flight, at least, each way: {in_flight}')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        m = Machine(directory)
        with m.vm:
            m.vm.run(rig.LOAD)
            m.vm.run(rig.PAIRED)
            check_reload(tap, m, 'blocking', '')
            check_reload(tap, m, 'poll', '--poll')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
