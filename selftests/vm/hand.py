# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The host's end by hand: what a host process does, one thing at a time, so that a test can tell
which of them did it."""

import socket

import rig
from kringvm import VM


class Hand(rig.Region):
    """In the region. Nothing that it does kicks."""

    def send(self, count: int) -> None:
        """Frames of 16 bytes."""
        size = self.get(rig.H2G + 8, '<Q')
        for _ in range(count):
            head = self.get(self.h2g)
            at = self.h2g + 2 * rig.PAGE + head % size
            self.put(at, 16, '<Q')
            self.put(self.h2g, (head + 24) & 0xffffffff)

    def take(self) -> None:
        """All that the guest has sent."""
        self.put(self.g2h + rig.PAGE, self.get(self.g2h))

    def next_generation(self) -> None:
        self.put(rig.GENERATION, self.get(rig.GENERATION, '<Q') + 1, '<Q')

    def wants_data(self) -> bool:
        """Whether the guest sleeps until there is a frame."""
        return self.get(self.h2g + rig.PAGE + 4) != 0


class Bell:
    """A connection to the doorbell's socket."""

    def __init__(self, vm: VM):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(vm.devices['kring-port'].socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def ring(self) -> None:
        self._socket.send(b'k')
