#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The same conversation over kring and over what else there is between a host and a VM, side by
side in one VM, through one snapshot and restore: who notices, and what it costs them."""

import argparse
import mmap
import os
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'selftests', 'vm'))
import account                                          # noqa: E402
import rig                                              # noqa: E402
import table                                            # noqa: E402
import transports                                       # noqa: E402
from kringvm import VM, QMPError, popen                           # noqa: E402
from vsock_device import Unavailable                    # noqa: E402

TALK = os.path.join(rig.TESTS, 'talk')
MEMORY = '512M'
COUNT_BYTES = 64 * 8192     # 164 s, at 20 ms each
GUEST_GO = '/run/compare/go'
MIDDLE_TIMEOUT, FIRST_TIMEOUT, END_TIMEOUT = 60, 30, 120    # seconds


class Timeline:
    def __init__(self):
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f'[{time.monotonic() - self._start:7.3f}] {text}', flush=True)


class Conversation:
    """Of one kind over one transport: two programs, and the ledger that each keeps."""

    def __init__(self, transport: transports.Transport, kind: str, total: int, go: str):
        self.transport = transport
        self.kind = kind
        self.total = total
        self.go = go
        name = f'{type(transport).__name__.lower()}-{kind}'
        self.guest_ledger = f'/run/compare/{name}'
        self.host_ledger = transport.path(f'{name}.ledger')
        self.log = transport.path(f'{name}.log')
        self.program = [kind, str(total)]
        self.process = self.host = self.guest = None
        self.caught = False     # in the middle, by the snapshot

    def start(self, vm: VM) -> None:
        guest = ['talk', 'guest', *self.program, self.guest_ledger, GUEST_GO]
        link = self.transport.guest(self.kind)
        if link:
            vm.spawn(' '.join([*guest, *link]))
        with open(self.log, 'w') as log:
            self.process = popen(
                [TALK, 'host', *self.program, self.host_ledger, self.go,
                 *self.transport.host(self.kind, guest)],
                stdout=log, stderr=log, env=self.transport.environment())

    def mark(self, nanoseconds: int) -> None:
        """When the restored VM began to run: the ledger's first number."""
        with open(self.host_ledger, 'r+b') as file, mmap.mmap(file.fileno(), 0) as ledger:
            ledger[0:8] = nanoseconds.to_bytes(8, 'little')

    def look(self, vm: VM) -> None:
        """Reads both ledgers."""
        run = subprocess.run([TALK, 'report', self.host_ledger], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL)
        status, text = vm.sh(f'talk report {self.guest_ledger}')
        self.host = account.Ledger('' if run.returncode else run.stdout)
        self.guest = account.Ledger('' if status else text)

    @property
    def in_the_middle(self) -> bool:
        """Both ends are slow by now, and there is more to come."""
        if not self.host or not self.guest:
            return False
        least = self.total // (4 if self.kind == 'bulk' else 64)
        return min(self.host['have'], self.guest['have']) >= least

    @property
    def account(self) -> account.Account:
        return account.both(self.host, self.guest, self.total)

    def milliseconds(self, what: str) -> float | None:
        if not self.host['mark'] or not self.host[what]:
            return None
        return (self.host[what] - self.host['mark']) / 1e6


