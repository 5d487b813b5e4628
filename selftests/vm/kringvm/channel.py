# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The command channel: requests to the guest's /init over its second serial port."""

import itertools
import os
import re
import socket
import threading
import time

# What /init reads byte by byte, and what the tty buffers at most while it does.
MAX_REQUEST = 32768

REPLY = re.compile(rb'\x1e([0-9a-f.]+) (\d+) (\d+)\n')


class ChannelTimeout(Exception):
    pass


class ChannelClosed(Exception):
    pass


class Channel:
    def __init__(self, path: str):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._changed = threading.Condition()
        self._send_lock = threading.Lock()
        self._replies = {}      # id -> None while waited for, then (status, output)
        self._closed = False
        # A restored guest may still answer what its ancestor was asked: no id is used twice.
        self._prefix = os.urandom(4).hex()
        self._count = itertools.count()
        self._reader = threading.Thread(target=self._read, name='kringvm-channel', daemon=True)
        self._reader.start()

    def call(self, command: str, timeout: float) -> tuple[int, str]:
        """Runs a shell command line in the guest; (exit status, stdout and stderr)."""
        key = f'{self._prefix}.{next(self._count):x}'
        with self._changed:
            self._replies[key] = None
        try:
            self._send(f'run {key} {_escape(command)}')
            return self._wait(key, timeout)
        except ChannelTimeout:
            self._send(f'kill {key}')
            raise
        finally:
            with self._changed:
                del self._replies[key]

    def post(self, command: str) -> None:
        """Runs a command and does not wait for an answer."""
        self._send(f'run {self._prefix}.{next(self._count):x} {_escape(command)}')

    def resync(self) -> None:
        """Ends a request line that a snapshot may have cut in two."""
        self._send('')

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join()
        self._socket.close()

    def _send(self, line: str) -> None:
        if len(line) > MAX_REQUEST:
            raise ValueError(f'a command of {len(line)} bytes is too long for the serial port')
        try:
            with self._send_lock:
                self._socket.sendall(line.encode() + b'\n')
        except OSError as error:
            raise ChannelClosed(str(error)) from None

    def _wait(self, key: str, timeout: float) -> tuple[int, str]:
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._replies[key] is None:
                left = deadline - time.monotonic()
                if self._closed:
                    raise ChannelClosed('the serial port was closed')
                if left <= 0:
                    raise ChannelTimeout
                self._changed.wait(left)
            status, output = self._replies[key]
            return status, output.decode(errors='replace')

    def _read(self) -> None:
        buffer = b''
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b''
            if not data:
                break
            buffer = self._parse(buffer + data)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _parse(self, buffer: bytes) -> bytes:
        """Takes whole replies off the buffer; what does not look like one is skipped."""
        while match := REPLY.search(buffer):
            end = match.end() + int(match[3])
            if len(buffer) < end:
                return buffer
            with self._changed:
                key = match[1].decode()
                if key in self._replies:
                    self._replies[key] = int(match[2]), buffer[match.end():end]
                    self._changed.notify_all()
            buffer = buffer[end:]
        return buffer[-256:]


def _escape(command: str) -> str:
    """printf %b notation, on one line."""
    plain = set(range(0x20, 0x7f)) - {ord('\\')}
    return ''.join(chr(byte) if byte in plain else f'\\0{byte:03o}'
                   for byte in command.strip().encode())
