#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every sub-command goes on when the broker is killed and started again."""

import filecmp
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from broker import Broker, Echo, Raw, connect, exchange, listening, read_all, read_line
from guest import KRING, Tap, wait_for
from test_terminal import Screen

MIB = 1 << 20


def kill(b) -> None:
    b.broker.kill()
    b.broker.wait()


def start(b) -> None:
    """Until it serves: the socket of the one before is still there."""
    before = b.broker_text().count(' serving ')
    b.start_broker()
    if not wait_for(lambda: b.broker_text().count(' serving ') > before):
        raise RuntimeError('the broker does not serve')


def restart(b, pause: float = 0.1) -> None:
    kill(b)
    time.sleep(pause)
    start(b)


def taken_up(b) -> int:
    """Connections that clients have gone on with, so far."""
    return len(re.findall(r'streams that go on: [1-9]', b.broker_text()))


def wakeups(process) -> int:
    """How often it has waited for something."""
    with open(f'/proc/{process.pid}/status', encoding='ascii') as file:
        return int(file.read().split('\nvoluntary_ctxt_switches:')[1].split()[0])


def both_ways(b) -> bool:
    data = random.randbytes(16 * MIB)
    process = b.start('exec', '-i', '--', 'sh', '-c', 'cat; exit 3', stdin=subprocess.PIPE)

    def send():
        process.stdin.write(data)
        process.stdin.close()
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    have = b''
    while more := process.stdout.read(random.randrange(1, 5 * MIB)):
        have += more
        if len(have) < len(data):
            restart(b, random.random() * 0.3)
    thread.join(10)
    return have == data and process.wait(10) == 3 and not process.stderr.read()


def check_exec(tap, b) -> None:
    block = random.randbytes(8 * MIB)
    digest = hashlib.sha256()
    process = b.start('exec', '-i', '--', 'sha256sum', stdin=subprocess.PIPE)
    for i in range(8):
        process.stdin.write(block)
        digest.update(block)
        if i % 2:
            restart(b)
    out, err = process.communicate(timeout=60)
    tap.equal((out[:64].decode(), err), (digest.hexdigest(), b''), 'exec: 64 MiB to the guest')

    file = os.path.join(b.dir, 'data')
    data = random.randbytes(32 * MIB)
    with open(file, 'wb') as f:
        f.write(data)
    process = b.start('exec', '--', 'sh', '-c', f'cat {file}; echo end >&2; exit 7')
    have = b''
    while len(have) < len(data):
        more = process.stdout.read(min(8 * MIB, len(data) - len(have)))
        if not more:
            break
        have += more
        restart(b)
    rest, err = process.communicate(timeout=60)
    tap.ok(have + rest == data, '32 MiB from it', (len(have), len(rest)))
    tap.equal((err, process.returncode), (b'end\n', 7), 'and how it ends')

    before = taken_up(b)
    good = [both_ways(b) for _ in range(8)]
    tap.ok(all(good) and taken_up(b) >= before + 8, 'both ways, at any moment',
           (good, taken_up(b) - before))
    many = [b.start('exec', '-i', '--', 'cat', stdin=subprocess.PIPE) for _ in range(30)]
    for i, process in enumerate(many):
        process.stdin.write(b'%d ' % i)
        process.stdin.flush()
        process.stdout.read(2)
    restart(b)
    good = all(process.communicate(b'end', timeout=60)[0].endswith(b'end') for process in many)
    tap.ok(good and all(process.returncode == 0 for process in many), '30 at once')


