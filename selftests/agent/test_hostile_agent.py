#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An agent that sends nonsense: kring says so, and neither hangs nor crashes."""

import os
import pty
import random
import socket
import subprocess
import sys
import tempfile
import threading

from guest import KRING, Tap
from wire import ACCEPT, CLOSE, CONTROL, DATA, EOF, OPEN, RESET, Wire, message

# ExecStarted and ExecExit with code 0.
STARTED = message((1, message((1, 1), (2, 100))))
EXITED = message((1, message((1, 0))))


class Agent:
    """Serves one client after the other with @answer(wire, stream)."""

    def __init__(self, path: str, answer):
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
                with Wire(sock, host=False) as wire:
                    self._talk(wire)
            except (EOFError, OSError):
                pass

    def _talk(self, wire) -> None:
        while True:
            kind, stream, _, _ = wire.step()
            if kind == OPEN:
                self.answer(wire, stream)


def run(path: str, *args) -> subprocess.CompletedProcess:
    return subprocess.run([KRING, *args, '--socket', path, *(['x'] if args[0] == 'exec' else [])],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30, check=False)


def bad_reply(wire, stream) -> None:
    wire.frame(ACCEPT, stream, b'\x0a\x05\xff\xff')


def bad_result(wire, stream) -> None:
    wire.frame(ACCEPT, stream, STARTED)
    wire.frame(CLOSE, stream, b'\x0a\x05\xff\xff')


def bad_error(wire, stream) -> None:
    wire.frame(RESET, stream, b'\xff' * 40)


def evil_error(wire, stream) -> None:
    wire.frame(RESET, stream, message((1, 1 << 31), (2, '\x1b[2J' * 100), (3, '\n\r\x9b' * 900)))


def gap(wire, stream) -> None:
    wire.frame(ACCEPT, stream, STARTED)
    wire.frame(DATA, stream, b'x', 0, 1 << 40)


def beyond_credit(wire, stream) -> None:
    wire.frame(ACCEPT, stream, STARTED)
    for at in range(0, 8 << 20, 32768):
        wire.frame(DATA, stream, bytes(32768), 3, at)


def channel_unasked(wire, stream) -> None:
    wire.frame(ACCEPT, stream, STARTED)
    wire.frame(DATA, stream, b'x', 2)
    wire.frame(CLOSE, stream, EXITED)


def goes(wire, stream) -> None:
    wire.frame(ACCEPT, stream, STARTED)
    wire.data(stream, b'last words')
    raise EOFError


def other_stream(wire, stream) -> None:
    wire.frame(RESET, stream + 2, b'')
    wire.frame(ACCEPT, 2, STARTED)
    wire.frame(OPEN, 2, message((1, 'service'), (2, message((1, 'x')))))
    wire.frame(ACCEPT, stream, STARTED)
    wire.frame(CLOSE, stream, EXITED)


class Fuzz:
    """Frames with one thing or the other changed at random."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def __call__(self, wire, stream) -> None:
        for _ in range(self.random.randrange(1, 60)):
            kind = self.random.randrange(0, 16)
            number = self.random.choice((stream, stream, stream, 0, 2, self.random.getrandbits(32)))
            payload = self.random.choice((
                STARTED, EXITED, b'', os.urandom(self.random.randrange(300)), bytes(40000),
                message((1, self.random.getrandbits(64)), (2, 'text'), (3, 'text'))))
            wire.frame(kind, number, payload, self.random.choice((0, 0, 1, 4, 255)),
                       self.random.choice((0, 0, 1, 1 << 40, (1 << 64) - 1)))
        raise EOFError


def check_exec(tap, directory: str) -> None:
    for answer, status, text in (
            (bad_reply, 125, 'makes no sense'), (bad_result, 125, 'makes no sense'),
            (bad_error, 125, 'makes no sense'), (evil_error, 125, r'\x1b[2J'),
            (gap, 125, 'stream'), (beyond_credit, 125, ''), (channel_unasked, None, ''),
            (goes, 125, 'closed the connection'), (other_stream, 0, '')):
        path = os.path.join(directory, answer.__name__)
        Agent(path, answer)
        have = run(path, 'exec')
        tap.ok((status is None or have.returncode == status) and have.returncode >= 0 and
               text in have.stderr.decode() and
               not any(c < 32 and c != 10 for c in have.stderr) and len(have.stderr) < 600,
               f'exec: {answer.__name__}', have)
    have = run(os.path.join(directory, 'goes'), 'exec')
    tap.equal(have.stdout, b'last words', 'what came before the end is written')


def check_endless(tap, directory: str) -> None:
    """A list without end, and sessions that are none."""
    def endless(wire, stream) -> None:
        wire.frame(ACCEPT, stream)
        for _ in range(200000):
            wire.control(stream, message((1, 1), (2, 'x' * 1000)))
            while wire.sent.get((stream, 4), 0) % (64 << 10) > (63 << 10):
                wire.step()
                break

    def nonsense(wire, stream) -> None:
        wire.frame(ACCEPT, stream)
        wire.frame(CONTROL, stream, b'\x02\x00\x00\x00\xff\xff', 4)

    for answer in (endless, nonsense):
        path = os.path.join(directory, f'ps-{answer.__name__}')
        Agent(path, answer)
        have = run(path, 'ps')
        tap.ok(have.returncode == 1 and have.stderr.startswith(b'kring: '),
               f'ps: {answer.__name__}', have)


def check_log(tap, directory: str) -> None:
    text = 'plain\tline\n\x1b[31mred\x1b]0;title\x07\r\x9b2J \u009b \u202eback\u00e9 end\n'

    def log(wire, stream) -> None:
        wire.frame(ACCEPT, stream)
        wire.data(stream, text.encode() + b'\x9b' + b'x' * 3000 + b'\n')
        wire.frame(EOF, stream, b'', 0, wire.sent[stream, 0])
        wire.frame(CLOSE, stream, b'')

    path = os.path.join(directory, 'log')
    Agent(path, log)
    have = run(path, 'log')
    tap.equal(have.stdout, text.encode() + b'\x9b' + b'x' * 3000 + b'\n', 'log to a pipe: as it is')
    ours, theirs = pty.openpty()
    process = subprocess.Popen([KRING, 'log', '--socket', path], stdin=subprocess.DEVNULL,
                               stdout=theirs)
    seen = b''
    while b'x' * 3000 not in seen.replace(b'\r\n', b''):
        seen += os.read(ours, 65536)
    tap.equal(process.wait(10), 0, 'log to a terminal')
    tap.ok(seen.startswith(b'plain\tline\r\n\\x1b[31mred\\x1b]0;title\\x07\\x0d') and
           b'\x1b' not in seen and b'\x9b' not in seen and b'\xe2\x80\xae' not in seen and
           'back\u00e9 end'.encode() in seen, 'shows escapes as such', seen[:300])
    os.close(ours)
    os.close(theirs)


def check_fuzz(tap, directory: str) -> None:
    bad = []
    count = int(os.environ.get('KRING_FUZZ', '150'))
    for seed in range(count):
        path = os.path.join(directory, f'fuzz-{seed}')
        Agent(path, Fuzz(seed))
        command = ('exec', 'ps', 'info', 'log', 'health')[seed % 5]
        have = run(path, command, '--connect-timeout', '5')
        if have.returncode < 0 or have.returncode == 99 or b'Sanitizer' in have.stderr:
            bad.append((seed, command, have))
    tap.equal(bad, [], f'{count} agents that send what they like')


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kring-hostile-') as directory:
        for check in (check_exec, check_endless, check_log, check_fuzz):
            check(tap, directory)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
