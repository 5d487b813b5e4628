#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kringd is killed at any moment, all the time. SEEDS="1 2 3": other ones."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

from guest import Tap, wait_for
from supervisor import LOST, Supervised, session, settled


class Program:
    """Prints a known sequence on stdout and stderr, and ends in a known way."""

    LINE = 9

    def __init__(self, name: str, rng: random.Random):
        self.name = name
        self.tty = rng.random() < 0.3
        self.expected = [b'', b'']
        self.seen = [0, 0]
        self.status = None
        self.overlap = 0
        steps, count = [], [0, 0]
        for _ in range(rng.randint(1, 12)):
            channel = 0 if rng.random() < 0.7 else 1
            lines = rng.choice([1, 10, 500, 8000, 20000])
            first, count[channel] = count[channel], count[channel] + lines
            steps.append(f'seq -f %08.0f {first} {count[channel] - 1}' + (' >&2' * channel))
            end = '\r\n' if self.tty else '\n'
            into = 0 if self.tty else channel
            self.expected[into] += ''.join(f'{n:08}{end}' for n in
                                           range(first, count[channel])).encode()
            if rng.random() < 0.6:
                steps.append(f'sleep {rng.uniform(0, 0.4):.3f}')
        self.code = rng.choice([0, 1, 77, 255, 128 + signal.SIGTERM, 128 + signal.SIGKILL])
        steps.append(f'kill -{self.code - 128} $$' if self.code in (143, 137) else
                     f'exit {self.code}')
        self.script = '; '.join(steps)

    def start(self, guest) -> None:
        """Until it is there: whoever was told that it was not may find that it is."""
        options = ['-t'] if self.tty else []
        while not session(guest, self.name):
            have = guest.exec('-d', '--log-size', '16M', '--name', self.name, *options, '--',
                              'sh', '-c', self.script, timeout=30)
            if have.returncode == 0:
                return

    def take(self, channel: int, data: bytes) -> None:
        """What one host has got: it begins no later than where another one was cut off."""
        if not data:
            return
        expected, seen = self.expected[channel], self.seen[channel]
        at = expected.rfind(data, 0, seen + len(data))
        assert at >= 0, f'{self.name}: channel {channel}: seen {seen}, then {data[:40]!r}: ' \
            f'{len(data)} bytes that are not from there ({expected.find(data[:40])})'
        self.overlap += seen - at
        self.seen[channel] = max(seen, at + len(data))

    def collect(self, guest) -> bool:
        """One attempt: whether its result has come."""
        have = guest.run('attach', self.name, timeout=60)
        for channel, data in enumerate((have.stdout, have.stderr)):
            if channel == 1:
                assert b'are lost' not in data and LOST.encode() not in data, (self.name, data)
                at = data.find(b'kring:')
                data = data if at < 0 else data[:at]
            self.take(channel, data)
        if have.returncode == 125:
            return False
        self.status = have.returncode
        return True

    def judge(self) -> str:
        if self.status != self.code:
            return f'{self.name}: status {self.status}, not {self.code}'
        if self.seen != [len(data) for data in self.expected]:
            return f'{self.name}: {self.seen} bytes of {[len(e) for e in self.expected]}'
        return ''


class Killer(threading.Thread):
    """Kills kringd at any moment."""

    def __init__(self, guest, rng: random.Random):
        super().__init__()
        self.guest = guest
        self.rng = rng
        self.kills = 0
        self.over = False

    def run(self) -> None:
        while not self.over:
            time.sleep(self.rng.uniform(0, 0.25))
            self.guest.kill(delay=self.rng.choice([0, 0, 0.05]), wait=self.rng.random() < 0.8)
            self.kills += 1


def storm(guest, rng: random.Random, count: int) -> tuple:
    programs = [Program(f'p{i}-{rng.randrange(10**6)}', rng) for i in range(count)]
    killer = Killer(guest, rng)
    killer.start()
    problems = []
    try:
        for program in programs:
            program.start(guest)
        deadline = time.monotonic() + 120
        for program in programs:
            try:
                while not program.collect(guest):
                    # One that has been taken up by nobody is never gone.
                    assert time.monotonic() < deadline, f'{program.name}: no result'
            except (AssertionError, subprocess.TimeoutExpired) as error:
                problems.append(str(error))
    finally:
        killer.over = True
        killer.join()
    guest.wait_ready()
    problems += [text for text in (program.judge() for program in programs) if text]
    # What was told and not acknowledged is there still, and the same.
    for left in guest.ps():
        program = next(p for p in programs if p.name == left['name'])
        have = guest.run('attach', left['name'])
        if have.returncode != program.code:
            problems.append(f'{program.name}: {have.returncode} when it was asked again')
    return killer.kills, problems, sum(program.overlap for program in programs)


