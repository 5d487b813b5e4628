#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring broker: one region, many clients, who cannot harm each other."""

import hashlib
import json
import os
import random
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

from broker import (ACCEPT, ACK, CLOSE, CONTROL, DATA, HELLO, MORE, OPEN, PING, PONG, RESET, Broker,
                    FakeAgent, Raw, open_message, repeated)
from guest import KRING, Guest, Tap, wait_for
from wire import parse


def check_socket(tap, b) -> None:
    tap.equal(stat.S_IMODE(os.stat(b.path).st_mode), 0o600, 'its socket is nobody else\'s')
    have = b.run('broker', '--region', b.region, '--socket', b.path + '2')
    tap.ok(have.returncode == 1 and b'owned by' in have.stderr and not os.path.exists(b.path + '2'),
           'a region has one owner', have)
    other = os.path.join(b.dir, 'other')
    subprocess.run([KRING, 'create', other], check=True)
    have = b.run('broker', '--region', other, '--socket', b.path)
    tap.ok(have.returncode == 1 and b'another process answers' in have.stderr,
           'a socket has one broker', have)
    file = os.path.join(b.dir, 'file')
    with open(file, 'wb'):
        pass
    have = b.run('broker', '--region', other, '--socket', file)
    tap.ok(have.returncode == 1 and b'not a socket' in have.stderr and os.path.exists(file),
           'a file is not replaced', have)
    have = b.run('exec', '--region', b.region, '--', 'true')
    tap.ok(have.returncode == 125 and b'--socket' in have.stderr,
           'who wants the region itself is told of the socket', have)
    for args in ([], ['--region', other], ['--region', other, '--socket', 'x', 'y'],
                 ['--region', other, '--socket', 'x', '--service', 'nothing'],
                 ['--region', other, '--socket', 'x', '--service', 'a=ftp:x'],
                 ['--region', other, '--socket', 'x', '--service', 'a=tcp:1'],
                 ['--region', other, '--socket', '@x'],
                 ['--region', other, '--socket', 'x', '--vsock-uds', '@x'],
                 ['--region', other, '--socket', 'x', '--streams-max', '0'],
                 ['--region', other, '--socket', 'x', '--resume-timeout', '0'],
                 ['--region', other, '--socket', 'x', '--memory-max', '1']):
        have = b.run('broker', *args, env=dict(b.env, KRING_SOCKET='') if len(args) < 4 else b.env)
        tap.ok(have.returncode in (1, 2) and have.stderr, f'broker {" ".join(args[2:])}: refused',
               have)


def check_many(tap, b) -> None:
    jobs = []
    for i in range(60):
        process = b.start('exec', '-i', '--', 'sh', '-c', f'cat; echo {i} >&2; exit {i}',
                          stdin=subprocess.PIPE)
        jobs.append((process, random.randbytes(100000 + i)))
    good = True
    for i, (process, data) in enumerate(jobs):
        out, err = process.communicate(data, timeout=60)
        good &= (out, err, process.returncode) == (data, b'%d\n' % i, i)
    tap.ok(good, '60 clients at the same time')
    start = time.monotonic()
    for _ in range(50):
        if b.exec('true').returncode:
            tap.ok(False, 'one after the other')
            break
    tap.diag(f'{(time.monotonic() - start) / 50 * 1000:.1f} ms for kring exec true')
    size = 256 << 20
    process = b.start('exec', '-i', '--', 'sha256sum', stdin=subprocess.PIPE)
    block = random.randbytes(1 << 20)
    digest = hashlib.sha256()
    start = time.monotonic()
    for _ in range(size >> 20):
        process.stdin.write(block)
        digest.update(block)
    out, _ = process.communicate(timeout=60)
    tap.equal(out.split()[0].decode(), digest.hexdigest(), f'{size >> 20} MiB to the guest')
    tap.diag(f'{size / (time.monotonic() - start) / 1e6:.0f} MB/s')
    message = 'x' * 120000
    have = b.exec('sh', '-c', 'echo ${#1}', '-', message)
    tap.equal(have.stdout, b'120000\n', 'a request of several frames')


