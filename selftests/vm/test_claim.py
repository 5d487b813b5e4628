#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring takes its own devices, whoever was faster, and leaves all others as they were."""

import os
import shutil
import socket
import sys
import tempfile

import rig
from kringvm import VM, Tap

RULES = os.path.join(rig.TOP, 'daemon', '60-kring.rules')
PMEM_SIZE = 16 << 20
PLAIN, SHARED, ALONG = 'org.example.plain', 'kring.shared', 'org.example.along'

OTHERS = 'modprobe virtio_pmem && modprobe nd_pmem && modprobe virtio_console'
# A region in use holds virtio_pmem: so first the devices, then the modules.
UNLOAD = """rmmod kring
for device in /sys/bus/virtio/devices/*; do
    [ ! -e $device/driver ] || basename $device >$device/driver/unbind
done
rmmod nd_pmem && rmmod virtio_pmem && rmmod virtio_console"""

# virtio status, of which 0x80 is FAILED: driven, and waiting for a driver.
DRIVEN, UNDRIVEN = 0x0f, 0x01


def udev_files() -> dict:
    udevadm = shutil.which('udevadm')
    return {'/bin/udevadm': udevadm, '/bin/systemd-udevd': udevadm,
            '/etc/udev/rules.d/60-kring.rules': RULES}


class Machine:
    """A VM with a kring, and beside it what is not kring's."""

    def __init__(self, arguments: dict):
        self.vm = vm = VM(**arguments)
        # First on the bus, so that it is pmem0 even where virtio_pmem gets both.
        self.pmem = vm.add_region(os.path.join(vm.workdir, 'plain'), PMEM_SIZE)
        self.region, self.port = rig.add_kring(vm)
        self.plain = vm.add_port(PLAIN)
        several = vm.add_serial(max_ports=3)
        self.shared = vm.add_port(SHARED, serial=several)
        self.along = vm.add_port(ALONG, serial=several, nr=2)

    def driver_of(self, device) -> str:
        """The driver of the virtio device behind a PCI device, '' when there is none."""
        address = self.vm.pci_address(device)
        link = f'/sys/bus/pci/devices/{address}/virtio*/driver'
        return self.vm.run(f'basename $(readlink {link}) 2>/dev/null || true').strip()

    def status_of(self, device) -> int:
        address = self.vm.pci_address(device)
        return int(self.vm.run(f'cat /sys/bus/pci/devices/{address}/virtio*/status'), 16)

    def wait(self, condition: str) -> bool:
        return self.vm.sh(f'n=0; until {condition}; do sleep 0.1; n=$((n+1)); '
                          '[ $n -lt 100 ] || exit 1; done')[0] == 0


def check_kring(tap, m: Machine, order: str) -> None:
    vm = m.vm
    tap.ok(m.wait('[ "$(cat /sys/class/kring/kring/doorbell)" = vport ]'),
           f'{order}: region and port are claimed and belong together',
           vm.run('dmesg | grep -i kring; grep . /sys/class/kring/kring/doorbell || true'))
    tap.equal((m.driver_of('kring-region'), m.driver_of(vm.serial_of(m.port))),
              ('kring_pmem', 'kring_vport'), f'{order}: by kring\'s drivers')
    host = rig.HostEnd(m.region, m.port.socket, os.path.join(vm.workdir, 'host.log'), ping=50)
    guest = vm.spawn('traffic-guest --echo 50')
    tap.equal((host.wait(), guest.wait()), (0, 0), f'{order}: /dev/kring carries frames')
    os.unlink(os.path.join(vm.workdir, 'host.log'))


