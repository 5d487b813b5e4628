# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The PCI configuration space of a device, seen from outside a stopped VM (QEMU's qtest socket).

QEMU saves no state of a virtio-pmem device, so that a restored one has lost its BARs and does not
decode memory; VMMs meant for snapshots do better. Putting the registers back makes the device
answer again, as one that was reset: the guest can read its configuration and bind a driver anew.
Its virtqueue is not brought back (a flush by virtio_pmem after a restore never ends).
"""

import re
import socket

ADDRESS, DATA = 0xcf8, 0xcfc    # I/O ports
COMMAND, BARS, INTERRUPT_LINE = 0x04, range(0x10, 0x28, 4), 0x3c
COMMAND_BITS = 0x0000ffff       # the status register in the other half clears what is written


class PCIConfig:
    def __init__(self, path: str, timeout: float = 30):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(path)
        self._file = self._socket.makefile('rw', newline='\n')
        # The guest may be stopped between its own two accesses.
        self._latched = self._call(f'inl {ADDRESS:#x}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._call(f'outl {ADDRESS:#x} {self._latched:#x}')
        self._file.close()
        self._socket.close()

    def save(self, address: str) -> dict:
        """The registers that matter, of the device 0000:bus:slot.function."""
        return {register: self._read(address, register)
                for register in (*BARS, INTERRUPT_LINE, COMMAND)}

    def load(self, address: str, registers: dict) -> None:
        for register, value in registers.items():
            if register == COMMAND:
                value &= COMMAND_BITS
            self._select(address, register)
            self._call(f'outl {DATA:#x} {value:#x}')

    def _read(self, address: str, register: int) -> int:
        self._select(address, register)
        return self._call(f'inl {DATA:#x}')

    def _select(self, address: str, register: int) -> None:
        bus, slot, function = (int(part, 16) for part in re.split('[:.]', address)[1:])
        selector = 1 << 31 | bus << 16 | slot << 11 | function << 8 | register
        self._call(f'outl {ADDRESS:#x} {selector:#x}')

    def _call(self, command: str) -> int:
        self._file.write(command + '\n')
        self._file.flush()
        words = self._file.readline().split()
        if not words or words[0] != 'OK':
            raise OSError(f'qtest: {command}: {" ".join(words) or "no answer"}')
        return int(words[1], 16) if len(words) > 1 else 0
