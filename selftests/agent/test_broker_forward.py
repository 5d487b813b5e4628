#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Connections through kring broker: kring forward, --service and --vsock-uds."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from broker import (Broker, Echo, FakeAgent, connect, exchange, listening, read_all,
                    read_line)
from guest import Guest, Tap, wait_for


def ended(process) -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    return process.returncode


def check_forward(tap, b, echo, unix_echo) -> None:
    local = os.path.join(b.dir, 'local')
    process = b.start('forward', f'0:127.0.0.1:{echo.port}', f'{local}:{unix_echo.address}',
                      f'[::1]:0:{echo.port}', f'0:{b.dir}/nobody')
    tcp, unix, tcp6, nobody = listening(process, 4)
    port = int(tcp.split(':')[1])
    tap.ok(tcp.startswith('127.0.0.1:') and port and unix == local and tcp6.startswith('[::1]:'),
           'says where it listens', (tcp, unix, tcp6))
    data = random.randbytes(3000000)
    tap.ok(exchange(connect(('127.0.0.1', port)), data) == data + b'bye', 'TCP, both halves')
    tap.ok(exchange(connect(local), data) == data + b'bye', 'a unix socket')
    sock = socket.create_connection(('::1', int(tcp6.rsplit(':', 1)[1])), 10)
    tap.ok(exchange(sock, b'six') == b'sixbye', 'from IPv6')
    sock = connect(('127.0.0.1', int(nobody.split(':')[1])))
    try:
        left = sock.recv(10)
    except ConnectionError:
        left = b''
    tap.equal(left, b'', 'where nobody listens the connection ends')

    results = []
    def one(i):
        mine = random.randbytes(20000 + i)
        results.append(exchange(connect(('127.0.0.1', port)), mine) == mine + b'bye')
    threads = [threading.Thread(target=one, args=(i,)) for i in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    tap.ok(len(results) == 100 and all(results), '100 connections at the same time')

    stalled = connect(('127.0.0.1', port))
    stalled.settimeout(0.5)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += stalled.send(bytes(1 << 16))
    except TimeoutError:
        pass
    tap.ok(sent < 32 << 20, 'who is not read is not read for ever', sent)
    tap.ok(exchange(connect(('127.0.0.1', port)), b'x') == b'xbye', 'and stalls nobody')
    stalled.close()
    before = b.fds()
    socks = [connect(('127.0.0.1', port)) for _ in range(50)]
    for sock in socks:
        sock.sendall(b'x')
    wait_for(lambda: b.fds() > before + 40)
    for sock in socks:
        sock.close()
    tap.ok(wait_for(lambda: b.fds() <= before), 'those who go leave nothing in the guest',
           (b.fds(), before))
    if shutil.which('socat'):
        have = subprocess.run(['socat', '-t5', '-', f'TCP:127.0.0.1:{port}'], input=b'socat',
                              stdout=subprocess.PIPE, check=False)
        tap.equal(have.stdout, b'socatbye', 'socat')
    tap.equal(ended(process), 0, 'SIGINT ends it')
    tap.ok(not os.path.exists(local), 'its socket is removed')
    process = b.start('forward', f'0:{echo.port}')
    port = int(listening(process)[0].split(':')[1])
    sock = connect(('127.0.0.1', port))
    sock.sendall(b'x')
    sock.recv(1)
    process.kill()
    process.communicate()
    tap.ok(wait_for(lambda: b.fds() <= before), 'killed, it leaves nothing in the guest')


def check_reverse(tap, b, echo, unix_echo) -> None:
    there = os.path.join(b.dir, 'there')
    process = b.start('forward', '-R', f'0:127.0.0.1:{echo.port}', '-R',
                      f'{there}:{unix_echo.address}', '-R', f'127.0.0.1:0:{b.dir}/nobody')
    found = listening(process, 3)
    unix = [where for where in found if where == there]
    ports = [int(where.rsplit(':', 1)[1]) for where in found if where != there]
    tap.ok(len(unix) == 1 and len(ports) == 2 and all(ports), 'says where the guest listens', found)
    data = random.randbytes(3000000)
    served = echo.served
    answers = []
    for port in ports:
        try:
            answers.append(exchange(connect(('127.0.0.1', port)), data))
        except ConnectionError:
            answers.append(b'')
    tap.ok(sorted(map(len, answers)) == [0, len(data) + 3] and data + b'bye' in answers and
           echo.served == served + 1, 'TCP, and where nobody listens at the host',
           [len(answer) for answer in answers])
    tap.ok(exchange(connect(there), data) == data + b'bye', 'a unix socket')
    before = b.fds()
    for _ in range(30):
        sock = connect(there)
        sock.sendall(b'x')
        sock.close()
    tap.ok(wait_for(lambda: b.fds() <= before), '30 who went')
    tap.equal(ended(process), 0, 'SIGINT ends it')
    tap.ok(wait_for(lambda: not os.path.exists(there)), 'and the guest listens no more')
    have = b.run('forward', '-R', f'/nonexistent/dir/sock:{echo.port}')
    tap.ok(have.returncode == 1 and b'nonexistent' in have.stderr, 'the guest cannot listen', have)


def check_specs(tap, b) -> None:
    for args in ([], ['80'], ['80:'], [':80'], ['x:80'], ['80:x'], ['80:host:0'], ['99999:80'],
                 ['1:2:3:4:5'], ['[::1:80:80'], ['/a'], ['/a:'], ['80:[::1]80'], ['80:vsock:x'],
                 ['-R', '80:vsock:5'], ['-R', '80'], ['--nope', '1:2']):
        have = b.run('forward', *args)
        tap.ok(have.returncode in (1, 2) and have.stderr.startswith(b'kring: '),
               f'forward {" ".join(args)}: refused', have)
    taken = Echo()
    have = b.run('forward', f'{taken.port}:80')
    tap.ok(have.returncode == 1 and b'Address already in use' in have.stderr, 'a port in use', have)
    taken.close()


def ask(b, name: str):
    """As a program of the guest's: the answer's line, and the connection."""
    sock = connect(b.host_socket)
    sock.sendall(f'CONNECT {name}\n'.encode())
    return read_line(sock), sock


def check_services(tap, b, echo, unix_echo) -> None:
    data = random.randbytes(1000000)
    for name in ('web', 'local'):
        line, sock = ask(b, name)
        tap.ok(line == f'OK {name}\n'.encode() and exchange(sock, data) == data + b'bye',
               f'service {name}', line)
    for name in ('nothing', 'dead', '../web', '/etc/passwd', 'unix:' + unix_echo.address,
                 f'tcp:127.0.0.1:{echo.port}', 'x' * 200, 'vsock:1', 'vsock:99999999999', 'vsock:',
                 'vsock:1/../../x', 'web '):
        line, sock = ask(b, name)
        tap.ok(line.startswith(b'ERROR ') and not read_all(sock), f'service {name:.20}: refused',
               line)
    for command in ('broker', 'forward'):
        have = b.run(command, '--service', 'a=unix:/x', '--service', 'a=unix:/y')
        tap.ok(have.returncode == 2 and b'--service a: it is there twice' in have.stderr,
               f'{command}: a name that is given twice is refused', have)
    before = b.broker_fds(), b.fds()
    for i in range(40):
        line, sock = ask(b, 'web')
        sock.sendall(b'x')
        if i % 2:
            sock.recv(1)
        sock.close()
    tap.ok(wait_for(lambda: (b.broker_fds(), b.fds()) == before), '40 that went leave nothing')


def vsock_connect(b, port, text: str = ''):
    sock = connect(b.vsock)
    sock.sendall((text or f'CONNECT {port}\n').encode())
    return read_line(sock), sock


def check_vsock(tap, b, echo) -> None:
    data = random.randbytes(1000000)
    line, sock = vsock_connect(b, echo.port)
    tap.ok(line.startswith(b'OK ') and line[3:-1].isdigit() and
           exchange(sock, data) == data + b'bye', "to the guest's port", line)
    _, other = vsock_connect(b, echo.port)
    tap.ok(_ != line, 'each has a number', (line, _))
    other.close()
    line, sock = vsock_connect(b, echo.port, f'CONNECT {echo.port}\nearly')
    tap.ok(exchange(sock, b'') == b'earlybye', 'what is sent before the OK is not lost')
    free = socket.socket()
    free.bind(('127.0.0.1', 0))
    line, sock = vsock_connect(b, free.getsockname()[1])
    tap.equal(line, b'', 'where nobody listens it is closed')
    for text in ('connect 80\n', 'CONNECT\n', 'CONNECT x\n', 'CONNECT 99999999999\n',
                 'GET / HTTP\n', 'x' * 100):
        line, sock = vsock_connect(b, 0, text)
        tap.equal(line, b'', f'{text.strip():.20}: closed')
    server = Echo(f'{b.vsock}_52')
    line, sock = ask(b, 'vsock:52')
    tap.ok(line == b'OK vsock:52\n' and exchange(sock, data) == data + b'bye',
           "from the guest to the host's port", line)
    line, sock = ask(b, 'vsock:53')
    tap.ok(line.startswith(b'ERROR '), 'where nobody listens', line)
    server.close()


def check_impatient(tap, vsock) -> None:
    with Broker('--vsock-uds', vsock) as b:
        b.run('ping', '-c', '1')
        b.process.kill()
        b.process.wait()
        agent = FakeAgent(b.socket)
        wait_for(lambda: 'was replaced' in b.broker_text())
        before = b.broker_fds()
        socks = [connect(vsock) for _ in range(20)]
        for sock in socks:
            sock.sendall(b'CONNECT 1\n')
        tap.ok(all(agent.opened() for _ in socks), 'a guest that does not answer')
        tap.equal(b.broker_fds() - before, len(socks), 'is waited for')
        for sock in socks:
            sock.close()
        tap.ok(wait_for(lambda: b.broker_fds() == before), 'but by nobody who has gone')
        agent.close()


def main() -> int:
    with Tap() as tap:
        scratch = Guest()
        echo = Echo()
        unix_echo = Echo(os.path.join(scratch.dir, 'echo'))
        vsock = os.path.join(scratch.dir, 'v.sock')
        with Broker('--service', f'web=tcp:localhost:{echo.port}', '--service',
                    f'local=unix:{unix_echo.address}', '--service',
                    f'dead=unix:{scratch.dir}/nobody', '--vsock-uds', vsock) as b:
            b.vsock = vsock
            tap.equal(os.stat(vsock).st_mode & 0o777, 0o600, 'the socket of vsock is private')
            b.exec('true')
            check_forward(tap, b, echo, unix_echo)
            check_reverse(tap, b, echo, unix_echo)
            check_specs(tap, b)
            check_services(tap, b, echo, unix_echo)
            check_vsock(tap, b, echo)
            line, sock = ask(b, 'web')
            start = time.monotonic()
            tap.ok(line == b'OK web\n' and b.end_broker() == 0, 'SIGTERM')
            try:
                left = read_all(sock)
            except ConnectionError:
                left = b''
            tap.ok(not left and time.monotonic() - start < 5 and not os.path.exists(vsock),
                   'ends all connections')
        check_impatient(tap, vsock)
        scratch.stop()
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
