# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Talks with the guest that last for seconds, each with an oracle that knows every byte and the
exit status. What is lost, doubled or changed is counted in records."""

import hashlib
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time

RECORD = 64

# A client that begins just while no broker runs says so, and has begun nothing.
NO_BROKER = ('does the broker run?', 'the broker does not run any more')


def record(seed: int, number: int) -> bytes:
    """A number, and bytes that follow from it."""
    head = struct.pack('<QI', number, seed)
    return head + hashlib.blake2b(head, digest_size=RECORD - len(head)).digest()


class Oracle:
    """Looks at records as they arrive."""

    def __init__(self, seed: int):
        self.seed = seed
        self.next = 0
        self.lost = 0
        self.duplicated = 0
        self._rest = b''

    def take(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) // RECORD * RECORD
        for at in range(0, whole, RECORD):
            self._record(data[at:at + RECORD])
        self._rest = data[whole:]

    def _record(self, data: bytes) -> None:
        if data == record(self.seed, self.next):
            self.next += 1
            return
        number, = struct.unpack_from('<Q', data)
        if data != record(self.seed, number):
            self.lost += 1          # not even a record: what should have been there is not
            self.next += 1
        elif number < self.next:
            self.duplicated += 1
        else:
            self.lost += number - self.next
            self.next = number + 1

    def end(self, total: int) -> None:
        self.lost += max(0, total - self.next)


class Talk:
    """A thread. `excused` is why it may break off, though never with a wrong byte."""

    def __init__(self, machine, seed: int):
        self.machine = machine
        self.seed = seed
        self.random = random.Random(seed)
        self.progress = 0
        self.lost = self.duplicated = 0
        self.complaint = ''
        self.excused = ''
        self.process = None
        self.over = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> 'Talk':
        self.thread.start()
        return self

    def _run(self) -> None:
        try:
            self.talk()
        except Exception as error:      # whatever it is, the round is to tell of it
            self.complain(f'{type(error).__name__}: {error}')
        self.over = True

    def complain(self, text: str) -> None:
        if not self.excused:
            self.complaint = self.complaint or text

    def kring(self, *args: str) -> bool:
        """`kring` to its end; whether its exit status was 0."""
        return self.status_of(*args) == 0

    def status_of(self, *args: str, expect: int = 0) -> int:
        while True:
            self.process = self.machine.popen(args[0], '--reconnect-timeout', '180', *args[1:],
                                              stderr=subprocess.PIPE)
            text = self.process.communicate()[1].decode()
            if not any(word in text for word in NO_BROKER):
                break
            time.sleep(0.1)
        self.progress += 1
        if self.process.returncode != expect:
            self.complain(f'kring {args[0]}: exit status {self.process.returncode}, '
                          f'not {expect}: {text[-300:]}')
        return self.process.returncode

    def take(self, oracle: Oracle, total: int, complete: bool) -> None:
        """The oracle's word: of a talk that broke off with an excuse, only what has come counts."""
        if complete or not self.excused:
            oracle.end(total)
        self.lost += oracle.lost
        self.duplicated += oracle.duplicated

    def kill(self) -> None:
        """SIGKILL of its client."""
        if self.process:
            self.excused = 'its client was killed'
            self.process.send_signal(signal.SIGKILL)

    def describe(self) -> str:
        return f'{type(self).__name__} seed={self.seed} at {self.progress} bytes'


class Piped(Talk):
    """A program of `kring exec` whose output is records."""

    def run_program(self, script: str, status: int, records: int, feed=None) -> None:
        while not self.try_program(script, status, records, feed):
            time.sleep(0.1)

    def try_program(self, script: str, status: int, records: int, feed) -> bool:
        """Whether there was a broker to ask."""
        oracle = Oracle(self.seed)
        self.process = self.machine.popen(
            'exec', *(['-i'] if feed else []), '--reconnect-timeout', '180', '--',
            'sh', '-c', f': torture-talk; {script}', stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.PIPE if feed else subprocess.DEVNULL)
        errors = []
        threads = [threading.Thread(target=lambda: errors.append(self.process.stderr.read()),
                                    daemon=True)]
        if feed:
            threads.append(threading.Thread(target=feed, daemon=True))
        for thread in threads:
            thread.start()
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.progress += len(data)
            oracle.take(data)
        have = self.process.wait()
        threads[0].join()
        text = b''.join(errors).decode()
        if not oracle.next and any(word in text for word in NO_BROKER):
            return False
        self.take(oracle, records, have == status)
        if have != status:
            self.complain(f'exit status {have}, not {status}: {text[-300:]}')
        return True


