# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring broker between kring and kringd, over a region, with no VM."""

import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time

from guest import KRING, TOP, Guest, wait_for

BRIDGE = os.environ.get('GUEST_BRIDGE', os.path.join(TOP, 'build', 'tests', 'guest_bridge'))

HELLO, OPEN, ACCEPT, DATA, ACK, EOF, CLOSE, RESET, CONTROL, PING, PONG = range(1, 12)
MORE = 1


class Broker(Guest):
    """kring broker; kringd and its guest_bridge behind it."""

    def __init__(self, *options, config: str = '', size: str = '4M'):
        super().__init__(config)
        self.region = os.path.join(self.dir, 'region')
        self.bell = os.path.join(self.dir, 'bell')
        self.path = os.path.join(self.dir, 'broker')
        self.broker_log = os.path.join(self.dir, 'broker.log')
        self.host_socket = os.path.join(self.dir, 'host.sock')
        subprocess.run([KRING, 'create', '--size', size, self.region], check=True)
        self.env['KRING_SOCKET'] = self.path
        self.options = options
        self.bridge = self.broker = None
        self.start_bridge()
        self.start_broker()

    def start_bridge(self) -> None:
        with open(os.path.join(self.dir, 'bridge.log'), 'ab') as log:
            self.bridge = subprocess.Popen([BRIDGE, self.region, self.bell, self.socket],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: os.path.exists(self.bell))

    def start_broker(self) -> None:
        with open(self.broker_log, 'ab') as log:
            self.broker = self.start('broker', '--region', self.region, '--doorbell', self.bell,
                                     '--socket', self.path, *self.options, stdout=log, stderr=log)
        if not wait_for(lambda: os.path.exists(self.path) or self.broker.poll() is not None):
            raise RuntimeError('the broker does not listen')
        if self.broker.poll() is not None:
            raise RuntimeError(f'the broker has ended: {self.broker_text()}')

    def stop(self) -> int:
        status = self.end_broker()
        self.bridge.kill()
        self.bridge.wait()
        return super().stop() or status

    def end_broker(self) -> int:
        if self.broker.poll() is None:
            self.broker.send_signal(signal.SIGTERM)
        try:
            return self.broker.wait(10)
        except subprocess.TimeoutExpired:
            self.broker.kill()
            self.broker.wait()
            return -1

    def broker_text(self) -> str:
        with open(self.broker_log, encoding='utf-8', errors='replace') as file:
            return file.read()

    def broker_rss(self) -> int:
        with open(f'/proc/{self.broker.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE')

    def broker_fds(self) -> int:
        return len(os.listdir(f'/proc/{self.broker.pid}/fd'))


class Raw:
    """A client of frames that are made by hand."""

    def __init__(self, path: str, hello: bool = True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10)
        self.sock.connect(path)
        if hello:
            # version 1, instance
            self.send(HELLO, 0, b'\x08\x01\x19' + random.randbytes(8))

    def close(self) -> None:
        self.sock.close()

    def send(self, kind: int, stream: int, payload: bytes = b'', channel: int = 0,
             flags: int = 0, offset: int = 0) -> None:
        self.sock.send(struct.pack('<BBHIQ', kind, channel, flags, stream, offset) + payload)

    def receive(self):
        """Type, channel, stream, offset, payload; None: disconnected."""
        try:
            frame = self.sock.recv(1 << 17)
        except ConnectionError:
            return None
        if not frame:
            return None
        kind, channel, _, stream, offset = struct.unpack('<BBHIQ', frame[:16])
        return kind, channel, stream, offset, frame[16:]

    def expect(self, kind: int, stream: int = 0):
        """The next frame of that kind and stream; None: disconnected, or none comes."""
        while True:
            try:
                frame = self.receive()
            except TimeoutError:
                return None
            if not frame or (frame[0] == kind and frame[2] == stream):
                return frame

    def gone(self, seconds: float = 10) -> bool:
        """Whether the broker hangs up."""
        self.sock.settimeout(seconds)
        try:
            while self.receive():
                pass
        except TimeoutError:
            return False
        return True


class FakeAgent:
    """In place of kringd: what it is given to say, and whoever gets it."""

    def __init__(self, path: str):
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(1)
        self.listener.settimeout(10)
        self.sock, _ = self.listener.accept()
        self.sock.settimeout(10)
        self.hello()

    send = Raw.send
    receive = Raw.receive
    expect = Raw.expect

    def hello(self) -> None:
        self.send(HELLO, 0, b'\x08\x01\x19' + random.randbytes(8))

    def opened(self) -> int:
        """Number of the next stream that the host opens."""
        while frame := self.receive():
            if frame[0] == OPEN:
                return frame[2]
        return 0

    def close(self) -> None:
        self.sock.close()
        self.listener.close()


def open_message(service: str, request: bytes = b'') -> bytes:
    name = service.encode()
    message = b'\x0a' + bytes([len(name)]) + name
    if request:
        message += b'\x12' + varint(len(request)) + request
    return message


def varint(value: int) -> bytes:
    out = b''
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


class Echo:
    """A server that sends back what it gets, and ends when it is ended; or sums it up."""

    def __init__(self, path: str = '', greeting: bytes = b''):
        family = socket.AF_UNIX if path else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.bind(path or ('127.0.0.1', 0))
        self.sock.listen(128)
        self.address = self.sock.getsockname()
        self.port = 0 if path else self.address[1]
        self.greeting = greeting
        self.served = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.served += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn) -> None:
        try:
            conn.sendall(self.greeting)
            while data := conn.recv(1 << 16):
                conn.sendall(data)
            conn.sendall(b'bye')
            conn.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        conn.close()


def connect(address, seconds: float = 10) -> socket.socket:
    sock = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX,
                         socket.SOCK_STREAM)
    sock.settimeout(seconds)
    sock.connect(address)
    return sock


def read_all(sock) -> bytes:
    out = b''
    while data := sock.recv(1 << 16):
        out += data
    return out


def read_line(sock) -> bytes:
    """Up to its newline, or to the end of the connection, however that comes."""
    out = b''
    while not out.endswith(b'\n'):
        try:
            data = sock.recv(1)
        except ConnectionError:
            break
        if not data:
            break
        out += data
    return out


def exchange(sock, data: bytes) -> bytes:
    """Send it, end that half, and read the other to its end."""
    def send():
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    out = read_all(sock)
    thread.join(10)
    return out


def listening(process, count: int = 1) -> list:
    """What kring forward says that it listens on."""
    found = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        line = process.stderr.readline().decode()
        if 'listening on ' not in line:
            raise RuntimeError(f'kring forward says: {line}')
        found.append(line.split('listening on ')[1].replace("the guest's ", '', 1)
                     .split(',')[0])
    return found
