# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What every test of kring in a VM begins with: where the built things are, a guest's file system,
a VM with a region and its doorbell, and the host's end as a process."""

import json
import mmap
import os
import re
import signal
import struct
import subprocess

from kringvm import VM, Kernel, build_initramfs, popen

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('KRING_BUILD', os.path.join(TOP, 'build'))
TOOL = os.path.join(BUILD, 'kring')
TESTS = os.path.join(BUILD, 'tests')

MODULES = ('virtio_pci', 'virtio_pmem', 'nd_pmem', 'virtio_console')

# The guest's.
PROGRAMS = ('traffic-guest', 'device', 'edges', 'eventfds', 'frames', 'hammer', 'kdev', 'mapped',
            'mapping', 'pings', 'sleepers', 'waiters', 'workers')

# The module and what is under it, and nothing that races with it for the devices.
LOAD = 'modprobe virtio_pci && modprobe kring'

# Offsets in the header (uapi/linux/kring.h), and the bytes of a page of a test's region.
GENERATION, H2G, G2H = 32, 88, 104
PAGE = 4096

# Waits until a test's region has its doorbell.
PAIRED = 'until [ "$(cat /sys/class/kring/kring/doorbell)" = vport ]; do sleep 0.05; done'


def guest(directory: str, files=None, modules=()) -> dict:
    """The arguments of VM(): a kernel, and a file system with our modules and the test programs."""
    kernel = Kernel.find()
    ours = [os.path.join(BUILD, f'module-{kernel.version}', 'kmod', f'{name}.ko')
            for name in ('kring', 'kring_loop')]
    for module in ours:
        if not os.path.exists(module):
            raise SystemExit(f'{module} is not there: run "make module"')
    initramfs = build_initramfs(
        os.path.join(directory, 'initramfs'), kernel, [*MODULES, *modules, *ours],
        {**{f'/bin/{name}': os.path.join(TESTS, name) for name in PROGRAMS}, **(files or {})})
    return {'kernel': kernel, 'initramfs': initramfs}


def create(path: str, *options: str) -> int:
    """A new region; its bytes."""
    subprocess.run([TOOL, 'create', path, *options], check=True)
    return os.path.getsize(path)


def add_kring(vm: VM, name: str = 'test', id: str = '', **options):
    """A region and a port for it, each on a device of its own; the region's path and the port."""
    path = os.path.join(vm.workdir, f'kring{id}')
    size = create(path, '--name', name)
    vm.add_region(path, size, id=f'kring-region{id}', **options)
    port = vm.add_port(f'kring.{name}', id=f'kring-port{id}', **options)
    return path, port


def stat(path: str) -> dict:
    """What `kring stat` says of a region."""
    run = subprocess.run([TOOL, 'stat', path, '--json'], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def numbers(text: str) -> dict:
    """All NAME=NUMBER of a program's output, added up by name; max_* are not added."""
    found = {}
    for name, value in re.findall(r'\b(\w+)=(\d+)', text):
        value = int(value)
        found[name] = max(found.get(name, 0), value) if name.startswith('max') else \
            found.get(name, 0) + value
    return found


def counters(vm: VM, instance: str = 'kring') -> dict:
    """The statistics of an instance, from sysfs."""
    text = vm.run(f'cd /sys/class/kring/{instance}/stats && grep -H . *')
    return {name: int(value) for name, value in re.findall(r'(\w+):(\d+)', text)}


class Region:
    """The host's hand in a region, which may write whatever it likes."""

    def __init__(self, path: str):
        with open(path, 'r+b') as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.h2g, self.g2h = (struct.unpack_from('<Q', self._map, at)[0] for at in (H2G, G2H))

    def get(self, at: int, form: str = '<I') -> int:
        return struct.unpack_from(form, self._map, at)[0]

    def put(self, at: int, value: int, form: str = '<I') -> None:
        struct.pack_into(form, self._map, at, value)

    def empty(self) -> None:
        """Both rings as if nothing had ever been sent: only while nobody is attached."""
        for ring in (self.h2g, self.g2h):
            self.put(ring, 0, '<Q')
            self.put(ring + PAGE, 0, '<Q')


class HostEnd:
    """traffic-host: the host's end of test traffic, as a process of its own."""

    def __init__(self, region: str, doorbell: str | None, log: str, **options):
        args = [os.path.join(TESTS, 'traffic-host'), '--region', region]
        if doorbell:
            args += ['--doorbell', doorbell]
        for name, value in options.items():
            args += [f'--{name}'] if value is True else [f'--{name}', str(value)]
        self._log = log
        with open(log, 'a') as output:
            self.process = popen(args, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def output(self) -> str:
        with open(self._log) as file:
            return file.read()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait(self, timeout: float = 60) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'traffic-host still runs; it said:\n{self.output()}') from None

    def numbers(self) -> dict:
        return numbers(self.output())