def ping(b) -> float:
    """Worst of ten, in milliseconds."""
    return json.loads(b.run('ping', '-c', '10', '-i', '0.01', '--json').stdout)['max']


def check_slow(tap, b) -> None:
    quiet = ping(b)
    stalled = [b.start('exec', '--', 'cat', '/dev/zero') for _ in range(4)]
    time.sleep(0.5)
    beside = ping(b)
    tap.ok(beside < 100 and b.sh('echo hi').stdout == b'hi\n', 'clients that do not read', beside)
    busy = [b.start('exec', '--', 'cat', '/dev/zero', stdout=subprocess.DEVNULL)
            for _ in range(2)]
    with open('/dev/zero', 'rb') as zero:
        busy += [b.start('exec', '-i', '--', 'cat', stdin=zero, stdout=subprocess.DEVNULL)
                 for _ in range(2)]
    time.sleep(0.5)
    loaded = ping(b)
    tap.ok(loaded < 500, 'and clients that never end', loaded)
    tap.diag(f'worst ping: {quiet:.2f} ms, {beside:.2f} beside stalled ones, '
             f'{loaded:.2f} beside busy ones')
    top = json.loads(b.run('top', '--once', '--json', '-i', '0.5').stdout)
    rates = [s['to_guest_rate'] for s in top['streams'] if s['to_guest_rate'] > 1000]
    tap.ok(len(rates) == 2 and min(rates) * 3 > max(rates), 'two that send share the ring', rates)
    for process in stalled:
        process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    rss = b.broker_rss()
    tap.ok(rss < 64 << 20, 'its memory stays small', rss)
    for process in stalled + busy:
        process.kill()
        process.wait()
    tap.ok(wait_for(lambda: not b.children()), 'what they have started ends with them',
           b.children())


def check_vanishing(tap, b) -> None:
    before = b.broker_fds(), b.fds()
    for _ in range(60):
        process = b.start('exec', '-i', '--', 'cat', '/dev/zero', stdin=subprocess.PIPE)
        time.sleep(random.random() * 0.03)
        process.kill()
        process.communicate()
    tap.ok(wait_for(lambda: not b.children(), 20), '60 clients killed at any moment')
    tap.ok(wait_for(lambda: (b.broker_fds(), b.fds()) == before), 'leave nothing behind',
           ((b.broker_fds(), b.fds()), before))
    top = json.loads(b.run('top', '--once', '--json', '-i', '0.1').stdout)
    tap.equal(top['streams'], [], 'no stream')
    process = b.start('exec', '--', 'sh', '-c', 'trap "" HUP; echo on; sleep 1000')
    process.stdout.readline()
    process.kill()
    process.communicate()
    tap.ok(wait_for(lambda: not b.children()), 'the guest is told of each stream')


