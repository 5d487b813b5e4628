#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Tracepoints, and that io_uring makes no worker threads."""

import re
import sys
import tempfile

import rig
from hand import Bell, Hand
from kringvm import VM, Tap

TRACE = '/sys/kernel/tracing'


def trace(vm) -> list:
    """The events since the last call: (name, text)."""
    lines = vm.run(f'cat {TRACE}/trace; echo >{TRACE}/trace')
    return re.findall(r': (kring_\w+): (.*)', lines)


def check_events(tap, vm, hand) -> None:
    vm.run(f'mount -t tracefs tracefs {TRACE} 2>/dev/null; echo 1 >{TRACE}/events/kring/enable')
    trace(vm)
    head = hand.get(hand.h2g)
    hand.send(1)
    vm.run('kdev rw write read')
    events = trace(vm)
    tap.ok(('kring_send', 'kring g2h cursor=0 len=16') in events, 'a frame sent', str(events))
    tap.ok(('kring_recv', f'kring h2g cursor={head} len=16') in events, 'a frame received',
           str(events))
    tap.ok(('kring_kick_suppressed', 'kring') in events, 'a kick that nobody waits for',
           str(events))
    vm.run('kdev r read')
    tap.equal(trace(vm)[0], ('kring_wait', 'kring h2g'), 'a reader announces that it waits')
    hand.take()
    hand.put(hand.g2h + rig.PAGE + 4, 1)
    with Bell(vm) as bell:
        bell.ring()
        vm.run(f'n=0; until grep -q kring_kick_received {TRACE}/trace; do sleep 0.1; '
               'n=$((n+1)); [ $n -lt 100 ] || exit 1; done')
    vm.run('kdev w write')
    events = trace(vm)
    tap.ok(('kring_kick_received', 'kring') in events, 'a kick received', str(events))
    tap.ok(('kring_kick_sent', 'kring') in events, 'a kick sent', str(events))
    program = vm.spawn('kdev r wait-in')
    vm.run('sleep 1')
    hand.send(1)
    program.wait(20)
    events = trace(vm)
    tap.ok(('kring_rescue', 'kring h2g') in events, 'a rescue', str(events))
    generation = hand.get(rig.GENERATION, '<Q')
    hand.next_generation()
    vm.run('kdev r poll')
    events = trace(vm)
    tap.ok(('kring_generation', f'kring h2g {generation} -> {generation + 1}') in events,
           'a new generation', str(events))
    head = hand.get(hand.h2g)
    hand.put(hand.h2g, head - 4096 & 0xffffffff)
    vm.run('kdev r read read')
    events = [event for event in trace(vm) if event[0] == 'kring_poison']
    hand.put(hand.h2g, head)
    tap.equal(len(events), 1, 'poison, once')
    tap.ok(re.match(r'kring h2g head=\d+ tail=\d+ head ', events[0][1]), 'and why', str(events))
    vm.run('kdev r reset read')
    vm.run(f'echo 0 >{TRACE}/events/kring/enable')


def check_workers(tap, vm, hand) -> None:
    for argument, workers in (('', 0), ('async', 1)):
        hand.take()
        program = vm.spawn(f'workers {argument}')
        vm.run('sleep 2')
        tap.equal(program.output(), f'asleep: {workers}\n',
                  f'io_uring asleep {argument}: {workers} workers')
        hand.send(1)
        hand.take()
        hand.next_generation()
        with Bell(vm) as bell:
            bell.ring()
            program.wait(20)
        said = program.output().splitlines()
        tap.equal(sorted(said[1:-1])[0:2], ['poll: 2', 'read: 16'], 'read and poll are served')
        tap.ok('write: 65536' in said, 'and the write', program.output())
        tap.ok(workers or said[-1] == 'served: 0', f'io_uring served {argument}', said[-1])
        hand.take()


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**rig.guest(directory))
        region, _ = rig.add_kring(vm)
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            hand = Hand(region)
            check_events(tap, vm, hand)
            check_workers(tap, vm, hand)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
