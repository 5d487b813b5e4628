# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""vhost-device-vsock, of Debian's unstable suite: unpacked beside the system with the libraries of
its own suite, not installed. And a VM's vsock device that it serves."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

from kringvm import VM, QMPError, popen

SUITE = 'sid'
PACKAGES = ('vhost-device-vsock', 'libc6', 'libgcc-s1')
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
ID = 'compare-vsock'
CID = 3


class Unavailable(Exception):
    """Why there is no vsock here."""


def _run(*argv: str, directory: str | None = None) -> str:
    try:
        result = subprocess.run(argv, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise Unavailable(f'{argv[0]}: {lines[-1] if lines else "failed"}')
    return result.stdout


def _mirror() -> str:
    """Where this system has its own Debian from."""
    if not shutil.which('apt-get') or not os.path.exists(KEYRING):
        raise Unavailable('this is no Debian')
    sites = _run('apt-get', 'indextargets', '--format', '$(SITE)', 'Created-By: Packages',
                 'Origin: Debian', 'Component: main').split()
    if not sites:
        raise Unavailable('apt has no source of Debian packages; apt-get update?')
    return sites[0]


def _download(directory: str) -> None:
    """The packages, by an apt with directories and sources of its own; no root needed."""
    for name in ('lists/partial', 'cache/archives/partial'):
        os.makedirs(os.path.join(directory, name))
    sources = os.path.join(directory, 'sources.list')
    with open(sources, 'w') as file:
        file.write(f'deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n')
    options = {'Dir::State': directory, 'Dir::State::status': '/dev/null',
               'Dir::Cache': os.path.join(directory, 'cache'), 'Dir::Etc::sourcelist': sources,
               'Dir::Etc::sourceparts': '/dev/null', 'Dir::Etc::preferences': '/dev/null',
               'Dir::Etc::preferencesparts': '/dev/null', 'APT::Sandbox::User': '',
               'Acquire::Languages': 'none'}
    apt = ['apt-get', '-q', *(f'-o{name}={value}' for name, value in options.items())]
    _run(*apt, 'update')
    _run(*apt, 'download', *PACKAGES, directory=directory)


def command(directory: str) -> list:
    """The program, with its own loader and libraries, which are in `directory` from then on."""
    root = os.path.join(directory, 'root')
    if not os.path.isdir(root):
        os.makedirs(directory, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            _download(scratch)
            for package in glob.glob(os.path.join(scratch, '*.deb')):
                _run('dpkg-deb', '-x', package, os.path.join(scratch, 'root'))
            os.rename(os.path.join(scratch, 'root'), root)
    loaders = glob.glob(os.path.join(root, '**', 'ld-linux*.so.*'), recursive=True)
    program = os.path.join(root, 'usr/bin/vhost-device-vsock')
    if not loaders or not os.path.exists(program):
        raise Unavailable(f'{root} has no such program: remove it')
    argv = [loaders[0], '--library-path', os.path.dirname(loaders[0]), program]
    _run(*argv, '--version')
    return argv


class Device:
    """Its process, and the device in a VM."""

    def __init__(self, argv: list, directory: str):
        self.path = os.path.join(directory, 'vsock')            # for programs at the host
        self._uds = os.path.join(directory, 'vhost-vsock.uds')  # the same, before it is ready
        self._argv = argv
        self._socket = os.path.join(directory, 'vhost-vsock')   # for QEMU
        self._log = os.path.join(directory, 'vhost-vsock.log')
        self._process = None

    def plug(self, vm: VM) -> None:
        """Into the VM, which runs and has a root port that is free.

        Returns when the guest's driver is ready. Only then is the path there: who connects while
        the guest still starts the device may stall it for good.
        """
        for path in (self.path, self._uds, self._socket):
            if os.path.lexists(path):
                os.unlink(path)
        with open(self._log, 'a') as log:
            self._process = popen([*self._argv, '--guest-cid', str(CID), '--socket', self._socket,
                                   '--uds-path', self._uds], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not os.path.exists(self._socket):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f'vhost-device-vsock does not start: {open(self._log).read()}')
            time.sleep(0.01)
        vm.qmp.execute('chardev-add', {'id': f'{ID}.chr', 'backend': {
            'type': 'socket', 'data': {'server': False, 'addr': {
                'type': 'unix', 'data': {'path': self._socket}}}}})
        vm.qmp.execute('device_add', {
            'driver': 'vhost-user-vsock-pci', 'id': ID, 'chardev': f'{ID}.chr',
            'bus': vm.devices.free_root_port().id, 'addr': '0x0'})
        vm.run('until ls /sys/bus/virtio/drivers/vmw_vsock_virtio_transport | grep -q virtio; do '
               'sleep 0.05; done')
        os.symlink(self._uds, self.path)

    def unplug(self, vm: VM) -> None:
        vm.qmp.execute('device_del', id=ID)
        vm.qmp.wait_event('DEVICE_DELETED', 30, device=ID)
        self.kill()

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def refusal(vm: VM) -> str | None:
    """What QEMU says when it is asked to migrate a VM with the device; None: it would."""
    try:
        vm.qmp.execute('migrate', uri='exec:cat >/dev/null')
    except QMPError as error:
        return re.sub(r"'[^']*/", "'", str(error).removeprefix('migrate: '))
    vm.qmp.execute('migrate_cancel')
    while vm.qmp.execute('query-migrate')['status'] not in ('cancelled', 'completed', 'failed'):
        time.sleep(0.05)
    return None