def check_garbage(tap, b) -> None:
    for text, frame in (('no frame', b'x'), ('too long', b'\x04' + bytes(70000)),
                        ('DATA without a stream', bytes([DATA]) + bytes(15)),
                        ('a type that is none', bytes([200]) + bytes(15)),
                        ("the guest's number", bytes([OPEN, 0, 0, 0, 2]) + bytes(11)),
                        ('Resume', bytes([13]) + bytes(15))):
        raw = Raw(b.path)
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        raw.sock.send(frame)
        tap.ok(raw.gone(), f'{text}: disconnected')
        raw.close()
    raw = Raw(b.path)
    raw.send(OPEN, 1, open_message('exec', b'garbage\xff\xff'))
    tap.ok(raw.expect(RESET, 1), 'a request that makes no sense is refused')
    raw.send(DATA, 77, b'x')
    tap.ok(raw.expect(RESET, 77), 'DATA without OPEN')
    raw.send(PING, 0, b'abc', offset=42)
    frame = raw.expect(PONG)
    tap.ok(frame and frame[3:] == (42, b'abc'), 'it still answers', frame)
    raw.send(OPEN, 3, open_message('broker.nothing'))
    tap.ok(raw.expect(RESET, 3), 'a service that the broker does not have')
    raw.send(OPEN, 5, open_message('broker.stat'), flags=MORE)
    tap.ok(raw.expect(RESET, 5), 'a request that the broker does not wait for')
    raw.send(OPEN, 7, open_message('info'))
    tap.ok(raw.expect(CLOSE, 7), 'and all is well')
    raw.close()

    seed = random.randrange(1 << 32)
    generator = random.Random(seed)
    for _ in range(200):
        raw = Raw(b.path, hello=generator.random() < 0.5)
        try:
            for _ in range(generator.randrange(20)):
                if generator.random() < 0.2:
                    raw.send(OPEN, generator.choice((1, 3, 5)), open_message(
                        generator.choice(('exec', 'ps', 'log', 'broker.events', 'get')),
                        generator.randbytes(generator.randrange(30))))
                else:
                    raw.send(generator.randrange(14), generator.randrange(6),
                             generator.randbytes(generator.randrange(100)),
                             generator.choice((0, 0, 4)), generator.choice((0, 0, 0, 1)),
                             generator.choice((0, 0, 4, 1 << 63)))
        except OSError:
            pass
        raw.close()
    tap.ok(b.sh('echo hi').stdout == b'hi\n', f'200 hostile clients (seed {seed})')

    for text, frames in (
            ('PINGs', lambda raw: raw.send(PING, 0, b'x')),
            ('DATA of nobody', lambda raw: raw.send(DATA, 9, b'x')),
            ('OPENs', lambda raw: raw.send(OPEN, 2 * random.randrange(1 << 20) + 1,
                                           open_message('nothing')))):
        raw = Raw(b.path)
        raw.sock.settimeout(1)
        count = 0
        try:
            for count in range(400000):
                frames(raw)
        except OSError:
            pass
        tap.ok(b.sh('echo hi').stdout == b'hi\n' and b.broker_rss() < 128 << 20,
               f'{count} {text} of one that does not read', b.broker_rss())
        raw.close()


def exec_sent(stat, number: int) -> int:
    """Bytes of output that this process was sent so far, as broker.stat tells on that stream."""
    total = 0
    stat.send(OPEN, number, open_message('broker.stat'))
    while (frame := stat.receive())[0] != CLOSE:
        # A length, and an Info with Counters.
        if frame[0] == CONTROL and parse(frame[4][4:]).get(1) == b'exec':
            counters = [parse(counter) for counter in repeated(frame[4][4:], 19)]
            row = {c[1]: c.get(2, 0) for c in counters}
            total += row[b'to_host'] if row[b'pid'] == os.getpid() else 0
    stat.send(CLOSE, number)
    return total


def check_credit(tap, b) -> None:
    """A client that says it has read, and does not, loses its connection."""
    raw, stat = Raw(b.path), Raw(b.path)
    stat.expect(HELLO)
    raw.send(OPEN, 1, open_message('exec', b'\x0a\x03cat\x0a\x09/dev/zero'))
    rss, number, end = 0, 1, time.monotonic() + 60
    try:
        while time.monotonic() < end:
            raw.send(ACK, 1, struct.pack('<I', 1 << 20), offset=exec_sent(stat, number))
            number += 2
            rss = max(rss, b.broker_rss())
    except OSError:
        pass
    tap.ok(wait_for(lambda: 'memory is short' in b.broker_text()),
           'credit without end fills no memory', b.broker_text()[-500:])
    tap.ok(rss < 256 << 20 and b.sh('echo hi').stdout == b'hi\n', 'others go on', rss)
    raw.close()
    stat.close()


