#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The guest's end of forwarding: connect, listen, and /run/kring/host.sock."""

import concurrent.futures
import errno
import hashlib
import os
import random
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

from guest import KRINGD, Guest, Tap, wait_for
from wire import ACCEPT, CLOSE, EOF, RESET, Wire, error, message, parse

random.seed(1)


class Server:
    """Accepts, and gives each connection to a function, in a thread of its own."""

    def __init__(self, serve, path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.bind(path or ('127.0.0.1', 0))
        self.socket.listen(200)
        self.port = 0 if path else self.socket.getsockname()[1]
        self.serve = serve
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock) -> None:
        with sock:
            try:
                self.serve(sock)
            except OSError:
                pass

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def echo(sock) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def count(sock) -> None:
    """Answers when all has come: needs half of the connection to end."""
    total = 0
    while data := sock.recv(65536):
        total += len(data)
    sock.sendall(b'%d' % total)


def read_all(sock) -> bytes:
    data = b''
    while part := sock.recv(65536):
        data += part
    return data


class Forward:
    """kring forward, which says where it listens."""

    def __init__(self, guest, *args):
        self.process = guest.start('forward', *args)
        self.lines = [self.process.stderr.readline().decode()
                      for arg in args if not arg.startswith('-')]

    def port(self, index: int = 0) -> int:
        """Of the line "listening on 127.0.0.1:PORT ...", which then says for what."""
        return int(re.search(r'127\.0\.0\.1:(\d+)', self.lines[index])[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


def check_connect(tap, guest) -> None:
    server, folder = Server(echo), guest.dir
    unix = Server(count, os.path.join(folder, 'count'))
    abstract = Server(echo, '\0kring-test-%d' % os.getpid())
    with Wire.connect(guest.socket) as wire:
        for name, request in (('tcp', message((1, f'127.0.0.1:{server.port}'))),
                              ('tcp, by name', message((1, f'localhost:{server.port}'))),
                              ('abstract', message((2, f'@kring-test-{os.getpid()}')))):
            stream = wire.open('connect', request)
            # Before it is accepted.
            wire.data(stream, b'hello')
            kind, payload = wire.wait(stream, (ACCEPT, RESET))
            if not tap.equal(kind, ACCEPT, f'connect: {name}'):
                tap.diag(error(payload))
                continue
            tap.equal(wire.read(stream, 5), b'hello', 'bytes there and back')
            wire.eof(stream)
            tap.ok(wire.wait(stream, (EOF, CLOSE, RESET))[0] != RESET, 'its end too')
            wire.frame(CLOSE, stream)
        stream = wire.open('connect', message((2, os.path.join(folder, 'count'))))
        wire.data(stream, b'x' * 60000)
        wire.eof(stream)
        tap.equal(wire.read(stream, 5), b'60000', 'one half ends, the other answers')
        refused = socket.socket()
        refused.bind(('127.0.0.1', 0))
        port = refused.getsockname()[1]
        for request, code in ((message((1, f'127.0.0.1:{port}')), errno.ECONNREFUSED),
                              (message((2, folder + '/none')), errno.ENOENT),
                              (message((1, 'example.invalid:80')), errno.ENOENT),
                              (message((1, '127.0.0.1:0')), errno.EINVAL),
                              (message((1, '127.0.0.1:65536')), errno.EINVAL),
                              (message((1, '::1:80')), errno.EINVAL),
                              (message((2, 'relative')), errno.EINVAL),
                              (message((2, '/' + 'x' * 200)), errno.ENAMETOOLONG),
                              (b'', errno.EINVAL)):
            result = wire.call('connect', request)
            tap.equal(result[0], code, f'refused: {result[2]}')
        # In a guest without vsock, or where nobody listens there, what was made for it
        # listens at the same port of the loopback.
        result = wire.open('connect', message((3, server.port)))
        tap.equal(wire.wait(result, (ACCEPT, RESET))[0], ACCEPT, 'a port of vsock')
        refused.close()
    for one in (server, unix, abstract):
        one.close()


def check_broken(tap, guest) -> None:
    ended = threading.Event()

    def reset(sock) -> None:
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))

    def wait(sock) -> None:
        try:
            sock.recv(1)
        except ConnectionResetError:
            ended.set()

    breaker, waiter = Server(reset), Server(wait)
    with Wire.connect(guest.socket) as wire:
        stream = wire.open('connect', message((1, f'127.0.0.1:{breaker.port}')))
        wire.wait(stream, ACCEPT)
        wire.data(stream, b'x')
        kind, payload = wire.wait(stream, (RESET, CLOSE, EOF))
        tap.ok(kind == RESET and error(payload)[0] == errno.ECONNRESET,
               'a connection that is reset resets the stream', payload)
        stream = wire.open('connect', message((1, f'127.0.0.1:{waiter.port}')))
        wire.wait(stream, ACCEPT)
        wire.frame(RESET, stream)
        tap.ok(ended.wait(5), 'a stream that is reset resets the connection')
    breaker.close()
    waiter.close()


