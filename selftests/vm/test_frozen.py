#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Time in which a VM was saved: its clock is set after it, and no deadline has counted it."""

import os
import sys
import tempfile
import time

import agent
import rig
from kringvm import VM, Tap

# Longer than the program may run, so that it would not outlive a deadline which counts it.
FROZEN = 15
LIMIT = 10
# What a busy machine may take from a command's start to its answer.
SLACK = 3

HOOK = '#!/bin/sh\ndate +%s >/tmp/hook-clock'


def guest_clock(a: agent.Agent) -> float:
    """How far the guest's clock is ahead of ours, in seconds."""
    before = time.time()
    clock = int(a.sh('date +%s'))
    return clock - (before + time.time()) / 2


def restore(a: agent.Agent, directory: str) -> None:
    """Saved, killed, and for a long time nothing; then another VM and another broker."""
    snapshot = a.vm.snapshot(os.path.join(directory, 'saved'))
    a.broker.kill()
    a.broker.wait()
    a.vm.kill()
    time.sleep(FROZEN)
    a.move(VM.restore(snapshot))


def check_frozen(tap, a: agent.Agent, directory: str) -> None:
    a.sh(f'mkdir -p /etc/kring/restore.d; echo "{HOOK}" >/etc/kring/restore.d/clock; '
         'chmod 755 /etc/kring/restore.d/clock')
    tap.ok(abs(guest_clock(a)) < SLACK, 'the clocks of host and guest agree', guest_clock(a))
    script = 'trap "echo late; exit 1" TERM; cut -d " " -f 1 /proc/uptime; ' \
             'while :; do sleep 0.1; done'
    begin = time.monotonic()
    process = a.popen('exec', '--timeout', str(LIMIT), '--', 'sh', '-c', script,
                      stdout=-1, stderr=-1)
    process.stdout.readline()
    detached = a.run('exec', '-d', '--name', 'long', '--timeout', str(LIMIT), '--', 'sleep', '1000')
    tap.equal(detached.returncode, 0, 'programs with a limit run')
    ran = time.monotonic() - begin
    restore(a, directory)
    back = time.monotonic()
    ahead = guest_clock(a)
    tap.ok(abs(ahead) < SLACK, f'after {FROZEN} s the clock was set', ahead)
    hook = int(a.sh('cat /tmp/hook-clock'))
    tap.ok(abs(time.time() - (time.monotonic() - back) - hook) < SLACK + 2,
           'before restore.d was run', (hook, time.time()))
    tap.ok(process.poll() is None, 'the program was not ended for the time it was saved')
    out, err = process.communicate(timeout=60)
    took = ran + time.monotonic() - back
    tap.equal((process.returncode, out), (124, b'late\n'), 'its limit ends it')
    tap.ok(LIMIT - 1 < took < LIMIT + 2 * SLACK, f'after {LIMIT} s of its own time', (took, err))
    tap.equal(a.run('attach', 'long').returncode, 124, 'and one that was detached')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**agent.guest(directory))
        region, port = rig.add_kring(vm)
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            a = agent.Agent(vm, region, port)
            try:
                check_frozen(tap, a, directory)
            finally:
                a.stop()
                a.vm.close()
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
