# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Something of everything, each byte checked, through a broker that may be killed meanwhile."""

import hashlib
import os
import random
import socket
import subprocess
import threading
import time

from broker import Echo, connect, exchange, listening

BLOCK = 1 << 16

# What a client says that comes while nobody listens, or whose first Hello is not answered.
TOO_EARLY = (b'nobody listens', b'connection to the guest lost')


class Load:
    """Jobs that go on until they are told to end."""

    def __init__(self, b):
        self.b = b
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.bad = []
        self.counts = {}
        self.echo = Echo()
        self.flag = os.path.join(b.dir, 'end')
        self.jobs = (self.both_ways, self.output, self.get, self.put, self.short, self.attached,
                     self.forward, self.reverse)
        self.threads = [threading.Thread(target=self._run, args=(job,), daemon=True)
                        for job in self.jobs]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.ending.set()
        with open(self.flag, 'wb'):
            pass
        for thread in self.threads:
            thread.join(120)
            if thread.is_alive():
                self.fail('something', 'it does not end')
        self.echo.close()

    def results(self) -> list:
        """(text, good, detail)"""
        out = []
        for job in self.jobs:
            bad = [text for name, text in self.bad if name == job.__name__]
            count = self.counts.get(job.__name__, 0)
            out.append((job.__doc__, count and not bad, (count, bad)))
        bad = [text for name, text in self.bad if name == 'something']
        return out + [('all of it ends', not bad, bad)]

    def diag(self) -> str:
        return ', '.join(f'{name} {count}' for name, count in sorted(self.counts.items()))

    def _run(self, job) -> None:
        try:
            job()
        except Exception as error:   # pylint: disable=broad-except
            self.fail(job.__name__, repr(error))

    def fail(self, name: str, text) -> None:
        with self.lock:
            self.bad.append((name, str(text)[:500]))

    def count(self, name: str, more: int = 1) -> None:
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + more

    def patient(self, *args) -> subprocess.Popen:
        """A client that comes when the broker listens."""
        while True:
            process = self.b.start(*args, stdin=subprocess.PIPE)
            time.sleep(0.05)
            if process.poll() is None or self.ending.is_set():
                return process
            process.communicate()

    def both_ways(self) -> None:
        """a program that reads all the time, and writes what it has read"""
        process = self.patient('exec', '-i', '--', 'cat')
        sent, back = hashlib.sha256(), hashlib.sha256()
        total = 0

        def read():
            while data := process.stdout.read(BLOCK):
                back.update(data)
        reader = threading.Thread(target=read)
        reader.start()
        block = random.randbytes(BLOCK)
        while not self.ending.is_set():
            block = block[1:] + block[:1]
            sent.update(block)
            process.stdin.write(block)
            total += BLOCK
        process.stdin.close()
        reader.join(60)
        if process.wait(60) or sent.digest() != back.digest():
            self.fail('both_ways', (process.returncode, process.stderr.read()))
        self.count('both_ways', total >> 20)

    def output(self) -> None:
        """a program that prints lines on both of its outputs, and its exit status"""
        script = f'while [ ! -e {self.flag} ]; do i=$((i+1)); echo $i; echo $i >&2; done; exit 7'
        process = self.patient('exec', '--', 'sh', '-c', script)
        out, err = process.communicate(timeout=110)
        lines = out.split()
        if process.returncode != 7 or out != err or \
                lines != [b'%d' % i for i in range(1, len(lines) + 1)]:
            self.fail('output', (process.returncode, len(out), len(err), err[-200:]))
        self.count('output', len(lines))

    def _copy(self, name: str, source: str, target: str, there: str, here: str) -> None:
        data = random.randbytes(24 << 20)
        with open(here, 'wb') as file:
            file.write(data)
        while not self.ending.is_set():
            have = self.b.run('cp', source, target, timeout=110)
            if have.returncode:
                if not any(text in have.stderr for text in TOO_EARLY):
                    self.fail(name, have)
                continue
            with open(there, 'rb') as file:
                if file.read() != data:
                    self.fail(name, 'the copy is not what it should be')
            os.unlink(there)
            self.count(name)

    def get(self) -> None:
        """copies from the guest"""
        here, there = (os.path.join(self.b.dir, name) for name in ('get', 'got'))
        self._copy('get', f':{here}', there, there, here)

    def put(self) -> None:
        """copies to the guest"""
        here, there = (os.path.join(self.b.dir, name) for name in ('put', 'is-put'))
        self._copy('put', here, f':{there}', there, here)

    def short(self) -> None:
        """programs that end at once: each has begun once, and its status is told"""
        marks = os.path.join(self.b.dir, 'marks')
        told, number = [], 0
        while not self.ending.is_set():
            number += 1
            have = self.b.sh(f'echo {number} >>{marks}; echo out {number}; exit {number % 100}')
            if have.returncode == 125 and any(text in have.stderr for text in TOO_EARLY):
                continue
            told.append(b'%d' % number)
            if (have.stdout, have.returncode) != (b'out %d\n' % number, number % 100):
                self.fail('short', (number, have))
            self.count('short')
        with open(marks, 'rb') as file:
            begun = file.read().split()
        if len(begun) != len(set(begun)) or not set(told) <= set(begun):
            self.fail('short', 'some have begun twice, or not')

    def attached(self) -> None:
        """a detached program that is attached to"""
        script = f'while [ ! -e {self.flag} ]; do i=$((i+1)); echo $i; sleep 0.01; done; exit 5'
        while self.b.run('exec', '-d', '--name', 'load', '--log-size', '1M', '--', 'sh', '-c',
                         script).returncode:
            if self.ending.is_set():
                return
        process = self.patient('attach', 'load')
        out, err = process.communicate(timeout=110)
        lines = out.split()
        if process.returncode != 5 or lines != [b'%d' % i for i in range(1, len(lines) + 1)]:
            self.fail('attached', (process.returncode, out[-200:], err[-200:]))
        self.count('attached', len(lines))

    def _connections(self, name: str, port: int) -> None:
        """One all the time, and many, one after the other."""
        long = connect(('127.0.0.1', port), 60)
        while not self.ending.is_set():
            data = random.randbytes(random.randrange(1, 200000))
            sender = threading.Thread(target=long.sendall, args=(data,))
            sender.start()
            back = b''
            while len(back) < len(data):
                more = long.recv(BLOCK)
                if not more:
                    raise ConnectionError('the long one ends')
                back += more
            sender.join()
            if back != data:
                self.fail(name, 'the long one gets back something else')
            data = random.randbytes(random.randrange(300000))
            if exchange(connect(('127.0.0.1', port), 60), data) != data + b'bye':
                self.fail(name, 'a short one gets back something else')
            self.count(name)
        long.shutdown(socket.SHUT_WR)
        if long.recv(10) != b'bye':
            self.fail(name, 'the long one does not end well')

    def _forward(self, name: str, *args) -> None:
        process = self.patient('forward', *args)
        port = int(listening(process)[0].rsplit(':', 1)[1])
        try:
            self._connections(name, port)
        finally:
            process.terminate()
            _, err = process.communicate(timeout=20)
            if err:
                self.fail(name, err)

    def forward(self) -> None:
        """connections to the guest"""
        self._forward('forward', f'0:127.0.0.1:{self.echo.port}')

    def reverse(self) -> None:
        """connections from the guest"""
        self._forward('reverse', '-R', f'0:127.0.0.1:{self.echo.port}')