def check_listen(tap, guest) -> None:
    path = os.path.join(guest.dir, 'listen')
    with Wire.connect(guest.socket) as wire:
        for request in (message((1, '0')), message((1, '127.0.0.1:0')), message((2, path))):
            stream = wire.open('listen', request)
            kind, payload = wire.wait(stream, (ACCEPT, RESET))
            if not tap.equal(kind, ACCEPT, f'listen {request[2:]}'):
                tap.diag(error(payload))
                continue
            address = parse(parse(payload)[1])[1].decode()
            if address[0] == '/':
                client = socket.socket(socket.AF_UNIX)
                client.connect(address)
                tap.equal(oct(stat.S_IMODE(os.stat(path).st_mode)), '0o600', 'for us alone')
            else:
                client = socket.create_connection(('127.0.0.1', int(address.split(':')[1])))
            client.settimeout(10)
            # Looking whether the last one had ended may have made connections to it.
            while not (mine := [opened for opened in wire.opened if opened[1] == stream]):
                wire.step()
            number, _, fields = mine[0]
            wire.opened.clear()
            tap.equal(fields[1], b'accepted', 'a stream for a connection')
            client.sendall(b'early')
            wire.frame(ACCEPT, number)
            tap.equal(wire.read(number, 5), b'early', 'bytes from it')
            wire.data(number, b'late')
            wire.eof(number)
            tap.equal(read_all(client), b'late', 'bytes to it, and their end')
            client.close()
            again = wire.call('listen', request if address[0] == '/' else message((1, address)))
            tap.equal(again[0], errno.EADDRINUSE, 'a second one is refused')
            wire.frame(CLOSE if address[0] == '/' else RESET, stream)
            if address[0] == '/':
                tap.ok(wait_for(lambda: not os.path.exists(path)), 'its socket is removed')
            else:
                tap.ok(wait_for(lambda: socket.socket().connect_ex(
                    ('127.0.0.1', int(address.split(':')[1]))) == errno.ECONNREFUSED),
                    'it ends with its stream')
        for bad in (message((1, 'x')), message((1, '70000')), message((2, 'relative')), b''):
            tap.equal(wire.call('listen', bad)[0], errno.EINVAL, f'listen {bad!r}: refused')


def check_in_the_way(tap, guest) -> None:
    """What is no socket is not one that somebody has left behind."""
    path = os.path.join(guest.dir, 'file')
    with open(path, 'w', encoding='ascii') as file:
        file.write('precious')
    link = os.path.join(guest.dir, 'link')
    stale = os.path.join(guest.dir, 'stale')
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(stale)
    os.symlink(stale, link)
    with Wire.connect(guest.socket) as wire:
        for name in (path, link):
            tap.equal(wire.call('listen', message((2, name)))[0], errno.EADDRINUSE,
                      f'listen where a {os.path.basename(name)} is')
        tap.equal(wire.wait(wire.open('listen', message((2, stale))), (ACCEPT, RESET))[0], ACCEPT,
                  'listen where nobody does any more')
    with open(path, encoding='ascii') as file:
        tap.equal(file.read(), 'precious', 'the file is as it was')
    for option in (['--listen', path], ['--listen', stale + '2']):
        config = os.path.join(guest.dir, 'config')
        with open(config, 'w', encoding='ascii') as file:
            file.write(f'host_socket = {path}\n')
        have = subprocess.run([KRINGD, '--config', config, *option], capture_output=True,
                              timeout=20, check=False)
        tap.ok(have.returncode == 1 and os.path.isfile(path), 'nor is it for kringd itself', have)


def check_waiting(tap) -> None:
    """A host that does not answer: connections to the guest must not use all descriptors up."""
    with Guest('streams_max = 8\n') as guest, Wire.connect(guest.socket) as wire:
        path = os.path.join(guest.dir, 'listen')
        wire.wait(wire.open('listen', message((2, path))), ACCEPT)
        before = guest.fds()
        socks = []
        for i in range(100):
            socks.append(socket.socket(socket.AF_UNIX))
            socks[-1].connect(path if i % 2 else os.path.join(guest.dir, 'host.sock'))
            if i % 2 == 0:
                socks[-1].sendall(b'CONNECT db\n')
        tap.equal(wire.call('stat', message((1, '/')))[2], 2, 'others are served')
        tap.ok(wait_for(lambda: guest.fds() - before < 20), 'most are sent away',
               guest.fds() - before)
        for sock in socks:
            sock.close()


def call_host(guest, line: bytes) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(os.path.join(guest.dir, 'host.sock'))
    sock.sendall(line)
    return sock


