#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Mappings of /dev/kring: rights, frames, sleep, and what is left when the device goes."""

import os
import re
import sys
import tempfile
import time

import rig
from hand import Bell, Hand
from kringvm import VM, Tap

DRIVER = '/sys/bus/virtio/drivers/kring_pmem'


def check_program(tap, vm, region, port) -> None:
    host = rig.HostEnd(region, port.socket, os.path.join(vm.workdir, 'echo.log'), echo=True)
    program = vm.spawn('mapping')
    status = program.wait(180)
    host.kill()
    for line in program.output().splitlines():
        if result := re.match(r'(not )?ok \d+ - (.*)', line):
            tap.ok(not result[1], f'guest: {result[2]}', program.output())
    tap.equal(status, 0, 'guest: mapping')


def until(condition, timeout: float = 30) -> bool:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def check_sleep(tap, vm, region) -> None:
    """Kicks wake who sleeps on a mapping; where they are lost, the timer does."""
    hand = Hand(region)
    for ring, rescue, how in ((True, 0, 'a kick'), (False, 100, 'the timer')):
        vm.run(f'echo {rescue} >/sys/module/kring/parameters/rescue_ms')
        for direction, said in (('in', 'IN'), ('out', 'OUT')):
            before = rig.counters(vm)['wakeups_rescued']
            program = vm.spawn(f'mapped {direction}')
            # What the program announces before it sleeps: want_data of h2g, want_space of g2h.
            word = hand.h2g + rig.PAGE + 4 if direction == 'in' else hand.g2h + 4
            tap.ok(until(lambda word=word: hand.get(word)), f'{direction}: announced')
            time.sleep(1)
            tap.ok(program.poll() is None, f'{direction}: it sleeps', program.output())
            with Bell(vm) as bell:
                # Who connects kicks, too: that is over before there is anything to find.
                time.sleep(1)
                hand.send(1) if direction == 'in' else hand.take()
                if ring:
                    bell.ring()
                program.wait(30)
            tap.ok(f'poll: {said}' in program.output(), f'{direction}: woken by {how}',
                   program.output())
            rescued = rig.counters(vm)['wakeups_rescued'] - before
            tap.equal(rescued, 0 if ring else 1, f'{direction}: and rescued so often')
            if direction == 'in':
                tap.equal(vm.run('kdev r read').strip(), 'read: 16', 'the frame is still there')


def check_unbind(tap, vm) -> None:
    """Several nodes of one device are several inodes."""
    vm.run('set -- $(tr : " " </sys/class/kring/kring/dev); mknod /tmp/node c $1 $2')
    address = vm.pci_address('kring-region')
    device = vm.run(f'basename $(echo /sys/bus/pci/devices/{address}/virtio*)').strip()
    for node in ('/dev/kring', '/tmp/node'):
        program = vm.spawn(f'mapped bus {node}')
        tap.ok(until(lambda program=program: 'mapped' in program.output()), f'{node} is mapped')
        vm.run(f'echo {device} >{DRIVER}/unbind')
        program.wait(30)
        said = [line.removeprefix(f'{node}: ') for line in program.output().splitlines()]
        tap.equal(said, ['mapped', 'SIGBUS', 'SIGBUS', 'SIGBUS', 'SIGBUS', 'ENODEV'],
                  f'{node}: SIGBUS wherever it is touched after unbind')
        vm.run(f'echo {device} >{DRIVER}/claim')
        vm.run(rig.PAIRED)


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**rig.guest(directory))
        region, port = rig.add_kring(vm)
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            check_program(tap, vm, region, port)
            check_sleep(tap, vm, region)
            check_unbind(tap, vm)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