def check_once(tap, b) -> None:
    """What was asked for is done once, whenever the broker is killed."""
    file = os.path.join(b.dir, 'once')
    wrong = []
    before = taken_up(b)
    for i in range(60):
        process = b.start('exec', '--', 'sh', '-c', f'sleep 0.02; echo {i} >> {file}')
        time.sleep(random.random() * 0.04)
        restart(b, 0.01)
        _, err = process.communicate(timeout=60)
        # Before the agent's Hello a loss is an error.
        if process.returncode and not (b'connection to the guest lost' in err or
                                       b'nobody listens there' in err):
            wrong.append((i, process.returncode, err))
    with open(file, encoding='ascii') as f:
        lines = f.read().split()
    tap.ok(not wrong and len(lines) == len(set(lines)) > 10 and taken_up(b) > before + 10,
           'a program is started once', (wrong, lines, taken_up(b) - before))


def check_signals(tap, b) -> None:
    script = ('trap "echo int" INT; trap "echo usr; exit 4" USR1; echo on; '
              'while :; do sleep 0.1; done')
    process = b.start('exec', '--', 'sh', '-c', script)
    process.stdout.readline()
    kill(b)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    start(b)
    tap.equal(process.stdout.readline(), b'int\n', 'a signal meanwhile comes later')
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=20)
    tap.equal(process.returncode, 4, 'and another one')

    process = b.start('exec', '--', 'sh', '-c', script)
    process.stdout.readline()
    kill(b)
    time.sleep(0.2)
    begin = time.monotonic()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    process.communicate(timeout=20)
    tap.ok(process.returncode == 130 and time.monotonic() - begin < 2,
           'three times INT ends it at once', process.returncode)
    start(b)


def check_terminal(tap, b) -> None:
    screen = Screen(b, 'exec', '-it', '--', 'sh')
    screen.expect(b'[#$] ')
    screen.type(b'stty -echo; echo rea""dy\n')
    screen.expect(b'ready')
    kill(b)
    screen.resize(20, 77)
    screen.type(b'echo size $(stty size)\n')
    time.sleep(0.5)
    start(b)
    tap.ok(screen.expect(b'size 20 77'), 'exec -it: a new size, and what was typed', screen.seen)
    screen.type(b'exit 6\n')
    tap.equal(screen.end(), 6, 'and its end')
    screen.close()

    screen = Screen(b, 'exec', '-it', '--', 'sh', '-c', 'echo ready; sleep 1000')
    screen.expect(b'ready')
    kill(b)
    time.sleep(0.3)
    screen.type(b'\x03')
    time.sleep(0.3)
    tap.ok(screen.process.poll() is None, 'one ctrl-c is kept for the program')
    screen.type(b'\x03\x03')
    tap.ok(screen.end() == 130 and screen.restored(), 'three end it', screen.seen)
    screen.close()
    start(b)


def check_session(tap, b) -> None:
    have = b.exec('-d', '--name', 'numbers', '--', 'sh', '-c',
                  'i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); echo $i; done; read x; echo $x')
    tap.equal(have.returncode, 0, 'exec -d')
    b.exec('-d', '--name', 'late', '--', 'sh', '-c', 'sleep 1; echo late; exit 5')
    process = b.start('attach', 'late')
    wait_for(lambda: any(s['name'] == 'late' and s['attached'] for s in b.ps()))
    restart(b)
    out, err = process.communicate(timeout=20)
    tap.equal((out, err, process.returncode), (b'late\n', b'', 5), 'attach')
    process = b.start('attach', 'numbers')
    out, err = process.communicate(timeout=20)
    want = b''.join(b'%d\n' % (i + 1) for i in range(3000)) + b'\n'
    tap.ok(out == want and not err, 'and what was kept', out[-100:])


def check_requests(tap, b) -> None:
    """Asked, and answered over another connection."""
    for args in (['ps', '-j'], ['info', '-j'], ['health'], ['kill', 'nobody'], ['clock', '-j'],
                 ['cp', f':{b.dir}/data', '-']):
        b.process.send_signal(signal.SIGSTOP)
        process = b.start(*args, '--verbose', stdout=subprocess.DEVNULL)
        before = b.broker_text().count(' opened: ')
        wait_for(lambda n=before: b.broker_text().count(' opened: ') > n)
        restart(b)
        time.sleep(0.3)
        b.process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=30)
        tap.ok(process.returncode == (args[0] == 'kill') and b'connected again after' in err,
               f'{args[0]}', (process.returncode, err))


