# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""QEMU's machine protocol over a unix socket."""

import json
import socket
import threading
import time


class QMPError(Exception):
    """QEMU refused a command, did not answer in time, or is gone."""


class QMP:
    def __init__(self, path: str, timeout: float = 30):
        self._lock = threading.RLock()
        self._buffer = b''
        self._events = []
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
            self._receive(time.monotonic() + timeout)   # the greeting
            self.execute('qmp_capabilities', timeout=timeout)
        except BaseException:
            self._socket.close()
            raise

    def execute(self, command: str, arguments: dict | None = None, timeout: float = 30, **args):
        """Keyword arguments spell '-' as '_'; `arguments` is passed as it is."""
        arguments = dict(arguments or {}, **{k.replace('_', '-'): v for k, v in args.items()})
        deadline = time.monotonic() + timeout
        with self._lock:
            self._socket.settimeout(timeout)
            try:
                self._socket.sendall(
                    json.dumps({'execute': command, 'arguments': arguments}).encode() + b'\n')
            except OSError as error:
                raise QMPError(f'{command}: {error}') from None
            while True:
                message = self._receive(deadline, command)
                if 'event' in message:
                    self._events.append(message)
                elif 'error' in message:
                    raise QMPError(f'{command}: {message["error"]["desc"]}')
                else:
                    return message['return']

    def wait_event(self, name: str, timeout: float = 30, **data) -> dict:
        """The oldest event of this name, not yet taken, whose data has these values."""
        deadline = time.monotonic() + timeout
        with self._lock:
            while True:
                for event in self._events:
                    have = event.get('data', {})
                    if event['event'] == name and data.items() <= have.items():
                        self._events.remove(event)
                        return event
                message = self._receive(deadline, f'event {name}')
                if 'event' in message:
                    self._events.append(message)

    def close(self) -> None:
        self._socket.close()

    def _receive(self, deadline: float, what: str = 'greeting') -> dict:
        while b'\n' not in self._buffer:
            try:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                data = self._socket.recv(65536)
            except TimeoutError:
                raise QMPError(f'{what}: no answer in time') from None
            except OSError as error:
                raise QMPError(f'{what}: {error}') from None
            if not data:
                raise QMPError(f'{what}: QEMU closed the connection')
            self._buffer += data
        line, self._buffer = self._buffer.split(b'\n', 1)
        return json.loads(line)
