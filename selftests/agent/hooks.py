# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kringd with hooks, and a host that says RESTORED and RESUME by hand."""

import os
import shutil
import socket
import struct
import tempfile
import time

from broker import Broker
from guest import Guest, wait_for
from wire import (ACCEPT, CLOSE, DATA, HELLO, OPEN, PONG, RESET, Wire, error, message, parse)

RESTORED, RESUME = 12, 13
KEEP, DETACH, KILL = range(3)
UUID = bytes(range(1, 17))
UUID_TEXT = '01020304-0506-0708-090a-0b0c0d0e0f10'


class HookedGuest(Guest):
    """kringd --listen, with directories for hooks, each of which notes what it does."""

    def __init__(self, config: str = ''):
        self.hooks = tempfile.mkdtemp(prefix='kring-hooks-')
        self.notes = os.path.join(self.hooks, 'notes')
        lines = ''
        for name in ('restore', 'freeze', 'thaw'):
            os.mkdir(os.path.join(self.hooks, f'{name}.d'))
            if f'{name}_d' not in config:
                lines += f'{name}_d = {self.hooks}/{name}.d\n'
        super().__init__(config=lines + config)

    def stop(self) -> int:
        status = super().stop()
        shutil.rmtree(self.hooks, ignore_errors=True)
        return status

    def hook(self, directory: str, name: str, script: str = '', mode: int = 0o755) -> None:
        """It writes a line with its own name first."""
        path = os.path.join(self.hooks, directory, name)
        with open(path, 'w', encoding='ascii') as file:
            file.write(f'#!/bin/sh\nnotes={self.notes}\necho {directory}/{name} >>$notes\n'
                       f'{script}\n')
        os.chmod(path, mode)

    def clear(self) -> None:
        """No hooks, no notes."""
        for name in ('restore', 'freeze', 'thaw'):
            directory = os.path.join(self.hooks, f'{name}.d')
            shutil.rmtree(directory)
            os.mkdir(directory)
        self.forget()

    def forget(self) -> None:
        if os.path.exists(self.notes):
            os.unlink(self.notes)

    def noted(self) -> list:
        if not os.path.exists(self.notes):
            return []
        with open(self.notes, encoding='ascii') as file:
            return file.read().split('\n')[:-1]


class HookedBroker(HookedGuest, Broker):
    """The same behind a broker and its region."""


class Host(Wire):
    """A host of a region, whose streams outlive its connections."""

    def __init__(self, sock, generation: int = 5, restored: int = 0, uuid: bytes = UUID):
        self.generation, self.restored, self.uuid = generation, restored, uuid
        self.process = os.urandom(7) + b'\x01'
        self.said = {}
        self.answers = []
        self.resumes = []
        super().__init__(sock)

    def hello(self, answers: bytes = bytes(8)) -> None:
        self.frame(HELLO, 0, message((1, 1)) + b'\x11' + answers + b'\x19' + self.instance +
                   message((4, 65536), (5, 1024), (6, self.generation), (7, 'host'), (9, 1)) +
                   b'\x51' + self.process + message((11, self.restored), (12, self.uuid)))

    def step(self) -> tuple:
        kind, stream, channel, payload = super().step()
        if kind == HELLO:
            self.said = parse(payload)
        elif kind == RESTORED:
            self.answers.append(parse(payload))
        elif kind == RESUME:
            self.resumes.append(parse(payload))
        return kind, stream, channel, payload

    def greet(self) -> dict:
        """Until the guest's Hello answers ours."""
        self.said = {}
        while self.said.get(2) != self.instance:
            self.step()
        return self.said

    def anew(self, generation: int, restored: int) -> dict:
        """As the next host of the same region, over the same socket."""
        self.instance = os.urandom(7) + b'\x01'
        self.process = os.urandom(7) + b'\x01'
        self.generation, self.restored = generation, restored
        self.hello()
        return self.greet()

    def say_restored(self, forked: bool = False, at: float = 0, uuid: bytes = b'',
                     restored: int = 0, generation: int = 0) -> None:
        generation = generation or self.generation
        self.frame(RESTORED, 0,
                   message((2, generation), (3, int((at or time.time()) * 1e9)), (4, forked),
                           (5, restored or self.restored), (6, uuid or self.uuid)),
                   offset=generation)

    def answered(self, count: int = 1) -> dict:
        """Until that many RESTOREDs were; the last answer."""
        while len(self.answers) < count:
            self.step()
        return self.answers[-1]

    def restore(self, **kwargs) -> dict:
        self.answers.clear()
        self.say_restored(**kwargs)
        return self.answered()

    def offer(self, service: str, request: bytes = b'', on_fork: int = KEEP) -> int:
        """A stream that can be resumed."""
        stream = self.next
        self.next += 2
        self.frame(OPEN, stream, message((1, service), (2, request), (3, token(stream)),
                                         (4, on_fork)))
        return stream

    def resume(self, streams) -> None:
        """All that we have; nothing has arrived on their channels but what was received."""
        out = []
        for stream in streams:
            positions = [(7, message((1, channel), (2, self.taken.get((stream, channel), 0)),
                                     (3, self.taken.get((stream, channel), 0) + (1 << 18))))
                         for channel in range(5)]
            out.append((1, message((1, stream), (2, token(stream)), (4, 1), *positions)))
        self.frame(RESUME, 0, message(*out, (2, 1)))

    def settle(self) -> None:
        """All that was sent so far has been dealt with."""
        cookie = struct.unpack('<Q', os.urandom(8))[0]
        self.frame(10, 0, b'', offset=cookie)
        while self.step()[0] != PONG:
            pass

    def seen(self, stream: int, kind: int) -> bytes | None:
        """The payload of such a frame, where one has come already."""
        for have, _, payload in self.received.get(stream, []):
            if have == kind:
                return payload
        return None

    def refusal(self, stream: int) -> tuple:
        """(errno, step, text) of its RESET."""
        return error(self.wait(stream, RESET)[1])

    def quiet(self, seconds: float) -> bool:
        """Whether nothing of any stream comes for so long."""
        self.sock.settimeout(seconds)
        try:
            while self.step()[0] not in (OPEN, ACCEPT, DATA, CLOSE):
                pass
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(10)
        return False


def open_host(guest, **kwargs) -> Host:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Its socket is there a moment before it listens.
    if not wait_for(lambda: sock.connect_ex(guest.socket) == 0):
        raise RuntimeError('kringd does not listen')
    host = Host(sock, **kwargs)
    host.greet()
    return host


def token(stream: int) -> bytes:
    return struct.pack('<QQ', 1, stream)
