# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A virtual machine under QEMU, with regions and doorbell ports."""

import atexit
import base64
import gzip
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from . import klog
from .channel import Channel, ChannelClosed, ChannelTimeout
from .devices import Device, Devices
from .kernel import Kernel
from .pciconfig import PCIConfig
from .process import popen
from .program import Program
from .qmp import QMP, QMPError
from .snapshot import Snapshot, clone_region, copy_file

QEMU = os.environ.get('KRING_QEMU', 'qemu-system-x86_64')
APPEND = ('console=ttyS0,115200 ignore_loglevel printk.devkmsg=on panic=-1 oops=panic '
          'random.trust_cpu=on cryptomgr.notests')
# More of the kernel's command line, for every VM: options of a kernel that watches.
APPEND += ' ' + os.environ.get('KRINGVM_APPEND', '')
# A directory for what the guest's gcov has counted, a file for each VM.
COVERAGE = os.environ.get('KRINGVM_COVERAGE')
BOOT_TIMEOUT = float(os.environ.get('KRINGVM_BOOT_TIMEOUT', 120))
READY = 'kringvm: ready'
TAIL_LINES = 30
MAX_SOCKET_PATH = 107


class VMError(Exception):
    """The text has the end of the guest's console and of QEMU's stderr."""


class VM:
    """
    vm = VM(kernel, initramfs)
    vm.add_region(os.path.join(vm.workdir, 'region'), 16 << 20)
    with vm:
        vm.run('modprobe virtio_pmem')
    """

    def __init__(self, kernel: Kernel, initramfs: str, workdir: str | None = None,
                 memory: str = '256M', extra_args=(), append: str = '', name: str = 'vm',
                 hotplug_slots: int = 0):
        """extra_args go to QEMU as they are; append goes to the kernel's command line;
        hotplug_slots are root ports that are empty at boot. A workdir that exists already is
        used, and not removed."""
        self.kernel = kernel
        self.initramfs = initramfs
        self.memory = memory
        self.args = list(extra_args)
        self.append = append
        self.name = name
        self.devices = Devices()
        for _ in range(hotplug_slots):
            self.devices.add_root_port()
        self.boot_seconds = self.restore_seconds = None
        self.qmp = None
        self._channel = None
        self._process = None
        self._incoming = None
        self._remove_workdir = workdir is None or not os.path.exists(workdir)
        if workdir is None:
            self.workdir = tempfile.mkdtemp(prefix='kringvm-')
        else:
            self.workdir = workdir
            os.makedirs(workdir, exist_ok=True)
        _unwind_on_sigterm()
        atexit.register(self.close)

    # Devices

    def add_region(self, path: str, size: int, id: str | None = None, hotplug: bool = False,
                   **options) -> Device:
        """A virtio-pmem device over a file; before start(), or plugged into a running VM."""
        key = id or self.devices.new_id('region')
        return self._add(Device(key, {
            'driver': 'virtio-pmem-pci', **self._place(hotplug), **_properties(options)},
            path=path, size=size))

    def add_serial(self, id: str | None = None, max_ports: int = 2, hotplug: bool = False,
                   **options) -> Device:
        """A virtio-console device without ports."""
        key = id or self.devices.new_id('serial')
        return self._add(Device(key, {
            'driver': 'virtio-serial-pci', 'max_ports': max_ports, **self._place(hotplug),
            **_properties(options)}))

    def add_port(self, name: str, socket: str | None = None, nr: int = 1, id: str | None = None,
                 serial=None, console: bool = False, hotplug: bool = False,
                 **options) -> Device:
        """A port that QEMU serves on the unix socket `socket`: on the device `serial`, or on a
        device of its own, serial_of(port). console=True makes a virtconsole, which may be
        number 0."""
        key = id or self.devices.new_id('port')
        socket = socket or os.path.join(self.workdir, f'{key}.sock')
        _check_socket_path(socket)
        bus = self.devices[serial] if serial else self.add_serial(
            max_ports=max(2, nr + 1), hotplug=hotplug, **options)
        driver = 'virtconsole' if console else 'virtserialport'
        return self._add(Device(key, {
            'driver': driver, 'bus': f'{bus.id}.0', 'nr': nr, 'name': name}, socket=socket))

    def serial_of(self, port) -> Device:
        """The virtio-console device that a port is on, the one to unplug() with all its ports."""
        return self.devices[self.devices[port].properties['bus'].removesuffix('.0')]

    def unplug(self, device, timeout: float = 30) -> None:
        """Takes a device, made with hotplug=True or plugged later, out of the running VM, with
        the guest's consent. The ports on it go with it; a single port can be unplugged, too."""
        device = self.devices[device]
        if device.is_region:
            # QEMU refuses device_del of memory devices, but not a guest that powers the slot off.
            self._slot_off(device)
        else:
            self._qmp('device_del', id=device.id)
        try:
            self.qmp.wait_event('DEVICE_DELETED', timeout, device=device.id)
        except QMPError as error:
            raise self.error(f'unplug of {device.id}: {error}') from None
        for gone in self.devices.remove(device):
            gone.remove_backends(self.qmp)

    def _slot_off(self, device: Device) -> None:
        address = self.pci_address(device).split('.')[0]
        self.run('for slot in /sys/bus/pci/slots/*; do\n'
                 f'[ "$(cat $slot/address)" = {address} ] && echo 0 >$slot/power && exit\n'
                 'done\n'
                 f'echo no slot is {address}; false')

    def pci_address(self, device) -> str:
        """As the guest names it in /sys/bus/pci/devices."""
        key = self.devices[device].id
        todo = [entry for bus in self._qmp('query-pci') for entry in bus['devices']]
        for entry in todo:
            if entry['qdev_id'] == key:
                return f'0000:{entry["bus"]:02x}:{entry["slot"]:02x}.{entry["function"]:x}'
            todo += entry.get('pci_bridge', {}).get('devices', [])
        raise self.error(f'{key} is not a PCI device')

    def pci_remove(self, device) -> None:
        """Makes the guest forget a PCI device, until pci_rescan(); QEMU keeps it."""
        self.run(f'echo 1 >/sys/bus/pci/devices/{self.pci_address(device)}/remove')

    def pci_rescan(self) -> None:
        self.run('echo 1 >/sys/bus/pci/rescan')

    def _place(self, hotplug: bool) -> dict:
        running = self._process is not None
        return self.devices.place(hotplug or running, may_add=not running)

    def _add(self, device: Device) -> Device:
        self.devices.add(device)
        if self._process:
            try:
                device.plug(self.qmp)
            except QMPError as error:
                self.devices.remove(device)
                raise self.error(f'plug of {device.id}: {error}') from None
        return device

    # Life

    def __enter__(self):
        if not self._process:
            try:
                self.start()
            except BaseException:
                self.close(failed=True)
                raise
        return self

    def __exit__(self, kind, *_):
        if kind is None and COVERAGE and self.alive and self._channel:
            self.save_coverage()
        found = self.findings() if kind is None else []
        tail = self.tail()
        self.close(failed=bool(kind or found))
        if found:
            raise VMError(f'{self.name}: {len(found)} reports in the kernel log{tail}')

    def start(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Boots, until the guest takes commands."""
        started = time.monotonic()
        self._launch([])
        self._wait(lambda: READY in self.console(), timeout, 'boot')
        self._connect_channel()
        self.run('true', timeout)
        self.boot_seconds = time.monotonic() - started

    def stop(self) -> None:
        self._qmp('stop')

    def cont(self) -> None:
        self._qmp('cont')

    def kill(self) -> None:
        """SIGKILL, as a crash of the VMM."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def shutdown(self, timeout: float = 60) -> None:
        """An orderly power-off; the kernel must not have reported anything."""
        try:
            self._channel.post('poweroff -f')
        except ChannelClosed:
            raise self.error('shutdown: the guest is gone already') from None
        self.wait_end(timeout)
        self.check_log()

    def wait_end(self, timeout: float = 60) -> None:
        """For a guest that was told to power off."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.error(f'shutdown took more than {timeout} s') from None

    def close(self, failed: bool = False) -> None:
        """Kills QEMU and removes the workdir (KRINGVM_KEEP=1 keeps it)."""
        atexit.unregister(self.close)
        self.kill()
        for connection in (self._channel, self.qmp):
            if connection:
                connection.close()
        self._channel = self.qmp = None
        if os.environ.get('KRINGVM_KEEP') == '1':
            if os.path.exists(self.workdir):
                print(f'# {self.name}: kept {self.workdir}', file=sys.stderr)
        elif self._remove_workdir:
            shutil.rmtree(self.workdir, ignore_errors=True)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self) -> list:
        """The command line of QEMU. Its sockets and logs are in the workdir."""
        kvm = os.access('/dev/kvm', os.W_OK) and (
            os.path.exists('/sys/module/kvm_intel') or os.path.exists('/sys/module/kvm_amd'))
        command = [
            QEMU, '-name', self.name, '-M', 'q35',
            '-accel', 'kvm' if kvm else 'tcg,thread=multi', '-cpu', 'max', '-smp', '2',
            '-m', f'{self.memory},maxmem=2G,slots=2',
            '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
            '-kernel', self.kernel.image, '-initrd', self.initramfs,
            '-append', f'{APPEND} {self.append}'.strip(),
            '-chardev', f'file,id=console,path={self._path("console.log")},append=on',
            '-serial', 'chardev:console',
            '-chardev', f'socket,id=tty,path={self._path("tty.sock")},server=on,wait=off',
            '-serial', 'chardev:tty',
            '-qmp', f'unix:{self._path("qmp.sock")},server=on,wait=off',
            '-qtest', f'unix:{self._path("qtest.sock")},server=on,wait=off',
            '-qtest-log', '/dev/null',
            '-device', 'vmgenid,guid=auto,id=vmgenid']
        for device in self.devices:
            command += device.arguments()
        return command + self.args

    def _launch(self, args: list) -> None:
        qmp = self._path('qmp.sock')
        _check_socket_path(qmp)
        with open(self._path('qemu.log'), 'ab') as log:
            self._process = popen(self.command() + args, stdout=log, stderr=log)
        # It answers once all sockets are there.
        self._wait(lambda: self._connect_qmp(qmp), 30, 'start of QEMU')

    def _connect_qmp(self, path: str) -> bool:
        try:
            self.qmp = QMP(path)
        except (FileNotFoundError, ConnectionRefusedError):     # not bound, or not listening yet
            return False
        except (OSError, QMPError) as error:
            raise self.error(f'QMP: {error}') from None
        return True

    def _connect_channel(self) -> None:
        try:
            self._channel = Channel(self._path('tty.sock'))
        except OSError as error:
            raise self.error(f'serial port: {error}') from None
        self._channel.resync()

    def _path(self, name: str) -> str:
        return os.path.join(self.workdir, name)

    # The guest

    def sh(self, command: str, timeout: float = 60, check: bool = False) -> tuple[int, str]:
        """Runs a shell command line (or several); its exit status, its stdout and stderr."""
        if not self._channel:
            raise self.error('the guest is not there')
        try:
            status, output = self._channel.call(command, timeout)
        except ChannelTimeout:
            raise self.error(f'no answer after {timeout} s from: {command}') from None
        except ChannelClosed:
            raise self.error(f'the guest went away in: {command}') from None
        if check and status:
            raise self.error(f'exit status {status} from: {command}\n{output.rstrip()}')
        return status, output

    def run(self, command: str, timeout: float = 60) -> str:
        """The output of a command that must not fail."""
        return self.sh(command, timeout, check=True)[1]

    def spawn(self, command: str) -> Program:
        """Starts a command in the guest's background."""
        return Program(self, command)

    def save_coverage(self) -> None:
        """Of modules that were built with gcov, also of those that are unloaded."""
        # These files say that they have 0 bytes.
        text = self.run('cd /sys/kernel/debug/gcov && find . -name "*.gcda" | while read -r f; do '
                        'mkdir -p "/tmp/gcov/${f%/*}" && cat "$f" >"/tmp/gcov/$f"; done; '
                        'cd /tmp/gcov && find . -type f | cpio -oH newc 2>/dev/null | '
                        'gzip | base64', timeout=120)
        with open(os.path.join(COVERAGE, f'{os.getpid()}-{self.name}-{time.time_ns()}'),
                  'wb') as file:
            file.write(gzip.decompress(base64.b64decode(text)))

    # Snapshots

    def snapshot(self, directory: str, files=(), stopped=None, copied=None,
                 timeout: float = 120) -> Snapshot:
        """Stops the VM and saves it; it stays stopped, for cont() or kill().

        stopped() is called between the stop and the copy of the regions and `files`, copied()
        after the copy: the moments at which a host process may be stopped or killed.
        """
        os.makedirs(os.path.join(directory, 'files'))
        begin = time.monotonic()
        self.stop()
        stop = time.monotonic()
        if stopped:
            stopped()
        copy = time.monotonic()
        self._pin_regions()
        snapshot = Snapshot(
            directory, self.kernel, self.initramfs, self.memory, self.args, self.append,
            self.devices.moved('', keep_regions=False, sockets={}),
            {device.id: device.path for device in self.devices if device.is_region},
            self._region_registers())
        for key, path in snapshot.region_paths.items():
            copy_file(path, snapshot.region(key))
        for path in files:
            copy_file(path, snapshot.file(path))
        migrate = time.monotonic()
        if copied:
            copied()
        self._qmp('migrate-set-parameters', max_bandwidth=1 << 40)
        self._qmp('migrate', uri=f'exec:cat >{shlex.quote(snapshot.state)}')
        self._wait_migration(timeout)
        end = time.monotonic()
        for name, seconds in (('stop', stop - begin), ('copy', migrate - copy),
                              ('migrate', end - migrate), ('total', end - begin)):
            snapshot.milliseconds[name] = round(seconds * 1000, 1)
        return snapshot

    @classmethod
    def restore(cls, snapshot: Snapshot, workdir: str | None = None, in_place: bool = False,
                prepare=None, sockets=None, run: bool = True, name: str = 'restored',
                timeout: float = BOOT_TIMEOUT, fork: bool = False,
                clone: bool = True) -> 'VM':
        """A new VM in a new QEMU that goes on where the snapshot was taken. Its workdir has
        clones of the region files, and sockets, under the names they had (`sockets` has other
        paths, by the port's id); in_place uses the first VM's region files as they are now.
        fork makes it one of several: its regions get a uuid of their own. Without clone they are
        mere copies, and nobody is told of a restore.

        prepare(path) is called for each region before the guest runs. run=False leaves the guest
        stopped, for the caller to cont().
        """
        vm = cls(snapshot.kernel, snapshot.initramfs, workdir, snapshot.memory, snapshot.args,
                 snapshot.append, name)
        try:
            vm._restore(snapshot, in_place, clone, fork, prepare, sockets or {}, run, timeout)
        except BaseException:
            vm.close(failed=True)
            raise
        return vm

    def _restore(self, snapshot, in_place, clone, fork, prepare, sockets, run, timeout) -> None:
        begin = time.monotonic()
        self.devices = snapshot.devices.moved(self.workdir, in_place, sockets)
        for device in self.devices:
            if device.is_region:
                if in_place:
                    device.path = snapshot.region_paths[device.id]
                elif clone:
                    clone_region(snapshot.region(device.id), device.path, fork)
                else:
                    copy_file(snapshot.region(device.id), device.path)
                if prepare:
                    prepare(device.path)
        self._launch(['-S', '-incoming', 'defer'])
        self._qmp('migrate-incoming', uri=f'exec:cat {shlex.quote(snapshot.state)}')
        self._wait_migration(timeout)
        with self._pci_config() as config:
            for address, registers in snapshot.registers.items():
                config.load(address, registers)
        self._connect_channel()
        if run:
            self.cont()
            self.run('true', timeout)
        self.restore_seconds = time.monotonic() - begin

    def _pin_regions(self) -> None:
        # QEMU chooses guest addresses in the order of the command line and does not save them:
        # after a hot-plug, the order alone would not give them back.
        for info in self._qmp('query-memory-devices'):
            key = info['data'].get('id')
            if info['type'] == 'virtio-pmem':
                self.devices[key].properties['memaddr'] = info['data']['memaddr']

    def _region_registers(self) -> dict:
        regions = [self.pci_address(device) for device in self.devices if device.is_region]
        with self._pci_config() as config:
            return {address: config.save(address) for address in regions}

    def _pci_config(self) -> PCIConfig:
        try:
            return PCIConfig(self._path('qtest.sock'))
        except OSError as error:
            raise self.error(str(error)) from None

    def _wait_migration(self, timeout: float) -> None:
        def done():
            info = self._qmp('query-migrate')
            if info.get('status') in ('failed', 'cancelled'):
                raise self.error(f'migration {info["status"]}: {info.get("error-desc", "")}')
            return info.get('status') == 'completed'
        self._wait(done, timeout, 'migration')

    # Diagnostics

    def console(self) -> str:
        """The kernel log, since this QEMU was started."""
        return _read(self._path('console.log')).replace('\r', '')

    def findings(self, allow=()) -> list[str]:
        return klog.findings(self.console(), allow)

    def check_log(self, allow=()) -> None:
        """Raises if the kernel reported a problem; `allow` are patterns of expected reports."""
        found = self.findings(allow)
        if found:
            raise self.error(f'{len(found)} reports in the kernel log')

    def tail(self) -> str:
        """The ends of the logs, for an error's text."""
        text = ''
        for title, lines in (
                ('the kernel reports', self.findings()[:TAIL_LINES // 3]),
                ('console', self.console().splitlines()[-TAIL_LINES:]),
                ('QEMU', _read(self._path('qemu.log')).splitlines()[-TAIL_LINES:])):
            if lines:
                text += f'\n--- {self.name}: {title}\n' + '\n'.join(lines)
        return text

    def error(self, message: str) -> VMError:
        if self._process:
            # It may be about to die, which would be the better explanation.
            try:
                message += f'\nQEMU exited with status {self._process.wait(0.2)}'
            except subprocess.TimeoutExpired:
                pass
        return VMError(f'{self.name}: {message}{self.tail()}')

    def _qmp(self, command: str, arguments: dict | None = None, **args):
        if not self.qmp:
            raise self.error(f'{command}: QEMU does not run')
        try:
            return self.qmp.execute(command, arguments, **args)
        except QMPError as error:
            raise self.error(str(error)) from None

    def _wait(self, condition, timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.alive:
                raise self.error(f'{what}: QEMU ended')
            if time.monotonic() > deadline:
                raise self.error(f'{what} took more than {timeout} s')
            time.sleep(0.01)


def _properties(options: dict) -> dict:
    return {key.replace('_', '-'): value for key, value in options.items()}


def _check_socket_path(path: str) -> None:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise VMError(f'too long for a unix socket: {path}')


def _read(path: str) -> str:
    try:
        with open(path, errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def _unwind_on_sigterm() -> None:
    """Context managers clean up after SIGTERM as they do after SIGINT."""
    if (threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