def check_events(tap, b) -> None:
    events = b.start('events')
    as_json = b.start('events', '--json')
    outputs = [events.stdout, as_json.stdout]
    # Until both have seen something: the next client they see from its start.
    wait_for(lambda: b.exec('true').returncode == 0 and
             select.select(outputs, (), (), 0.2)[0] == outputs)
    b.exec('true')
    last = re.findall(r'(client \d+) has connected', b.broker_text())[-1]
    seen = []
    while not seen or f'{last} has gone' not in seen[-1]['text']:
        seen.append(json.loads(as_json.stdout.readline()))
    tap.ok({'client', 'stream'} == {e['event'] for e in seen} and
           all(isinstance(e['time'], int) and abs(e['time'] - time.time()) < 10 for e in seen),
           'events --json', seen)
    text = ['']
    while f'{last} has gone' not in text[-1]:
        text.append(events.stdout.readline().decode())
    tap.ok(any('opened' in line and 'exec' in line for line in text) and
           any('closed' in line for line in text), 'events', text)
    for process in (events, as_json):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    with subprocess.Popen([KRING, 'top', '-i', '0.1'], env=b.env, stdout=subprocess.PIPE) as top:
        lines = [top.stdout.readline() for _ in range(12)]
        top.kill()
    tap.ok(b'clients' in lines[0] and any(line.startswith(b'h2g') for line in lines), 'top', lines)


def check_limits(tap) -> None:
    with Broker('--clients-max', '3', '--streams-max', '5') as b:
        raws = [Raw(b.path) for _ in range(3)]
        for raw in raws:
            raw.expect(HELLO)
        extra = Raw(b.path, hello=False)
        tap.ok(extra.gone(), 'a client too many is disconnected')
        for i in range(5):
            raws[0].send(OPEN, 2 * i + 1, open_message('exec', b'\x0a\x05sleep\x0a\x041000'))
        wait_for(lambda: len(b.children()) == 5)
        raws[1].send(OPEN, 1, open_message('exec', b'\x0a\x04true'))
        frame = raws[1].expect(RESET, 1)
        tap.ok(frame and b'too many streams' in frame[4], 'a stream too many is refused', frame)
        raws[0].close()
        tap.ok(wait_for(lambda: not b.children()), 'its streams end')
        raws[1].send(OPEN, 3, open_message('exec', b'\x0a\x04true'))
        tap.ok(raws[1].expect(CLOSE, 3), 'and leave room for others')
        tap.equal(b.end_broker(), 0, 'SIGTERM')


def check_small_ring(tap) -> None:
    """Its frames are shorter than those that clients send."""
    with Broker(size='32K') as b:
        data = random.randbytes(1 << 20)
        have = b.exec('-i', '--', 'cat', input=data)
        tap.ok(have.stdout == data, 'frames are cut to what the ring takes', have.stderr)
        have = b.exec('sh', '-c', 'echo ${#1}', '-', 'x' * 100000)
        tap.equal(have.stdout, b'100000\n', 'and messages')
        raw = Raw(b.path)
        raw.send(OPEN, 1, open_message('exec', b'\x0a\x02sh\x0a\x02-c\x0a\x05wc -c\x50\x01'))
        raw.send(DATA, 1, bytes(60000))
        raw.send(6, 1, offset=60000)
        frame = raw.expect(DATA, 1)
        tap.equal(frame and frame[4], b'60000\n', 'a long frame of DATA')


