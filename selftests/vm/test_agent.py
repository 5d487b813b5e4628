#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kringd and kring over a real region: many at once, one after the other, and stalled readers.

KRING_SCALE=N does N times as much: with 10, a thousand concurrent and ten thousand sequential
execs, and a gibibyte through one."""

import concurrent.futures
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time

import agent
import rig
from kringvm import VM, Tap

SCALE = int(os.environ.get('KRING_SCALE', 1))
CONCURRENT = 100 * SCALE
SEQUENTIAL = 200 if SCALE == 1 else 1000 * SCALE
BULK = (32 << 20) if SCALE == 1 else (SCALE << 30) // 10
STALL = 5 if SCALE == 1 else 60


def check_basics(tap, a) -> None:
    result = a.run('exec', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7')
    tap.equal((result.returncode, result.stdout, result.stderr), (7, b'out\n', b'err\n'),
              'exec: status, stdout and stderr')
    result = a.run('exec', '-i', '--', 'wc', '-c', input=b'x' * 300000)
    tap.equal((result.returncode, result.stdout.split()), (0, [b'300000']), 'stdin and its end')
    info = a.run('info')
    tap.ok(not info.returncode and b'Linux' in info.stdout or b'6.' in info.stdout, 'info',
           info.stdout + info.stderr)
    tap.equal(a.run('health').returncode, 0, 'health')


def check_concurrent(tap, a) -> None:
    """All alive at once: each waits for its stdin to end."""
    before = a.kringd()
    started = time.monotonic()
    programs = [a.popen('exec', '-i', '--', 'sh', '-c', f'echo started; cat; exit {i % 50}',
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for i in range(CONCURRENT)]
    alive = sum(p.stdout.readline() == b'started\n' for p in programs)
    tap.equal(alive, CONCURRENT, f'{CONCURRENT} programs run at once')
    during = a.kringd()
    tap.ok(during['children'] >= CONCURRENT, f'as many processes are there: {during["children"]}')
    good = 0
    for i, p in enumerate(programs):
        line = f'{i} says good-bye\n'.encode()
        out, err = p.communicate(line, timeout=120)
        good += (out, err, p.returncode) == (line, b'', i % 50)
    tap.equal(good, CONCURRENT,
              f'each answers, and ends with its own status: {time.monotonic() - started:.1f} s')
    after = settle(a)
    tap.equal((after['fds'], after['children'], after['zombies']),
              (before['fds'], before['children'], 0), 'no descriptor or process is left')
    tap.diag(f'kringd: {before["rss"]} bytes before, {during["rss"]} during, {after["rss"]} after')


def settle(a) -> dict:
    time.sleep(0.5)
    return a.kringd()


def check_sequential(tap, a) -> None:
    a.sh('true')
    before = settle(a)
    started = time.monotonic()
    failed = 0

    def some(count):
        return sum(a.run('exec', '--', '/bin/busybox', 'true').returncode != 0
                   for _ in range(count))

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failed = sum(pool.map(some, [SEQUENTIAL // 2] * 2))
    seconds = time.monotonic() - started
    after = settle(a)
    tap.equal(failed, 0, f'{SEQUENTIAL} programs one after the other: '
                         f'{seconds * 1000 / SEQUENTIAL:.1f} ms each')
    tap.equal((after['fds'], after['children'], after['zombies']),
              (before['fds'], before['children'], 0), 'no descriptor or process is left')
    tap.ok(after['rss'] - before['rss'] < 256 << 10,
           f'nor memory: {before["rss"]} bytes before, {after["rss"]} after')


def check_stalled(tap, a) -> None:
    """Whoever does not read his output stalls his own stream alone."""
    stalled = a.popen('exec', '--', 'sh', '-c', 'yes', stdout=subprocess.PIPE)
    stalled.stdout.read(100)
    client = a.popen('exec', '--', 'sh', '-c', 'yes', stdout=subprocess.PIPE)
    client.stdout.read(100)
    os.kill(client.pid, 19)      # SIGSTOP: not even its socket is read
    slowest = 0.0
    end = time.monotonic() + STALL
    count = 0
    while time.monotonic() < end:
        begin = time.monotonic()
        result = a.run('exec', '--', 'echo', 'hello', timeout=30)
        slowest = max(slowest, time.monotonic() - begin)
        count += result.stdout == b'hello\n'
    tap.ok(slowest < 2, f'two readers stalled for {STALL} s: {count} others took '
                        f'{slowest * 1000:.0f} ms at most')
    held = a.kringd()
    tap.ok(held['rss'] < 16 << 20, f'what they do not read is bounded: {held["rss"]} bytes')
    for program in (stalled, client):
        program.kill()
        program.wait()
    deadline = time.monotonic() + 20
    while a.vm.run('pidof yes || true').strip() and time.monotonic() < deadline:
        time.sleep(0.2)
    tap.equal(a.vm.run('pidof yes || true').strip(), '', 'their programs go when they do')


def check_bulk(tap, a) -> None:
    """There and back through `cat`, and no more memory than windows on the way."""
    piece = os.urandom(1 << 20)
    sent, got, peak, received = hashlib.sha256(), hashlib.sha256(), 0, 0
    program = a.popen('exec', '-i', '--', 'cat', stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def feed():
        left = BULK
        while left:
            chunk = piece[:min(left, len(piece))]
            sent.update(chunk)
            program.stdin.write(chunk)
            left -= len(chunk)
        program.stdin.close()

    started = time.monotonic()
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    asked = started
    while data := program.stdout.read(1 << 16):
        got.update(data)
        received += len(data)
        if time.monotonic() - asked > 1:
            peak = max(peak, a.kringd()['rss'])
            asked = time.monotonic()
    feeder.join(10)
    seconds = time.monotonic() - started
    tap.equal((program.wait(10), received, got.digest()), (0, BULK, sent.digest()),
              f'{BULK >> 20} MiB through `kring exec -i -- cat`: {BULK / seconds / 1e6:.0f} MB/s')
    tap.ok(peak < 16 << 20, f'kringd held {peak} bytes at most')


def check_idle(tap, a) -> None:
    rss = settle(a)['rss']
    tap.ok(rss < 2 << 20, f'kringd is small: {rss} bytes')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**agent.guest(directory), memory='256M' if SCALE == 1 else '1G')
        region, port = rig.add_kring(vm)
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            a = agent.Agent(vm, region, port)
            check_idle(tap, a)
            check_basics(tap, a)
            check_concurrent(tap, a)
            check_sequential(tap, a)
            check_stalled(tap, a)
            check_bulk(tap, a)
            counters = rig.counters(vm)
            tap.ok(counters['wakeups_rescued'] <= counters['kicks_received'] // 20,
                   f'hardly a kick was lost: {counters}')
            a.stop()
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
