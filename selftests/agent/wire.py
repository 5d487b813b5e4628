# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Streams by hand, over a SEQPACKET socket: either end of a connection, polite or not."""

import os
import socket
import struct

HELLO, OPEN, ACCEPT, DATA, ACK, EOF, CLOSE, RESET, CONTROL = range(1, 10)
PING, PONG = 10, 11
HEADER = struct.Struct('<BBHIQ')


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(*fields) -> bytes:
    """Of (number, value): an int, or bytes."""
    out = b''
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def number(value: int) -> bytes:
    """A Number."""
    return message((1, value))


def parse(data: bytes) -> dict:
    """The last value of each field."""
    fields, at = {}, 0

    def take() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = take()
        if key & 7 == 0:
            fields[key >> 3] = take()
        elif key & 7 == 1:
            fields[key >> 3] = data[at:at + 8]
            at += 8
        else:
            size = take()
            fields[key >> 3] = data[at:at + size]
            at += size
    return fields


def error(payload: bytes) -> tuple:
    """(errno, step, text)"""
    fields = parse(payload)
    return fields.get(1, 0), fields.get(2, b'').decode(), fields.get(3, b'').decode()


class Wire:
    """One connection. What comes is acknowledged and kept by stream, in order of arrival."""

    def __init__(self, sock: socket.socket, host: bool = True):
        self.sock = sock
        self.sock.settimeout(10)
        self.next = 1 if host else 2
        self.received = {}
        self.sent = {}
        self.taken = {}
        self.opened = []
        # CONTROL: a length before each message, which may be cut anywhere.
        self.controls = {}
        self.instance = os.urandom(7) + b'\x01'
        self.hello()

    @classmethod
    def connect(cls, path: str) -> 'Wire':
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(path)
        return cls(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def frame(self, kind, stream, payload=b'', channel=0, offset=0) -> None:
        self.sock.send(HEADER.pack(kind, channel, 0, stream, offset) + payload)

    def hello(self, answers: bytes = bytes(8)) -> None:
        # Instances are fixed64, which message() has not.
        self.frame(HELLO, 0, message((1, 1)) + b'\x11' + answers + b'\x19' + self.instance +
                   message((4, 65536), (5, 1024), (7, 'wire')))

    def step(self) -> tuple:
        """One frame: (kind, stream, channel, payload), or an exception when there is none."""
        data = self.sock.recv(1 << 17)
        if not data:
            raise EOFError
        kind, channel, _, stream, offset = HEADER.unpack_from(data)
        payload = data[HEADER.size:]
        if kind == HELLO:
            said = parse(payload)
            if not any(said.get(2, b'')):
                self.hello(said[3])
        elif kind == PING:
            self.frame(PONG, stream, payload, offset=offset)
        elif kind in (DATA, CONTROL):
            key = stream, channel
            self.taken[key] = self.taken.get(key, 0) + len(payload)
            self.frame(ACK, stream, struct.pack('<I', 1 << 18), channel, self.taken[key])
        elif kind == OPEN:
            self.opened.append((stream, offset, parse(payload)))
        if stream:
            self.received.setdefault(stream, []).append((kind, channel, payload))
        return kind, stream, channel, payload

    def wait(self, stream: int, kinds) -> tuple:
        """(kind, payload) of the first frame of one of the kinds; what is before is dropped."""
        kinds = (kinds,) if isinstance(kinds, int) else kinds
        while True:
            frames = self.received.get(stream, [])
            while frames:
                kind, _, payload = frames.pop(0)
                if kind in kinds:
                    return kind, payload
            self.step()

    def open(self, service: str, request: bytes = b'') -> int:
        stream = self.next
        self.next += 2
        self.frame(OPEN, stream, message((1, service), (2, request)))
        return stream

    def call(self, service: str, request: bytes = b'') -> tuple:
        """Until the guest has closed: (errno, step, text), or the fields of the result."""
        stream = self.open(service, request)
        kind, payload = self.wait(stream, (CLOSE, RESET))
        if kind == RESET:
            return error(payload)
        self.frame(CLOSE, stream)
        return parse(parse(payload).get(1, b''))

    def data(self, stream: int, payload: bytes, channel: int = 0) -> None:
        key = stream, channel
        while payload:
            part, payload = payload[:32768], payload[32768:]
            self.frame(DATA if channel < 4 else CONTROL, stream, part, channel,
                       self.sent.get(key, 0))
            self.sent[key] = self.sent.get(key, 0) + len(part)

    def control(self, stream: int, payload: bytes) -> None:
        self.data(stream, struct.pack('<I', len(payload)) + payload, 4)

    def eof(self, stream: int, channel: int = 0) -> None:
        self.frame(EOF, stream, b'', channel, self.sent.get((stream, channel), 0))

    def read(self, stream: int, size: int) -> bytes:
        """Bytes of channel 0, up to its end."""
        out = b''
        while len(out) < size:
            kind, payload = self.wait(stream, (DATA, EOF, RESET, CLOSE))
            if kind != DATA:
                break
            out += payload
        return out
