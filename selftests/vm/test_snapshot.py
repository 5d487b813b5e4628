#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Snapshot, restore, fork, pause: every frame arrives, once, in order, and every sleeper wakes."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import rig
from kringvm import VM, Tap

FRAMES = 3000
DELAY_US = 300
CHILDREN = 3


def start(directory: str) -> VM:
    vm = VM(**rig.guest(directory))
    rig.add_kring(vm)
    return vm


def host_end(vm, ledger: str, **options) -> rig.HostEnd:
    return rig.HostEnd(vm.devices['kring-region'].path, vm.devices['kring-port'].socket,
                       os.path.join(vm.workdir, 'host.log'), ledger=ledger, **options)


def finish(tap, vm, name: str, program, host) -> None:
    """Both ends come to the end of their frames with nothing amiss."""
    program = program.on(vm)
    status = host.wait(90), program.wait(90)
    text = host.output() + program.output()
    numbers = rig.numbers(text)
    tap.ok(status == (0, 0) and numbers['received'] == 2 * FRAMES and
           numbers['lost'] == numbers['duplicated'] == numbers['corrupt'] == 0,
           f'{name}: nothing lost, nothing doubled', f'{status}\n{text}')


def check_fork(tap, vm, directory: str):
    """A snapshot in the middle of traffic, and children that each go on by themselves."""
    ledger = os.path.join(vm.workdir, 'ledger')
    host = host_end(vm, ledger, send=FRAMES, receive=FRAMES, delay=DELAY_US)
    program = vm.spawn(f'traffic-guest --send {FRAMES} --receive {FRAMES} --delay {DELAY_US}')
    deadline = time.monotonic() + 60
    while min(rig.stat(vm.devices['kring-region'].path)[ring]['in_flight']
              for ring in ('h2g', 'g2h')) < 65536 and time.monotonic() < deadline:
        time.sleep(0.02)

    def pause():
        host.process.send_signal(signal.SIGSTOP)

    snapshot = vm.snapshot(os.path.join(directory, 'snapshot'), files=[ledger], stopped=pause,
                           copied=lambda: host.process.send_signal(signal.SIGCONT))
    stat = rig.stat(snapshot.region('kring-region'))
    tap.ok(min(stat['h2g']['in_flight'], stat['g2h']['in_flight']) >= 65536,
           'at least 64 KiB in flight each way at the snapshot', stat)

    # The first VM has only been paused, and goes on too.
    vm.cont()
    finish(tap, vm, 'paused and resumed', program, host)
    vm.kill()

    for child in range(CHILDREN):
        with VM.restore(snapshot) as other:
            copy = os.path.join(other.workdir, 'ledger')
            shutil.copy(snapshot.file(ledger), copy)
            host = host_end(other, copy, send=FRAMES, receive=FRAMES, delay=DELAY_US)
            finish(tap, other, f'child {child}', program, host)
            generation = int(other.run('cat /sys/class/kring/kring/generation'))
            tap.equal(generation, stat['generation'] + 1, f'child {child}: its own generation')


def check_sleepers(tap, directory: str) -> None:
    """Who slept at the snapshot is woken by the first frame after the restore."""
    with start(directory) as vm:
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        program = vm.spawn('sleepers')
        vm.run('sleep 1')
        snapshot = vm.snapshot(os.path.join(directory, 'asleep'))
        vm.kill()
    with VM.restore(snapshot) as other:
        host = host_end(other, os.path.join(other.workdir, 'ledger'), send=8)
        program = program.on(other)
        program.wait(20)
        woken = sorted(program.output().split())
        tap.equal(woken, ['epoll', 'epoll-et', 'poll', 'read', 'select'],
                  'a read, a poll, a select and two epolls that slept at the snapshot wake')
        tap.equal(host.wait(20), 0, 'and all that was sent is taken')


def check_pauses(tap, directory: str) -> None:
    """A mere pause and resume, again and again under traffic."""
    with start(directory) as vm:
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        host = host_end(vm, os.path.join(vm.workdir, 'ledger'), send=FRAMES, receive=FRAMES)
        program = vm.spawn(f'traffic-guest --send {FRAMES} --receive {FRAMES} --delay {DELAY_US}')
        for _ in range(10):
            time.sleep(0.05)
            vm.stop()
            time.sleep(0.05)
            vm.cont()
        finish(tap, vm, 'ten pauses', program, host)


def check_crash(tap, directory: str) -> None:
    """The VMM dies, the region stays: a guest that boots anew goes on where the rings are."""
    with start(directory) as vm:
        region = vm.devices['kring-region'].path
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        vm.run('for i in 1 2 3; do echo frame $i >/dev/kring; done')
        kept = os.path.join(directory, 'kept')
        os.rename(region, kept)
        vm.kill()
    vm = VM(**rig.guest(directory))
    vm.add_region(kept, os.path.getsize(kept), id='kring-region')
    port = vm.add_port('kring.test', id='kring-port')
    with vm:
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        vm.run('echo frame 4 >/dev/kring')
        cat = subprocess.run(
            [rig.TOOL, 'cat', '--region', kept, '--doorbell', port.socket, '--count', '4'],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        tap.equal((cat.returncode, cat.stdout), (0, ''.join(f'frame {i}\n' for i in range(1, 5))),
                  'after a crash of the VMM a new guest goes on where the rings are')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        with start(directory) as vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            check_fork(tap, vm, directory)
        check_sleepers(tap, directory)
        check_pauses(tap, directory)
        check_crash(tap, directory)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
