#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Snapshot, restore, fork, pause: every frame arrives, once, in order; or it is an error, when
memory and region do not belong together."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import rig
from hand import Bell, Hand
from kringvm import VM, Tap

FRAMES = 3000
DELAY_US = 300
CHILDREN = 3

# What ends each sleep on a region of another moment.
STALE = {
    'reader': 'EBADMSG', 'second reader': 'EBADMSG', 'writer': 'EBADMSG',
    'second writer': 'EBADMSG', 'poll reader': 'ERR', 'poll writer': 'ERR', 'epoll reader': 'ERR',
    'select reader': 'readable', 'all': 'asleep',
}


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
        with VM.restore(snapshot, fork=True) as other:
            copy = os.path.join(other.workdir, 'ledger')
            shutil.copy(snapshot.file(ledger), copy)
            host = host_end(other, copy, send=FRAMES, receive=FRAMES, delay=DELAY_US)
            finish(tap, other, f'child {child}', program, host)
            generation = int(other.run('cat /sys/class/kring/kring/generation'))
            tap.equal(generation, stat['generation'] + 2, f'child {child}: its own generation')


def ping(vm) -> bool:
    """Whether frames go there and back."""
    end = rig.HostEnd(vm.devices['kring-region'].path, vm.devices['kring-port'].socket,
                      os.path.join(vm.workdir, 'ping.log'), ping=50)
    program = vm.spawn('traffic-guest --echo 50')
    return (end.wait(), program.wait()) == (0, 0)


def replaced(snapshot, stale: str) -> VM:
    """A restore with another region than the snapshot's."""
    return VM.restore(snapshot, prepare=lambda path: shutil.copy(stale, path))


def poisoned(vm) -> list:
    """What the log has to say of it."""
    return re.findall(r'kring kring: (\w+ is poisoned: .*)', vm.run('dmesg'))


def check_stale(tap, snapshot, program, stale: str) -> None:
    """From before the last host process: its next one makes the same generation of it."""
    with replaced(snapshot, stale) as vm:
        before = rig.stat(stale)
        host = rig.HostEnd(vm.devices['kring-region'].path, vm.devices['kring-port'].socket,
                           os.path.join(vm.workdir, 'host.log'), echo=True)
        program = program.on(vm)
        program.wait(20)
        ended = dict(line.split(': ', 1) for line in program.output().splitlines())
        tap.equal(ended, STALE, 'a region of an earlier moment: EBADMSG or EPOLLERR for all')
        lines = poisoned(vm)
        tap.diag('\n'.join(lines))
        tap.ok(len(lines) == 2 and
               any(re.match(r'h2g .*: tail in the region is not where we left it \(head \d+, '
                            fr'tail \d+; in the region \d+, {before["h2g"]["tail"]}\)', line)
                   for line in lines) and
               any(re.match(r'g2h .*: head in the region is not where we left it \(head \d+, '
                            fr'tail \d+; in the region {before["g2h"]["head"]}, \d+\)', line)
                   for line in lines), 'one line for each ring says what differs', lines)
        host.kill()
        after = rig.stat(vm.devices['kring-region'].path)
        tap.equal([after['h2g']['tail'], after['g2h']['head'], after['generation']],
                  [before['h2g']['tail'], before['g2h']['head'], before['generation'] + 1],
                  'the guest has not written to it')
        tap.equal(vm.run('kdev rw read write poll reset read write').splitlines(),
                  ['read: EBADMSG', 'write: EBADMSG', 'poll: ERR', 'reset: 0', 'read: EAGAIN',
                   'write: 16'], 'KRING_IOC_RESET takes it up')
        Hand(vm.devices['kring-region'].path).take()
        tap.ok(ping(vm), 'and frames go both ways')


def check_host_behind(tap, snapshot, stale: str) -> None:
    """The guest has done nothing in between, the host has, and the guest has seen it."""
    with replaced(snapshot, stale) as vm:
        tap.equal(vm.run('kdev rw read write reset read write').splitlines(),
                  ['read: EBADMSG', 'write: EBADMSG', 'reset: 0', 'read: EAGAIN', 'write: 16'],
                  'a region whose host is behind: EBADMSG, and a reset takes it up')
        lines = poisoned(vm)
        tap.ok(len(lines) == 2 and
               any('h2g is poisoned: head in the region is behind' in line for line in lines) and
               any('g2h is poisoned: tail in the region is behind' in line for line in lines),
               'one line for each ring says so', lines)


def check_other_moments(tap, directory: str) -> None:
    """Restores with a region that is not of the same moment as the guest's memory."""
    early, behind = os.path.join(directory, 'early'), os.path.join(directory, 'behind')
    with start(directory) as vm:
        region = vm.devices['kring-region'].path
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        ping(vm)
        shutil.copy(region, early)
        ping(vm)
        vm.run('kdev w write write write write')
        shutil.copy(region, behind)
        hand = Hand(region)
        hand.send(2)
        hand.take()
        with Bell(vm):
            tap.equal(vm.run('sleep 0.3; kdev rw poll').strip(), 'poll: IN OUT',
                      'the guest looks at what the host has done')
        seen = vm.snapshot(os.path.join(directory, 'seen'))
        vm.cont()
        vm.run('kdev r read read')
        program = vm.spawn('waiters')
        vm.run('sleep 1')
        asleep = vm.snapshot(os.path.join(directory, 'asleep'))
        vm.kill()
    check_host_behind(tap, seen, behind)
    check_stale(tap, asleep, program, early)


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
        check_other_moments(tap, directory)
        check_pauses(tap, directory)
        check_crash(tap, directory)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
