# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring broker between kring and kringd, over a region, with no VM."""

import json
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time

from guest import KRING, TOP, Guest, wait_for
from wire import message, parse

BRIDGE = os.environ.get('GUEST_BRIDGE', os.path.join(TOP, 'build', 'tests', 'guest_bridge'))

HELLO, OPEN, ACCEPT, DATA, ACK, EOF, CLOSE, RESET, CONTROL, PING, PONG, RESTORED, \
    RESUME = range(1, 14)
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
        before = self.broker_text().count('broker: serving') if os.path.exists(
            self.broker_log) else 0
        with open(self.broker_log, 'ab') as log:
            self.broker = self.start('broker', '--region', self.region, '--doorbell', self.bell,
                                     '--socket', self.path, *self.options, stdout=log, stderr=log)
        # One that was killed has left its socket.
        if not wait_for(lambda: self.broker_text().count('broker: serving') > before or
                        self.broker.poll() is not None):
            raise RuntimeError('the broker does not listen')
        if self.broker.poll() is not None:
            raise RuntimeError(f'the broker has ended: {self.broker_text()}')

    def stop(self) -> int:
        status = self.end_broker()
        self.bridge.kill()
        self.bridge.wait()
        return super().stop() or status

    def end_broker(self, how: int = signal.SIGTERM) -> int:
        if self.broker.poll() is None:
            self.broker.send_signal(how)
        try:
            return self.broker.wait(10)
        except subprocess.TimeoutExpired:
            self.broker.kill()
            self.broker.wait()
            return -1

    def kill_broker(self) -> None:
        self.broker.kill()
        self.broker.wait()

    def restart_broker(self) -> None:
        self.kill_broker()
        self.start_broker()

    def top(self) -> dict:
        """What the broker says of itself."""
        have = self.run('top', '--once', '--json', '-i', '0.05', timeout=20)
        return json.loads(have.stdout)

    def waiting(self) -> int:
        """Streams that wait for their clients."""
        return self.top()['counters']['streams_waiting']

    def broker_text(self) -> str:
        with open(self.broker_log, encoding='utf-8', errors='replace') as file:
            return file.read()

    def broker_rss(self) -> int:
        with open(f'/proc/{self.broker.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE')

    def broker_fds(self) -> int:
        return len(os.listdir(f'/proc/{self.broker.pid}/fd'))


def hello_message(instance: bytes = b'', answers: bytes = b'', resumes: bool = False,
                  process: bytes = b'', uuid: bytes = b'') -> bytes:
    """Of version 1."""
    out = b'\x08\x01'
    if answers:
        out += b'\x11' + answers
    out += b'\x19' + (instance or random.randbytes(8))
    if resumes:
        out += message((9, 1))
    if process:
        out += b'\x51' + process
    return out + (message((12, uuid)) if uuid else b'')


def resume_stream(number: int, token: bytes = b'', parent: int = 0, absent: bool = False,
                  positions: tuple = (), **flags) -> bytes:
    """One stream of a Resume; positions: (channel, received, limit)."""
    fields = [(1, number)]
    if token:
        fields.append((2, token))
    if parent:
        fields.append((3, parent))
    fields += [(i, 1) for i, name in ((4, 'accepted'), (5, 'closed')) if flags.get(name)]
    if absent:
        fields.append((6, 1))
    fields += [(7, message((1, channel), (2, received), (3, limit)))
               for channel, received, limit in positions]
    return message(*fields)


def resume_message(*streams: bytes, complete: bool = True) -> bytes:
    fields = [(1, stream) for stream in streams]
    return message(*fields, *([(2, 1)] if complete else []))


def repeated(data: bytes, number: int) -> list:
    """All values of a field of bytes, where no field is fixed."""
    found, at = [], 0

    def take() -> int:
        nonlocal at
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return value

    while at < len(data):
        key = take()
        value = take()
        if key & 7 == 2:
            if key >> 3 == number:
                found.append(data[at:at + value])
            at += value
    return found


class Raw:
    """A client of frames that are made by hand."""

    def __init__(self, path: str, hello: bool = True, resumes: bool = False):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(10)
        self.sock.connect(path)
        if hello:
            self.send(HELLO, 0, hello_message(resumes=resumes))

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

    def resumed(self) -> list | None:
        """The streams that the broker names, up to the last one; None: it does not."""
        streams = []
        while frame := self.expect(RESUME):
            streams += [parse(stream) for stream in repeated(frame[4], 1)]
            if parse(frame[4]).get(2):
                return streams
        return None

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

    def hello(self, **kwargs) -> None:
        self.send(HELLO, 0, hello_message(**kwargs))

    def opened(self) -> int:
        """Number of the next stream that the host opens."""
        return self.asked()[0]

    def asked(self) -> tuple:
        """The same, and the fields of its Open."""
        while frame := self.receive():
            if frame[0] == OPEN:
                return frame[2], parse(frame[4])
        return 0, {}

    def close(self) -> None:
        self.sock.close()
        self.listener.close()


class ResumingAgent(FakeAgent):
    """One that says what it has, whenever it attaches."""

    def __init__(self, path: str, *streams: bytes, **kwargs):
        self.process = random.randbytes(8)
        self.streams = streams
        self.kwargs = kwargs
        super().__init__(path)

    def hello(self, *streams: bytes, **kwargs) -> None:
        super().hello(resumes=True, process=self.process, **self.kwargs, **kwargs)
        self.resume(*(streams or self.streams))

    def resume(self, *streams: bytes, complete: bool = True) -> None:
        self.send(RESUME, 0, resume_message(*streams, complete=complete))

    def told(self, number: int) -> dict | None:
        """What the host says that it has of a stream."""
        while frame := self.expect(RESUME):
            for stream in repeated(frame[4], 1):
                if parse(stream)[1] == number:
                    return parse(stream)
        return None


def open_message(service: str, request: bytes = b'', token: bytes = b'') -> bytes:
    return message((1, service), *([(2, request)] if request else []),
                   *([(3, token)] if token else []))


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