def part_size(folder: str) -> int:
    """Bytes of the largest file that is in the making there."""
    sizes = [0]
    for entry in os.scandir(folder):
        try:
            sizes.append(entry.stat().st_size if entry.name.startswith('.') else 0)
        except FileNotFoundError:
            pass
    return max(sizes)


def check_copy(tap, b) -> None:
    source, target = (os.path.join(b.dir, name) for name in ('big', 'copies'))
    os.mkdir(target)
    with open(source, 'wb') as file:
        for _ in range(24):
            file.write(random.randbytes(4 * MIB))
            file.seek(MIB, os.SEEK_CUR)
    for args, text in (((source, f':{target}/put'), 'to the guest'),
                       ((f':{source}', f'{target}/get'), 'from it')):
        # Without a name of its own it would not be seen.
        process = b.start('cp', '--resume', *args)
        wait_for(lambda: part_size(target) > MIB)
        alive = process.poll() is None
        restart(b)
        time.sleep(0.1)
        restart(b)
        _, err = process.communicate(timeout=60)
        name = args[1].rsplit('/', 1)[1]
        tap.ok(alive and process.returncode == 0 and not err and
               filecmp.cmp(source, os.path.join(target, name), shallow=False),
               f'cp: 120 MiB with holes {text}', (alive, process.returncode, err))

    digest = hashlib.sha256()
    process = b.start('cp', '-', f':{target}/stdin', stdin=subprocess.PIPE)
    for _ in range(8):
        block = random.randbytes(4 * MIB)
        digest.update(block)
        process.stdin.write(block)
        process.stdin.flush()
        restart(b, 0.02)
    process.communicate(timeout=60)
    with open(f'{target}/stdin', 'rb') as file:
        tap.ok(process.returncode == 0 and
               hashlib.sha256(file.read()).digest() == digest.digest(), 'cp: from stdin')
    process = b.start('cp', f':{target}/stdin', '-')
    have = hashlib.sha256()
    while block := process.stdout.read(8 * MIB):
        have.update(block)
        restart(b, 0.02)
    tap.ok(process.wait(10) == 0 and have.digest() == digest.digest(), 'cp: to stdout')


def check_tree(tap, b) -> None:
    tree = os.path.join(b.dir, 'tree')
    for i in range(20):
        os.makedirs(f'{tree}/{i}/sub')
        for j in range(40):
            with open(f'{tree}/{i}/sub/{j}', 'wb') as file:
                file.write(random.randbytes(random.randrange(60000)))
        os.symlink('sub/1', f'{tree}/{i}/link')
    for args, text in (((tree, f':{b.dir}/tree2'), 'to the guest'),
                       ((f':{b.dir}/tree2', f'{b.dir}/tree3'), 'from it')):
        process = b.start('cp', '-r', *args)
        kills = 0
        # Behind the agent's Hello.
        wait_for(lambda a=args: os.path.isdir(a[1].lstrip(':')))
        while process.poll() is None and kills < 8:
            restart(b, 0.02)
            kills += 1
            time.sleep(random.random() * 0.4)
        _, err = process.communicate(timeout=60)
        same = subprocess.run(['diff', '-r', tree, args[1].lstrip(':')], capture_output=True,
                              check=False)
        tap.ok(kills and process.returncode == 0 and not err and same.returncode == 0,
               f'cp -r: 800 files {text}', (kills, process.returncode, err, same.stdout[-500:]))