class Comparison:
    def __init__(self, directory: str, total: int, say: Timeline):
        self.directory = directory
        self.say = say
        self.go = os.path.join(directory, 'go')
        self.transports, self.skipped = [], []
        for kind in transports.ALL:
            own = os.path.join(directory, kind.__name__.lower())
            os.mkdir(own)
            try:
                self.transports.append(kind(own))
            except Unavailable as error:
                self.skipped.append((kind.name, str(error)))
        totals = {'count': COUNT_BYTES, 'bulk': total}
        self.conversations = {
            transport: [Conversation(transport, kind, totals[kind], self.go)
                        for kind in transports.KINDS] for transport in self.transports}

    def each(self) -> list:
        return [c for both in self.conversations.values() for c in both]

    def machine(self) -> VM:
        files, modules, arguments = {'/bin/talk': TALK}, [], []
        for transport in self.transports:
            files.update(transport.files())
            modules += transport.modules
            arguments += transport.arguments()
        vm = VM(**rig.guest(self.directory, files, modules), memory=MEMORY,
                hotplug_slots=sum(t.hotplug_slots for t in self.transports), extra_args=[
                    # Shared, for devices that are served by other processes.
                    '-object', f'memory-backend-memfd,id=compare-ram,size={MEMORY},share=on',
                    '-machine', 'memory-backend=compare-ram', *arguments])
        for transport in self.transports:
            transport.add(vm)
        return vm

    def first_life(self):
        with self.machine() as vm:
            self.say(f'booted Linux {vm.kernel.version} in {vm.boot_seconds:.1f} s')
            vm.run('mkdir -p /run/compare && modprobe virtio_pci')
            self.begin(vm)
            for conversation in self.each():
                conversation.start(vm)
            self.say(f'{len(self.each())} conversations over {len(self.transports)} transports')
            self.wait(vm, MIDDLE_TIMEOUT, lambda: all(c.in_the_middle for c in self.each()))
            time.sleep(1)   # buffers fill
            self.tell(vm)
            for conversation in self.each():
                conversation.caught = conversation.in_the_middle
            for transport in self.transports:
                transport.before(vm)
            sockets = {key: path for t in self.transports for key, path in t.sockets().items()}
            snapshot = vm.snapshot(os.path.join(self.directory, 'snapshot'), stopped=self.stopped)
            self.say(f'snapshot in {snapshot.milliseconds["total"]:.0f} ms')
            vm.kill()
            for transport in self.transports:
                transport.killed()
            self.say('SIGKILL: the VMM, and what served it; the programs at the host live on')
            vm.check_log()
        return snapshot, sockets

    def begin(self, vm: VM) -> None:
        for transport in list(self.transports):
            try:
                transport.booted(vm)
            except (Unavailable, QMPError) as error:
                transport.killed()
                self.transports.remove(transport)
                del self.conversations[transport]
                self.skipped.append((transport.name, str(error)))

    def stopped(self) -> None:
        for transport in self.transports:
            transport.stopped()

    def second_life(self, snapshot, sockets: dict) -> None:
        with VM.restore(snapshot, sockets=sockets, run=False) as vm:
            begin = time.monotonic_ns()
            vm.cont()
            for conversation in self.each():
                conversation.mark(begin)
            for transport in self.transports:
                transport.restored(vm)
            self.say('restored by a new VMM')
            self.wait(vm, FIRST_TIMEOUT, lambda: all(c.host and c.host['echo'] for c in self.each()
                                                     if c.kind == 'count'))
            self.tell(vm)
            vm.run(f'touch {GUEST_GO}')
            open(self.go, 'w').close()
            self.wait(vm, END_TIMEOUT,
                      lambda: all(c.process.poll() is not None for c in self.each()))
            self.tell(vm)
            for transport in self.transports:
                transport.stop()
            vm.check_log()

    def wait(self, vm: VM, timeout: float, condition) -> None:
        """What does not come to pass in time is seen in the table."""
        deadline = time.monotonic() + timeout
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.2)
            for conversation in self.each():
                conversation.look(vm)

    def tell(self, vm: VM) -> None:
        for conversation in self.each():
            conversation.look(vm)
            self.say(f'  {conversation.transport.name}, {conversation.kind}: of '
                     f'{conversation.total} bytes the host has {conversation.host["have"]}, '
                     f'the guest has {conversation.guest["have"]}')

    def logs(self) -> str:
        text = ''
        for conversation in self.each():
            with open(conversation.log, errors='replace') as file:
                lines = dict.fromkeys(filter(str.strip, file.read().splitlines()))
            text += ''.join(f'\n  {conversation.transport.name}, {conversation.kind}: {line}'
                            for line in lines)
        return text.strip('\n')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mib', type=int, default=32, help='bulk to send each way (default 32)')
    total = parser.parse_args().mib << 20

    say = Timeline()
    with tempfile.TemporaryDirectory(prefix='compare-') as directory:
        comparison = Comparison(directory, total, say)
        comparison.second_life(*comparison.first_life())
        rows = [table.Row(transport, both) for transport, both in comparison.conversations.items()]
        if comparison.logs():
            say(f'what the programs complained of:\n{comparison.logs()}')
    print()
    table.show(rows, comparison.skipped)
    kring = next((row for row in rows if isinstance(row.transport, transports.Kring)), None)
    if not kring:
        print('\ncompare: there is no kring to compare with')
        return 1
    print(f'\ncompare: kring: survived={"yes" if kring.survived else "no"} '
          f'lost={kring.account.lost} doubled={kring.account.doubled}')
    return 0 if kring.perfect else 1


if __name__ == '__main__':
    sys.exit(main())
