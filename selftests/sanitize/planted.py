# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bugs made on purpose, for the watchmen to report."""

import mmap
import os
import re
import threading

from kringvm import VM, VMError, build_initramfs

# What each kernel must say of each bug, in this order: lockdep is silent after the first report of
# anything grave, and the last one is the guest's end.
BUGS = {
    'kasan': {
        'leak': r'kmemleak: .*new suspected memory leak',
        'locks': r'WARNING: possible circular locking dependency',
        'sleep': r'BUG: (sleeping function called from invalid context|scheduling while atomic)',
        'bounds': r'UBSAN: array-index-out-of-bounds',
        'timer': r'WARNING: .* at debug_print_object',
        'use-after-free': r'BUG: KASAN: (slab-)?use-after-free in poke',
        'overflow': r'BUG: KASAN: slab-out-of-bounds in poke',
        'list': r'list_del corruption',
    },
    'kcsan': {
        'race': r'BUG: KCSAN: data-race in .*count',
        'unmarked': r'BUG: KCSAN: data-race in .*(host_writes|unmarked)',
    },
}

PREPARE = '''
modprobe -a virtio_pci virtio_pmem
until [ -e /sys/bus/nd/devices/region0/resource ]; do sleep 0.1; done
[ ! -e /sys/kernel/debug/kcsan ] || echo on >/sys/kernel/debug/kcsan
'''

LOAD = '''
rmmod planted 2>/dev/null
insmod /planted.ko bug={bug} address=$(cat /sys/bus/nd/devices/region0/resource)
'''

# Twice: what was given up but just now is not a leak yet.
SCAN = '''
[ -e /sys/kernel/debug/kmemleak ] || exit 0
for i in 1 2; do echo scan >/sys/kernel/debug/kmemleak; sleep 1; done
'''


class Writer(threading.Thread):
    """The host, which never stops changing the first word of a region."""

    def __init__(self, path: str):
        super().__init__(daemon=True)
        with open(path, 'r+b') as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._end = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._end.is_set():
            number += 1
            self._map[:8] = number.to_bytes(8, 'little')

    def end(self) -> None:
        self._end.set()
        self.join()


def make(vm, bug: str) -> list:
    """What the kernel says of a bug."""
    before = len(vm.findings())
    try:
        status, text = vm.sh(LOAD.format(bug=bug), timeout=300)
    except VMError as error:
        return vm.findings()[before:] or [str(error)]
    if bug in ('none', 'leak'):
        vm.run(SCAN, timeout=300)
    found = vm.findings()[before:]
    # Some bugs are the end of the program that makes them.
    return found if found or not status else [f'planted.ko does not load: {text.strip()}']


def check(tap, directory: str, kind: str, kernel, module: str) -> None:
    """A healthy module is silent, and each bug is reported."""
    initramfs = build_initramfs(os.path.join(directory, 'planted'), kernel,
                                ['virtio_pci', 'virtio_pmem', 'nd_pmem'], {'/planted.ko': module})
    vm = VM(kernel, initramfs, append='kasan_multi_shot')
    path = os.path.join(vm.workdir, 'memory')
    with open(path, 'wb') as file:
        file.truncate(16 << 20)
    vm.add_region(path, 16 << 20)
    writer = Writer(path)
    try:
        vm.start()
        vm.run(PREPARE, timeout=120)
        writer.start()
        tap.equal(make(vm, 'none'), [], f'{kind}: no bug, no report')
        for bug, pattern in BUGS[kind].items():
            found = make(vm, bug)
            tap.ok(any(re.search(pattern, line) for line in found), f'{kind}: {bug} is reported',
                   found)
    finally:
        if writer.is_alive():
            writer.end()
        vm.close()