def check_storm(tap, guest, seed: int) -> None:
    start = time.monotonic()
    kills, problems, overlap = storm(guest, random.Random(seed), 8)
    tap.ok(not problems, f'seed {seed}: killed all the time, each byte and each end is told',
           problems)
    tap.ok(settled(guest), f'seed {seed}: nothing is left', (guest.ps(), guest.tree()))
    tap.diag(f'{kills} kills in {time.monotonic() - start:.0f} s; {overlap} bytes were sent '
             'twice, as no host had acknowledged them')


def check_bulk(tap, guest, rng: random.Random, count: int, *options: str) -> None:
    """Killed while it does nothing but take output, much more than the log keeps."""
    piece = rng.randbytes(1 << 20)
    path = os.path.join(guest.dir, 'piece')
    with open(path, 'wb') as file:
        file.write(piece)
    total = count * len(piece)
    raw = 'stty -opost; ' if options else ''
    guest.exec('-d', '--log-size', '1M', '--name', 'bulk', *options, '--', 'sh', '-c',
               f'{raw}i=0; while [ $i -lt {count} ]; do cat {f"{path} " * 25}; i=$((i+25)); done; '
               'exit 6')
    kills = 0
    while not session(guest, 'bulk')['exit'] and kills < 1000:
        time.sleep(rng.uniform(0, 0.03))
        guest.kill()
        kills += 1
    have = guest.run('attach', 'bulk')
    lost = re.search(rb'(\d+) bytes of older output are lost', have.stderr)
    end = int(lost[1]) + len(have.stdout) if lost else 0
    expected = (piece * 2)[end % len(piece):][:len(piece)]
    tap.ok(have.returncode == 6 and end == total and have.stdout == expected and kills > 5,
           f'killed {kills} times under {total >> 20} MiB of output: not a byte is lost',
           (have.returncode, have.stderr, end - total, len(have.stdout)))
    tap.ok(settled(guest), 'nothing is left', (guest.ps(), guest.tree()))


def check_starts(tap, guest, rng: random.Random) -> None:
    """Killed while a session is just starting: it is there, or it never was."""
    known, lost, wrong = set(), [], []
    for i in range(60):
        process = guest.start('exec', '-d', '--name', f's{i}', '--', 'sh', '-c',
                              f'echo {i}; sleep 0.05; exit {i}')
        time.sleep(rng.uniform(0, 0.04))
        guest.kill()
        process.communicate(timeout=30)
        there = {s['name'] for s in guest.ps()}
        if process.returncode == 0:
            known.add(f's{i}')
        lost += [name for name in known if name not in there]
        known |= there
    # What no host was told of may have been on its way to live on, for its time.
    for name in sorted(known):
        wait_for(lambda name=name: session(guest, name).get('exit'))
        have = guest.run('attach', name)
        if (have.returncode, have.stdout) != (int(name[1:]), f'{name[1:]}\n'.encode()):
            wrong.append((name, have))
    tap.ok(0 < len(known) < 60, f'{len(known)} of 60 had begun when kringd was killed')
    tap.equal(lost, [], 'none of them is lost')
    tap.equal(wrong, [], 'each has its output and its end')
    tap.ok(settled(guest), 'and of the others nothing is left', (guest.ps(), guest.tree()))


def main() -> int:
    seeds = [int(seed) for seed in os.environ.get('SEEDS', '1 2 3').split()]
    with Tap() as tap, Supervised() as guest:
        rng = random.Random(seeds[0])
        check_starts(tap, guest, rng)
        check_bulk(tap, guest, rng, 1500)
        check_bulk(tap, guest, rng, 150, '-t')
        for seed in seeds:
            check_storm(tap, guest, seed)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
