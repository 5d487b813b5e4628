#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A host that writes garbage all over the region while the guest reads, writes, polls, resets."""

import os
import random
import re
import struct
import sys
import tempfile
import time

import amrb
import rig
from kringvm import VM, Tap
from rig import G2H, H2G, PAGE

SECONDS = 8

# Numbers that are worth more than others.
WILD = (0, 1, 4, 7, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff)


class Scribbler:
    """Writes words where the guest looks: near what is there, wild, or random."""

    def __init__(self, region: rig.Region, words: list, data: list, size: int, mend, seed: int):
        self._region = region
        self._mend = mend
        self._words = words
        self._data = data
        self._size = size
        self._random = random.Random(seed)
        self.writes = 0

    def scribble(self) -> None:
        pick = self._random.random()
        if pick < 0.6:
            at = self._random.choice(self._words)
        else:
            at = self._random.choice(self._data) + self._random.randrange(self._size // 4) * 4
        pick = self._random.random()
        if pick < 0.5:
            value = self._region.get(at) + self._random.randint(-64, 64) * 8
        elif pick < 0.8:
            value = self._random.choice((*WILD, self._size, self._size // 2 - 8))
        else:
            value = self._random.getrandbits(32)
        self._region.put(at, value & 0xffffffff)
        self.writes += 1

    def run(self, seconds: float) -> None:
        """Garbage, and now and then a moment of peace, for a reset to succeed and a frame to come
        through before the next."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for _ in range(20):
                for _ in range(50):
                    self.scribble()
                time.sleep(0.0005)
            self._mend()
            time.sleep(0.02)


def answers(text: str) -> dict:
    """What hammer counted: {'read': {'done': 12, 'EBADMSG': 34}}."""
    found = {}
    for line in text.splitlines():
        name, rest = line.split(': ', 1)
        found[name] = {word: int(number) for number, word in re.findall(r'(\d+) (\w+)', rest)}
    return found


def hammer(tap, vm, name: str, scribbler: Scribbler) -> None:
    program = vm.spawn(f'hammer {SECONDS}')
    scribbler.run(SECONDS - 1)
    status = program.wait(SECONDS + 30)
    seen = answers(program.output())
    tap.diag(f'{name}: {scribbler.writes} words written; {seen}')
    tap.equal(status, 0, f'{name}: nobody hangs')
    # Whatever the host writes, these are all the answers there are.
    allowed = {'done', 'EBADMSG', 'EINTR', 'EMSGSIZE', 'EAGAIN'}
    tap.ok(all(set(counts) <= allowed for counts in seen.values()),
           f'{name}: no answer but those of the manual', seen)
    for call in ('read', 'write', 'poll', 'reset'):
        tap.ok(seen[call].get('EBADMSG') and seen[call].get('done'),
               f'{name}: {call} meets poisoned rings and good ones', seen[call])
    # Log lines are few, however often a ring is poisoned.
    lines = int(vm.run('dmesg | grep -c "is poisoned" || true'))
    tap.ok(0 < lines < 200, f'{name}: and the log does not overflow', lines)


def check_native(tap, vm, path: str) -> None:
    region = rig.Region(path)
    with open(path, 'rb') as file:
        header = file.read(PAGE)
    size = struct.unpack_from('<Q', header, H2G + 8)[0]
    rings = [struct.unpack_from('<Q', header, at)[0] for at in (H2G, G2H)]
    words = [*range(0, 120, 4)]
    words += [ring + page + word for ring in rings for page in (0, PAGE) for word in (0, 4)] * 8
    data = [ring + 2 * PAGE for ring in rings]

    def mend():
        region.empty()
        region.put(data[0], 16)         # a frame of 16 bytes from the host
        region.put(rings[0], 24)

    hammer(tap, vm, 'native', Scribbler(region, words, data, size, mend, seed=1))
    with open(path, 'r+b') as file:
        file.write(header)


def check_mended(tap, vm, path: str, port, name: str) -> None:
    """The host has repaired the region: after a reset it works."""
    tap.equal(vm.run('kdev rw reset read poll').splitlines(),
              ['reset: 0', 'read: EAGAIN', 'poll: OUT'], f'{name}: mended, a reset helps')
    log = os.path.join(vm.workdir, f'host-{name}.log')
    host = rig.HostEnd(path, port.socket, log, ping=50)
    guest = vm.spawn('traffic-guest --echo 50')
    tap.equal((host.wait(), guest.wait()), (0, 0), f'{name}: and frames go both ways')


def check_amrb(tap, directory: str) -> None:
    vm = VM(**rig.guest(directory))
    path = os.path.join(vm.workdir, 'region')
    size = 1 << 16
    file_size = amrb.make(path, size, file_size=1 << 20)
    vm.add_region(path, file_size)
    port = vm.add_port('kring.amrb')
    with vm:
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        region = rig.Region(path)
        words = [*range(0, 192, 4), *[64, 96, 128, 160] * 20]

        def mend():
            for at in (64, 96, 128, 160):
                region.put(at, 0)
            region.put(192, 16)         # a frame of 16 bytes from the host
            region.put(64, 20)

        hammer(tap, vm, 'amrb', Scribbler(region, words, [192, 192 + size], size, mend, seed=2))
        amrb.make(path + '.new', size, file_size=1 << 20)
        with open(path + '.new', 'rb') as new, open(path, 'r+b') as file:
            file.write(new.read())
        check_mended(tap, vm, path, port, 'amrb')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**rig.guest(directory))
        path, port = rig.add_kring(vm)
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            check_native(tap, vm, path)
            rig.Region(path).empty()
            check_mended(tap, vm, path, port, 'native')
        check_amrb(tap, directory)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
