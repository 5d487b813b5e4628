#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kringd as a service of a real systemd: whatever becomes of the agent, its sessions go on, and
systemd starts it again."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

import agent
import rig
import systemd
from kringvm import VM, Tap, debian

LIMIT = 120
KILLS = 10

# Prints until it is let go, and then ends with a status of its own.
COUNTER = ('i=0; until [ -e {gate} ]; do i=$((i+1)); echo $i; sleep 0.2; done; echo last; '
           'exit {status}')

# Of a session that is hung up.
HANGUP = 'trap "echo hup >{mark}; exit" HUP; echo ready; while :; do sleep 0.1; done'

STORM = f'''
for i in $(seq {KILLS}); do
    until pid=$(pidof kringd); do sleep 0.05; done
    kill -9 $pid
    while [ -e /proc/$pid ]; do sleep 0.05; done
done'''

# So that the kernel's report of what is wanted here is not on the console.
QUIET = 'echo N >/sys/module/printk/parameters/ignore_loglevel; dmesg -n 1'
LOUD = 'echo Y >/sys/module/printk/parameters/ignore_loglevel; dmesg -n 8'


class Service(agent.Agent):
    """kringd.service."""

    def show(self) -> dict:
        text = self.vm.run('systemctl show kringd.service', timeout=LIMIT)
        return dict(line.split('=', 1) for line in text.splitlines() if '=' in line)

    def wait(self, condition, what: str = ''):
        """Until it holds: what it has returned."""
        deadline = time.monotonic() + LIMIT
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f'{what or condition} takes too long:\n{self.logs()}')
            time.sleep(0.2)
        return value

    def wait_main(self, before: int) -> int:
        """Until there is another process, and it is ready."""
        def ready():
            have = self.show()
            pid = int(have['MainPID'])
            return pid not in (0, before) and have['ActiveState'] == 'active' and pid
        return self.wait(ready, 'another kringd')

    def kill(self) -> int:
        """Its process; the pid of the next one."""
        pid = int(self.show()['MainPID'])
        self.vm.run(f'kill -9 {pid}')
        return self.wait_main(pid)

    def ps(self) -> dict:
        """Sessions by name."""
        have = self.wait(lambda: (run := self.run('ps', '--json')).returncode == 0 and run, 'ps')
        return {session['name']: session for session in json.loads(have.stdout)}

    def detach(self, name: str, script: str, *options: str) -> None:
        have = self.run('exec', '-d', '--name', name, *options, '--', 'sh', '-c', script)
        assert have.returncode == 0, have

    def attached(self, name: str, script: str) -> subprocess.Popen:
        """A client, which has got a first line."""
        client = self.popen('exec', '-i', '--name', name, '--', 'sh', '-c', script,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        client.stdout.readline()
        return client

    def logs(self) -> str:
        with open(self.log) as log:
            return (f'broker:\n{log.read()}\njournal:\n'
                    + self.vm.sh('journalctl --no-pager -u kringd | tail -n 40', LIMIT)[1])


def counted(output: bytes) -> bool:
    """Every line of COUNTER, and no other."""
    *numbers, last = output.split()
    return last == b'last' and numbers == [b'%d' % (i + 1) for i in range(len(numbers))]


def check_service(tap, a) -> None:
    have = a.show()
    tap.equal((have['ActiveState'], have['UnitFileState'], have['NFileDescriptorStore']),
              ('active', 'enabled', '3'), 'it runs, and systemd keeps its store')
    status = a.vm.run('systemctl --no-pager status kringd', LIMIT)
    tap.ok('"Connected to kring broker' in status, 'systemctl status says what it does', status)
    have = a.sh('cat /proc/self/cgroup; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; env')
    tap.ok(re.match(r'0::/system.slice/kringd.service/kring-session-\d+\n1024\n524288\n0\n', have),
           'a session has a cgroup, and the limits of any program', have)
    tap.ok(not re.search(r'NOTIFY_SOCKET|LISTEN_|INVOCATION_ID|JOURNAL_STREAM|FDSTORE', have),
           'and nothing of systemd in its environment', have)
    tap.equal(a.vm.run('cat /sys/fs/cgroup/system.slice/kringd.service/pids.max').strip(), 'max',
              'as many processes as the guest can have')


def check_killed(tap, a) -> None:
    a.detach('first', COUNTER.format(gate='/tmp/first', status=7))
    a.detach('tty', 'tty; read x; echo "got $x"; exit 3', '-t')
    # It ends while there is no kringd.
    a.detach('meanwhile', 'echo out; until [ -e /tmp/down ]; do sleep 0.1; done; echo more; exit 9')
    client = a.attached('cat', 'echo ready; exec cat')
    before = a.ps()
    pid = int(a.show()['MainPID'])
    a.vm.run(f'systemctl kill -s STOP --kill-whom=main kringd; touch /tmp/down; sleep 1; '
             f'kill -9 {pid}', LIMIT)
    a.wait_main(pid)
    tap.equal(a.show()['NRestarts'], '1', 'SIGKILL: systemd starts it again')
    after = a.ps()
    before['meanwhile']['pid'] = 0
    tap.equal({name: s['pid'] for name, s in after.items()},
              {name: s['pid'] for name, s in before.items()}, 'with all its sessions')
    out, err = client.communicate(timeout=LIMIT)
    tap.ok(client.returncode == 125 and b'kring attach' in err,
           'a client that was attached is told', (client.returncode, err))
    have = a.run('attach', '-i', 'cat', input=b'two\n')
    tap.equal((have.returncode, have.stdout), (0, b'two\n'), 'and can attach again')
    have = a.run('attach', 'meanwhile')
    tap.equal((have.returncode, have.stdout), (9, b'out\nmore\n'),
              'how one has ended meanwhile is known')
    have = a.run('attach', '-i', 'tty', input=b'typed\n')
    tap.ok(have.returncode == 3 and re.match(rb'/dev/pts/\d+\r\ntyped\r\ngot typed\r\n',
                                             have.stdout),
           'one on a terminal', have)
    have = a.sh('cat /proc/self/cgroup')
    tap.ok('/kringd.service/kring-session-' in have, 'new sessions have cgroups', have)


def check_often(tap, a) -> None:
    """More often than systemd's StartLimitBurst= would take, and also before it is ready."""
    before = a.show()
    a.vm.run(STORM, LIMIT)
    have = a.wait(lambda: (have := a.show())['ActiveState'] == 'active' and have, 'the last one')
    tap.equal(int(have['NRestarts']), int(before['NRestarts']) + KILLS,
              f'SIGKILL {KILLS} times in a row')
    tap.equal(have['StartLimitIntervalUSec'], '0', 'and there is no limit to that')
    a.vm.run('touch /tmp/first')
    have = a.run('attach', 'first')
    tap.ok(have.returncode == 7 and counted(have.stdout), 'a session has lost nothing by that',
           have)
    tap.equal((a.ps(), a.show()['NFileDescriptorStore']), ({}, '3'), 'and nothing is left')


def check_children(tap, a) -> None:
    """Of a session that is over: systemd keeps their pipes."""
    a.sh('(until [ -e /tmp/child ]; do sleep 0.1; done; head -c 200000 /dev/zero && '
         'echo >/tmp/written) & :')
    a.wait(lambda: a.show()['NFileDescriptorStore'] == '5', 'two pipes in the store')
    a.kill()
    a.vm.run('touch /tmp/child')
    a.wait(lambda: a.vm.sh('test -e /tmp/written')[0] == 0, 'a child that writes')
    tap.ok(a.wait(lambda: a.show()['NFileDescriptorStore'] == '3'),
           'a child in the background can write, and then its pipes go')


def check_memory(tap, a) -> None:
    """What is killed for want of memory does not take the agent with it."""
    pid = a.show()['MainPID']
    a.vm.run(f'{QUIET}; systemctl set-property --runtime kringd MemoryMax=48M', LIMIT)
    have = a.run('exec', '--', 'tail', '/dev/zero')
    a.vm.run(f'systemctl set-property --runtime kringd MemoryMax=infinity; {LOUD}', LIMIT)
    tap.ok(have.returncode == 137 and b'memory' in have.stderr, 'no memory: the program is killed',
           have)
    tap.equal(a.show()['MainPID'], pid, 'and the agent is not')


def check_restart(tap, a) -> None:
    """As an upgrade does it."""
    pid = int(a.show()['MainPID'])
    a.vm.run('systemctl reload kringd', LIMIT)
    tap.equal(int(a.show()['MainPID']), pid, 'reload')
    a.detach('first', COUNTER.format(gate='/tmp/second', status=8))
    client = a.attached('hung', HANGUP.format(mark='/tmp/hung'))
    # systemd itself is replaced, too.
    a.vm.run('systemctl daemon-reexec; systemctl restart kringd', LIMIT)
    a.wait_main(pid)
    client.communicate(timeout=LIMIT)
    tap.ok(a.wait(lambda: a.vm.sh('test -e /tmp/hung')[0] == 0), 'restart: who is attached is '
           'hung up')
    tap.ok(a.wait(lambda: list(a.ps()) == ['first']), 'and the others go on')


def check_snapshot(tap, a, directory: str) -> None:
    """The agent is killed, and before systemd has another one, the VM is saved and restored."""
    pid = int(a.show()['MainPID'])
    a.vm.run(f'kill -9 {pid}')
    snapshot = a.vm.snapshot(os.path.join(directory, 'snapshot'), stopped=a.broker.kill)
    a.vm.kill()
    a.broker.wait()
    a.move(VM.restore(snapshot))
    tap.ok(a.wait_main(pid), 'restored: systemd starts the agent that was killed before')
    tap.equal(list(a.ps()), ['first'], 'the session is there')
    a.kill()
    a.vm.run('touch /tmp/second')
    have = a.run('attach', 'first')
    tap.ok(have.returncode == 8 and counted(have.stdout), 'to its end, with all output', have)


def check_stop(tap, a) -> None:
    a.detach('alone', 'until [ -e /tmp/alone ]; do sleep 0.1; done; echo >/tmp/over')
    client = a.attached('hung', HANGUP.format(mark='/tmp/stopped'))
    a.vm.run('systemctl stop kringd kringd.socket', LIMIT)
    have = a.show()
    tap.equal((have['ActiveState'], have['Result'], have['NFileDescriptorStore']),
              ('inactive', 'success', '0'), 'stop: systemd keeps nothing')
    tap.ok(a.wait(lambda: a.vm.sh('test -e /tmp/stopped')[0] == 0), 'who is attached is hung up')
    tap.ok(a.wait(lambda: a.vm.sh('grep -l kring-keeper /proc/[0-9]*/comm')[0] == 1),
           'no keeper is left')
    a.vm.run('touch /tmp/alone')
    tap.ok(a.wait(lambda: a.vm.sh('test -e /tmp/over')[0] == 0), 'a detached one goes on alone')
    a.vm.run('systemctl start kringd.socket kringd', LIMIT)
    client.communicate(timeout=LIMIT)
    tap.equal((a.ps(), a.show()['ActiveState']), ({}, 'active'), 'start: as new')


def check_poweroff(tap, a) -> None:
    a.detach('first', COUNTER.format(gate='/tmp/never', status=0))
    a.detach('tty', 'exec sh -i', '-t')
    client = a.attached('cat', 'echo ready; exec cat')
    started = time.monotonic()
    have = a.run('shutdown')
    tap.equal(have.returncode, 0, 'kring shutdown, with sessions')
    a.vm.wait_end(LIMIT)
    client.kill()
    client.communicate()
    seconds = time.monotonic() - started
    # systemd would wait for whoever is left: see systemd.STOP_SECONDS.
    tap.ok(seconds < systemd.STOP_SECONDS, f'the guest is off after {seconds:.1f} s')
    a.vm.check_log()


def run(tap, image: str, directory: str) -> None:
    vm = systemd.vm(directory, image)
    region, port = rig.add_kring(vm)
    with vm:
        a = Service(vm, region, port, started=True)
        try:
            a.wait(lambda: 'starting' not in vm.sh('systemctl is-system-running', LIMIT)[1])
            tap.diag(f'{vm.run("systemctl --version", LIMIT).splitlines()[0]}, '
                     f'booted in {vm.boot_seconds:.1f} s')
            check_service(tap, a)
            check_killed(tap, a)
            check_often(tap, a)
            check_children(tap, a)
            check_memory(tap, a)
            check_restart(tap, a)
            check_snapshot(tap, a, directory)
            check_stop(tap, a)
            check_poweroff(tap, a)
        finally:
            a.stop()
            a.vm.close()


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        try:
            image = debian.image()
        except debian.DebianError as error:
            tap.skip('kringd under systemd', ' '.join(str(error).split())[-300:])
            return 0
        run(tap, image, directory)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