class Flow:
    """Bytes to an echo and back, slowly enough for something to happen meanwhile."""

    def __init__(self, sock, size: int = 12 * MIB):
        self.data = random.randbytes(size)
        self.have = b''
        self.error = None
        self.sock = sock
        self.sock.settimeout(60)
        self.threads = [threading.Thread(target=self._run, args=(f,), daemon=True)
                        for f in (self._send, self._receive)]
        for thread in self.threads:
            thread.start()

    def _run(self, what) -> None:
        try:
            what()
        except OSError as e:
            self.error = e

    def _send(self) -> None:
        for at in range(0, len(self.data), 1 << 16):
            self.sock.sendall(self.data[at:at + (1 << 16)])
            time.sleep(0.01)
        self.sock.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        self.have = read_all(self.sock)

    def good(self) -> bool:
        for thread in self.threads:
            thread.join(60)
        return not self.error and self.have == self.data + b'bye'


def ask(b, name: str):
    """As a program of the guest's: the answer's line, and the connection."""
    sock = connect(b.host_socket)
    sock.sendall(f'CONNECT {name}\n'.encode())
    return read_line(sock), sock


def vsock_connect(path, port):
    sock = connect(path)
    sock.sendall(f'CONNECT {port}\n'.encode())
    return read_line(sock), sock


def check_forward(tap, b, echo, unix_echo) -> None:
    local, there, vsock = (os.path.join(b.dir, name) for name in ('local', 'there', 'v.sock'))
    process = b.start('forward', f'0:127.0.0.1:{echo.port}', f'{local}:{unix_echo.address}',
                      '-R', f'{there}:{unix_echo.address}', '--service',
                      f'db=unix:{unix_echo.address}', '--service', f'web=tcp:localhost:{echo.port}',
                      '--vsock-uds', vsock)
    said = [process.stderr.readline().decode() for _ in range(7)]
    port = int(next(line for line in said if 'on 127.0.0.1:' in line).split(':')[3].split(',')[0])
    tap.ok(any(f'reach db at {unix_echo.address}' in line for line in said) and
           any(f'reach vsock:PORT at {vsock}_PORT' in line for line in said),
           'forward says what it does', said)
    server = Echo(f'{vsock}_52')

    def ways():
        line, sock = vsock_connect(vsock, echo.port)
        tap.ok(line.startswith(b'OK '), '--vsock-uds: OK', line)
        socks = [connect(('127.0.0.1', port)), connect(local), connect(there), sock]
        for name in ('db', 'web', 'vsock:52'):
            line, sock = ask(b, name)
            tap.equal(line, f'OK {name}\n'.encode(), f'the guest asks for {name}')
            socks.append(sock)
        return socks

    names = ('TCP', 'a unix socket', '-R', 'vsock to the guest', 'a service over a unix socket',
             'a service over TCP', 'vsock to the host')
    flows = [Flow(sock) for sock in ways()]
    for _ in range(3):
        time.sleep(0.2)
        restart(b, 0.2)
    alive = [flow.threads[0].is_alive() for flow in flows]
    for flow, name, busy in zip(flows, names, alive):
        tap.ok(flow.good() and busy, f'forward: {name}', (flow.error, len(flow.have), busy))

    results = []

    def call():
        line, sock = ask(b, 'db')
        results.append(line == b'OK db\n' and exchange(sock, b'x') == b'xbye' and
                       exchange(connect(there), b'y') == b'ybye')
    threads = [threading.Thread(target=call, daemon=True) for _ in range(120)]
    restarts = threading.Thread(target=lambda: [restart(b, 0.05) for _ in range(2)])
    restarts.start()
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in [*threads, restarts]:
        thread.join(30)
    tap.ok(len(results) == len(threads) and all(results),
           'of 240 connections in the guest none is refused', (len(results), sum(results)))

    kill(b)
    early = [connect(address) for address in (('127.0.0.1', port), local, there)]
    flows = [Flow(sock, MIB) for sock in early]
    line = []
    threads = [threading.Thread(target=lambda f=f: line.append(f()), daemon=True)
               for f in (lambda: vsock_connect(vsock, echo.port), lambda: ask(b, 'db'))]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    start(b)
    tap.ok(all(flow.good() for flow in flows), 'connections that are made meanwhile',
           [(flow.error, len(flow.have)) for flow in flows])
    for thread in threads:
        thread.join(20)
    tap.ok(len(line) == 2 and all(have[0].startswith(b'OK ') for have in line) and
           all(exchange(have[1], b'x') == b'xbye' for have in line), 'by name, too', line)
    have = ask(b, 'nothing')[0]
    tap.ok(have.startswith(b'ERROR '), 'what nobody has is refused', have)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    tap.ok(process.returncode == 0 and not os.path.exists(vsock), 'SIGINT ends it')
    tap.ok(wait_for(lambda: ask(b, 'db')[0].startswith(b'ERROR ')), 'and its services')
    server.close()