def check_pmem(tap, m: Machine, order: str) -> None:
    vm = m.vm
    text = order.replace(' ', '-')
    tap.ok(m.wait('[ -b /dev/pmem0 ]'), f'{order}: the ordinary pmem device is /dev/pmem0')
    tap.equal(vm.run('cat /sys/block/pmem0/size').strip(), str(PMEM_SIZE // 512),
              f'{order}: all of it')
    vm.run(f'echo {text} | dd of=/dev/pmem0 bs=512 seek=9 conv=sync 2>/dev/null; sync')
    with open(m.pmem.path, 'rb') as file:
        file.seek(9 * 512)
        tap.equal(file.read(len(text)).decode(), text, f'{order}: and the host sees what it holds')
    tap.equal(vm.run('ls /dev/pmem* | wc -l').strip(), '1', f'{order}: no other')


def check_port(tap, m: Machine, port, name: str, order: str) -> None:
    vm = m.vm
    find = f'grep -lx {name} /sys/class/virtio-ports/*/name'
    if not tap.ok(m.wait(f'{find} >/dev/null'), f'{order}: {name} is an ordinary port',
                  vm.run('dmesg | grep kring')):
        return
    device = vm.run(f'echo /dev/$(basename $(dirname $({find})))').strip()
    with socket.socket(socket.AF_UNIX) as host:
        host.settimeout(10)
        host.connect(port.socket)
        vm.run(f'exec 3<>{device}; echo from the guest >&3; '
               'head -n 1 <&3 >/tmp/heard & sleep 0.2')
        host.sendall(b'from the host\n')
        heard = b''
        while not heard.endswith(b'\n'):
            heard += host.recv(100)
        tap.equal(heard, b'from the guest\n', f'{order}: data passes to the host')
        tap.ok(m.wait('[ "$(cat /tmp/heard)" = "from the host" ]'), f'{order}: and from it')


def check_others(tap, m: Machine, order: str) -> None:
    check_pmem(tap, m, order)
    check_port(tap, m, m.plain, PLAIN, order)
    check_port(tap, m, m.along, ALONG, order)
    check_port(tap, m, m.shared, SHARED, order)
    devices = ['kring-region', m.vm.serial_of(m.port), m.pmem, m.vm.serial_of(m.plain),
               m.vm.serial_of(m.shared)]
    tap.equal([m.status_of(device) for device in devices], [DRIVEN] * len(devices),
              f'{order}: each device\'s virtio status is that of a driven device')


def kring_first(tap, m: Machine) -> None:
    order = 'kring first'
    m.vm.run(rig.LOAD)
    m.wait('[ "$(cat /sys/class/kring/kring/doorbell)" = vport ]')
    # Consoles that are not kring's have been asked, and given back, to nobody yet.
    devices = [m.vm.serial_of(m.plain), m.vm.serial_of(m.shared), m.pmem]
    m.wait(f'[ $(dmesg | grep -c "given back") -ge 2 ]')
    tap.equal([m.status_of(device) for device in devices], [UNDRIVEN] * 3,
              f'{order}: what is not ours is left as it was')
    m.vm.run(OTHERS)
    check_kring(tap, m, order)
    check_others(tap, m, order)


def kring_last(tap, m: Machine) -> None:
    order = 'kring last'
    m.vm.run(OTHERS)
    m.wait('[ -b /dev/pmem1 ]')
    tap.equal((m.driver_of('kring-region'), m.driver_of(m.vm.serial_of(m.port))),
              ('virtio_pmem', 'virtio_console'), f'{order}: the others were faster')
    m.vm.run(rig.LOAD)
    m.vm.run('systemd-udevd --daemon && udevadm trigger --action=add && udevadm settle')
    check_kring(tap, m, order)
    # Asked by udev for the shared device as well, it has refused.
    tap.equal(m.driver_of(m.vm.serial_of(m.shared)), 'virtio_console',
              f'{order}: a device that carries another port is not taken')
    check_others(tap, m, order)


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        m = Machine(rig.guest(directory, udev_files()))
        with m.vm:
            kring_first(tap, m)
            m.vm.run(UNLOAD)
            tap.equal([m.status_of(device) for device in
                       ('kring-region', m.vm.serial_of(m.port), m.pmem)], [UNDRIVEN] * 3,
                      'unloaded: nobody drives them')
            kring_last(tap, m)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
