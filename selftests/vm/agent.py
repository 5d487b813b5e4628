# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kringd in a guest, a broker at the host, and `kring` in between."""

import os
import re
import socket
import subprocess
import time

import rig
from kringvm import VM, popen

KRINGD = os.path.join(rig.BUILD, 'kringd')

# What libc looks for beside the program, so that names of users are found in a guest.
NSS = '/lib/x86_64-linux-gnu/libnss_files.so.2'

FILES = {
    '/etc/passwd': b'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/sh\n',
    '/etc/group': b'root:x:0:\nnogroup:x:65534:\nusers:x:100:nobody\n',
    '/etc/hosts': b'127.0.0.1 localhost\n',
}


def guest(directory: str, files=None) -> dict:
    return rig.guest(directory, {'/sbin/kringd': KRINGD, **FILES, **(files or {})})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Agent:
    """kringd in a running VM and its broker."""

    def __init__(self, vm: VM, region: str, port, *options: str, kringd: str = 'kringd',
                 started: bool = False):
        """`started`: kringd runs already, as the VM was restored."""
        self.vm = vm
        self.region = region
        self.doorbell = port.socket
        self.socket = os.path.join(vm.workdir, 'broker.sock')
        self.log = os.path.join(vm.workdir, 'broker.log')
        self.options = options
        self.env = dict(os.environ, KRING_SOCKET=self.socket)
        self.broker = None
        self.daemon = None if started else vm.spawn(kringd)
        self.start_broker()

    def start_broker(self) -> None:
        with open(self.log, 'a') as log:
            self.broker = popen(
                [rig.TOOL, 'broker', '--region', self.region, '--doorbell', self.doorbell,
                 '--socket', self.socket, *self.options], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while subprocess.run([rig.TOOL, 'ping', '-c', '1', '--connect-timeout', '2'],
                             env=self.env, capture_output=True, timeout=30,
                             stdin=subprocess.DEVNULL).returncode:
            if time.monotonic() > deadline or self.broker.poll() is not None:
                raise AssertionError(f'no answer from the agent:\n{self.logs()}')
            time.sleep(0.1)

    def move(self, vm: VM) -> None:
        """To a VM that was restored from this one's snapshot, with another broker."""
        self.vm = vm
        self.region = vm.devices['kring-region'].path
        self.doorbell = vm.devices['kring-port'].socket
        self.start_broker()

    def logs(self) -> str:
        with open(self.log) as log:
            kringd = self.daemon.on(self.vm).output() if self.daemon else '?'
            return f'broker:\n{log.read()}\nkringd:\n{kringd}'

    def run(self, *args: str, timeout: float = 120, **options) -> subprocess.CompletedProcess:
        """`kring` with these arguments, to its end."""
        options.setdefault('stdin', subprocess.DEVNULL if 'input' not in options else None)
        if 'input' in options:
            del options['stdin']
        options.setdefault('stdout', subprocess.PIPE)
        return subprocess.run([rig.TOOL, *args], env=self.env, stderr=subprocess.PIPE,
                              timeout=timeout, **options)

    def popen(self, *args: str, **options) -> subprocess.Popen:
        return popen([rig.TOOL, *args], env=self.env, **options)

    def sh(self, command: str, **options) -> str:
        """Output of a shell command in the guest."""
        result = self.run('exec', '--', 'sh', '-c', command, **options)
        if result.returncode:
            raise AssertionError(f'{command!r}: {result.returncode}\n{result.stderr.decode()}'
                                 f'{self.logs()}')
        return result.stdout.decode()

    def kringd(self) -> dict:
        """What kringd holds: descriptors, bytes of memory, children."""
        text = self.vm.run(
            'pid=$(pidof kringd); ls /proc/$pid/fd | wc -l; '
            'sed -n "s/VmRSS: *//p" /proc/$pid/status; '
            'cat /proc/$pid/task/*/children | wc -w; '
            'cat /proc/[0-9]*/stat 2>/dev/null | grep -c ") Z " || true', timeout=120)
        fds, rss, children, zombies = re.findall(r'\d+', text)
        return {'fds': int(fds), 'rss': int(rss) * 1024, 'children': int(children),
                'zombies': int(zombies)}

    def stop(self) -> None:
        self.broker.terminate()
        self.broker.wait(10)
