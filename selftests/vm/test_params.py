#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The module's parameters: regions at an address, right and wrong, and busy polling."""

import os
import re
import sys
import tempfile

import rig
from hand import Hand
from kringvm import VM, Tap

PARAMETERS = '/sys/module/kring/parameters'
PINGS = 500


def regions(vm) -> list:
    """Start and size of each region that the driver has mapped."""
    found = re.findall(r'([0-9a-f]+)-([0-9a-f]+) : kring$', vm.run('cat /proc/iomem'), re.M)
    return [(int(start, 16), int(end, 16) + 1 - int(start, 16)) for start, end in found]


def names(vm) -> list:
    return vm.run('cd /sys/class/kring && for i in *; do [ -e $i ] && echo $i $(cat $i/name); done '
                  '|| true').splitlines()


def check_right(tap, vm, found, paths) -> None:
    (first, _), (second, size) = found
    vm.run(f'modprobe kring region={first:#x} region={second:#x},{size >> 10}K')
    tap.equal(names(vm), ['kring test', 'kring1 other'], 'two regions at their addresses')
    tap.equal(vm.run(f'cat {PARAMETERS}/region').strip(), f'{first:#x};{second:#x},{size >> 10}K',
              'the parameter shows both')
    Hand(paths[0]).send(1)
    tap.equal(vm.run('kdev rw read write').split(), ['read:', '16', 'write:', '16'],
              'frames both ways')
    vm.run('rmmod kring')
    vm.run(f"modprobe kring 'region={first:#x};{second:#x}'")
    tap.equal(names(vm), ['kring test', 'kring1 other'], 'the same, separated by a semicolon')
    vm.run('rmmod kring')


def check_wrong(tap, vm, found) -> None:
    (first, size), _ = found
    for value, why in (
            ('junk', 'region=junk: not ADDR'), (f'{first:#x},', 'not ADDR'),
            (f'{first:#x},4096,1', 'not ADDR'), (f'{first:#x}x', 'not ADDR'),
            ('1M', "is the system's memory"), (f'{first + 8:#x}', 'not on a page'),
            (f'{first:#x},{size - 4096}', 'truncated'), (f'{first:#x},0', 'wraps around'),
            (f'{first:#x},100', 'too small even'), (f'{first + size - 4096:#x}', 'magic'),
            (f'{first:#x};{first:#x}', 'another driver has the region')):
        vm.run('dmesg -c >/dev/null')
        vm.run(f"modprobe kring 'region={value};{first:#x}'")
        log = vm.run('dmesg')
        tap.ok(why in log and 'no region there' in log or 'not ADDR' in log,
               f'region={value}: {why}', log)
        tap.equal(names(vm), ['kring test'], 'and the next one is there all the same')
        vm.run('rmmod kring')


def check_busy_poll(tap, vm, path, port) -> None:
    """A reader that finds the answer by itself does not announce that it waits for it."""
    host = rig.HostEnd(path, port.socket, os.path.join(vm.workdir, 'echo.log'), echo=True)
    tap.equal(vm.run(f'cat {PARAMETERS}/busy_poll_us').strip(), '0', 'busy polling is off')
    waits = {}
    for us in (0, 100000, 0):
        vm.run(f'echo {us} >{PARAMETERS}/busy_poll_us')
        before = rig.counters(vm)['kicks_received']
        vm.run(f'pings {PINGS}', timeout=120)
        waits[us] = rig.counters(vm)['kicks_received'] - before
    host.kill()
    print(f'# kicks received for {PINGS} answers: {waits[0]}, {waits[100000]} with busy polling')
    tap.ok(waits[0] > PINGS // 2, 'without, nearly each answer needs a kick')
    tap.ok(waits[100000] < waits[0] // 2, 'with busy polling, few do')
    vm.run(f'echo 1000000000 >{PARAMETERS}/busy_poll_us')
    program = vm.spawn('dd if=/dev/kring of=/dev/null bs=64k count=1')
    vm.run('sleep 1')
    program.kill(9)
    program.wait(20)
    tap.ok(True, 'a signal ends it')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        guest = rig.guest(directory)
        vm = VM(**guest)
        paths, ports = zip(*(rig.add_kring(vm, name, id)
                             for name, id in (('test', ''), ('other', '2'))))
        with vm:
            vm.run(rig.LOAD)
            vm.run('until [ -e /dev/kring1 ]; do sleep 0.05; done')
            found = regions(vm)
            tap.equal(len(found), 2, 'the regions of two devices')
            vm.run(rig.PAIRED)
            check_busy_poll(tap, vm, paths[0], ports[0])
            # The memory stays, without anything that says what it is.
            vm.run('rmmod kring && rmmod virtio_pci')
            check_right(tap, vm, found, paths)
            check_wrong(tap, vm, found)
        vm = VM(**guest, append=f'kring.region={found[0][0]:#x}')
        rig.add_kring(vm)
        with vm:
            vm.run('modprobe kring')
            tap.equal(names(vm), ['kring test'], "a region on the kernel's command line")
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