def check_serve(tap, b, echo) -> None:
    """Who has which name."""
    one, other = Echo(greeting=b'1'), Echo(greeting=b'2')

    def serve(name, server):
        process = b.start('forward', '--service', f'{name}=tcp:localhost:{server.port}')
        process.stderr.readline()
        return process

    def who(name):
        line, sock = ask(b, name)
        return exchange(sock, b'')[:1] if line.startswith(b'OK') else line[:5]

    processes = [serve('a*', one), serve('ab', other)]
    tap.equal((who('ab'), who('ax'), who('b')), (b'2', b'ERROR', b'ERROR'),
              'a whole name comes first; the target is chosen by it')
    processes.append(serve('ab', one))
    tap.equal(who('ab'), b'1', 'the last one who came has it')
    processes.pop().kill()
    tap.ok(wait_for(lambda: who('ab') == b'2'), 'until it goes')
    for process in processes:
        process.terminate()
        process.communicate(timeout=10)
    tap.ok(wait_for(lambda: who('ab') == b'ERROR'), 'nobody is left')
    for args in (['--service', 'x'], ['--service', '=unix:/x'], ['--service', 'x=ftp:/x'],
                 ['--vsock-uds', '@x']):
        have = b.run('forward', *args)
        tap.ok(have.returncode in (1, 2) and have.stderr, f'forward {args}: refused', have)
    have = b.run('forward', *(f'--service=n{i}=tcp:localhost:{echo.port}' for i in range(65)))
    tap.ok(have.returncode == 1 and b'serve: ' in have.stderr, 'more names than there may be', have)
    one.close()
    other.close()


def check_log(tap, b) -> None:
    want = b.run('log', '--kernel').stdout
    if len(want) < 20000:
        tap.skip('log', 'the log of the kernel cannot be read here, or is short')
        return
    process = b.start('log', '--kernel', '--follow')
    have = process.stdout.read(10000)
    restart(b)
    have += process.stdout.read(len(want) - 10000)
    process.terminate()
    _, err = process.communicate(timeout=10)
    tap.ok(have == want and not err, 'log', (len(have), len(want), err))


def check_ping(tap, b) -> None:
    process = b.start('ping', '-j', '-i', '0.05', '-c', '40')
    time.sleep(0.6)
    restart(b, 0.3)
    out, err = process.communicate(timeout=20)
    have = json.loads(out)
    tap.ok(have['sent'] == 40 and 20 < have['answered'] < 39 and process.returncode == 1 and
           not err, 'ping counts what was lost', (have, err))


def check_broker_services(tap, b) -> None:
    events = b.start('events', '--json')
    first = json.loads(b.run('top', '--once', '-j', '-i', '0.05').stdout)
    # Nearly always with a question under way.
    top = b.start('top', '-j', '-i', '0.001')
    lines = []
    thread = threading.Thread(target=lambda: [lines.append(line) for line in top.stdout])
    thread.start()
    wait_for(lambda: b.broker_text().count('has connected') > 1)
    time.sleep(0.3)
    restart(b, 0.3)
    said = events.stderr.readline()
    tap.ok(said.startswith(b'kring: events: the connection was lost'), 'events says so', said)
    b.exec('true')
    seen = []
    while not any('exec' in event['text'] for event in seen):
        seen.append(json.loads(events.stdout.readline()))
    tap.ok(True, 'and goes on')
    said = top.stderr.readline()
    for _ in range(5):
        restart(b, 0.02)
        time.sleep(0.3)
    wanted = first['generation'] + 6
    goes_on = wait_for(lambda: json.loads(lines[-1])['generation'] >= wanted)
    for process in (events, top):
        process.terminate()
        process.wait(10)
    thread.join(10)
    tap.ok(goes_on and said.startswith(b'kring: top: the connection was lost'), 'so does top',
           (said, top.stderr.read(), lines[-1], wanted))


