#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Devices that go away under traffic: unbind, hot-unplug, rmmod."""

import os
import sys
import tempfile

import rig
from kringvm import VM, Tap

FRAMES = 1000000        # more than there is time for
DRIVERS = '/sys/bus/virtio/drivers'

# What ends each sleep on a device that goes away.
GONE = {
    'reader': 'ENODEV', 'second reader': 'ENODEV', 'writer': 'ENODEV', 'second writer': 'ENODEV',
    'poll reader': 'ERR HUP', 'poll writer': 'ERR HUP', 'epoll reader': 'ERR HUP',
    'select reader': 'readable', 'all': 'asleep',
}


class Machine:
    def __init__(self, directory: str):
        self.vm = VM(**rig.guest(directory))
        self.region, self.port = rig.add_kring(self.vm, hotplug=True)
        self.log = os.path.join(directory, 'host.log')

    def virtio(self, device) -> str:
        """virtioN of a PCI device."""
        address = self.vm.pci_address(device)
        return self.vm.run(f'basename $(echo /sys/bus/pci/devices/{address}/virtio*)').strip()

    def traffic(self):
        """Endless, both ways."""
        if os.path.exists(self.log):
            os.unlink(self.log)
        host = rig.HostEnd(self.region, self.port.socket, self.log, send=FRAMES, receive=FRAMES)
        program = self.vm.spawn(f'traffic-guest --send {FRAMES} --receive {FRAMES}')
        self.moves()
        return host, program

    def moves(self) -> bool:
        """Whether both rings' consumers get on."""
        before = rig.stat(self.region)
        return self.vm.sh('sleep 0.5')[0] == 0 and all(
            rig.stat(self.region)[ring]['tail'] != before[ring]['tail'] for ring in ('h2g', 'g2h'))

    def empty(self) -> None:
        """What an interrupted run has left in the rings is not of the next."""
        rig.Region(self.region).empty()

    def works(self) -> bool:
        """A frame there and back."""
        if os.path.exists(self.log):
            os.unlink(self.log)
        host = rig.HostEnd(self.region, self.port.socket, self.log, echo=True)
        try:
            self.vm.run('n=0; until kdev rw write poll read | grep -q "poll: IN"; do '
                        'sleep 0.1; n=$((n+1)); [ $n -lt 100 ] || exit 1; done')
        finally:
            host.kill()
        return True


def check_rmmod(tap, m: Machine) -> None:
    host, program = m.traffic()
    status, output = m.vm.sh('rmmod kring')
    tap.ok(status, 'rmmod under traffic is refused', output)
    tap.ok(m.moves(), 'and the traffic goes on')
    program.kill(9)
    program.wait()
    host.kill()
    m.vm.run('rmmod kring')
    tap.equal(m.vm.run('ls /sys/class/kring /dev/kring* 2>/dev/null | wc -l').strip(), '0',
              'rmmod with all files closed')
    m.empty()
    m.vm.run(rig.LOAD)
    m.vm.run(rig.PAIRED)
    tap.ok(m.works(), 'loaded again, it works')


def check_gone(tap, m: Machine, name: str, take_away, bring_back) -> None:
    host, program = m.traffic()
    take_away()
    program.wait(20)
    tap.equal(program.output().count('error: No such device'), 2,
              f'{name}: reads and writes under traffic end with ENODEV')
    tap.equal(m.vm.run('ls /dev/kring* 2>/dev/null | wc -l').strip(), '0',
              f'{name}: /dev/kring is gone')
    host.kill()
    m.empty()
    bring_back()
    m.vm.run(rig.PAIRED)

    program = m.vm.spawn('waiters')
    m.vm.run('sleep 1')
    take_away()
    program.wait(20)
    ended = dict(line.split(': ', 1) for line in program.output().splitlines())
    tap.equal(ended, GONE, f'{name}: every sleep ends')
    m.empty()
    bring_back()
    m.vm.run(rig.PAIRED)
    tap.ok(m.works(), f'{name}: back again, it works')


