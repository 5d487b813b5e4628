# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An end of an AMRB region, written from the format's description alone: nothing here comes from
kring's own code, so what both agree on is the format."""

import mmap
import socket
import struct

CURSORS = {'h2g': 64, 'g2h': 128}
MASK32 = 0xffffffff


def make(path: str, size: int, cursor: int = 0, file_size: int = 0) -> int:
    """A region with rings of `size` bytes whose cursors all begin at `cursor`."""
    total = 192 + 2 * size
    data = bytearray(max(total, file_size))
    for ring in CURSORS.values():
        struct.pack_into('<I', data, ring, cursor)
        struct.pack_into('<I', data, ring + 32, cursor)
    struct.pack_into('<IIIIQ', data, 0, 0x52454144, 0x414d5242, 4, size, total)
    with open(path, 'wb') as file:
        file.write(data)
    return len(data)


class End:
    """The host's, which sends on h2g, or with sends='g2h' the guest's."""

    def __init__(self, path: str, doorbell: str | None = None, sends: str = 'h2g'):
        self._out = sends
        self._in = 'g2h' if sends == 'h2g' else 'h2g'
        with open(path, 'r+b') as file:
            self._map = mmap.mmap(file.fileno(), 0)
        state, magic, version, self.size, total = struct.unpack_from('<IIIIQ', self._map, 0)
        assert (state, magic, version) == (0x52454144, 0x414d5242, 4)
        assert total == 192 + 2 * self.size
        self._data = {'h2g': 192, 'g2h': 192 + self.size}
        self._bell = None
        if doorbell:
            self._bell = socket.socket(socket.AF_UNIX)
            self._bell.connect(doorbell)
            self._bell.settimeout(10)
            self.kick()

    def close(self) -> None:
        self._map.close()
        if self._bell:
            self._bell.close()

    def _cursor(self, ring: str, at: int) -> int:
        return struct.unpack_from('<I', self._map, CURSORS[ring] + at)[0]

    def _set_cursor(self, ring: str, at: int, value: int) -> None:
        struct.pack_into('<I', self._map, CURSORS[ring] + at, value & MASK32)

    def kick(self) -> None:
        if self._bell:
            self._bell.send(b'!')

    def wait(self) -> None:
        self._bell.recv(4096)

    def send(self, payload: bytes) -> bool:
        """Whether there was room."""
        head, tail = self._cursor(self._out, 0), self._cursor(self._out, 32)
        free = self.size - (head - tail & MASK32)
        at = head % self.size
        left = self.size - at
        need = 4 + len(payload)
        skip = left if need > left else 0
        if skip + need > free:
            return False
        base = self._data[self._out]
        if skip:
            if left >= 4:
                struct.pack_into('<I', self._map, base + at, 0)
            at = 0
        struct.pack_into('<I', self._map, base + at, len(payload))
        self._map[base + at + 4:base + at + need] = payload
        self._set_cursor(self._out, 0, head + skip + need)
        self.kick()
        return True

    def skip(self) -> None:
        """A skip alone: the ring's end is left out, and nothing follows yet."""
        head = self._cursor(self._out, 0)
        left = self.size - head % self.size
        if left >= 4:
            struct.pack_into('<I', self._map, self._data[self._out] + head % self.size, 0)
        self._set_cursor(self._out, 0, head + left)
        self.kick()

    def taken(self) -> bool:
        """Whether the other end has given all room back."""
        return self._cursor(self._out, 0) == self._cursor(self._out, 32)

    def receive(self) -> bytes | None:
        head, tail = self._cursor(self._in, 0), self._cursor(self._in, 32)
        base = self._data[self._in]
        while head != tail:
            at = tail % self.size
            left = self.size - at
            length = struct.unpack_from('<I', self._map, base + at)[0] if left >= 4 else 0
            if not length:
                tail = tail + left & MASK32
                continue
            payload = self._map[base + at + 4:base + at + 4 + length]
            self._set_cursor(self._in, 32, tail + 4 + length)
            self.kick()
            return payload
        return None
