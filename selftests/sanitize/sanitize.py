#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring.ko on kernels that watch: the watchmen shown to bark, then the tests under them, every
allocation failing once, and what of the module was run at all."""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('KRING_BUILD', os.path.join(TOP, 'build'))
sys.path.insert(0, os.path.join(TOP, 'selftests', 'vm'))

import coverage     # noqa: E402
import planted      # noqa: E402
import rig          # noqa: E402
from kringvm import VM, Kernel, Tap, klog     # noqa: E402

# Tests in a VM that are about the module, by the kernel that they run on. What races with the host
# is for KCSAN; what allocates and frees is for KASAN.
TESTS = {
    'kasan': ('kselftest', 'device', 'claim', 'eventfds', 'garbage', 'unplug', 'reload', 'snapshot',
              'wake', 'amrb', 'region', 'kicks', 'mmap', 'params', 'trace', 'suspend', 'loop'),
    'kcsan': ('kselftest', 'garbage', 'device', 'snapshot', 'unplug', 'mmap'),
}

STEPS = ('planted', 'tests', 'failures', 'loads')

# The kernel's own words on errors that are made on purpose.
QUIET = '''
for f in failslab fail_page_alloc fail_usercopy; do
    cd /sys/kernel/debug/$f && echo 0 >verbose && echo 1 >interval && echo 0 >probability
done
echo N >/sys/kernel/debug/failslab/ignore-gfp-wait
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem
echo {order} >/sys/kernel/debug/fail_page_alloc/min-order
'''

# A failed allocation of pages for vmalloc() is told with a stack.
NO_PAGES = 10


class Kind:
    """A kernel, and the modules built for it."""

    def __init__(self, name: str):
        self.name = name
        self.root = subprocess.run([os.path.join(HERE, 'kernel'), name], check=True,
                                   stdout=subprocess.PIPE, text=True).stdout.strip()
        image = glob.glob(os.path.join(self.root, 'boot', 'vmlinuz-*'))[0]
        self.release = os.path.basename(image).removeprefix('vmlinuz-')
        self.kernel = Kernel(self.release, image,
                             os.path.join(self.root, 'lib', 'modules', self.release))
        self.headers = os.path.join(self.root, 'build')
        self.module = os.path.join(BUILD, f'module-{self.release}')

    def build(self) -> None:
        """kring.ko, counted by gcov, and the planted bugs."""
        make('module', f'KVER={self.release}', f'KDIR={self.headers}', 'GCOV_PROFILE=y')
        directory = os.path.join(BUILD, f'planted-{self.release}')
        os.makedirs(directory, exist_ok=True)
        for name in ('Kbuild', 'planted.c'):
            link = os.path.join(directory, name)
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(os.path.join(HERE, 'planted', name), link)
        make('-C', self.headers, f'M={directory}', 'modules')
        self.planted = os.path.join(directory, 'planted.ko')

    def environment(self, directory: str) -> dict:
        return dict(os.environ, KRING_BUILD=BUILD, KRING_KERNEL_ROOT=self.root,
                    KRING_KERNEL_VERSION=self.release, KRINGVM_APPEND='panic_on_warn=1',
                    KRINGVM_COVERAGE=directory, KRINGVM_BOOT_TIMEOUT='300')


def make(*arguments: str) -> None:
    result = subprocess.run(['make', '-s', f'-j{os.cpu_count()}', *arguments], cwd=TOP,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f'make {" ".join(arguments)}:\n{result.stdout}{result.stderr}')


def run_tests(tap, kind: Kind, directory: str, names) -> int:
    """The tests of a kind; how many reports their kernels have made."""
    reports = 0
    for name in names:
        path = os.path.join(TOP, 'selftests', 'vm', f'test_{name}.py')
        if not os.path.exists(path):
            tap.skip(f'{kind.name}: test_{name}.py', 'there is none')
            continue
        result = subprocess.run(
            [os.path.join(TOP, 'selftests', 'run'), '-t', '1500', path],
            env=kind.environment(directory), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True)
        summary = result.stdout.strip().splitlines()[-1]
        reports += len(klog.findings('\n'.join(
            line for line in result.stdout.splitlines() if re.match(r'# .*\[ *\d+\.\d+\]', line))))
        tap.ok(result.returncode == 0, f'{kind.name}: test_{name}.py: {summary}', result.stdout)
    return reports


def check_failures(tap, kind: Kind, directory: str) -> int:
    """Each allocation and each copy fails once."""
    loop = os.path.join(kind.module, 'kmod', 'kring_loop.ko')
    kring = os.path.join(kind.module, 'kmod', 'kring.ko')
    with VM(**rig.guest(directory, {'/bin/failnth': os.path.join(BUILD, 'tests', 'failnth'),
                                    '/kring.ko': kring, '/kring_loop.ko': loop}),
            append='panic_on_warn=1') as vm:
        rig_text = []
        vm.run('modprobe virtio_pci')
        vm.run(QUIET.format(order=NO_PAGES))
        rig_text.append(vm.run('failnth load /kring.ko', timeout=900))
        vm.run('modprobe kring')
        rig_text.append(vm.run('failnth load /kring_loop.ko', timeout=900))
        vm.run('modprobe kring_loop')
        vm.run(QUIET.format(order=0))
        rig_text.append(vm.run('failnth calls /dev/kring /dev/kring_loop', timeout=900))
        vm.run('rmmod kring_loop kring')
        vm.run(planted.SCAN, timeout=300)
        for line in '\n'.join(rig_text).splitlines():
            if result := re.match(r'(not )?ok \d+ - (.*)', line):
                tap.ok(not result[1], f'one failure each: {result[2]}', '\n'.join(rig_text))
        found = vm.findings()
        tap.equal(found, [], 'no report, and nothing is leaked')
        return len(found)


def check_loads(tap, directory: str, count: int) -> int:
    vm = VM(**rig.guest(directory), append='panic_on_warn=1')
    rig.add_kring(vm)
    with vm:
        vm.run('modprobe virtio_pci')
        vm.run(f'for i in $(seq {count}); do modprobe kring_loop && rmmod kring_loop kring || '
               'exit 1; done', timeout=1200)
        vm.run(planted.SCAN, timeout=300)
        found = vm.findings()
        tap.equal(found, [], f'loaded and unloaded {count} times: no report, and no leak')
        if os.environ.get('KRINGVM_COVERAGE'):
            vm.save_coverage()
        return len(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--only', choices=STEPS, action='append')
    parser.add_argument('--kind', choices=tuple(TESTS), action='append')
    parser.add_argument('--test', action='append', help='of test_TEST.py, instead of all')
    parser.add_argument('--loads', type=int, default=100)
    options = parser.parse_args()
    wanted = options.only or STEPS
    reports, counted = 0, None
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        kept = os.path.join(directory, 'coverage')
        os.mkdir(kept)
        for kind in map(Kind, options.kind or TESTS):
            kind.build()
            scratch = os.path.join(directory, kind.name)
            os.mkdir(scratch)
            os.environ.update({key: value for key, value in kind.environment(kept).items()
                               if key.startswith('KRING')})
            os.environ.pop('KRINGVM_APPEND')
            if 'planted' in wanted:
                planted.check(tap, scratch, kind.name, kind.kernel, kind.planted)
            if 'tests' in wanted:
                reports += run_tests(tap, kind, kept, options.test or TESTS[kind.name])
            if kind.name == 'kasan' and 'failures' in wanted:
                reports += check_failures(tap, kind, scratch)
            if kind.name == 'kasan' and 'loads' in wanted:
                reports += check_loads(tap, scratch, options.loads)
            if kind.name == 'kasan':
                counted = coverage.Coverage(os.path.join(kind.module, 'kmod'),
                                            os.path.join(TOP, 'kmod'))
                for archive in glob.glob(os.path.join(kept, '*')):
                    counted.add(archive)
                tap.diag(counted.report())
    ran = 'lines=- branches=-'
    if counted:
        ran = f'lines={counted.total("lines"):.1f}% branches={counted.total("branches"):.1f}%'
    print(f'sanitize: reports={reports} tests_failed={tap.failed} {ran}')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