def check_limits(tap, b) -> None:
    """Nobody comes back."""
    processes = {name: b.start('exec', *options, '--', 'sleep', '1000') for name, options in (
        ('never', ['--reconnect-timeout', '0']), ('soon', ['--reconnect-timeout', '1.2']),
        ('waits', []))}
    wait_for(lambda: len(b.children()) == 3)
    ping = b.start('ping')
    ping.stdout.readline()
    begin = time.monotonic()
    before = wakeups(processes['waits'])
    kill(b)
    _, err = processes['never'].communicate(timeout=20)
    tap.ok(processes['never'].returncode == 125 and time.monotonic() - begin < 0.5 and
           b'connection to the guest lost' in err and err.count(b'\n') == 1,
           '--reconnect-timeout 0 ends at once', err)
    _, err = processes['soon'].communicate(timeout=20)
    tap.ok(processes['soon'].returncode == 125 and 1.1 < time.monotonic() - begin < 2.5 and
           b'in 1.2 s' in err and b'nobody listens there' in err and err.count(b'\n') == 1,
           '--reconnect-timeout 1.2 after that', err)
    time.sleep(1)
    count = wakeups(processes['waits']) - before
    tap.ok(0 < count < 60, 'who waits does not spin', count)
    ping.send_signal(signal.SIGINT)
    ping.communicate(timeout=2)
    tap.ok(ping.returncode == 1, 'and can be interrupted')
    start(b)
    tap.ok(wait_for(lambda: len(b.children()) == 1), 'what nobody came back for ends',
           b.children())
    processes['waits'].send_signal(signal.SIGTERM)
    tap.equal(processes['waits'].wait(10), 128 + signal.SIGTERM, 'the others go on')

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        process = b.start('exec', '--reconnect-timeout', '1', '--', 'sleep', '1000')
        wait_for(b.children)
        kill(b)
        os.unlink(b.path)
        silent.bind(b.path)
        silent.listen(1)
        # Its queue full, nobody can connect any more.
        crowd = [Raw(b.path, hello=False) for _ in range(2)]
        begin = time.monotonic()
        _, err = process.communicate(timeout=20)
        tap.ok(process.returncode == 125 and time.monotonic() - begin < 2 and
               b'not accepted in time' in err, 'a broker that does not accept', err)
        for raw in crowd:
            raw.close()
    os.unlink(b.path)
    start(b)
    b.exec('true')


def check_last_words(tap, b) -> None:
    """All has arrived, and only stdout has no room for it: no connection is needed any more."""
    process = b.start('exec', '--', 'sh', '-c', 'head -c 200000 /dev/zero; exit 9')
    process.stdout.read(1)
    wait_for(lambda: not b.children())
    time.sleep(0.3)
    kill(b)
    time.sleep(0.3)
    begin = time.monotonic()
    out, err = process.stdout.read(), process.stderr.read()
    have = len(out), err, process.wait(10)
    tap.ok(have == (199999, b'', 9) and time.monotonic() - begin < 2,
           'what has come before is enough', (have, time.monotonic() - begin))
    start(b)


