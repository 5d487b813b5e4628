#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Guest programs over both ends of a region that kring_loop.ko makes: no VMM has a part in it."""

import re
import sys
import tempfile

import rig
from kringvm import VM, Tap


def check_program(tap, vm, command: str) -> None:
    """All that a program in the guest says is a test here."""
    program = vm.spawn(command)
    status = program.wait(180)
    for line in program.output().splitlines():
        if result := re.match(r'(not )?ok \d+ - (.*)', line):
            tap.ok(not result[1], f'guest: {result[2]}', program.output())
    tap.ok(status == 0, f'guest: {command}', program.output())


def check_refused(tap, vm) -> None:
    for parameters, why in (('count=0', 'count=0: not from 1 to 256'),
                            ('count=257', 'count=257: not from 1 to 256'),
                            ('size=5000', 'size=5000: not a power of two'),
                            ('size=2048', 'size=2048: not a power of two')):
        vm.run(f'! modprobe kring_loop {parameters} 2>/dev/null')
        tap.ok(f'kring_loop: {why}' in vm.run('dmesg'), f'{parameters} is refused, and why is said')
    tap.equal(vm.run('ls /sys/class/kring').split(), [], 'and nothing is made of it')


def check_many(tap, vm) -> None:
    vm.run('modprobe kring_loop count=3 size=65536')
    tap.equal(sorted(vm.run('ls /sys/class/kring').split()),
              sorted(['kring', 'kring1', 'kring2', 'kring_loop', 'kring_loop1', 'kring_loop2']),
              'three regions, both ends of each')
    tap.equal(vm.run('cat /sys/class/kring/kring1/h2g_size').strip(), '65536', 'of that size')
    vm.run('rmmod kring_loop')
    tap.equal(vm.run('ls /sys/class/kring').split(), [], 'they go with the module')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        with VM(**rig.guest(directory)) as vm:
            vm.run('modprobe kring')
            check_refused(tap, vm)
            check_many(tap, vm)
            vm.run('modprobe kring_loop')
            check_program(tap, vm, 'device /dev/kring /dev/kring_loop')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
