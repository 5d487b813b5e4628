#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""scripts/kring-qemu with a real VM: saved while it runs, restored, restored again under a broker
that stays, forked; and what it refuses, with nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import agent
import rig
from kringvm import QMP, VM, Tap, popen

SCRIPT = os.path.join(rig.TOP, 'scripts', 'kring-qemu')
CHILDREN = 2

# Stands in for the tool: writes down what it was asked for, and does nothing but cloning.
RECORDER = '''#!/bin/sh
echo "$1" >>{log}
[ "$1" != clone ] || exec {tool} "$@"
exit {status}
'''


class Broker:
    """A broker of a region in a directory, and commands to its guest."""

    def __init__(self, directory: str):
        self.directory = directory
        self.env = dict(os.environ, KRING_SOCKET=os.path.join(directory, 'broker.sock'))
        with open(os.path.join(directory, 'broker.log'), 'ab') as log:
            self.process = popen(
                [rig.TOOL, 'broker', '--region', os.path.join(directory, 'kring'),
                 '--doorbell', os.path.join(directory, 'kring-port.sock'),
                 '--socket', self.env['KRING_SOCKET']],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def sh(self, command: str, timeout: float = 60) -> str:
        """Output of a command in the guest, which may have to come back first."""
        deadline = time.monotonic() + timeout
        while True:
            run = subprocess.run(
                [rig.TOOL, 'exec', '--connect-timeout', '5', '--', 'sh', '-c', command],
                env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=timeout)
            if run.returncode == 0:
                return run.stdout
            if time.monotonic() > deadline:
                with open(os.path.join(self.directory, 'broker.log')) as log:
                    return f'status {run.returncode}: {run.stderr}{"".join(log.readlines()[-9:])}'
            time.sleep(0.2)


class Scripts:
    """The script, with the first VM's QEMU command."""

    def __init__(self, vm: VM, directory: str):
        self.vm = vm
        self.directory = directory
        self.qmp = os.path.join(vm.workdir, 'second-qmp.sock')
        self.command = [word.replace(vm.workdir, '{dir}') for word in vm.command()]
        self.started = []

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def run(self, *arguments, tool: str = rig.TOOL, command=None) -> subprocess.CompletedProcess:
        if command is not None:
            arguments = (*arguments, '--', *command)
        return subprocess.run([SCRIPT, '--kring', tool, *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)

    def snapshot(self, name: str, *options, qmp=None, **more) -> subprocess.CompletedProcess:
        return self.run('snapshot', '--qmp', qmp or self.qmp, *options, self.path(name), **more)

    def start(self, *arguments, command=None):
        """What restores, and goes on running; its lines until all VMs are there."""
        with open(self.path('script.log'), 'ab') as log:
            process = popen([SCRIPT, '--kring', rig.TOOL, *arguments, '--',
                             *(command or self.command)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=log, text=True)
        self.started.append(process)
        return process

    def recorder(self, status: int = 0) -> str:
        path = self.path('recorder')
        with open(path, 'w') as file:
            file.write(RECORDER.format(log=self.path('record'), tool=rig.TOOL, status=status))
        os.chmod(path, 0o755)
        return path

    def recorded(self) -> list:
        with open(self.path('record')) as file:
            lines = file.read().split()
        os.unlink(self.path('record'))
        return lines

    def running(self) -> bool:
        return self.vm.qmp.execute('query-status')['running']

    def left(self) -> list:
        """What must not be there beside the snapshots."""
        return [name for name in os.listdir(self.directory) if name.startswith('.kring')]

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                process.wait(30)


def check_snapshot(tap, s: Scripts) -> None:
    with Broker(s.vm.workdir) as broker:
        tap.equal(broker.sh('echo kept >/tmp/kept; cat /tmp/kept'), 'kept\n', 'before')
        run = s.snapshot('saved', command=s.command)
        tap.equal(run.returncode, 0, f'snapshot: {run.stdout.strip()}{run.stderr.strip()}')
        tap.ok(s.running() and broker.sh('echo on') == 'on\n', 'the VM goes on afterwards')
        tap.equal(broker.sh('echo later >/tmp/kept; cat /tmp/kept'), 'later\n',
                  'and changes what was saved before')
        broker.sh('mkdir -p /etc/kring/freeze.d /etc/kring/thaw.d; cd /etc/kring; '
                  'for when in freeze thaw; do '
                  'printf "#!/bin/sh\necho $when >>/tmp/hooks\n" >$when.d/hook; '
                  'chmod +x $when.d/hook; done')
        run = s.snapshot('still', '--quiesce', '--socket', broker.env['KRING_SOCKET'])
        tap.equal((run.returncode, run.stderr, broker.sh('cat /tmp/hooks')),
                  (0, '', 'freeze\nthaw\n'), '--quiesce runs the hooks of the guest')
    with open(s.path('saved/manifest.json')) as file:
        manifest = json.load(file)
    tap.ok(manifest['command'] == s.command and not manifest['quiesced'] and
           manifest['memory'].keys() == {'/objects/kring-region.mem'}, 'the manifest', manifest)
    tap.equal(sorted(os.listdir(s.path('saved'))), ['kring', 'manifest.json', 'state'],
              'the region was found, and nothing else')
    tap.equal(os.stat(s.path('saved')).st_mode & 0o777, 0o700,
              'the memory of the guest is for its owner alone')


def check_quiesce(tap, s: Scripts) -> None:
    run = s.snapshot('quiesced', '--quiesce', '--socket', 'x', tool=s.recorder())
    tap.equal((run.returncode, s.recorded(), s.running()), (0, ['quiesce', 'thaw'], True),
              '--quiesce: quiesce before, thaw after')
    run = s.snapshot('refused', '--quiesce', tool=s.recorder(3))
    tap.ok(run.returncode == 1 and 'kring quiesce ended with status 3' in run.stderr and
           s.running() and not os.path.exists(s.path('refused')),
           'a guest that cannot is not saved, and runs', run)
    os.unlink(s.path('record'))


def check_refused(tap, s: Scripts) -> None:
    def refused(words: str, run) -> None:
        tap.ok(run.returncode == 1 and words in run.stderr and len(run.stderr.splitlines()) == 1 and
               s.running() and not s.left(), words, run)

    refused('saved: there is one already', s.snapshot('saved'))
    refused('none: No such file', s.snapshot('new', qmp=s.path('none')))
    refused('/nowhere: No such file', s.snapshot('new', '--region', '/nowhere'))
    refused('needs a name of its own', s.snapshot('new', '--region', '/a', '--region', '/b/a'))
    refused('state: File too large', subprocess.run(
        ['prlimit', '--fsize=8388608', SCRIPT, 'snapshot', '--qmp', s.qmp, s.path('new')],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120))
    refused('none/manifest.json: No such file', s.run('restore', s.path('none'), s.path('r')))
    refused('The QEMU command goes behind', s.run('restore', s.path('quiesced'), s.path('r')))
    refused('use --detach', s.run('restore', s.path('saved'), s.path('r'),
                                  command=['qemu', '-daemonize']))
    refused('a comma ends', s.run('restore', s.path('saved'), s.path('r,x')))
    refused('has no {dir}', s.run('fork', '-n', '2', s.path('saved'), s.path('r'),
                                  command=['qemu']))
    refused('at least one', s.run('fork', '-n', '0', s.path('saved'), s.path('r')))
    refused('no-such-program: No such file', s.run(
        'restore', s.path('saved'), s.path('r'), command=['no-such-program']))
    refused('QEMU ended with status 0', s.run('restore', s.path('saved'), s.path('r'),
                                              command=['true']))
    other = [word.replace('{dir}/kring"', '{dir}/other"') for word in s.command]
    refused('does not use ' + s.path('r/kring'),
            s.run('restore', s.path('saved'), s.path('r'), command=other))
    moved = [word.replace('"driver": "virtio-pmem-pci"',
                          '"driver": "virtio-pmem-pci", "memaddr": 4563402752')
             for word in s.command]
    refused('was at 0x', s.run('restore', s.path('saved'), s.path('r'), command=moved))
    with open(s.path('quiesced/state'), 'r+b') as file:
        file.truncate(1000)
    refused('state: 1000 bytes', s.run('restore', s.path('quiesced'), s.path('r')))
    tap.equal(processes(s.path('r')), [], 'and no QEMU is left')


def check_aborted(tap, s: Scripts) -> None:
    """A signal while the VM is paused, and its state on its way."""
    process = popen([SCRIPT, 'snapshot', '--qmp', s.qmp, s.path('new')], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while s.running() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.terminate()
    output = process.communicate(timeout=30)[1]
    tap.equal((process.returncode, output, s.running(), s.left(), os.path.exists(s.path('new'))),
              (128 + signal.SIGTERM, '', True, [], False),
              'aborted: the VM goes on, and nothing is left')


def processes(word: str) -> list:
    """Those with it in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as file:
                line = file.read()
        except OSError:
            continue
        if word.encode() in line and pid != str(os.getpid()):
            found.append(int(pid))
    return found


def check_restore(tap, s: Scripts) -> None:
    target = s.path('one')
    saved = rig.stat(s.path('saved/kring'))
    os.mkdir(target)
    first = s.start('restore', s.path('saved'), target)
    tap.ok(f'{target}: restored in' in first.stdout.readline(), 'restore')
    with Broker(target) as broker:
        tap.equal(broker.sh('cat /tmp/kept'), 'kept\n', 'the guest is as it was saved')
        now = rig.stat(os.path.join(target, 'kring'))
        tap.equal((now['uuid'], now['restored'], now['generation']),
                  (saved['uuid'], saved['generation'] + 1, saved['generation'] + 2),
                  'the region is the same one, a restore later')
        tap.equal(broker.sh('cat /sys/class/kring/kring/generation'),
                  f'{now["generation"]}\n', 'and the guest knows')

        # Another takes its place, and the broker, which is the same, goes over to it.
        first.terminate()
        tap.equal((first.wait(30), processes(target + '/kring-port')[1:]),
                  (128 + signal.SIGTERM, []), 'a signal to the script ends QEMU')
        second = s.start('restore', s.path('saved'), target)
        tap.ok(f'{target}: restored in' in second.stdout.readline(), 'restore in the same place')
        tap.equal(broker.sh('cat /proc/uptime /tmp/kept; echo 2 >/tmp/kept').split()[-1:], ['kept'],
                  'the broker that was there goes on with the restored guest')
        with open(os.path.join(target, 'broker.log')) as log:
            tap.ok('is another file now' in log.read(), 'as it has seen that the region is new')
        # And a restored VM can be saved, too, for good this time.
        run = s.snapshot('again', '--quit', qmp=os.path.join(target, 'kring-qmp.sock'),
                         command=s.command)
        tap.equal((run.returncode, second.wait(30)), (0, 0),
                  f'a snapshot of it, which ends it: {run.stderr.strip()}')
    third = s.start('restore', s.path('again'), target)
    tap.ok('restored' in third.stdout.readline(), 'and a restore of that')
    with Broker(target) as broker:
        tap.equal(broker.sh('cat /tmp/kept'), '2\n', 'with what was new')
    third.terminate()
    third.wait(30)


def check_fork(tap, s: Scripts) -> None:
    target = s.path('children')
    run = s.run('fork', '--detach', '-n', str(CHILDREN), s.path('saved'), target)
    tap.equal((run.returncode, len(run.stdout.splitlines())), (0, CHILDREN),
              f'fork, with the command of the snapshot, detached: {run.stderr.strip()}')
    children = [os.path.join(target, str(n)) for n in range(CHILDREN)]
    brokers = [Broker(child) for child in children]
    try:
        for n, broker in enumerate(brokers):
            tap.equal(broker.sh(f'echo child {n} >>/tmp/kept; cat /tmp/kept'),
                      f'kept\nchild {n}\n', f'child {n} goes on by itself')
        uuids = {rig.stat(os.path.join(child, 'kring'))['uuid'] for child in children}
        uuids.add(rig.stat(s.path('saved/kring'))['uuid'])
        tap.equal(len(uuids), CHILDREN + 1, 'each has a uuid of its own')
    finally:
        for broker in brokers:
            broker.__exit__()
        for child in children:
            qmp = QMP(os.path.join(child, 'kring-qmp.sock'))
            qmp.execute('quit')
            qmp.close()


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        vm = VM(**agent.guest(directory))
        rig.add_kring(vm)
        vm.args += ['-qmp', f'unix:{vm.workdir}/second-qmp.sock,server=on,wait=off']
        s = Scripts(vm, directory)
        try:
            with vm:
                vm.run(rig.LOAD)
                vm.run(rig.PAIRED)
                vm.spawn('kringd')
                check_snapshot(tap, s)
                check_quiesce(tap, s)
                check_refused(tap, s)
                check_aborted(tap, s)
                vm.kill()
            check_restore(tap, s)
            check_fork(tap, s)
        finally:
            s.end()
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
