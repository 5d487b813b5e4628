# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kringd on this machine, behind a socket, and kring talking to it: no VM."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'vm'))
from kringvm import Tap   # noqa: E402,F401

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
KRING = os.environ.get('KRING', os.path.join(TOP, 'build', 'kring'))
KRINGD = os.environ.get('KRINGD', os.path.join(TOP, 'build', 'kringd'))


def wait_for(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def listens(path: str) -> bool:
    """Whether somebody does on the unix socket at @path; it is there a moment before."""
    with open('/proc/net/unix', encoding='utf-8', errors='replace') as file:
        return any(line.endswith(f' {path}\n') and line.split()[3] == '00010000'
                   for line in file)


class Guest:
    """kringd --listen, for one client at a time."""

    def __init__(self, config: str = '', stderr: int = -1):
        self.dir = tempfile.mkdtemp(prefix='kring-agent-')
        self.socket = os.path.join(self.dir, 'guest')
        path = os.path.join(self.dir, 'kringd.conf')
        with open(path, 'w', encoding='ascii') as file:
            file.write(f'host_socket = {self.dir}/host.sock\n{config}')
        self.log = os.path.join(self.dir, 'log')
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [KRINGD, '--config', path, '--listen', self.socket], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log if stderr < 0 else stderr)
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith('KRING_')} | {'KRING_SOCKET': self.socket}
        if not wait_for(lambda: listens(self.socket) or self.process.poll() is not None):
            raise RuntimeError('kringd does not listen')
        if self.process.poll() is not None:
            raise RuntimeError(f'kringd has ended: {self.text()}')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def text(self) -> str:
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return file.read()

    def start(self, *args, **kwargs) -> subprocess.Popen:
        kwargs.setdefault('stdin', subprocess.DEVNULL)
        kwargs.setdefault('env', self.env)
        for name in ('stdout', 'stderr'):
            kwargs.setdefault(name, subprocess.PIPE)
        return subprocess.Popen([KRING, *args], **kwargs)

    def run(self, *args, input=None, timeout=60, **kwargs) -> subprocess.CompletedProcess:
        if input is None:
            kwargs.setdefault('stdin', subprocess.DEVNULL)
        kwargs.setdefault('env', self.env)
        for name in ('stdout', 'stderr'):
            kwargs.setdefault(name, subprocess.PIPE)
        return subprocess.run([KRING, *args], input=input, timeout=timeout, check=False, **kwargs)

    def exec(self, *args, **kwargs) -> subprocess.CompletedProcess:
        return self.run('exec', *args, **kwargs)

    def sh(self, script: str, *options, **kwargs) -> subprocess.CompletedProcess:
        return self.exec(*options, '--', '/bin/sh', '-c', script, **kwargs)

    def ps(self) -> list:
        return json.loads(self.run('ps', '--json').stdout)

    def fds(self) -> int:
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))

    def children(self) -> list:
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children',
                  encoding='ascii') as file:
            return file.read().split()

    def rss(self) -> int:
        """Bytes."""
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE')
