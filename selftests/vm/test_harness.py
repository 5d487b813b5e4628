#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The harness itself, with nothing of kring in the guest."""

import glob
import os
import signal
import socket
import sys
import tempfile
import threading
import time

from kringvm import G2H, H2G, VM, Kernel, Relay, Tap, VMError, build_initramfs

MODULES = ('virtio_pci', 'virtio_pmem', 'nd_pmem', 'virtio_console')
SIZE = 16 << 20
PORT = 'org.example.echo'
FIND_PORT = f'basename $(dirname $(grep -lx {PORT} /sys/class/virtio-ports/*/name))'


def raises(tap, name: str, function, *texts) -> None:
    """The function must raise VMError, with all of the texts in it."""
    try:
        function()
    except VMError as error:
        missing = [text for text in texts if text not in str(error)]
        tap.ok(not missing, name, f'{missing} not in:\n{error}')
    else:
        tap.ok(False, name, 'nothing was raised')


def connect(path: str) -> socket.socket:
    host = socket.socket(socket.AF_UNIX)
    host.settimeout(10)
    host.connect(path)
    return host


def received(host: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size and (more := host.recv(size - len(data))):
        data += more
    return data


def check_commands(tap, vm) -> None:
    tap.equal(vm.sh('echo one; echo two >&2; exit 3'), (3, 'one\ntwo\n'), 'status and output')
    text = 'a\\b "c" $d %s\n\tü \x1e0 0 5\n  e'
    tap.equal(vm.run(f"cat <<'END'\n{text}\nEND"), text + '\n', 'odd bytes, several lines')
    tap.equal(len(vm.run('head -c 100000 /dev/zero | tr "\\0" x')), 100000, 'a long output')
    vm.run('(sleep 0.2; echo late) &')
    time.sleep(0.3)
    tap.equal(vm.run('echo mine'), 'mine\n', 'the output of a background job stays apart')
    raises(tap, 'a failed command is reported', lambda: vm.run('echo why; false'),
           'why', 'status 1')
    vm.run('echo the end of the console >/dev/kmsg')
    raises(tap, 'a command that hangs is reported', lambda: vm.sh('sleep 1000', timeout=0.5),
           'sleep 1000', 'the end of the console')
    answers = []
    threads = [threading.Thread(target=lambda n=n: answers.append(vm.run(f'sleep 0.1; echo {n}')))
               for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tap.equal(sorted(answers), ['0\n', '1\n', '2\n', '3\n'], 'commands at the same time')
    time.sleep(0.3)
    tap.equal(vm.sh('ps | grep "[s]leep 1000"')[0], 1, 'a command that hung was killed')
    vm.run('for n in 1 2 3 4 5; do (true & exec true) & done; sleep 0.3')
    tap.equal(vm.run('grep -sc "^State:.*zombie" /proc/[0-9]*/status | grep -c :1 || true'), '0\n',
              'orphans are reaped')


def check_programs(tap, vm) -> None:
    program = vm.spawn('echo begun; sleep 0.3; exit 7')
    tap.equal(program.poll(), None, 'a program runs')
    tap.equal((program.wait(10), program.output()), (7, 'begun\n'), 'its status and output')
    program = vm.spawn('sleep 1000')
    program.kill(signal.SIGTERM)
    tap.equal(program.wait(10), 128 + signal.SIGTERM, 'a program is killed')


def check_devices(tap, vm, region, port) -> None:
    vm.run('modprobe -a ' + ' '.join(MODULES))
    tap.equal(vm.run('cat /sys/block/pmem0/size'), f'{SIZE // 512}\n', 'the region is /dev/pmem0')
    vm.run('echo written | dd of=/dev/pmem0 conv=sync,fsync')
    with open(region.path, 'rb') as file:
        tap.equal(file.read(8), b'written\n', 'the guest writes the region')
    name = vm.run(FIND_PORT).strip()
    with connect(port.socket) as host:
        vm.run(f'echo ping >/dev/{name}')
        tap.equal(received(host, 5), b'ping\n', 'a port, guest to host')
        reader = vm.spawn(f'head -n 1 /dev/{name}')
        host.sendall(b'pong\n')
        tap.equal((reader.wait(10), reader.output()), (0, 'pong\n'), 'a port, host to guest')


def check_relay(tap, vm, port) -> None:
    listen = os.path.join(vm.workdir, 'relay.sock')
    name = vm.run(FIND_PORT).strip()
    with Relay(listen, port.socket, drop_h2g=0.5, double=0.2, delay=0.01, seed=1) as relay:
        with connect(listen) as host:
            vm.run(f'printf 12345678 >/dev/{name}')
            time.sleep(0.1)
            counts = dict(relay.counts[G2H])
            tap.equal(len(received(host, counts['passed'] + counts['doubled'])),
                      8 + counts['doubled'], 'the relay passes and doubles kicks')
            host.sendall(bytes(100))
            time.sleep(0.1)
            counts = relay.counts[H2G]
            tap.ok(counts['dropped'] > 20 and counts['dropped'] + counts['passed'] == 100,
                   'the relay drops kicks', counts)
        relay.drop_h2g = relay.double = relay.delay = 0
        relay.spurious_hz = 200
        with connect(listen) as host:
            tap.equal(len(received(host, 3)), 3, 'after a reconnection it invents kicks')


def check_hotplug(tap, vm, region) -> None:
    vm.unplug(region)
    tap.equal(vm.sh('test -e /dev/pmem1')[0], 1, 'a region is unplugged')
    vm.unplug(vm.serial_of('spare'))
    tap.equal(vm.run('ls -d /sys/class/virtio-ports/* | wc -l'), '1\n', 'a port is unplugged')
    region = vm.add_region(os.path.join(vm.workdir, 'later'), SIZE * 2)
    vm.run('until [ -e /dev/pmem1 ]; do sleep 0.05; done')
    tap.equal(vm.run('cat /sys/block/pmem1/size'), f'{SIZE * 2 // 512}\n', 'another is plugged in')
    with open(region.path, 'r+b') as file:
        file.write(b'later')


def uptime(vm) -> float:
    return float(vm.run('cat /proc/uptime').split()[0])


def bind_region(vm, region: str, how: str) -> str:
    return (f'cd /sys/bus/pci/devices/{vm.pci_address(region)} && '
            f'echo virtio[0-9]* >/sys/bus/virtio/drivers/virtio_pmem/{how}')


def check_snapshot(tap, vm, directory: str):
    counter = vm.spawn('n=0; while :; do echo $n; n=$((n + 1)); sleep 0.05; done')
    hooks = []
    extra = os.path.join(vm.workdir, 'extra')
    with open(extra, 'w') as file:
        file.write('extra')
    vm.add_region(os.path.join(vm.workdir, 'spare'), SIZE, id='spare')
    vm.run('until [ -e /dev/pmem2 ]; do sleep 0.05; done; ' + bind_region(vm, 'spare', 'unbind'))
    before = uptime(vm)
    snapshot = vm.snapshot(directory, [extra], lambda: hooks.append(vm.qmp.execute(
        'query-status')['running']), lambda: hooks.append(os.path.exists(snapshot_region)))
    tap.equal(hooks, [False, True], 'hooks, while the VM is stopped')
    vm.cont()
    tap.equal(vm.run('echo on'), 'on\n', 'the VM goes on after a snapshot')
    vm.kill()
    raises(tap, 'a dead QEMU is reported', lambda: vm.run('true'), 'status -9')
    tap.ok(os.path.exists(snapshot.file(extra)), 'a snapshot has extra files')
    return snapshot, counter, before


def check_restore(tap, snapshot, counter, before: float, port) -> None:
    prepared = []
    with VM.restore(snapshot, prepare=prepared.append) as one, VM.restore(snapshot) as two:
        tap.ok(before <= uptime(one) < before + 30, 'uptime is continuous')
        tap.equal(sorted(map(os.path.basename, prepared)), ['later', 'region', 'spare'],
                  'regions are prepared')
        tap.ok('virtual machine fork' in one.console(), 'the guest noticed', one.console())
        for vm in (one, two):
            program = counter.on(vm)
            first = program.output().split()
            time.sleep(0.3)
            second = program.output().split()
            tap.ok(second == [str(n) for n in range(len(second))] and len(first) < len(second),
                   'a program goes on', f'{first} {second}')
            tap.equal(vm.run('dd if=/dev/pmem1 bs=1 count=5 2>/dev/null'), 'later',
                      'a region goes on')
            with connect(vm.devices[port.id].socket) as host:
                vm.run(f'echo {vm.pid} >/dev/$({FIND_PORT})')
                tap.equal(received(host, len(f'{vm.pid}\n')), f'{vm.pid}\n'.encode(),
                          'a port goes on')
        tap.ok(one.devices['region0'].path != two.devices['region0'].path
               and b'later' == open(one.devices['region1'].path, 'rb').read(5),
               'each child has its own regions')
        two.run(bind_region(two, 'spare', 'bind')
                + '; until [ -e /dev/pmem2 ]; do sleep 0.05; done')
        tap.ok(True, 'a region without a driver gets one')
        two.kill()
        tap.equal(one.run('echo on'), 'on\n', 'one child outlives the other')


def check_log(tap, initramfs: str, kernel) -> None:
    with VM(kernel, initramfs) as vm:
        vm.run('echo harmless >/dev/kmsg')
        vm.check_log()
        vm.shutdown()
        tap.ok(not vm.alive, 'an orderly shutdown')

    def plant():
        with VM(kernel, initramfs) as vm:
            vm.run('echo WARNING: CPU: 0 planted >/dev/kmsg')
            vm.check_log(allow=['planted'])

    raises(tap, 'a report in the kernel log is an error', plant,
           'the kernel reports', 'CPU: 0 planted')

    def crash():
        with VM(kernel, initramfs) as vm:
            vm.run('echo c >/proc/sysrq-trigger')

    raises(tap, 'a panic is an error', crash, 'went away', 'Kernel panic')


def check_nothing_left(tap, directory: str) -> None:
    left = [path for path in glob.glob(os.path.join(directory, '*'))
            if os.path.basename(path) not in ('initramfs', 'snapshot')]
    tap.equal(left, [], 'no file is left')
    mine = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            with open(path) as file:
                if directory in file.read():
                    mine.append(path)
        except OSError:
            pass
    tap.equal(mine, [], 'no process is left')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        tempfile.tempdir = directory    # so that everything that is left behind is found here
        kernel = Kernel.find()
        initramfs = build_initramfs(os.path.join(directory, 'initramfs'), kernel, MODULES)
        global snapshot_region
        snapshot_region = os.path.join(directory, 'snapshot', 'region0.region')
        vm = VM(kernel, initramfs, hotplug_slots=1)
        region = vm.add_region(os.path.join(vm.workdir, 'region'), SIZE)
        other = vm.add_region(os.path.join(vm.workdir, 'other'), SIZE, hotplug=True)
        port = vm.add_port(PORT)
        vm.add_port('org.example.spare', id='spare', hotplug=True)
        with vm:
            tap.ok(True, 'boot')
            check_commands(tap, vm)
            check_programs(tap, vm)
            check_devices(tap, vm, region, port)
            check_relay(tap, vm, port)
            check_hotplug(tap, vm, other)
            state = check_snapshot(tap, vm, os.path.join(directory, 'snapshot'))
        check_restore(tap, *state, port)
        check_log(tap, initramfs, kernel)
        check_nothing_left(tap, directory)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
