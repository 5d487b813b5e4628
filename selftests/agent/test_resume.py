#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Streams outlive the broker, and the connection between it and the guest."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

from broker import (ACCEPT, CLOSE, DATA, HELLO, OPEN, RESET, RESTORED, RESUME, Broker, Echo, Raw,
                    ResumingAgent, connect, exchange, hello_message, listening, open_message,
                    read_all, read_line, repeated, resume_message, resume_stream)
from guest import KRING, Tap, wait_for
from load import Load
from wire import message, parse

EXEC_STARTED = message((1, message((1, 1), (2, 1))))


def exit_code(code: int) -> bytes:
    """A Close with an ExecExit."""
    return message((1, message((1, code))))


def check_killed(tap) -> None:
    """Twenty brokers, one after the other, with something of everything under way."""
    with Broker('--streams-max', '1000') as b:
        load = Load(b)
        load.start()
        time.sleep(0.5)
        for _ in range(20):
            time.sleep(random.random() * 0.5)
            b.restart_broker()
        time.sleep(0.5)
        load.stop()
        for text, good, detail in load.results():
            tap.ok(good, text, detail)
        tap.diag(f'load: {load.diag()}')
        tap.ok(wait_for(lambda: not b.children(), 20), 'nothing of it is left in the guest',
               b.children())
        tap.ok(b.broker_rss() < 64 << 20, 'its memory stays small', b.broker_rss())
        tap.ok(b.process.poll() is None and b.sh('echo hi').stdout == b'hi\n', 'all is well')


