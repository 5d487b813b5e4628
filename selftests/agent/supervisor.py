#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The little of systemd that kringd has to do with when it is killed.

Run as a program, this is the service manager: it starts kringd, and again whenever it ends; it
keeps the file descriptors that kringd has sent it (FDSTORE=1), and hands them to the next one
(LISTEN_FDS); it is what orphans go to, and reaps them. A class for tests talks to it.
"""

import array
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from guest import KRINGD, Guest, wait_for

LISTEN_FDS_START = 3
PR_SET_CHILD_SUBREAPER = 36


# What is said where it is not known how a session has ended.
LOST = 'nobody knows how: its keeper was killed'


def kind(fd: int) -> str:
    return os.readlink(f'/proc/self/fd/{fd}')


class Manager:
    """Type=notify, NotifyAccess=main, Restart=always, KillMode=process."""

    def __init__(self, directory: str, argv: list, room: int, control: socket.socket):
        self.argv = argv
        self.room = room
        self.control = control
        self.log = os.open(os.path.join(directory, 'log'), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.address = os.path.join(directory, 'notify')
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify.bind(self.address)
        self.notify.setblocking(False)
        self.store = []
        self.polled = set()
        self.pid = self.starts = self.ready = self.orphans = 0
        self.status = None
        self.restart = True
        self.delay = 0.0
        self.due = None
        self.stopping = False
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        wake, wakeup = os.pipe2(os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup)
        self.wake = wake

    def start(self) -> None:
        self.due = None
        self.starts += 1
        self.ready = 0
        self.pid = os.fork()
        if self.pid:
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        env = dict(os.environ, NOTIFY_SOCKET=self.address)
        # Out of the way first, so that none of them is overwritten.
        high = [os.dup2(fd, 1000 + i, False) for i, (_, fd) in enumerate(self.store)]
        if self.store:
            env |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': str(len(high)),
                    'LISTEN_FDNAMES': ':'.join(name for name, _ in self.store)}
        os.dup2(self.log, 1)
        os.dup2(self.log, 2)
        for i, fd in enumerate(high):
            os.dup2(fd, LISTEN_FDS_START + i)
        os.execve(self.argv[0], self.argv, env)

    def add(self, fields: dict, fds: list) -> None:
        name = fields.get('FDNAME', 'stored')
        for fd in fds:
            if len(self.store) >= self.room:
                os.close(fd)
                continue
            self.store.append((name, fd))
            if fields.get('FDPOLL') != '0':
                self.polled.add(fd)

    def drop(self, which) -> None:
        for name, fd in self.store:
            if which(name, fd):
                self.polled.discard(fd)
                os.close(fd)
        self.store = [(name, fd) for name, fd in self.store if not which(name, fd)]

    def message(self, data: bytes, fds: list, sender: int) -> None:
        fields = dict(line.split('=', 1) for line in data.decode().splitlines() if '=' in line)
        if sender != self.pid:
            for fd in fds:
                os.close(fd)
        elif fields.get('FDSTORE') == '1':
            self.add(fields, fds)
        elif fields.get('FDSTOREREMOVE') == '1':
            self.drop(lambda name, _: name == fields.get('FDNAME'))
        elif fields.get('READY') == '1':
            self.ready = self.starts

    def messages(self) -> None:
        room = socket.CMSG_SPACE(64 * 4) + socket.CMSG_SPACE(12)
        while True:
            try:
                data, control, _, _ = self.notify.recvmsg(4096, room)
            except BlockingIOError:
                return
            fds, sender = array.array('i'), 0
            for level, what, body in control:
                if level != socket.SOL_SOCKET:
                    continue
                if what == socket.SCM_RIGHTS:
                    fds.frombytes(body[:len(body) - len(body) % fds.itemsize])
                elif what == socket.SCM_CREDENTIALS:
                    sender = struct.unpack('3i', body)[0]
            for fd in fds:
                os.set_inheritable(fd, False)
            self.message(data, list(fds), sender)

    def reap(self) -> None:
        # What kringd has sent before it ended still counts, as with systemd.
        self.messages()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid != self.pid:
                self.orphans += 1
                continue
            self.pid = 0
            self.status = status
            if self.restart:
                self.due = time.monotonic() + self.delay

    def state(self) -> dict:
        return {'pid': self.pid, 'starts': self.starts, 'ready': self.ready == self.starts,
                'status': self.status, 'orphans': self.orphans,
                'store': [(name, kind(fd)) for name, fd in self.store],
                'fds': len(os.listdir('/proc/self/fd'))}

    def write(self, at: int, data: bytes) -> None:
        """As nobody may: into the memory that is kept."""
        for _, fd in self.store:
            if 'memfd' in kind(fd):
                os.pwrite(fd, data, at)

    def command(self, verb: str, *args):
        if verb == 'set':
            self.restart, self.delay = args
        elif verb == 'start':
            self.start()
        elif verb == 'kill':
            if self.pid:
                os.kill(self.pid, args[0])
        elif verb == 'drop':
            self.drop(lambda *_: True)
        elif verb == 'write':
            self.write(args[0], bytes.fromhex(args[1]))
        elif verb == 'end':
            self.stopping = True
        return self.state()

    def run(self) -> None:
        while not self.stopping:
            poll = select.poll()
            for fd in (self.control.fileno(), self.notify.fileno(), self.wake):
                poll.register(fd, select.POLLIN)
            for fd in self.polled:
                poll.register(fd, 0)
            left = None if self.due is None else max(0, self.due - time.monotonic()) * 1000
            events = poll.poll(left)
            ready = {fd for fd, _ in events}
            self.messages()
            hung = ready & self.polled
            self.drop(lambda _, fd, hung=hung: fd in hung)
            if self.wake in ready:
                os.read(self.wake, 4096)
                self.reap()
            if self.due is not None and time.monotonic() >= self.due:
                self.start()
            if self.control.fileno() in ready:
                line = self.control.recv(65536)
                if not line:
                    return
                self.control.send(json.dumps(self.command(*json.loads(line))).encode())


class Supervised(Guest):
    """kringd --listen, under a manager that starts it again."""

    # pylint: disable=super-init-not-called
    def __init__(self, config: str = '', room: int = 512):
        self.dir = tempfile.mkdtemp(prefix='kring-agent-')
        self.socket = os.path.join(self.dir, 'guest')
        self.log = os.path.join(self.dir, 'log')
        path = os.path.join(self.dir, 'kringd.conf')
        with open(path, 'w', encoding='ascii') as file:
            file.write(f'host_socket = {self.dir}/host.sock\n{config}')
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith('KRING_')} | {'KRING_SOCKET': self.socket}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        self.lock = threading.Lock()
        argv = [KRINGD, '--config', path, '--log-level', 'debug', '--listen', self.socket]
        self.manager = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(theirs.fileno()), self.dir, str(room),
             *argv], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.ask('start')
        self.wait_ready()

    def ask(self, verb: str, *args) -> dict:
        with self.lock:
            self.control.send(json.dumps([verb, *args]).encode())
            return json.loads(self.control.recv(1 << 20))

    def state(self) -> dict:
        return self.ask('state')

    def wait_ready(self) -> None:
        if not wait_for(lambda: self.state()['ready'], 20):
            raise RuntimeError(f'kringd does not get ready: {self.text()}')

    def kill(self, delay: float = 0.0, wait: bool = True) -> None:
        """kringd is killed, and started again after some time."""
        before = self.ask('set', True, delay)['starts']
        self.ask('kill', signal.SIGKILL)
        if wait:
            wait_for(lambda: self.state()['starts'] > before, delay + 10)
            self.wait_ready()

    def down(self, number: int = signal.SIGKILL) -> None:
        """It is not started again before up()."""
        self.ask('set', False, 0.0)
        self.ask('kill', number)
        if not wait_for(lambda: not self.state()['pid'], 20):
            raise RuntimeError('kringd does not end')

    def up(self) -> None:
        self.ask('set', True, 0.0)
        self.ask('start')
        self.wait_ready()

    def ps(self) -> list:
        """Also while kringd is killed all the time."""
        deadline = time.monotonic() + 60
        while True:
            have = self.run('ps', '--json')
            if not have.returncode:
                return json.loads(have.stdout)
            if time.monotonic() > deadline:
                raise RuntimeError(f'ps: {have}')

    @property
    def pid(self) -> int:
        return self.state()['pid']

    def stop(self) -> int:
        if self.manager.poll() is None:
            self.down(signal.SIGTERM)
            status = self.state()['status']
            self.ask('end')
            self.manager.wait(10)
            self.control.close()
            return os.waitstatus_to_exitcode(status)
        return -1

    def tree(self) -> list:
        """All processes that have come from the manager: pid, state, name."""
        parents, found = {}, []
        for entry in os.listdir('/proc'):
            if not entry.isdigit():
                continue
            try:
                with open(f'/proc/{entry}/stat', encoding='utf-8', errors='replace') as file:
                    text = file.read()
            except OSError:
                continue
            name = text[text.index('(') + 1:text.rindex(')')]
            state, parent = text[text.rindex(')') + 2:].split()[:2]
            parents[int(entry)] = (int(parent), state, name)
        for pid, (_, state, name) in parents.items():
            above = pid
            while above in parents and above != self.manager.pid:
                above = parents[above][0]
            if above == self.manager.pid and pid != self.manager.pid:
                found.append((pid, state, name))
        return found

    def keepers(self) -> list:
        return [pid for pid, _, name in self.tree() if name == 'kring-keeper']

    def children(self) -> list:
        """Without kringd itself."""
        main = self.pid
        return [pid for pid, _, _ in self.tree() if pid != main]

    def fds(self) -> int:
        return len(os.listdir(f'/proc/{self.pid}/fd'))

    def rss(self) -> int:
        with open(f'/proc/{self.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE')


def session(guest, name: str) -> dict:
    return next((s for s in guest.ps() if s['name'] == name), {})


def settled(guest) -> bool:
    """Nothing is left of any session."""
    return wait_for(lambda: not guest.ps() and not guest.children())


def main() -> int:
    number, directory, room, *argv = sys.argv[1:]
    control = socket.socket(fileno=int(number))
    manager = Manager(directory, argv, int(room), control)
    try:
        manager.run()
    finally:
        if manager.pid:
            os.kill(manager.pid, signal.SIGKILL)
    return 0


if __name__ == '__main__':
    sys.exit(main())