def check_guest_restart(tap, b) -> None:
    process = b.start('exec', '--', 'sh', '-c', 'echo on; sleep 1000')
    process.stdout.readline()
    b.process.kill()
    b.process.wait()
    os.unlink(b.socket)
    fresh = Guest()
    os.symlink(fresh.socket, b.socket)
    _, err = process.communicate(timeout=20)
    tap.ok(process.returncode == 125 and err, "the guest's agent was replaced: streams end", err)
    tap.ok(b.sh('echo hi').stdout == b'hi\n', 'and others begin')
    process = b.start('exec', '--', 'sh', '-c', 'echo on; sleep 1000')
    process.stdout.readline()
    b.bridge.send_signal(signal.SIGUSR1)
    wait_for(lambda: 'trying again' in b.broker_text())
    # kringd loses the bridge, which is its host, and ends what that has.
    _, err = process.communicate(timeout=20)
    tap.ok(process.returncode == 125 and b'was replaced' in err,
           'the ring is poisoned, and the guest has lost its streams: they end', err)
    tap.ok(wait_for(lambda: 'attached to' in b.broker_text(), 20), 'it is attached to again',
           b.broker_text()[-500:])
    have = b.sh('echo hi')
    tap.ok(have.stdout == b'hi\n', 'and goes on', have)
    fresh.stop()


def check_no_guest(tap) -> None:
    with Broker() as b:
        b.process.send_signal(signal.SIGSTOP)
        b.end_broker()
        b.start_broker()
        have = b.exec('--connect-timeout', '0.3', '--', 'true')
        tap.ok(have.returncode == 125 and b' 0.3 s' in have.stderr,
               'as long as the guest is not there, nobody waits for ever', have)
        have = b.run('top', '--once', '-j', '-i', '0.1', timeout=5)
        tap.ok(have.returncode == 0 and json.loads(have.stdout)['counters']['clients'] == 1,
               'the broker tells of itself meanwhile', have)
        process = b.start('exec', '--', 'echo', 'late')
        time.sleep(0.3)
        b.process.send_signal(signal.SIGCONT)
        tap.equal(process.communicate(timeout=10)[0], b'late\n', 'but it may come late')


def check_last_words(tap) -> None:
    with Broker(size='64K') as b:
        b.run('ping', '-c', '1')
        b.process.kill()
        b.process.wait()
        agent = FakeAgent(b.socket)
        wait_for(lambda: 'was replaced' in b.broker_text())
        one = Raw(b.path)
        other = Raw(b.path)
        one.expect(HELLO)
        one.send(OPEN, 1, open_message('x'))
        one.send(OPEN, 3, open_message('x'))
        streams = [agent.opened(), agent.opened()]
        # Until neither the ring nor the broker takes any more.
        other.expect(HELLO)
        other.send(OPEN, 1, open_message('x'))
        other.sock.settimeout(1)
        offset = 0
        try:
            while True:
                other.send(DATA, 1, bytes(20000), offset=offset)
                offset += 20000
        except TimeoutError:
            pass
        one.send(RESET, 1)
        time.sleep(0.1)
        one.close()
        agent.send(ACK, streams[1], struct.pack('<I', 1 << 16))
        wait_for(lambda: 'has gone' in b.broker_text())
        told = set()
        agent.sock.settimeout(2)
        try:
            while told != set(streams):
                frame = agent.receive()
                if frame[0] == RESET:
                    told.add(frame[2])
        except TimeoutError:
            pass
        tap.equal(told, set(streams), 'a client goes before its RESET is sent: the guest is told')
        other.close()
        agent.close()


