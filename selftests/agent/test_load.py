#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Many programs at once, through one broker and one region."""

import os
import subprocess
import sys
import time

from broker import BRIDGE, Broker
from guest import Tap, wait_for


def check_concurrent(tap, guest) -> None:
    guest.exec('true')
    before = guest.fds()
    start = time.monotonic()
    script = 'read line; echo "$line"; echo err >&2; exit $((line % 100))'
    running = [guest.start('exec', '-i', 'sh', '-c', script, stdin=subprocess.PIPE)
               for _ in range(200)]
    tap.ok(wait_for(lambda: len(guest.ps()) == 200, 60), '200 programs at once')
    bad = []
    for i, process in enumerate(running):
        out, err = process.communicate(f'{i}\n'.encode(), timeout=60)
        if (out, err, process.returncode) != (f'{i}\n'.encode(), b'err\n', i % 100):
            bad.append((i, out, err, process.returncode))
    tap.equal(bad, [], 'each with its own stdin, stdout, stderr and exit status')
    tap.diag(f'{time.monotonic() - start:.1f} s')
    tap.ok(wait_for(lambda: guest.fds() <= before and not guest.children()),
           'no open file and no process is left', (before, guest.fds(), guest.children()))


def check_kill_attached(tap, guest) -> None:
    process = guest.start('exec', '--name', 'held', 'sh', '-c', 'echo ready; sleep 60')
    process.stdout.readline()
    have = guest.run('attach', 'held')
    tap.ok(have.returncode == 125 and have.stderr, 'a session that has its host', have)
    tap.equal(guest.run('kill', 'held').returncode, 0, 'is signalled by another')
    tap.equal(process.wait(10), 143, 'who hears of it')


def check_stalled(tap, guest) -> None:
    stalled = [guest.start('exec', 'yes') for _ in range(10)]
    for process in stalled:
        process.stdout.read(1)
    time.sleep(0.3)
    start = time.monotonic()
    bad = sum(guest.exec('true').returncode != 0 for _ in range(20))
    seconds = (time.monotonic() - start) / 20
    tap.ok(not bad and seconds < 0.5, 'ten clients that do not read delay nobody', (bad, seconds))
    tap.diag(f'{seconds * 1000:.1f} ms each')
    bulk = guest.start('exec', 'cat', '/dev/zero', stdout=subprocess.DEVNULL)
    start = time.monotonic()
    bad = sum(guest.exec('true').returncode != 0 for _ in range(20))
    seconds = (time.monotonic() - start) / 20
    tap.ok(not bad and seconds < 0.5, 'nor does one that reads all it can get', (bad, seconds))
    tap.diag(f'{seconds * 1000:.1f} ms each')
    for process in [*stalled, bulk]:
        process.kill()
        process.communicate()
    tap.ok(wait_for(lambda: not guest.children(), 20), 'killed, their programs are hung up')


def check_region(tap, guest) -> None:
    """Without a broker: the region is whose who uses it."""
    where = '--region', guest.region, '--doorbell', guest.bell
    have = guest.run('exec', *where, 'true')
    tap.ok(have.returncode == 125 and b'use --socket' in have.stderr,
           "a region that has an owner: use the broker's socket", have)
    guest.exec('-d', '--name', 'durable', 'sh', '-c', 'sleep 0.5; echo done')
    tap.equal(guest.end_broker(), 0, 'the broker ends in order')
    have = guest.run('exec', *where, 'sh', '-c', 'echo out; echo err >&2; exit 5')
    tap.equal((have.returncode, have.stdout, have.stderr), (5, b'out\n', b'err\n'),
              'exec owns the region itself')
    data = os.urandom(1 << 20) * 32
    have = guest.run('exec', *where, '-i', 'cat', input=data)
    tap.ok(have.stdout == data, '32 MiB there and back')
    have = guest.run('attach', *where, 'durable')
    tap.equal((have.returncode, have.stdout), (0, b'done\n'),
              'a detached session outlives all of its hosts')
    have = guest.run('ping', *where, '-c', '3', '-i', '0.01')
    tap.equal(have.returncode, 0, 'ping')
    have = guest.run('info', '--socket', guest.socket, *where)
    tap.ok(have.returncode == 1 and b'one of them' in have.stderr, 'both ways at once', have)


def main() -> int:
    with Tap() as tap:
        if not os.path.exists(BRIDGE):
            tap.skip('load', 'there is no guest_bridge')
            return tap.status
        with Broker() as guest:
            for check in (check_concurrent, check_kill_attached, check_stalled,
                          check_region):
                check(tap, guest)
            tap.equal(guest.stop(), 0, 'kringd ends in order')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
