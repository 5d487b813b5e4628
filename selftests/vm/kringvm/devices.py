# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The VM's devices as plain data, so that a restored VM gets the very same ones."""

import copy
import dataclasses
import json
import os

FIRST_SLOT = 4      # of pcie.0; QEMU's own devices are below and at 0x1f
LAST_SLOT = 0x1e


class DeviceError(Exception):
    pass


@dataclasses.dataclass
class Device:
    id: str
    properties: dict            # of -device, with its driver and its place
    path: str | None = None     # of a region's file
    size: int = 0
    socket: str | None = None   # of a port's chardev

    @property
    def is_region(self) -> bool:
        return self.path is not None

    def arguments(self) -> list:
        """As command line arguments."""
        args = []
        if self.is_region:
            args += ['-object', json.dumps(self._memory())]
        if self.socket:
            path = self.socket.replace(',', ',,')
            args += ['-chardev', f'socket,id={self.id}.chr,path={path},server=on,wait=off']
        return args + ['-device', json.dumps(self._device())]

    def plug(self, qmp) -> None:
        """Into a running QEMU."""
        if self.is_region:
            qmp.execute('object-add', self._memory())
        if self.socket:
            qmp.execute('chardev-add', {'id': f'{self.id}.chr', 'backend': {
                'type': 'socket', 'data': {
                    'addr': {'type': 'unix', 'data': {'path': self.socket}},
                    'server': True, 'wait': False}}})
        try:
            qmp.execute('device_add', self._device())
        except Exception:
            self.remove_backends(qmp)
            raise

    def remove_backends(self, qmp) -> None:
        if self.is_region:
            qmp.execute('object-del', id=f'{self.id}.mem')
        if self.socket:
            qmp.execute('chardev-remove', id=f'{self.id}.chr')

    def _memory(self) -> dict:
        return {'qom-type': 'memory-backend-file', 'id': f'{self.id}.mem', 'mem-path': self.path,
                'size': self.size, 'share': True}

    def _device(self) -> dict:
        properties = dict(self.properties, id=self.id)
        if self.is_region:
            properties['memdev'] = f'{self.id}.mem'
        if self.socket:
            properties['chardev'] = f'{self.id}.chr'
        return properties


class Devices:
    """All of them, in the order of the command line. Every PCI device has a fixed address."""

    def __init__(self):
        self._devices = {}
        self._next_slot = FIRST_SLOT

    def __iter__(self):
        return iter(list(self._devices.values()))

    def __getitem__(self, key) -> Device:
        return self._devices[getattr(key, 'id', key)]

    def add(self, device: Device) -> Device:
        if device.id in self._devices:
            raise DeviceError(f'there is a device {device.id} already')
        self._devices[device.id] = device
        return device

    def remove(self, device: Device) -> list:
        """Returns the device and the ports on it, which go with it."""
        gone = [other for other in self if other is device
                or other.properties.get('bus') == f'{device.id}.0']
        for other in gone:
            del self._devices[other.id]
        return gone

    def new_id(self, prefix: str) -> str:
        number = 0
        while f'{prefix}{number}' in self._devices:
            number += 1
        return f'{prefix}{number}'

    def add_root_port(self) -> Device:
        place = self.place(False)
        slot = int(place['addr'], 16)
        return self.add(Device(self.new_id('slot'), {
            'driver': 'pcie-root-port', 'chassis': slot, 'slot': slot, **place}))

    def free_root_port(self) -> Device | None:
        taken = {device.properties.get('bus') for device in self}
        return next((device for device in self if device.properties['driver'] == 'pcie-root-port'
                     and device.id not in taken), None)

    def place(self, behind_root_port: bool, may_add: bool = True) -> dict:
        """The PCI address of a new device."""
        if behind_root_port:
            port = self.free_root_port() or (self.add_root_port() if may_add else None)
            if not port:
                raise DeviceError('no root port is free: VM(hotplug_slots=N) makes some')
            return {'bus': port.id, 'addr': '0x0'}
        if self._next_slot > LAST_SLOT:
            raise DeviceError('all slots of the PCI bus are taken')
        self._next_slot += 1
        return {'bus': 'pcie.0', 'addr': hex(self._next_slot - 1)}

    def moved(self, workdir: str, keep_regions: bool, sockets: dict) -> 'Devices':
        """A copy whose files and sockets are in another directory."""
        other = copy.deepcopy(self)
        for device in other:
            if device.is_region and not keep_regions:
                device.path = os.path.join(workdir, os.path.basename(device.path))
            if device.socket:
                device.socket = sockets.get(device.id) or os.path.join(
                    workdir, os.path.basename(device.socket))
        return other
