#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The measure itself: a connection that loses, doubles and makes up bytes, and is cut, by known
amounts; what is found of it is to be exactly that. No VM."""

import os
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, 'selftests', 'vm'))
import account                                          # noqa: E402
from kringvm import Tap                                 # noqa: E402

TALK = os.path.join(os.environ.get('KRING_BUILD', os.path.join(TOP, 'build')), 'tests', 'talk')
BULK = 4 << 20
COUNT = 64 * 512


def strange(size: int, behind: bytes, before: bytes) -> bytes:
    """Bytes that cannot be taken for the ones next to them."""
    made = bytearray(random.randbytes(size))
    taken = {behind[0], before[-1]}
    for at in (0, -1):
        while made[at] in taken:
            made[at] = random.randrange(256)
    return bytes(made)


class Line(threading.Thread):
    """Between a host's end, which connects to `path`, and a guest's, which is started for it.

    faults: {(way, position): (kind, bytes)} in the bytes that pass, by their number; way 0 is to
    the guest. After a 'cut' it takes the next connection.
    """

    def __init__(self, path: str, guest: list, faults: dict):
        super().__init__(daemon=True)
        self.guest = guest
        self.faults = dict(faults)
        self.passed = [0, 0]
        self.last = [b'', b'']
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.start()

    def run(self) -> None:
        while True:
            try:
                host, _ = self.listener.accept()
            except OSError:     # shut down
                return
            ours, theirs = socket.socketpair()
            with subprocess.Popen(self.guest, stdin=theirs, stdout=theirs,
                                  stderr=subprocess.DEVNULL) as program:
                theirs.close()
                self.pump((host, ours))
                host.close()
                ours.close()
                program.wait(20)

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join()
        self.listener.close()

    def pump(self, ends: tuple) -> None:
        with selectors.DefaultSelector() as selector:
            for way, end in enumerate(ends):
                selector.register(end, selectors.EVENT_READ, way)
            while True:
                for key, _ in selector.select():
                    data = self.read(key.fileobj)
                    if not data or not self.spoil(key.data, data, ends[1 - key.data]):
                        return

    @staticmethod
    def read(end) -> bytes:
        try:
            return end.recv(random.choice((100, 4096, 65536)))
        except OSError:
            return b''

    def spoil(self, way: int, data: bytes, to) -> bool:
        """Passes data on, with the faults that are due; False: the connection is cut."""
        begin = self.passed[way]
        self.passed[way] += len(data)
        for (which, at), (kind, size) in sorted(self.faults.items()):
            # Whole in these bytes, or it waits for others.
            if which != way or begin + len(data) < at + size or at < begin:
                if which == way and at >= begin and begin + len(data) > at:
                    self.faults[which, begin + len(data)] = self.faults.pop((which, at))
                    break
                continue
            del self.faults[which, at]
            at -= begin
            if kind == 'cut':
                return False
            piece = {'drop': b'', 'double': data[at:at + size] * 2,
                     'insert': strange(size, data[at:], data[:at] or self.last[way]) +
                     data[at:at + size]}[kind]
            data = data[:at] + piece + data[at + size:]
            break
        self.last[way] = data
        try:
            to.sendall(data)
        except OSError:
            return False
        return True


def report(path: str) -> account.Ledger:
    return account.Ledger(subprocess.run([TALK, 'report', path], check=True, capture_output=True,
                                         text=True).stdout)


def talk(kind: str, total: int, faults: dict):
    """(host's ledger, guest's, the account), from a conversation that has come to its end."""
    with tempfile.TemporaryDirectory(prefix='talk-') as directory:
        host, guest, go, path = (os.path.join(directory, name)
                                 for name in ('host', 'guest', 'go', 'socket'))
        open(go, 'w').close()
        line = Line(path, [TALK, 'guest', kind, str(total), guest, go, 'stdio'], faults)
        subprocess.run([TALK, 'host', kind, str(total), host, go, 'unix', path], check=True,
                       timeout=60, stdin=subprocess.DEVNULL)
        line.stop()
        ledgers = report(host), report(guest)
        if line.faults:
            raise AssertionError(f'not done: {line.faults}')
        return *ledgers, account.both(*ledgers, total)


def check_good(tap) -> None:
    for kind, total in (('count', COUNT), ('bulk', BULK)):
        host, guest, sum_ = talk(kind, total, {})
        tap.equal((sum_, host['greetings'], host['resyncs']), (account.Account(), 1, 0),
                  f'{kind}: nothing happens, and nothing is found')
        tap.equal((host.got, guest.got), ([(0, total)],) * 2, f'{kind}: and all has arrived')


def check_faults(tap) -> None:
    for size in (1, 19, 100, 4096, 5000):
        for way in (0, 1):
            where = 'to' if not way else 'from'
            at = random.randrange(BULK // 4, BULK // 2)
            name = f'{size} bytes {where} the guest'
            host, guest, sum_ = talk('bulk', BULK, {(way, at): ('drop', size)})
            tap.ok(sum_.lost == size and not sum_.missing and not sum_.unknown and
                   host['resyncs'] == 1 and host['greetings'] == 1,
                   f'{name} lost: as many are found lost, and the two ends agree anew',
                   (at, sum_, host.values))
            host, guest, sum_ = talk('bulk', BULK, {(way, at): ('double', size)})
            tap.ok(sum_.doubled == size and not sum_.lost and not sum_.missing and
                   sum_.dropped == size and not sum_.unknown and host['greetings'] == 1,
                   f'{name} doubled: as many are found doubled', (at, sum_, host.values))
            host, guest, sum_ = talk('bulk', BULK, {(way, at): ('insert', size)})
            tap.ok(sum_.unknown == size and not sum_.missing and not sum_.lost,
                   f'{name} made up: as many are found unknown', (at, sum_, host.values))


def check_cuts(tap) -> None:
    faults = {(0, BULK // 4): ('cut', 1), (1, BULK // 2): ('cut', 1)}
    host, guest, sum_ = talk('bulk', BULK, faults)
    tap.ok(host['greetings'] == 3 and host['breaks'] == 2 and sum_.lost and
           sum_.lost == sum_.resent and not sum_.missing and not sum_.dropped,
           'cut twice: what was lost has been sent again, no more and no less',
           (sum_, host.values))
    host, guest, sum_ = talk('count', COUNT, {(0, COUNT // 2): ('cut', 1)})
    tap.ok(host['greetings'] == 2 and sum_.lost == sum_.resent and not sum_.missing and
           not sum_.dropped, 'a counter that is cut goes on', (sum_, host.values))


def main() -> int:
    seed = int(os.environ.get('SEED', time.time()))
    random.seed(seed)
    print(f'# SEED={seed}')
    with Tap() as tap:
        check_good(tap)
        check_faults(tap)
        check_cuts(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
