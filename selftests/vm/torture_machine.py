# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What torture is done to: a VM with kringd, a broker, and a doorbell between them, whose paths
stay the same whichever process is behind them."""

import os
import shutil
import signal
import subprocess
import time

import agent
import rig
from kringvm import VM, Relay, popen

# kringd's supervisor, and what talks are led with.
GUEST = ('ip link set lo up; (while :; do kringd; sleep 0.1; done) & '
         'nc -ll -p 7 -e cat </dev/null >/dev/null 2>&1 & wait')
RESUME_TIMEOUT = 90


def leftovers(vm: VM) -> int:
    """Programs of talks that still run in the guest."""
    return int(vm.run("ps -o args | grep -c '[t]orture-talk' || true"))


class Machine:
    def __init__(self, directory: str, seed: int):
        self.directory = directory
        self.region = self.path('region')
        self.doorbell = self.path('doorbell')
        self.socket = self.path('broker.sock')
        self.log = self.path('broker.log')
        self.env = dict(os.environ, KRING_SOCKET=self.socket)
        self.env.pop('KRING_REGION', None)
        self.images = agent.guest(directory)
        self.count = 0
        self.broker = None
        self.broker_stopped = False
        file = self.path('region-0')
        rig.create(file, '--name', 'torture', '--size', '256K')
        os.symlink(file, self.region)
        self.vm = self._new_vm(file)
        self.vm.start()
        self.relay = Relay(self.doorbell, self._port(), seed=seed)
        self._begin()
        self.start_broker()
        self.wait_agent()

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def close(self) -> None:
        self.kill_broker()
        self.relay.stop()
        self.vm.close()

    # The VM

    def _new_vm(self, file: str) -> VM:
        self.count += 1
        vm = VM(**self.images, workdir=self.path(f'vm-{self.count}'), memory='192M',
                name=f'torture {self.count}')
        vm.add_region(file, os.path.getsize(file), id='kring-region')
        vm.add_port('kring.torture', id='kring-port')
        return vm

    def _port(self) -> str:
        return self.vm.devices['kring-port'].socket

    def _begin(self) -> None:
        self.vm.run(rig.LOAD)
        self.vm.run(rig.PAIRED)
        self.vm.spawn(f"sh -c '{GUEST}'")

    def _retire(self) -> None:
        workdir = self.vm.workdir
        self.vm.check_log()
        self.vm.close()
        shutil.rmtree(workdir, ignore_errors=True)

    def snapshot(self, name: str, kill_at: str):
        """The VM at one moment. The broker is killed before its region is copied ('stopped'), or
        while it has gone on with what is not in the copy ('copied', 'saved'), or never."""
        snapshot = self.vm.snapshot(
            self.path(name), stopped=self.kill_broker if kill_at == 'stopped' else None,
            copied=self.kill_broker if kill_at == 'copied' else None)
        if kill_at == 'saved':
            self.kill_broker()
        return snapshot

    def restored(self, snapshot, fork: bool = False, name: str = 'restored') -> VM:
        """A VM that goes on at the snapshot; a fork is another child of it."""
        self.count += 1
        return VM.restore(snapshot, workdir=self.path(f'vm-{self.count}'), fork=fork,
                          name=f'{name} {self.count}')

    def take(self, vm: VM) -> None:
        """From now on this VM is the one behind the paths."""
        self._retire()
        self.vm = vm
        self._point(vm.devices['kring-region'].path)
        self.relay.connect_path = self._port()

    def _point(self, file: str) -> None:
        """The path of the region names another file from one moment to the next."""
        os.symlink(file, self.region + '.new')
        os.rename(self.region + '.new', self.region)

    def crash(self) -> None:
        """SIGKILL of the VMM; the region stays, and another guest boots with it."""
        self.vm.kill()
        self.count += 1
        file = self.path(f'region-{self.count}')
        os.rename(self.vm.devices['kring-region'].path, file)
        self._point(file)
        old = self.vm
        self.vm = self._new_vm(file)
        old.close()
        shutil.rmtree(old.workdir, ignore_errors=True)
        self.vm.start()
        self.relay.connect_path = self._port()
        self._begin()

    # The broker

    def start_broker(self) -> None:
        self.broker = self.new_broker(self.region, self.doorbell, self.socket, RESUME_TIMEOUT)

    def new_broker(self, region: str, doorbell: str, path: str,
                   timeout: float) -> subprocess.Popen:
        with open(self.log, 'a') as log:
            return popen([rig.TOOL, 'broker', '--region', region, '--doorbell', doorbell,
                          '--socket', path, '--resume-timeout', str(timeout)],
                         stdout=log, stderr=log)

    def kill_broker(self) -> None:
        if self.broker:
            self.broker.send_signal(signal.SIGKILL)
            self.broker.wait()
            self.broker = None

    # What is asked of it

    def run(self, *args: str, timeout: float = 120, env=None) -> subprocess.CompletedProcess:
        return subprocess.run([rig.TOOL, *args], env=env or self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout)

    def popen(self, *args: str, **options) -> subprocess.Popen:
        return popen([rig.TOOL, *args], env=self.env, **options)

    def wait_agent(self, timeout: float = 60, env=None) -> None:
        deadline = time.monotonic() + timeout
        while self.run('ping', '-c', '1', '--connect-timeout', '2', env=env).returncode:
            if time.monotonic() > deadline:
                raise AssertionError(f'no answer from the agent in {timeout} s\n{self.logs()}')
            time.sleep(0.1)

    def forget(self, seed: int) -> None:
        """What a talk that broke off has left would fill the guest's memory in the end."""
        self.vm.run(f'rm -f /tmp/*-{seed}')

    def logs(self) -> str:
        with open(self.log) as log:
            return f'--- broker\n{log.read()[-6000:]}\n{self.vm.tail()}'
