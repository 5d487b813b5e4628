#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The kselftests in a VM, with kring_loop; and the errors of kring(4), each of which has one."""

import glob
import os
import re
import sys
import tempfile

import rig
from kringvm import VM, Tap

TESTS = os.path.join(rig.BUILD, 'kselftest', 'tools', 'testing', 'selftests', 'kring')
MAN = os.path.join(rig.TOP, 'man', 'kring.4')

# kring_loop makes no region of that kind: test_amrb.py shows it.
ELSEWHERE = {'mmap_EOPNOTSUPP'}


def programs() -> list:
    """What the Makefile has built."""
    return sorted(path for path in glob.glob(os.path.join(TESTS, '*'))
                  if os.access(path, os.X_OK) and os.path.isfile(path))


def listed() -> set:
    """The errors of the man page, as CALL_ERROR."""
    with open(MAN, encoding='ascii') as file:
        return {f'{call}_{error}'
                for call, error in re.findall(r'^(\w+)\|(E[A-Z]+)\|', file.read(), re.MULTILINE)}


def run(tap, vm, name: str) -> set:
    """Passes on what a program says; the names of the tests that passed."""
    program = vm.spawn(name)
    status = program.wait(600)
    output = program.output()
    passed = set()
    for failed, test, skipped in re.findall(r'^(not )?ok \d+ (?:# SKIP )?(\S+)(.*# SKIP.*)?',
                                            output, re.MULTILINE):
        tap.ok(not failed, f'{name}: {test}{skipped}', output)
        if not failed:
            passed.add(test.rpartition('.')[2])
    tap.ok(status == 0, f'{name}: {len(passed)} passed', output)
    return passed


def main() -> int:
    paths = programs()
    if not paths:
        print('1..0 # SKIP the kselftests are not built: make kselftest')
        return 0
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        with VM(**rig.guest(directory, {f'/kselftest/{os.path.basename(path)}': path
                                        for path in paths})) as vm:
            names = [f'/kselftest/{os.path.basename(path)}' for path in paths]
            said = vm.run(f'{names[0]}; echo $?')
            tap.ok('# SKIP' in said and 'modprobe kring_loop' in said and said.endswith('4\n'),
                   'without kring_loop they skip, and say what is missing', said)
            vm.run('modprobe kring_loop count=2')
            passed = set()
            for name in names:
                passed |= run(tap, vm, name)
        errors = {test for test in passed if re.search(r'_E[A-Z]+$', test)}
        tap.equal(sorted(listed() - ELSEWHERE - errors), [], 'each error of kring(4) has a test')
        tap.equal(sorted(errors - listed()), [], 'kring(4) lists each error that has one')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
