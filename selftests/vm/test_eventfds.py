#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A region without a port, whose doorbell is a pair of eventfds."""

import os
import re
import sys
import tempfile

import rig
from kringvm import VM, Tap


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**rig.guest(directory))
        region = os.path.join(vm.workdir, 'kring')
        vm.add_region(region, rig.create(region, '--name', 'test'), id='kring-region')
        with vm:
            vm.run(rig.LOAD)
            vm.run('until [ -e /dev/kring ]; do sleep 0.05; done')
            vm.run('echo 0 >/sys/module/kring/parameters/rescue_ms')
            host = rig.HostEnd(region, None, os.path.join(vm.workdir, 'echo.log'), echo=True)
            program = vm.spawn('eventfds')
            status = program.wait(60)
            host.kill()
            for line in program.output().splitlines():
                if result := re.match(r'(not )?ok \d+ - (.*)', line):
                    tap.ok(not result[1], f'guest: {result[2]}', program.output())
            tap.equal(status, 0, 'guest: eventfds')
            tap.equal(rig.counters(vm)['wakeups_rescued'], 0, 'the timer was not needed')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