def restore(b, *options) -> None:
    """As if the VM was saved and restored, with another file as its region."""
    b.bridge.send_signal(signal.SIGSTOP)
    with open(f'/proc/{b.bridge.pid}/stat', encoding='ascii') as file:
        while file.read().split()[2] != 'T':
            file.seek(0)
    subprocess.run([KRING, 'clone', '--force', *options, b.region, b.region], check=True)
    b.bridge.send_signal(signal.SIGUSR2)
    b.bridge.send_signal(signal.SIGCONT)


def check_restored(tap, own: bool) -> None:
    """A client that has the region itself; or a broker does."""
    who = '--region' if own else 'a broker'
    with Broker('--resume-timeout', '3') as b:
        if own:
            b.end_broker()
            del b.env['KRING_SOCKET']
            b.env |= {'KRING_REGION': b.region, 'KRING_DOORBELL': b.bell}
        data = random.randbytes(32 * MIB)
        process = b.start('exec', '-i', '--verbose', '--', 'sh', '-c', 'cat; exit 3',
                          stdin=subprocess.PIPE)

        def send():
            process.stdin.write(data)
            process.stdin.close()
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        have = b''
        times = 0
        while more := process.stdout.read(10 * MIB):
            have += more
            if times < 2:
                restore(b)
                times += 1
        thread.join(10)
        err = process.stderr.read()
        tap.ok(have == data and process.wait(10) == 3 and
               err.count(b'connected again after') >= 2, f'{who}: the region is another one',
               (len(have), process.returncode, err))
        tap.ok(b.text().count('restored: generation') == 2, 'and the guest knows', b.text())


def check_forked(tap) -> None:
    """In the child of a fork, whose host is here the same one."""
    with Broker('--resume-timeout', '3') as b:
        script = ['--', 'sh', '-c', 'echo on; cat; echo $0; sleep 1000']
        processes = [b.start('exec', '-i', *options, *script, name, stdin=subprocess.PIPE)
                     for name, options in (('keep', []), ('kill', ['--on-fork', 'kill']),
                                           ('detach', ['--on-fork', 'detach']))]
        for process in processes:
            process.stdout.readline()
        b.exec('-d', '--name', 'late', '--', 'sleep', '1000')
        restore(b, '--fork')
        tap.ok(wait_for(lambda: len(b.children()) == 3), 'exec --on-fork kill', b.children())
        have = processes[1].communicate(timeout=10)[1]
        tap.ok(processes[1].returncode == 125 and have, 'its client is told', have)
        want = {'keep': True, 'detach': False, '1000': False}
        tap.ok(wait_for(lambda: {s['argv'][-1]: s['attached'] for s in b.ps()} == want),
               'detach: it goes on by itself', b.ps())
        processes[0].stdin.close()
        tap.equal(processes[0].stdout.readline(), b'keep\n', 'keep: it goes on with its client')
        for process in processes:
            process.kill()
            process.wait()
        have = b.exec('--on-fork', 'nothing', 'true')
        tap.ok(have.returncode == 125 and b'--on-fork nothing' in have.stderr, 'no such policy',
               have)


def main() -> int:
    with Tap() as tap:
        echo = Echo()
        with Broker('--verbose', '--resume-timeout', '3') as b:
            unix_echo = Echo(os.path.join(b.dir, 'echo'))
            b.exec('true')
            check_exec(tap, b)
            check_once(tap, b)
            check_signals(tap, b)
            check_terminal(tap, b)
            check_session(tap, b)
            check_requests(tap, b)
            check_copy(tap, b)
            check_tree(tap, b)
            check_forward(tap, b, echo, unix_echo)
            check_serve(tap, b, echo)
            check_log(tap, b)
            check_ping(tap, b)
            check_broker_services(tap, b)
            check_limits(tap, b)
            check_last_words(tap, b)
            tap.ok(wait_for(lambda: not b.children(), 20), 'nothing is left in the guest',
                   b.children())
            tap.equal(b.end_broker(), 0, 'SIGTERM ends the broker')
        check_restored(tap, True)
        check_restored(tap, False)
        check_forked(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
