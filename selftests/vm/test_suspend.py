#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A guest that sleeps: its devices forget their queues, the conversation goes on."""

import os
import sys
import tempfile

import rig
from hand import Bell, Hand
from kringvm import VM, Tap


def check_awake(tap, vm, region, port, how: str) -> None:
    """Frames both ways, the doorbell without the timer, and what was on the way before."""
    vm.run(rig.PAIRED)
    tap.equal(vm.run('kdev r read').strip(), 'read: 16', f'{how}: the frame from before is there')
    vm.run('echo 0 >/sys/module/kring/parameters/rescue_ms')
    hand = Hand(region)
    hand.take()
    program = vm.spawn('kdev r wait-in read')
    vm.run('sleep 1')
    with Bell(vm) as bell:
        vm.run('sleep 1')
        hand.send(1)
        bell.ring()
        program.wait(20)
    tap.equal(program.output().splitlines(), ['poll: IN', 'read: 16'], f'{how}: a kick wakes')
    host = rig.HostEnd(region, port.socket, os.path.join(vm.workdir, 'echo.log'), echo=True)
    vm.run('kdev rw write wait-in read')
    host.kill()
    vm.run('echo 100 >/sys/module/kring/parameters/rescue_ms')
    tap.ok(True, f'{how}: a frame there and back by kicks alone')


def sleep(vm, test: str, state: str) -> str:
    """Goes to sleep; what the kernel says when it is awake again."""
    vm.run('dmesg -c >/dev/null')
    vm.run(f'echo {test} >/sys/power/pm_test; echo {state} >/sys/power/state', timeout=120)
    return vm.run('dmesg')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**rig.guest(directory), memory='1G')
        region, port = rig.add_kring(vm)
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            # All but the last step, after which nobody would wake it.
            for test, state, how in (('devices', 'freeze', 'suspend to idle'),
                                     ('core', 'mem', 'suspend to memory'),
                                     ('core', 'disk', 'hibernation')):
                Hand(region).send(1)
                log = sleep(vm, test, state)
                tap.ok('doorbell: none' in log and 'doorbell: vport' in log,
                       f'{how}: the doorbell went and came', log)
                check_awake(tap, vm, region, port, how)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