def check_unbind_region(tap, m: Machine) -> None:
    device = m.virtio('kring-region')
    check_gone(tap, m, 'unbind of the region',
               lambda: m.vm.run(f'echo {device} >{DRIVERS}/kring_pmem/unbind'),
               lambda: m.vm.run(f'echo {device} >{DRIVERS}/kring_pmem/claim'))
    tap.equal(m.vm.sh(f'echo virtio99 >{DRIVERS}/kring_pmem/claim')[0], 1,
              'claim of a device that is not there is refused')
    other = m.virtio(m.vm.serial_of(m.port))
    tap.equal(m.vm.sh(f'echo {other} >{DRIVERS}/kring_pmem/claim')[0], 1,
              'and of one of another kind')


def check_unbind_port(tap, m: Machine) -> None:
    host, program = m.traffic()
    device = m.virtio(m.vm.serial_of(m.port))
    m.vm.run(f'echo {device} >{DRIVERS}/kring_vport/unbind')
    tap.equal(m.vm.run('cat /sys/class/kring/kring/doorbell').strip(), 'none',
              'unbind of the port: no doorbell')
    tap.ok(m.moves(), 'unbind of the port: the timers carry the traffic')
    m.vm.run(f'echo {device} >{DRIVERS}/kring_vport/claim')
    m.vm.run(rig.PAIRED)
    tap.ok(m.moves(), 'unbind of the port: claimed again, the doorbell does')
    program.kill(9)
    host.kill()


def check_storm(tap, m: Machine) -> None:
    """Unbind and claim, over and over, while programs open, read, write and poll."""
    region, port = m.virtio('kring-region'), m.virtio(m.vm.serial_of(m.port))
    host = rig.HostEnd(m.region, m.port.socket, m.log, echo=True)
    m.vm.run('''
cat >/tmp/user <<'END'
while [ ! -e /tmp/stop ]; do kdev rw write poll read info write read poll; done >/dev/null 2>&1
END
for i in 1 2; do sh /tmp/user & done''')
    m.vm.run(f'''
for i in $(seq 20); do
    echo {region} >{DRIVERS}/kring_pmem/unbind; echo {port} >{DRIVERS}/kring_vport/unbind
    echo {region} >{DRIVERS}/kring_pmem/claim; echo {port} >{DRIVERS}/kring_vport/claim
    usleep 50000
    echo {port} >{DRIVERS}/kring_vport/unbind; echo {region} >{DRIVERS}/kring_pmem/unbind
    echo {port} >{DRIVERS}/kring_vport/claim; echo {region} >{DRIVERS}/kring_pmem/claim
    usleep 50000
done''', timeout=120)
    m.vm.run('touch /tmp/stop; sleep 0.5')
    host.kill()
    m.vm.run(rig.PAIRED)
    tap.ok(m.works(), '40 times unbind and claim of both under use')


def check_hot_unplug(tap, m: Machine) -> None:
    vm = m.vm

    def plug_region():
        vm.add_region(m.region, os.path.getsize(m.region), id='kring-region', hotplug=True)
        vm.run('until [ -e /dev/kring ]; do sleep 0.05; done')

    check_gone(tap, m, 'hot-unplug of the region', lambda: vm.unplug('kring-region'), plug_region)

    host, program = m.traffic()
    vm.unplug(vm.serial_of(m.port))
    tap.equal(vm.run('cat /sys/class/kring/kring/doorbell').strip(), 'none',
              'hot-unplug of the port: no doorbell')
    tap.ok(m.moves(), 'hot-unplug of the port: the timers carry the traffic')
    m.port = vm.add_port('kring.test', m.port.socket, id='kring-port', hotplug=True)
    vm.run(rig.PAIRED)
    tap.ok(m.moves(), 'hot-unplug of the port: plugged again, the doorbell does')
    program.kill(9)
    host.kill()


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        m = Machine(directory)
        with m.vm:
            m.vm.run(rig.LOAD)
            m.vm.run(rig.PAIRED)
            check_rmmod(tap, m)
            check_unbind_region(tap, m)
            check_unbind_port(tap, m)
            check_storm(tap, m)
            check_hot_unplug(tap, m)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