class Echo(Piped):
    """Records to `cat`, and back."""

    def talk(self) -> None:
        records = self.random.randrange(2000, 60000)
        status = self.random.randrange(100)
        pause = self.random.choice((0, 0.001, 0.01))

        def feed():
            try:
                number = 0
                while number < records:
                    count = min(records - number, self.random.randrange(1, 400))
                    self.process.stdin.write(b''.join(
                        record(self.seed, i) for i in range(number, number + count)))
                    number += count
                    time.sleep(pause)
                self.process.stdin.close()
            except OSError:
                pass        # what became of it, the exit status says
        self.run_program(f'cat; exit {status}', status, records, feed)


class Output(Piped):
    """Records that the guest has in a file, and prints slowly."""

    def talk(self) -> None:
        records = 4000
        status = self.random.randrange(100)
        name = f'/tmp/records-{self.seed}'
        source = self.machine.path(f'records-{self.seed}')
        with open(source, 'wb') as file:
            file.write(b''.join(record(self.seed, i) for i in range(records)))
        there = self.kring('cp', source, f':{name}')
        os.unlink(source)
        if not there:
            return
        self.run_program(
            f'n=0; while [ $n -lt 40 ]; do dd if={name} bs=6400 skip=$n count=1 2>/dev/null; '
            f'n=$((n + 1)); sleep 0.1; done; rm {name}; exit {status}', status, records)


class Copy(Talk):
    """A file to the guest, and back."""

    def talk(self) -> None:
        size = self.random.randrange(1 << 16, 12 << 20)
        here, back = (self.machine.path(f'{name}-{self.seed}') for name in ('file', 'back'))
        there = f':/tmp/file-{self.seed}'
        with open(here, 'wb') as file:
            file.write(self.random.randbytes(size))
        try:
            if self.kring('cp', here, there) and self.kring('cp', there, back):
                self._compare(here, back)
                self.kring('exec', '--', 'rm', '-f', there[1:])
        finally:
            for path in (here, back):
                if os.path.exists(path):
                    os.unlink(path)

    def _compare(self, here: str, back: str) -> None:
        with open(here, 'rb') as a, open(back, 'rb') as b:
            sent, got = a.read(), b.read()
        if sent != got:
            self.lost += max(1, (len(sent) - len(got)) // RECORD)


class Forwarded(Talk):
    """Records over a connection to a server of the guest's, and back."""

    def __init__(self, machine, seed: int, forward):
        super().__init__(machine, seed)
        self.forward = forward

    def talk(self) -> None:
        records = self.random.randrange(2000, 40000)
        oracle = Oracle(self.seed)
        complete = False
        with socket.create_connection(('127.0.0.1', self.forward.port), 180) as connection:
            connection.settimeout(300)

            def feed():
                try:
                    for number in range(records):
                        connection.sendall(record(self.seed, number))
                        if not number % 500:
                            time.sleep(0.05)
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass    # what has come back says so
            threading.Thread(target=feed, daemon=True).start()
            try:
                while data := connection.recv(65536):
                    self.progress += len(data)
                    oracle.take(data)
                complete = oracle.next == records
            except OSError as error:
                self.complain(f'connection: {error}')
        self.take(oracle, records, complete)


class Exits(Talk):
    """Programs that end at once, each with a status of its own."""

    def talk(self) -> None:
        for _ in range(self.random.randrange(5, 25)):
            status = self.random.randrange(120)
            have = self.status_of('exec', '--', 'sh', '-c', f': torture-talk; exit {status}',
                                  expect=status)
            if have != status:
                return


class Forward:
    """`kring forward` to the guest's echo server; started again where it may have ended."""

    def __init__(self, machine, port: int):
        self.machine = machine
        self.port = port
        self.process = None
        self.ready()

    def ready(self) -> None:
        if self.process and self.process.poll() is None:
            return
        self.process = self.machine.popen(
            'forward', '--reconnect-timeout', '180', f'127.0.0.1:{self.port}:127.0.0.1:7',
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                # Bound is enough: a connection would be one to the guest.
                try:
                    probe.bind(('127.0.0.1', self.port))
                except OSError:
                    return
            time.sleep(0.05)
        raise AssertionError('kring forward does not listen')

    def close(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
