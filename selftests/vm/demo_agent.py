# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The demo's second half: kringd in the guest and `kring` at the host. Programs, a shell on a
terminal, a large file each way and a connection, all at once over one pair of rings; a snapshot in
the middle of it, VMM and broker killed, both replaced, and all of it goes on. Then four children of
the same snapshot, each of which ends what had been begun."""

import fcntl
import hashlib
import json
import os
import pty
import re
import socket
import struct
import subprocess
import termios
import threading
import time

import agent
from kringvm import VM

BULK = 64 << 20
CHILDREN = 4

# Exit statuses of three programs that count, a line each 0.25 s.
COUNTERS = {'count-7': 7, 'count-8': 8, 'count-9': 9}
LINES = 40
COUNT = ('i=0; while [ $i -lt {lines} ]; do echo "{name} $i"; i=$((i + 1)); sleep 0.25; done; '
         'exit {status}')

# Runs in the guest after each restore, before anything else is asked of it.
HOOK = ('#!/bin/sh\n'
        'echo "$KRING_OLD_GENERATION $KRING_NEW_GENERATION $KRING_FORKED" >>/tmp/restored\n')


def counted(name: str) -> bytes:
    return b''.join(b'%s %d\n' % (name.encode(), i) for i in range(LINES))


class Show:
    def __init__(self, a: agent.Agent, say, directory: str):
        self.a = a
        self.say = say
        self.directory = directory
        self.good = {}

    def run(self) -> tuple:
        """Everything at once; the snapshot, and the VM that went on from it."""
        self.prepare()
        acts = [self.count(name) for name in COUNTERS]
        acts += [self.shell, self.copy_up, self.copy_down, self.talk]
        threads = [threading.Thread(target=self.act, args=(act,), daemon=True) for act in acts]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        busy = sum(thread.is_alive() for thread in threads)
        snapshot, vm = self.replace()
        self.good['all were under way at the snapshot'] = busy == len(acts)
        for thread in threads:
            thread.join(300)
        self.good['all went on'] = not any(thread.is_alive() for thread in threads)
        return snapshot, vm

    def act(self, act) -> None:
        try:
            self.good[act.__name__] = act()
        except Exception as error:      # whatever it is, the others go on
            self.say(f'  {act.__name__}: {error}')
            self.good[act.__name__] = False

    def prepare(self) -> None:
        self.a.sh(f'head -c {BULK} /dev/urandom >/tmp/down; mkdir -p /etc/kring/restore.d; '
                  'ip link set lo up; (nc -ll -p 7 -e cat </dev/null >/dev/null 2>&1 &)')
        self.a.run('cp', self.file('hook', HOOK.encode()), ':/etc/kring/restore.d/generation')
        self.a.sh('chmod 755 /etc/kring/restore.d/generation')
        self.file('up', os.urandom(BULK))

    def file(self, name: str, content: bytes) -> str:
        with open(self.path(name), 'wb') as file:
            file.write(content)
        return self.path(name)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def replace(self) -> tuple:
        """Snapshot; SIGKILL of the VMM and of the broker; others take their places."""
        a = self.a
        # Until then the broker goes on with a region that is not the saved one any more.
        snapshot = a.vm.snapshot(os.path.join(self.directory, 'in-the-middle'))
        a.broker.kill()
        a.broker.wait()
        a.vm.kill()
        self.say(f'snapshot in the middle of all that, in {snapshot.milliseconds["total"]:.0f} ms; '
                 'SIGKILL: the broker, and the VMM')
        begin = time.monotonic()
        a.move(VM.restore(snapshot))
        self.say(f'another VMM and another broker: the agent answers after '
                 f'{(time.monotonic() - begin) * 1000:.0f} ms')
        return snapshot, a.vm

    def count(self, name: str):
        status = COUNTERS[name]

        def act() -> bool:
            have = self.a.run(
                'exec', '--name', name, '--log-size', '64K', '--on-fork', 'detach', '--', 'sh',
                '-c', COUNT.format(name=name, lines=LINES, status=status), timeout=300)
            self.say(f'  exec: {name} printed {have.stdout.count(10)} lines, exit status '
                     f'{have.returncode} {have.stderr.decode()}')
            return have.returncode == status and have.stdout == counted(name)
        act.__name__ = name
        return act

    def shell(self) -> bool:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 101, 0, 0))
        program = self.a.popen('exec', '-i', '-t', '--on-fork', 'kill', '--', 'sh', stdin=theirs,
                               stdout=theirs)
        os.close(theirs)
        os.write(ours, b'echo "size $(stty size) on $(tty)"; remembered=$((6 * 7))\n')
        time.sleep(6)
        os.write(ours, b'echo "it is $remembered"; exit 5\n')
        output = b''
        try:
            while data := os.read(ours, 4096):
                output += data
        except OSError:
            pass        # the other end of a terminal has gone
        status = program.wait()
        os.close(ours)
        lines = [line.strip() for line in output.decode().splitlines()]
        said = [line for line in lines if re.match(r'size 33 101 on /dev/pts/|it is 42', line)]
        self.say(f'  exec -it: a shell said "{", ".join(said)}"; exit status {status}')
        return status == 5 and len(said) == 2

    def copy(self, source: str, target: str, sums) -> bool:
        begin = time.monotonic()
        result = self.a.run('cp', source, target, timeout=300)
        seconds = time.monotonic() - begin
        here, there = sums()
        self.say(f'  cp {"to" if target.startswith(":") else "from"} the guest: {BULK >> 20} MiB '
                 f'in {seconds:.1f} s, sha256 {"equal" if here == there else "DIFFERENT"} '
                 f'{result.stderr.decode()}')
        return not result.returncode and here == there

    def sums(self, here: str, there: str):
        with open(here, 'rb') as file:
            return (hashlib.sha256(file.read()).hexdigest(),
                    self.a.sh(f'sha256sum {there}', timeout=300).split()[0])

    def copy_up(self) -> bool:
        return self.copy(self.path('up'), ':/tmp/up',
                         lambda: self.sums(self.path('up'), '/tmp/up'))

    def copy_down(self) -> bool:
        return self.copy(':/tmp/down', self.path('down'),
                         lambda: self.sums(self.path('down'), '/tmp/down'))

    def talk(self) -> bool:
        """One connection to a server in the guest, in use all the time."""
        port = agent.free_port()
        program = self.a.popen('forward', f'{port}:127.0.0.1:7', stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        connection = connect(port)
        connection.settimeout(60)
        answers, longest, begin = 0, 0.0, time.monotonic()
        with connection, connection.makefile('rb') as file:
            while time.monotonic() - begin < 8:
                asked = time.monotonic()
                connection.sendall(b'question %d\n' % answers)
                if file.readline() != b'question %d\n' % answers:
                    break
                answers += 1
                longest = max(longest, time.monotonic() - asked)
        program.terminate()
        program.wait()
        self.say(f'  forward: {answers} questions and answers on one TCP connection, the slowest '
                 f'took {longest * 1000:.0f} ms')
        return time.monotonic() - begin >= 8


def connect(port: int) -> socket.socket:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(('127.0.0.1', port))
        except ConnectionError:     # it does not listen yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Child:
    """One of several VMs that go on from the same snapshot, each by itself."""

    def __init__(self, number: int, snapshot):
        self.number = number
        self.snapshot = snapshot
        self.word = ''
        self.complaints = []
        self.lines = 0
        self.good = False

    def live(self) -> None:
        with VM.restore(self.snapshot, fork=True, name=f'child {self.number}') as vm:
            a = agent.Agent(vm, vm.devices['kring-region'].path, vm.devices['kring-port'],
                            started=True)
            try:
                self.finish(a)
            finally:
                a.stop()

    def finish(self, a: agent.Agent) -> None:
        ends = {}
        for name, status in COUNTERS.items():
            have = a.run('attach', name, timeout=120)
            # What had not arrived at the snapshot: the rest, from the beginning of a line on.
            ends[name] = (have.returncode == status and have.stdout.startswith(name.encode()) and
                          counted(name).endswith(have.stdout))
            self.lines += have.stdout.count(10)
            if not ends[name]:
                self.complaints.append(f'{name}: {have.stdout[:40]}, {have.stdout.count(10)} '
                                       f'lines, exit status {have.returncode} '
                                       f'{have.stderr.decode()}')
        generation = json.loads(a.run('info', '--json').stdout)['generation']
        hook = a.sh('tail -n 1 /tmp/restored').split()
        self.good = all(ends.values()) and hook[1:] == [str(generation), '1']
        self.word = (f'{sum(ends.values())} of {len(ends)} programs ended as they should, with '
                     f'{self.lines} more lines; '
                     f'generation {hook[0]} -> {generation} {" ".join(self.complaints)}')


def fork(snapshot, say) -> bool:
    children = [Child(number, snapshot) for number in range(1, CHILDREN + 1)]

    def live(child):
        try:
            child.live()
        except Exception as error:      # whatever it is, the others go on
            child.word = f'{type(error).__name__}: {error}'
            child.good = False

    begin = time.monotonic()
    threads = [threading.Thread(target=live, args=(child,), daemon=True) for child in children]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    say(f'{CHILDREN} children of the snapshot, in {time.monotonic() - begin:.1f} s:')
    for child in children:
        say(f'  child {child.number}: {child.word or "hangs"}')
    return all(child.good for child in children)


def show(vm, region: str, port, say):
    """Whether all went well, and the VM that is left."""
    a = agent.Agent(vm, region, port)
    say('kringd in the guest, a broker at the host; all at once over one pair of rings:')
    act = Show(a, say, vm.workdir)
    snapshot, vm = act.run()
    good = all(act.good.values())
    if not good:
        say(f'  not so: {[name for name, fine in act.good.items() if not fine]}')
        say(a.logs())
    a.stop()
    return fork(snapshot, say) and good, vm