def check_host_socket(tap, guest) -> None:
    with call_host(guest, b'CONNECT db\n') as sock:
        tap.equal(read_all(sock), b'ERROR no host is connected\n', 'no host')
    with Wire.connect(guest.socket) as wire:
        wire.call('stat', message((1, '/')))
        # In pieces, and with bytes behind the line.
        sock = call_host(guest, b'CONN')
        time.sleep(0.05)
        sock.sendall(b'ECT db\nquery')
        while not wire.opened:
            wire.step()
        number, parent, fields = wire.opened.pop()
        tap.equal((parent, fields[1], parse(fields[2])[1]), (0, b'service', b'db'),
                  'the host is asked')
        wire.frame(ACCEPT, number)
        tap.equal(sock.recv(100), b'OK db\n', 'it accepts')
        tap.equal(wire.read(number, 5), b'query', 'bytes that came with the line')
        wire.data(number, b'answer')
        wire.eof(number)
        tap.equal(read_all(sock), b'answer', 'bytes to the program')
        sock.close()
        with call_host(guest, b'CONNECT nope\r') as sock:
            time.sleep(0.05)
            sock.sendall(b'\n')
            while not wire.opened:
                wire.step()
            number, _, fields = wire.opened.pop()
            tap.equal(parse(fields[2])[1], b'nope', 'CR LF will do')
            wire.frame(RESET, number, message((1, 2), (2, 'service'), (3, 'no such\nthing')))
            tap.equal(read_all(sock), b'ERROR no such thing\n', 'it refuses, in one line')
        for line in (b'HELLO\n', b'CONNECT \n', b'\n', b'CONNECT a\0b\n', b'x' * 300):
            with call_host(guest, line) as sock:
                tap.ok(read_all(sock).startswith(b'ERROR '), f'{line[:12]!r} is no request')
        call_host(guest, b'CONNECT gone\n').close()
        call_host(guest, b'CONN').close()
        tap.equal(wire.call('stat', message((1, '/')))[2], 2, 'those who go away do no harm')


def check_many(tap, guest) -> None:
    server, counter = Server(echo), Server(count)
    guest.run('info')
    before = guest.fds()
    with Forward(guest, f'0:127.0.0.1:{server.port}', f'0:localhost:{counter.port}') as forward:
        def one(i: int) -> bool:
            data = random.Random(i).randbytes(200000)
            with socket.create_connection(('127.0.0.1', forward.port())) as sock:
                sock.settimeout(60)
                threading.Thread(target=lambda: (sock.sendall(data),
                                                 sock.shutdown(socket.SHUT_WR))).start()
                return hashlib.sha256(read_all(sock)).digest() == hashlib.sha256(data).digest()

        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            start = time.monotonic()
            good = sum(pool.map(one, range(100)))
            tap.equal(good, 100, '100 connections at once, 200,000 bytes each, both ways')
            tap.diag(f'{time.monotonic() - start:.2f} s')
        with socket.create_connection(('127.0.0.1', forward.port(1))) as sock:
            start = time.monotonic()
            for _ in range(64):
                sock.sendall(bytes(1 << 20))
            sock.shutdown(socket.SHUT_WR)
            tap.equal(read_all(sock), b'%d' % (64 << 20), '64 MiB, then the answer')
            tap.diag(f'{64 / (time.monotonic() - start):.0f} MiB/s')
        # One that does not read must not stop the others.
        with socket.create_connection(('127.0.0.1', forward.port())) as stalled:
            stalled.settimeout(1)
            try:
                while True:
                    stalled.sendall(bytes(65536))
            except TimeoutError:
                pass
            tap.ok(one(1), 'one that is stalled does not stop another')
        tap.ok(wait_for(lambda: guest.fds() <= before + 1), 'all are closed',
               (before, guest.fds()))
        held = [socket.create_connection(('127.0.0.1', forward.port())) for _ in range(20)]
        for sock in held:
            sock.sendall(b'x')
            sock.recv(1)
        forward.process.kill()
        tap.ok(all(read_quietly(sock) == b'' for sock in held), 'killed, its connections end')
        forward.process.wait()
    tap.ok(wait_for(lambda: guest.fds() <= before), 'and the guest closes its ends',
           (before, guest.fds()))
    server.close()
    counter.close()


def read_quietly(sock) -> bytes:
    with sock:
        try:
            return sock.recv(1)
        except OSError:
            return b''


def check_reverse(tap, guest) -> None:
    server = Server(echo)
    path = os.path.join(guest.dir, 'reverse')
    with Forward(guest, '-R', f'{path}:127.0.0.1:{server.port}'):
        def one(i: int) -> bool:
            data = random.Random(i).randbytes(100000)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(60)
                sock.connect(path)
                threading.Thread(target=lambda: (sock.sendall(data),
                                                 sock.shutdown(socket.SHUT_WR))).start()
                return read_all(sock) == data

        tap.ok(wait_for(lambda: os.path.exists(path)), 'the guest listens')
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            tap.equal(sum(pool.map(one, range(50))), 50, '50 connections to the host at once')
    tap.ok(wait_for(lambda: not os.path.exists(path)), 'it ends with kring forward')
    server.close()


def main() -> int:
    socket.setdefaulttimeout(60)
    with Tap() as tap, Guest() as guest:
        for check in (check_connect, check_broken, check_listen, check_in_the_way,
                      check_host_socket, check_many, check_reverse):
            check(tap, guest)
        tap.equal(guest.stop(), 0, 'kringd ends in order')
        tap.ok(not os.path.exists(os.path.join(guest.dir, 'host.sock')),
               'and takes its socket away')
        shutil.rmtree(guest.dir, ignore_errors=True)
        check_waiting(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
