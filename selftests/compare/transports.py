# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The ways between a host and a guest that are compared: what each needs of the VM, how its two
programs get a connection, and what is to be done around a snapshot."""

import os
import shutil
import subprocess
import time

import agent
import rig
import vsock_device
from kringvm import VM, popen
from vsock_device import Unavailable

KINDS = ('count', 'bulk')


class Transport:
    """A way without anything special about it."""

    name = ''
    again = 'connect again'     # what the host's program does when it has lost its connection
    guest_again = ''            # and what else is to be done in the guest
    modules: tuple = ()
    hotplug_slots = 0

    def __init__(self, directory: str):
        """Raises Unavailable, and says why."""
        self.directory = directory
        self.notes: list = []

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def files(self) -> dict:
        """For the guest."""
        return {}

    def arguments(self) -> list:
        """For QEMU."""
        return []

    def add(self, vm: VM) -> None:
        """Devices, before the VM starts."""

    def sockets(self) -> dict:
        """Of the ports, by their ids: a restored VM has them at the same place."""
        return {}

    def booted(self, vm: VM) -> None:
        """Modules, daemons."""

    def guest(self, kind: str) -> list | None:
        """The link of the guest's program; None: it is started by the host's."""
        return None

    def host(self, kind: str, program: list) -> list:
        """The link of the host's program; `program` is the guest's, with a link of its own."""
        raise NotImplementedError

    def environment(self) -> dict:
        return dict(os.environ)

    def before(self, vm: VM) -> None:
        """What must be done while the VM still runs."""

    def stopped(self) -> None:
        """The VM has stopped, its regions are going to be copied."""

    def killed(self) -> None:
        """The VMM has been killed."""

    def restored(self, vm: VM) -> None:
        """The restored VM runs."""

    def stop(self) -> None:
        self.killed()


class Kring(Transport):
    name = 'kring exec'
    again = 'kring exec again'
    guest_again = 'another program in the guest takes over'

    def __init__(self, directory: str):
        super().__init__(directory)
        self.socket = self.path('broker.sock')
        self.bell = self.path('kring.sock')
        self.broker = None

    def files(self) -> dict:
        return {'/sbin/kringd': agent.KRINGD, **agent.FILES}

    def add(self, vm: VM) -> None:
        region = os.path.join(vm.workdir, 'kring')
        vm.add_region(region, rig.create(region, '--name', 'compare'), id='kring-region')
        vm.add_port('kring.compare', self.bell, id='kring-port')

    def sockets(self) -> dict:
        return {'kring-port': self.bell}

    def booted(self, vm: VM) -> None:
        vm.run(rig.LOAD)
        vm.run(rig.PAIRED)
        vm.spawn('kringd')
        self.start(vm)
        # Not what is measured: the first Hello.
        subprocess.run([rig.TOOL, 'ping', '-c', '1', '--connect-timeout', '30'], timeout=60,
                       env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True)

    def start(self, vm: VM) -> None:
        with open(self.path('broker.log'), 'a') as log:
            self.broker = popen(
                [rig.TOOL, 'broker', '--region', vm.devices['kring-region'].path,
                 '--doorbell', self.bell, '--socket', self.socket], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not os.path.exists(self.socket) and self.broker.poll() is None:
            if time.monotonic() > deadline:
                raise Unavailable('the broker does not start')
            time.sleep(0.01)

    def environment(self) -> dict:
        return dict(os.environ, KRING_SOCKET=self.socket)

    def host(self, kind: str, program: list) -> list:
        return ['exec', rig.TOOL, 'exec', '-i', '--', *program, 'stdio']

    def stopped(self) -> None:
        if self.broker:
            self.broker.kill()
            self.broker.wait()

    killed = stopped

    def restored(self, vm: VM) -> None:
        self.start(vm)


class Console(Transport):
    name = 'virtio-console port'
    again = 'open the socket again'
    guest_again = 'the guest finds its place in the stream'
    modules = ('virtio_console',)

    def add(self, vm: VM) -> None:
        for kind in KINDS:
            vm.add_port(f'compare.{kind}', self.socket(kind), id=f'compare-{kind}')

    def socket(self, kind: str) -> str:
        return self.path(f'{kind}.sock')

    def sockets(self) -> dict:
        return {f'compare-{kind}': self.socket(kind) for kind in KINDS}

    def booted(self, vm: VM) -> None:
        vm.run('modprobe virtio_console')
        for kind in KINDS:
            vm.run(f'until grep -qx compare.{kind} /sys/class/virtio-ports/*/name; do '
                   'sleep 0.05; done\n'
                   f'name=$(grep -lx compare.{kind} /sys/class/virtio-ports/*/name)\n'
                   'name=${name%/name}\n'
                   f'ln -s /dev/${{name##*/}} /run/compare/{kind}.port')

    def guest(self, kind: str) -> list:
        return ['port', f'/run/compare/{kind}.port']

    def host(self, kind: str, program: list) -> list:
        return ['unix', self.socket(kind)]


class SSH(Transport):
    name = 'TCP: SSH over user network'
    again = 'ssh again'
    guest_again = 'another program in the guest takes over'
    modules = ('virtio_net',)

    def __init__(self, directory: str):
        super().__init__(directory)
        missing = [name for name in ('dropbear', 'dbclient', 'dropbearkey')
                   if not shutil.which(name)]
        if missing:
            raise Unavailable(f'not installed: {", ".join(missing)}')
        self.port = agent.free_port()
        self.hold = self.path('hold')
        self.key, self.hostkey = self.path('key'), self.path('hostkey')
        for key in (self.key, self.hostkey):
            subprocess.run(['dropbearkey', '-t', 'ed25519', '-f', key], check=True,
                           capture_output=True, stdin=subprocess.DEVNULL)

    def files(self) -> dict:
        lines = subprocess.run(['dropbearkey', '-y', '-f', self.key], check=True,
                               capture_output=True, stdin=subprocess.DEVNULL).stdout.splitlines()
        public = next(line for line in lines if line.startswith(b'ssh-'))
        return {'/bin/dropbear': shutil.which('dropbear'), '/root/hostkey': self.hostkey,
                '/root/.ssh/authorized_keys': public + b'\n', '/etc/shells': b'/bin/sh\n',
                **agent.FILES}

    def arguments(self) -> list:
        return ['-netdev', f'user,id=compare-net,hostfwd=tcp:127.0.0.1:{self.port}-:22',
                '-device', 'virtio-net-pci,netdev=compare-net,bus=pcie.0,addr=0x3']

    def booted(self, vm: VM) -> None:
        vm.run('modprobe virtio_net && ifconfig eth0 10.0.2.15 up && '
               'route add default gw 10.0.2.2')
        vm.run('chmod 700 /root /root/.ssh; chmod 600 /root/.ssh/authorized_keys')
        vm.spawn('dropbear -F -E -s -p 22 -r /root/hostkey')

    def host(self, kind: str, program: list) -> list:
        # QEMU takes connections before the guest runs, and those are slow by seconds: the user
        # network is patient with a SYN that nobody has answered.
        wait = f'while [ -e {self.hold} ]; do sleep 0.02; done; exec "$@"'
        return ['exec', 'sh', '-c', wait, 'sh', 'dbclient', '-y', '-y', '-p', str(self.port),
                '-i', self.key, 'root@127.0.0.1', ' '.join([*program, 'stdio'])]

    def stopped(self) -> None:
        open(self.hold, 'w').close()

    def restored(self, vm: VM) -> None:
        os.unlink(self.hold)


class Vsock(Transport):
    name = 'vsock: vhost-device-vsock'
    again = 'connect again'
    guest_again = 'the guest accepts again'
    modules = ('vmw_vsock_virtio_transport',)
    hotplug_slots = 1
    ports = {'count': 1001, 'bulk': 1002}

    def __init__(self, directory: str):
        super().__init__(directory)
        self.device = vsock_device.Device(
            vsock_device.command(os.path.join(rig.BUILD, 'vhost-device-vsock')), directory)

    def booted(self, vm: VM) -> None:
        vm.run('modprobe vmw_vsock_virtio_transport')
        self.device.plug(vm)

    def guest(self, kind: str) -> list:
        return ['vsock', str(self.ports[kind])]

    def host(self, kind: str, program: list) -> list:
        return ['hybrid', self.device.path, str(self.ports[kind])]

    def before(self, vm: VM) -> None:
        refused = vsock_device.refusal(vm)
        self.notes.append('the device was unplugged before the snapshot, and another one plugged '
                          'in after the restore'
                          + (f', as QEMU says: {refused}' if refused else ''))
        self.device.unplug(vm)

    def killed(self) -> None:
        self.device.kill()

    def restored(self, vm: VM) -> None:
        self.device.plug(vm)


ALL = (Kring, Console, SSH, Vsock)