def check_hostile_guest(tap) -> None:
    with Broker('--service', 'dead=unix:/nonexistent') as b:
        b.run('ping', '-c', '1')
        b.process.kill()
        b.process.wait()
        agent = FakeAgent(b.socket)
        wait_for(lambda: 'was replaced' in b.broker_text())
        raw = Raw(b.path)
        tap.ok(raw.expect(HELLO), "a guest's agent made by hand")

        raw.send(OPEN, 1, open_message('x'))
        stream = agent.opened()
        for i in range(16):
            agent.send(DATA, stream, bytes(5000), offset=i * 5000)
        frame = agent.expect(RESET, stream)
        tap.ok(frame and b'more than it may' in frame[4], 'DATA without credit', frame)
        tap.ok(raw.expect(RESET, 1), 'the client is told')
        raw.send(OPEN, 3, open_message('x'))
        stream = agent.opened()
        agent.send(DATA, stream, b'x', offset=1)
        tap.ok(agent.expect(RESET, stream) and raw.expect(RESET, 3), 'DATA with a gap')

        raw.send(OPEN, 5, open_message('x'))
        stream = agent.opened()
        agent.send(ACCEPT, stream)
        for _ in range(3000):
            agent.send(PONG, 0, offset=random.randrange(1 << 64))
            agent.send(OPEN, 2 * random.randrange(1 << 10),
                       open_message('service', b'\x0a\x04dead'))
            agent.send(OPEN, 2 * random.randrange(1, 1 << 10), open_message('accepted'),
                       offset=random.randrange(20))
            agent.send(random.randrange(20), random.randrange(30), random.randbytes(20),
                       random.randrange(6), random.randrange(4), random.randrange(1 << 64))
            agent.sock.settimeout(0)
            try:
                while agent.receive():
                    pass
            except (BlockingIOError, TimeoutError):
                pass
            agent.sock.settimeout(10)
        tap.ok(b.broker.poll() is None and b.broker_rss() < 128 << 20, 'whatever it sends',
               b.broker_rss())
        for _ in range(300):
            agent.hello()
        tap.ok(wait_for(lambda: b.broker_text().count('was replaced') > 4), 'many agents')
        raw.close()

        # A client that does not read, and a guest that needs no credit for what it sends.
        raw = Raw(b.path)
        raw.expect(HELLO)
        raw.send(OPEN, 1, open_message('x'))
        stream = agent.opened()
        agent.send(ACCEPT, stream)
        agent.sock.settimeout(1)
        try:
            for _ in range(400000):
                agent.send(ACK, stream, bytes(4))
        except OSError:
            pass
        tap.ok(wait_for(lambda: 'it does not read' in b.broker_text()) and
               b.broker_rss() < 128 << 20, 'ACKs that nobody reads', b.broker_rss())
        raw.close()
        top = b.run('top', '--once', '-i', '0.1')
        tap.equal(top.returncode, 0, 'the broker still answers')
        agent.close()
        tap.equal(b.end_broker(), 0, 'and ends')


def check_end(tap, b) -> None:
    process = b.start('exec', '--', 'sleep', '1000')
    events = b.start('events')
    wait_for(lambda: 'exec' in b.run('top', '--once', '-i', '0.1').stdout.decode())
    # Until it has been told of something, which others do.
    while not select.select([events.stdout], [], [], 0.1)[0]:
        b.exec('true')
    start = time.monotonic()
    tap.equal(b.end_broker(signal.SIGINT), 0, 'SIGINT ends it')
    tap.ok(time.monotonic() - start < 3 and not os.path.exists(b.path), 'soon, and its socket')
    _, err = process.communicate(timeout=10)
    tap.ok(process.returncode == 125 and b'told to end' in err, 'clients are told', err)
    _, err = events.communicate(timeout=10)
    tap.ok(events.returncode == 1 and b'told to end' in err, 'of all their streams', err)
    tap.ok(wait_for(lambda: not b.children()), 'and the guest', b.children())
    have = b.exec('true')
    tap.ok(have.returncode == 125 and have.stderr, 'nobody is there', have)
    b.start_broker()
    b.broker.kill()
    b.broker.wait()
    tap.ok(os.path.exists(b.path), 'one that is killed leaves its socket')
    b.start_broker()
    time.sleep(0.2)
    tap.equal(b.sh('echo hi').stdout, b'hi\n', 'and the next one takes its place')


def main() -> int:
    with Tap() as tap:
        with Broker('--verbose') as b:
            check_socket(tap, b)
            check_many(tap, b)
            check_slow(tap, b)
            check_vanishing(tap, b)
            check_events(tap, b)
            check_garbage(tap, b)
            check_credit(tap, b)
            check_end(tap, b)
            check_guest_restart(tap, b)
        check_limits(tap)
        check_small_ring(tap)
        check_no_guest(tap)
        check_last_words(tap)
        check_hostile_guest(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
