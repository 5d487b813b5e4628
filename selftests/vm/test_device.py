#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""/dev/kring as a guest program sees it, and as an attacker at the host's end would have it."""

import os
import re
import sys
import tempfile

import rig
from kringvm import VM, Tap
from rig import GENERATION, H2G, PAGE, Region


def check_frames(tap, vm, region, port) -> None:
    host = rig.HostEnd(region, port.socket, os.path.join(vm.workdir, 'echo.log'), echo=True)
    program = vm.spawn('frames')
    status = program.wait(120)
    host.kill()
    # The guest's results are ours.
    for line in program.output().splitlines():
        if result := re.match(r'(not )?ok \d+ - (.*)', line):
            tap.ok(not result[1], f'guest: {result[2]}', program.output())
    tap.equal(status, 0, 'guest: frames')


def kdev(vm, calls: str) -> list:
    """Calls on /dev/kring, and what they answered."""
    return vm.sh(f'kdev {calls}')[1].splitlines()


def check_wild_head(tap, vm, r: Region) -> None:
    start = r.get(r.h2g)
    r.put(r.h2g, (start + 0x7ffffff8) & 0xffffffff)
    info = f'info: generation {r.get(GENERATION, "<Q")} h2g poisoned'
    tap.equal(kdev(vm, 'rw read poll read info write'),
              ['read: EBADMSG', 'poll: OUT ERR', 'read: EBADMSG', info, 'write: 16'],
              'a wild head: h2g answers EBADMSG and EPOLLERR, g2h goes on')
    tap.ok('h2g is poisoned: head is more than' in vm.run('dmesg | tail -n 3'),
           'and one line in the log says why', vm.run('dmesg | tail -n 5'))
    tap.equal(kdev(vm, 'r reset read'), ['reset: EBADMSG', 'read: EBADMSG'],
              'reset does not help while the host has not mended it')
    r.put(r.h2g, start)
    tap.equal(kdev(vm, 'r read reset read poll'),
              ['read: EBADMSG', 'reset: 0', 'read: EAGAIN', 'poll:'], 'it does afterwards')


def check_wild_length(tap, vm, r: Region) -> None:
    head, size = r.get(r.h2g), r.get(H2G + 8, '<Q')
    at = r.h2g + 2 * PAGE + head % size
    for length, why in ((size, 'longer than the longest'), (size // 2 - 8, 'beyond head'),
                        (0xffffffff, 'longer than the longest')):
        r.put(at, length)
        r.put(r.h2g, (head + 64) & 0xffffffff)
        tap.equal(kdev(vm, 'r read'), ['read: EBADMSG'], f'a frame of {length} bytes')
        tap.ok(why in vm.run('dmesg | tail -n 1'), f'is {why}', vm.run('dmesg | tail -n 1'))
        r.put(r.h2g, head)
        kdev(vm, 'r reset')
    r.put(at, 16)
    r.put(r.h2g, (head + 24) & 0xffffffff)
    tap.equal(kdev(vm, 'r read read'), ['read: 16', 'read: EAGAIN'], 'a good one, after all that')


def check_wild_tail(tap, vm, r: Region) -> None:
    tail = r.get(r.g2h + PAGE)
    r.put(r.g2h + PAGE, (tail + 64) & 0xffffffff)
    tap.equal(kdev(vm, 'w reset write poll'), ['reset: EBADMSG', 'write: EBADMSG', 'poll: ERR'],
              'a wild tail: g2h is poisoned')
    r.put(r.g2h + PAGE, tail)
    tap.equal(kdev(vm, 'rw reset write read'), ['reset: 0', 'write: 16', 'read: EAGAIN'],
              'mended and reset, it works')


def check_generation(tap, vm, r: Region) -> None:
    generation = r.get(GENERATION, '<Q')
    program = vm.spawn('kdev rw poll pause poll info poll')
    r.put(GENERATION, generation + 1, '<Q')
    program.wait(10)
    tap.equal(program.output().splitlines(),
              ['poll: OUT', 'poll: OUT PRI', f'info: generation {generation + 1}', 'poll: OUT'],
              'a new generation: EPOLLPRI until KRING_IOC_INFO has told of it')


def check_generation_unkicked(tap, vm, r: Region) -> None:
    """The host that changed it died before it could kick: the timer finds out."""
    generation = r.get(GENERATION, '<Q')
    program = vm.spawn('kdev r wait')
    vm.run('sleep 0.3')
    r.put(GENERATION, generation + 1, '<Q')
    program.wait(5)
    tap.equal(program.output(), 'poll: PRI\n', 'a new generation wakes who sleeps, without a kick')


def check_other_moment(tap, vm, r: Region) -> None:
    """A restore with a region that is not of the same moment as the guest's memory."""
    tail = r.get(r.h2g + PAGE)
    r.put(r.h2g + PAGE, (tail - 64) & 0xffffffff)
    r.put(GENERATION, r.get(GENERATION, '<Q') + 1, '<Q')
    tap.equal(kdev(vm, 'rw read write'), ['read: EBADMSG', 'write: 16'],
              'a region from another moment: EBADMSG for the direction that does not fit')
    tap.ok('tail in the region is not where we left it' in vm.run('dmesg | tail -n 1'),
           'and the log says so')
    r.put(r.h2g + PAGE, tail)
    kdev(vm, 'r reset')


def check_host_end(tap, vm, region) -> None:
    """A hostile host's doings, with the tools of one."""
    r = Region(region)
    check_wild_head(tap, vm, r)
    check_wild_length(tap, vm, r)
    check_wild_tail(tap, vm, r)
    check_generation(tap, vm, r)
    check_generation_unkicked(tap, vm, r)
    check_other_moment(tap, vm, r)


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**rig.guest(directory))
        region, port = rig.add_kring(vm)
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            check_frames(tap, vm, region, port)
            check_host_end(tap, vm, region)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
