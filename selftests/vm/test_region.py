#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Headers that are not right: one line that names the field, and the device is left alone."""

import os
import shutil
import sys
import tempfile

import rig
from kringvm import VM, Tap

CLAIM = '/sys/bus/virtio/drivers/kring_pmem/claim'

# Offsets of the header's fields (uapi/linux/kring.h).
MAGIC, VERSION, STATE, GRANULE, FEATURES, REGION_SIZE, NAME = 0, 4, 8, 12, 16, 24, 56
OFFSET, SIZE = 0, 8

H2G, G2H = rig.H2G, rig.G2H

# What is written where, and what the log must say.
BAD = [
    (MAGIC, '<I', 0x12345678, 'magic 0x12345678: not a kring region'),
    (VERSION, '<I', 2, 'version 2: newer than this kring knows'),
    (VERSION, '<I', 0, 'version 0: there never was one'),
    (STATE, '<I', 0, 'state 0: not ready'),
    (GRANULE, '<I', 1000, 'granule 1000: not 4096'),
    (FEATURES, '<Q', 1 << 40, f'features {1 << 40}: has mandatory ones'),
    (REGION_SIZE, '<Q', 1 << 40, f'region_size {1 << 40}: truncated'),
    (REGION_SIZE, '<Q', 4096, 'region_size 4096: too small'),
    (H2G + SIZE, '<Q', 12345, 'h2g.size 12345: not a power of two'),
    (H2G + SIZE, '<Q', 0, 'h2g.size 0: not a power of two'),
    (G2H + SIZE, '<Q', 2048, 'g2h.size 2048: less than the granule'),
    (G2H + SIZE, '<Q', 1 << 40, f'g2h.size {1 << 40}: more than 1 GiB'),
    (H2G + OFFSET, '<Q', 4100, 'h2g.offset 4100: not a multiple of the granule'),
    (H2G + OFFSET, '<Q', 0, 'h2g.offset 0: inside the header'),
    (G2H + OFFSET, '<Q', 1 << 22, f'g2h.offset {1 << 22}: the ring ends outside the region'),
    (G2H + OFFSET, '<Q', 2**64 - 4096, f'g2h.offset {2**64 - 4096}: the ring ends outside'),
    (G2H + OFFSET, '<Q', 4096, 'g2h.offset 4096: the rings overlap'),
    (NAME, '<B', 0, 'name 0: not 1 to 31 of'),
    (NAME, '<B', ord('/'), 'name 47: not 1 to 31 of'),
]


class Machine:
    def __init__(self, directory: str):
        self.vm = VM(**rig.guest(directory))
        self.path, _ = rig.add_kring(self.vm)
        self.good = os.path.join(directory, 'good')
        shutil.copy(self.path, self.good)

    def mend(self) -> rig.Region:
        """The header as it was made."""
        with open(self.good, 'rb') as good, open(self.path, 'r+b') as file:
            file.write(good.read(4096))
        return rig.Region(self.path)

    def device(self) -> str:
        address = self.vm.pci_address('kring-region')
        return self.vm.run(f'basename $(echo /sys/bus/pci/devices/{address}/virtio*)').strip()

    def log_since(self, mark: str) -> list:
        log = self.vm.run('dmesg').splitlines()
        at = max(i for i, line in enumerate(log) if mark in line)
        return [line for line in log[at + 1:] if 'kring' in line]


def check_bad(tap, m: Machine) -> None:
    device = m.device()
    driver = f'/sys/bus/virtio/devices/{device}'
    for number, (at, form, value, words) in enumerate(BAD):
        m.mend().put(at, value, form)
        mark = f'case {number}'
        m.vm.run(f'echo {mark} >/dev/kmsg')
        status, output = m.vm.sh(f'echo {device} >{CLAIM}')
        log = m.log_since(mark)
        left = m.vm.run(f'basename $(readlink {driver}/driver); cat {driver}/status').split()
        tap.ok(status and len(log) == 1 and words in log[0] and 'left alone' in log[0] and
               left == ['virtio_pmem', '0x0000000f'], words, f'{status} {output} {log} {left}')


def check_scan(tap, m: Machine) -> None:
    """The same when the module comes: the scan, not only the claim that was asked for."""
    m.vm.run('rmmod kring')
    m.mend().put(VERSION, 3)
    m.vm.run('echo scan >/dev/kmsg; modprobe kring; sleep 0.5')
    log = m.log_since('scan')
    tap.ok(len([line for line in log if 'version 3: newer' in line]) == 1 and
           m.vm.sh('[ -e /dev/kring ]')[0] and m.vm.sh('[ -b /dev/pmem0 ]')[0] == 0,
           'a bad region that is there when the module comes is left to virtio_pmem', log)


def check_good(tap, m: Machine) -> None:
    m.mend().put(FEATURES, 1, '<Q')
    m.vm.run(f'echo {m.device()} >{CLAIM}')
    tap.equal(m.vm.run('cat /sys/class/kring/kring/name').strip(), 'test',
              'an optional feature that nobody knows does no harm')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        m = Machine(directory)
        m.mend().put(MAGIC, 0)      # not ours at first: virtio_pmem gets it
        with m.vm:
            m.vm.run('modprobe virtio_pci; modprobe virtio_pmem; modprobe nd_pmem; '
                     'until [ -b /dev/pmem0 ]; do sleep 0.05; done')
            m.vm.run('modprobe kring; sleep 0.5')
            check_bad(tap, m)
            check_scan(tap, m)
            check_good(tap, m)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
