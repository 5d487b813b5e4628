#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ways to use the device in a guest, measured over kring_loop: a table, and no verdict."""

import os
import sys
import tempfile

import rig
from kringvm import VM


def main() -> int:
    program = os.path.join(rig.TESTS, 'bench')
    with tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        with VM(**rig.guest(directory, {'/bin/bench': program})) as vm:
            vm.run('modprobe kring_loop')
            print(vm.run('bench /dev/kring /dev/kring_loop', timeout=600), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