def check_told_to_end(tap) -> None:
    with Broker() as b:
        process = b.start('exec', '-i', '--', 'sh', '-c', 'echo on; read x; echo $x; exit 9',
                          stdin=subprocess.PIPE)
        process.stdout.readline()
        start = time.monotonic()
        tap.equal(b.end_broker(), 0, 'SIGTERM')
        tap.ok(time.monotonic() - start < 0.9 and not os.path.exists(b.path),
               'ends it at once, and its socket')
        tap.ok(b.children(), 'and nothing else')
        b.start_broker()
        out, err = process.communicate(b'here\n', timeout=10)
        tap.equal((out, err, process.returncode), (b'here\n', b'', 9), 'the next one goes on')
        process = b.start('exec', '--', 'sleep', '1000')
        wait_for(b.children)
        b.end_broker(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        tap.ok(process.returncode == 125 and b'told to end' in err, 'SIGINT ends all', err)
        tap.ok(wait_for(lambda: not b.children()), 'in the guest, too', b.children())


def check_given_up(tap) -> None:
    """Who does not come back."""
    with Broker('--resume-timeout', '1.5') as b:
        stays = b.start('exec', '--', 'sh', '-c', 'echo on; sleep 1000')
        stays.stdout.readline()
        goes = b.start('exec', '--', 'sh', '-c', 'echo on; sleep 1000')
        goes.stdout.readline()
        b.kill_broker()
        goes.kill()
        goes.communicate()
        stays.send_signal(signal.SIGSTOP)
        b.start_broker()
        wait_for(lambda: 'is there' in b.broker_text())
        tap.equal(b.waiting(), 2, 'streams wait for their clients')
        top = b.run('top', '--once', '-i', '0.05').stdout
        tap.ok(b', 2 waiting,' in top, 'and top shows how many', top)
        tap.equal(len(b.children()), 2, 'their programs go on')
        stays.send_signal(signal.SIGCONT)
        tap.ok(wait_for(lambda: b.waiting() == 1), 'one comes back')
        tap.ok(wait_for(lambda: len(b.children()) == 1), 'one does not: its program is hung up')
        time.sleep(0.5)
        top = b.top()['counters']
        tap.ok(stays.poll() is None and top['streams_waiting'] == 0 and
               top['streams_resumed'] == 1 and top['streams_given_up'] == 1,
               'the other one goes on', top)
        tap.ok('nobody came back' in b.broker_text(), 'the log tells', b.broker_text())
        b.kill_broker()
        stays.send_signal(signal.SIGSTOP)
        b.start_broker()
        tap.ok(wait_for(lambda: not b.children(), 20), 'the other one waits too long')
        stays.send_signal(signal.SIGCONT)
        _, err = stays.communicate(timeout=10)
        tap.ok(stays.returncode == 125 and b'does not have it' in err, 'and is told', err)


def check_services(tap) -> None:
    """What the broker itself was connected to is gone with it: nobody hangs."""
    with Broker() as b:
        echo = Echo()
        b.options = ('--service', f'echo=tcp:127.0.0.1:{echo.port}')
        b.restart_broker()
        b.sh('true')
        sock = connect(b.host_socket)
        sock.sendall(b'CONNECT echo\n')
        answer = read_line(sock)
        sock.sendall(b'x')
        tap.equal((answer[:2], sock.recv(1)), (b'OK', b'x'), 'a service of the host\'s')
        b.restart_broker()
        try:
            left = sock.recv(10)
        except ConnectionError:
            left = b''
        tap.equal(left, b'', 'ends with the broker')
        sock = connect(b.host_socket)
        sock.sendall(b'CONNECT echo\n')
        tap.ok(read_line(sock).startswith(b'OK'), 'and the next one has it')
        b.end_broker()
        try:
            left = sock.recv(10)
        except ConnectionError:
            left = b''
        tap.equal(left, b'', 'at SIGTERM it ends at once')
        echo.close()


def check_meanwhile(tap) -> None:
    """What is connected to while the client is away waits for it."""
    with Broker() as b:
        echo = Echo()
        process = b.start('forward', '-R', f'0:127.0.0.1:{echo.port}')
        port = int(listening(process)[0].rsplit(':', 1)[1])
        tap.equal(exchange(connect(('127.0.0.1', port)), b'x'), b'xbye', 'a guest\'s connection')
        process.send_signal(signal.SIGSTOP)
        b.restart_broker()
        wait_for(lambda: b.waiting() == 1)
        socks = [connect(('127.0.0.1', port)) for _ in range(5)]
        for i, sock in enumerate(socks):
            sock.sendall(b'%d' % i)
        time.sleep(0.3)
        process.send_signal(signal.SIGCONT)
        answers = []
        for sock in socks:
            sock.shutdown(socket.SHUT_WR)
            try:
                answers.append(read_all(sock))
            except OSError as error:
                answers.append(error)
        tap.equal(answers, [b'%dbye' % i for i in range(5)], 'is made while the client is away')
        process.send_signal(signal.SIGSTOP)
        b.options = ('--resume-timeout', '0.5')
        b.restart_broker()
        wait_for(lambda: b.waiting() == 1)
        sock = connect(('127.0.0.1', port))
        try:
            left = sock.recv(1)
        except ConnectionError:
            left = b''
        tap.equal(left, b'', 'ends where the client does not come back')
        process.kill()
        process.communicate()
        echo.close()


def check_many(tap) -> None:
    """More streams than one RESUME has room for, over a ring that is small."""
    with Broker(size='64K') as b:
        echo = Echo()
        ways = ([f'0:127.0.0.1:{echo.port}'], ['-R', f'0:127.0.0.1:{echo.port}'])
        clients = [b.start('forward', *way) for way in ways]
        ports = [int(listening(client)[0].rsplit(':', 1)[1]) for client in clients]
        socks = [connect(('127.0.0.1', port)) for port in ports for _ in range(150)]
        good = True
        for end in (None, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            for sock in socks:
                sock.sendall(bytes(3000))
            if end:
                b.end_broker(end)
                b.start_broker()
            for sock in socks:
                left = 3000
                while left and (data := sock.recv(left)):
                    left -= len(data)
                good &= not left
        tap.ok(good, '300 connections of two clients go on with the fourth broker')
        tap.equal(b.waiting(), 0, 'nobody waits')
        for sock in socks:
            sock.close()
        tap.ok(wait_for(lambda: b.top()['counters']['streams'] == 1), 'and all end',
               b.top()['counters'])
        for client in clients:
            client.terminate()
            client.communicate()
        echo.close()


def check_order(tap) -> None:
    """What the guest is told of streams comes before what their client sends, whoever waits."""
    with Broker(size='64K') as b:
        tokens = [bytes([i]) * 16 for i in range(1, 101)]
        agent = fake_agent(b, *[resume_stream(2 * i + 1, token, accepted=True)
                                for i, token in enumerate(tokens)])
        filler = Raw(b.path)
        filler.expect(HELLO)
        filler.send(OPEN, 1, open_message('x'))
        agent.opened()
        filler.sock.settimeout(0.5)
        offset = 0
        try:
            while True:
                filler.send(DATA, 1, bytes(20000), offset=offset)
                offset += 20000
        except TimeoutError:
            pass
        raw = Raw(b.path, resumes=True)
        have = names(raw, *[resume_stream(2 * i + 1, token, accepted=True)
                            for i, token in enumerate(tokens)])
        tap.equal(have and len(have), 100, 'a client resumes while the ring is full')
        last = max(told[1] for told in have)
        raw.send(DATA, last, b'x')
        told = set()
        while frame := agent.receive():
            if frame[0] == RESUME:
                told |= {parse(stream)[1] for stream in repeated(frame[4], 1)}
            if frame[0] == DATA and frame[2] == last:
                break
        tap.equal(len(told), 100, 'the guest hears of that first')
        for sock in (filler, raw, agent):
            sock.close()


def names(raw, *streams: bytes) -> list | None:
    raw.expect(HELLO)
    raw.send(RESUME, 0, resume_message(*streams))
    return raw.resumed()


def check_strangers(tap) -> None:
    """Who does not know a token gets nothing, whatever he says."""
    with Broker('--streams-max', '100') as b:
        victim = b.start('exec', '-i', '--', 'sh', '-c', 'echo on; read x; echo $x; exit 3',
                         stdin=subprocess.PIPE)
        victim.stdout.readline()
        b.kill_broker()
        victim.send_signal(signal.SIGSTOP)
        b.start_broker()
        wait_for(lambda: b.waiting() == 1)

        raw = Raw(b.path, resumes=True)
        tap.equal(names(raw, *[resume_stream(2 * i + 1, random.randbytes(16), accepted=True)
                               for i in range(20)],
                        resume_stream(101, bytes(16)), resume_stream(103),
                        resume_stream(105, absent=True), resume_stream(107, bytes(16), absent=True),
                        resume_stream(8, random.randbytes(16))), [],
                  'a client that names what it cannot know gets nothing')
        raw.send(OPEN, 201, open_message('info'))
        tap.ok(raw.expect(CLOSE, 201), 'but what it opens')
        raw.send(RESUME, 0, resume_message())
        tap.ok(raw.gone(), 'it says so once')
        raw.close()
        for text, streams in (
                ('too many', [resume_stream(2 * i + 1, random.randbytes(16)) for i in range(101)]),
                ('one without a number', [resume_stream(0)]),
                ('one that is the broker\'s to number', [resume_stream(1, positions=((9, 0, 0),))]),
                ('a token that is too short', [resume_stream(1, b'abc')]),
                ('nothing that makes sense', None)):
            raw = Raw(b.path, resumes=True)
            raw.expect(HELLO)
            raw.send(RESUME, 0, resume_message(*streams) if streams else b'\xff' * 50)
            tap.ok(raw.gone(), f'a client names {text}: disconnected')
            raw.close()
        raw = Raw(b.path)
        raw.expect(HELLO)
        raw.send(RESUME, 0, resume_message())
        tap.ok(raw.gone(), 'nor one that has not said that it would')
        raw.close()
        generator = random.Random(seed := random.randrange(1 << 32))
        for _ in range(300):
            raw = Raw(b.path, resumes=generator.random() < 0.8)
            try:
                for _ in range(generator.randrange(6)):
                    streams = [resume_stream(generator.randrange(6),
                                             generator.randbytes(generator.choice((0, 16, 16))),
                                             generator.randrange(6), generator.random() < 0.1,
                                             ((generator.randrange(6), generator.randrange(1 << 63),
                                               generator.randrange(1 << 63)),),
                                             accepted=True)
                               for _ in range(generator.randrange(9))]
                    raw.send(RESUME, 0, resume_message(*streams,
                                                       complete=generator.random() < 0.3) +
                             generator.randbytes(generator.choice((0, 0, 0, 5))))
                    if generator.random() < 0.3:
                        raw.send(OPEN, 2 * generator.randrange(6) + 1, open_message('info'))
            except OSError:
                pass
            raw.close()
        raw = Raw(b.path, resumes=True)
        raw.expect(HELLO)
        raw.sock.settimeout(2)
        count = 0
        try:
            for count in range(200000):
                raw.send(RESUME, 0, resume_message(complete=False))
        except OSError:
            pass
        raw.close()
        tap.ok(b.broker.poll() is None and b.broker_rss() < 64 << 20,
               f'300 hostile clients (seed {seed}), and one with {count} messages',
               b.broker_rss())
        tap.equal(b.waiting(), 1, 'the stream still waits')
        victim.send_signal(signal.SIGCONT)
        out, err = victim.communicate(b'mine\n', timeout=10)
        tap.equal((out, err, victim.returncode), (b'mine\n', b'', 3), 'and its client has it')


def fake_agent(b, *streams: bytes, **kwargs) -> ResumingAgent:
    """In place of kringd."""
    b.run('ping', '-c', '1')
    b.process.kill()
    b.process.wait()
    agent = ResumingAgent(b.socket, *streams, **kwargs)
    wait_for(lambda: 'was replaced' in b.broker_text())
    return agent


def check_attached_again(tap) -> None:
    """The guest attaches anew, as it does when it was restored."""
    with Broker('--verbose') as b:
        agent = fake_agent(b)
        process = b.start('exec', '-i', '--', 'x', stdin=subprocess.PIPE)
        stream, fields = agent.asked()
        token = fields.get(3, b'')
        tap.equal(len(token), 16, 'a stream has a token')
        agent.send(ACCEPT, stream, EXEC_STARTED)
        agent.send(DATA, stream, b'hello ')
        tap.equal(process.stdout.read(6), b'hello ', 'its program prints')
        process.stdin.write(b'abcdef')
        process.stdin.flush()
        frame = agent.expect(DATA, stream)
        tap.equal(frame[4], b'abcdef', 'and reads')

        quiet = Raw(b.path, resumes=True)
        quiet.expect(HELLO)
        idle = Raw(b.path)
        idle.expect(HELLO)
        idle.send(OPEN, 1, open_message('x'))
        other, fields = agent.asked()
        tap.ok(other and 3 not in fields, 'one of a client that cannot resume')
        agent.hello(resume_stream(stream, token, accepted=True,
                                  positions=((0, 4, 65536), (1, 0, 65536))),
                    resume_stream(other, accepted=True),
                    resume_stream(77, bytes(range(16)), accepted=True))
        said = agent.told(other)
        tap.equal(said and said.get(6), 1, 'is over: the guest is told')
        frame = idle.expect(RESET, 1)
        tap.ok(frame and b'was replaced' in frame[4], 'and so is the client', frame)
        said = agent.told(stream)
        tap.equal(said and (said[2], parse(said[7])[2], said.get(4)), (token, 6, 1),
                  'the guest is told what the client has')
        frame = agent.expect(DATA, stream)
        tap.equal(frame and frame[3:], (4, b'ef'), 'and gets again what it lacks')
        agent.send(DATA, stream, b'hello world\n')
        agent.send(CLOSE, stream, exit_code(7))
        out, err = process.communicate(timeout=10)
        tap.equal((out, err, process.returncode), (b'world\n', b'', 7), 'so does the client')
        frame = quiet.expect(HELLO)
        tap.ok(frame, 'who has nothing under way stays, and is told')
        tap.equal(b.waiting(), 1, 'one stream is nobody\'s')
        for client in (idle, quiet):
            client.close()
        tap.ok('has attached again' in b.broker_text(), 'the log tells', b.broker_text()[-900:])
        agent.close()


def check_local(tap) -> None:
    """The broker's own streams, when the guest attaches anew."""
    with Broker() as b:
        echo = Echo()
        b.options = ('--service', f'echo=tcp:127.0.0.1:{echo.port}')
        b.restart_broker()
        agent = fake_agent(b)
        tokens = random.randbytes(16), random.randbytes(16)
        for stream, token in zip((2, 4), tokens):
            agent.send(OPEN, stream, open_message('service', message((1, 'echo')), token))
            agent.expect(ACCEPT, stream)
        agent.send(DATA, 2, b'abc')
        tap.equal(agent.expect(DATA, 2)[4], b'abc', 'a guest\'s program is connected')
        agent.hello(resume_stream(2, tokens[0], accepted=True, positions=((0, 1, 65536),)),
                    resume_stream(6, tokens[1], accepted=True))
        said = agent.told(2)
        tap.equal(said and parse(said[7])[2], 3, 'the guest is told what has arrived')
        tap.equal((agent.told(6) or {}).get(6), 1, 'and what there is not')
        tap.equal(agent.expect(DATA, 2)[3:], (1, b'bc'), 'and gets again what it lacks')
        agent.send(DATA, 2, b'def', offset=3)
        tap.equal(agent.expect(DATA, 2)[4], b'def', 'it goes on')
        tap.ok(wait_for(lambda: b.top()['counters']['local.streams'] == 1),
               'what the guest does not have is over', b.top()['counters'])
        agent.close()
        echo.close()


def check_restored(tap) -> None:
    """Nobody comes to a guest that has yet to deal with its restore."""
    with Broker() as b:
        agent = fake_agent(b, uuid=b'another region\'s')
        frame = agent.expect(RESTORED)
        tap.ok(frame and parse(frame[4]).get(4) == 1, 'a guest that was forked is told so')
        process = b.start('exec', '--', 'x')
        agent.sock.settimeout(1)
        early = []
        try:
            while frame := agent.receive():
                early.append(frame[0])
        except TimeoutError:
            pass
        tap.ok(OPEN not in early, 'and nothing else', early)
        agent.sock.settimeout(10)
        agent.send(RESTORED, 0)
        stream = agent.opened()
        agent.send(ACCEPT, stream, EXEC_STARTED)
        agent.send(CLOSE, stream, exit_code(4))
        process.communicate(timeout=10)
        tap.equal(process.returncode, 4, 'until it has answered')
        agent.close()


def check_replaced(tap) -> None:
    """Another region in the place of the broker's, as a restore makes it."""
    with Broker() as b:
        process = b.start('exec', '-i', '--', 'sh', '-c', 'echo on; cat', stdin=subprocess.PIPE)
        process.stdout.readline()
        b.bridge.kill()
        b.bridge.wait()
        saved = os.path.join(b.dir, 'saved')
        shutil.copy(b.region, saved)
        subprocess.run([KRING, 'clone', saved, b.region], check=True)
        os.unlink(b.bell)
        b.start_bridge()
        tap.ok(wait_for(lambda: 'attached to' in b.broker_text(), 5) and
               'another file' in b.broker_text(), 'the broker attaches to it', b.broker_text())
        tap.equal(b.sh('echo hi').stdout, b'hi\n', 'and goes on')
        tap.ok('dealt with its restore' in b.broker_text() and 'restored: generation' in b.text(),
               'after the guest was told', (b.broker_text(), b.text()))
        # kringd has lost its host with the bridge, and what that had.
        _, err = process.communicate(timeout=10)
        tap.ok(process.returncode == 125 and b'was replaced' in err,
               'what the guest has lost is over', (process.returncode, err))


def check_numbers(tap) -> None:
    """A client comes before the guest has said what it has: its number must not be another's."""
    with Broker() as b:
        agent = fake_agent(b)
        b.kill_broker()
        b.start_broker()
        process = b.start('exec', '--', 'x')
        frame = agent.expect(HELLO)
        while parse(frame[4]).get(2):
            frame = agent.expect(HELLO)
        instance = parse(frame[4])[3]
        agent.sock.settimeout(0.5)
        early = []
        agent.send(HELLO, 0, hello_message(answers=instance, resumes=True, process=agent.process))
        try:
            while frame := agent.receive():
                early.append(frame[0])
        except TimeoutError:
            pass
        tap.ok(OPEN not in early, 'nothing is opened before', early)
        agent.resume(resume_stream(1, b'1' * 16), resume_stream(3, b'3' * 16), complete=False)
        agent.resume(resume_stream(5, b'5' * 16))
        agent.sock.settimeout(10)
        stream = agent.opened()
        tap.ok(stream > 5, 'then it is, with a number of its own', stream)
        agent.send(ACCEPT, stream, EXEC_STARTED)
        agent.send(CLOSE, stream, exit_code(0))
        process.communicate(timeout=10)
        tap.equal((process.returncode, b.waiting()), (0, 3), 'and the others wait')
        agent.close()


def check_strange_guest(tap) -> None:
    """Whatever a guest says that it has, the broker's memory and numbers are its own."""
    with Broker('--streams-max', '50') as b:
        agent = fake_agent(b)
        many = [resume_stream(2 * i + 1, random.randbytes(16)) for i in range(200)]
        agent.send(HELLO, 0, hello_message(resumes=True, process=agent.process))
        for i in range(0, 200, 20):
            agent.resume(*many[i:i + 20], complete=False)
        agent.resume()
        wait_for(lambda: b.waiting() == 50)
        tap.equal(b.waiting(), 50, 'as many wait as there may be')
        b.broker.send_signal(signal.SIGSTOP)
        raw = Raw(b.path)
        raw.send(OPEN, 1, open_message('x'))
        b.broker.send_signal(signal.SIGCONT)
        frames = [raw.receive(), raw.receive()]
        tap.ok([frame[0] for frame in frames] == [HELLO, RESET] and
               b'too many streams' in frames[1][4],
               'which leaves no room for others, who are told, behind the Hello', frames)
        raw.close()
        agent.hello(resume_stream(1, b'1' * 16), resume_stream(1, b'2' * 16),
                    resume_stream(3, b'1' * 16), resume_stream(5), resume_stream(2, b'4' * 16),
                    resume_stream(4, b'5' * 16, parent=1), resume_stream(6, b'6' * 16, absent=True))
        tap.ok(all((agent.told(number) or {}).get(6) == 1 for number in (1, 3, 5, 2)),
               'it is told which of them cannot be')
        tap.equal(b.waiting(), 2, 'the others wait')
        agent.resume(resume_stream(9, b'9' * 16))
        agent.send(HELLO, 0, hello_message(resumes=True, process=agent.process))
        agent.send(RESUME, 0, b'\xff' * 40)
        tap.ok(wait_for(lambda: 'makes no sense' in b.broker_text()), 'garbage', b.broker_text())
        for _ in range(3000):
            if random.random() < 0.05:
                agent.send(HELLO, 0, hello_message(resumes=random.random() < 0.9,
                                                   process=random.choice((b'', agent.process))))
            agent.resume(*[resume_stream(random.randrange(12),
                                         random.choice((b'', bytes([random.randrange(9)] * 16))),
                                         random.randrange(12), random.random() < 0.1,
                                         ((random.randrange(6), random.randrange(1 << 63), 0),))
                           for _ in range(random.randrange(9))], complete=random.random() < 0.2)
            agent.send(random.randrange(14), random.randrange(12), random.randbytes(20))
            agent.sock.settimeout(0)
            try:
                while agent.receive():
                    pass
            except (BlockingIOError, TimeoutError):
                pass
            agent.sock.settimeout(10)
        tap.ok(b.broker.poll() is None and b.broker_rss() < 64 << 20, 'whatever it says',
               b.broker_rss())
        # It does not read what it is told, each time that it says so.
        agent.sock.settimeout(1)
        before, count = b.broker_rss(), 0
        try:
            agent.send(HELLO, 0, hello_message(resumes=True))
            for count in range(20000):
                agent.resume(*[resume_stream(2 * i) for i in range(1, 30)], complete=False)
        except OSError:
            pass
        tap.ok(b.broker.poll() is None and b.broker_rss() < before + (8 << 20),
               f'{count} messages of one that does not read', (before, b.broker_rss()))
        agent.close()
        tap.equal(b.end_broker(), 0, 'it ends')


def check_no_guest(tap) -> None:
    """Clients that come while the guest is not there, and go again, are not kept."""
    with Broker('--clients-max', '8') as b:
        b.process.send_signal(signal.SIGSTOP)
        b.restart_broker()
        for _ in range(20):
            b.exec('--connect-timeout', '0.1', '--', 'true')
        tap.ok(wait_for(lambda: b.top()['counters']['clients'] == 1), 'clients that went are gone')
        stuck = b.start('exec', '-i', '--', 'cat', stdin=subprocess.PIPE)
        time.sleep(0.2)
        b.restart_broker()
        b.process.send_signal(signal.SIGCONT)
        out, err = stuck.communicate(b'x', timeout=20)
        told = not out and stuck.returncode == 125 and err
        tap.ok((out, stuck.returncode) == (b'x', 0) or told,
               'one that was never answered goes on, or is told', (out, err))


def main() -> int:
    with Tap() as tap:
        check_told_to_end(tap)
        check_given_up(tap)
        check_services(tap)
        check_meanwhile(tap)
        check_many(tap)
        check_strangers(tap)
        check_attached_again(tap)
        check_local(tap)
        check_restored(tap)
        check_replaced(tap)
        check_numbers(tap)
        check_order(tap)
        check_strange_guest(tap)
        check_no_guest(tap)
        check_killed(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
