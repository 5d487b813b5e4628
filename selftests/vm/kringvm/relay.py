# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A bad doorbell: loses, doubles, delays and invents kicks between a host process and QEMU."""

import heapq
import itertools
import os
import random
import select
import socket
import threading
import time

H2G, G2H = 'h2g', 'g2h'
CONNECT_SECONDS = 1.0


class Relay:
    """
    A thread. The host process connects to listen_path, and for each such connection the relay
    connects to QEMU's chardev at connect_path. When either end goes, the other is closed.

    The probabilities, rates and connect_path may be changed while it runs. `counts[H2G]` and
    `counts[G2H]` count bytes that were passed, dropped, doubled, injected, and refused because the
    receiver's socket was full.
    """

    def __init__(self, listen_path: str, connect_path: str, drop_h2g: float = 0.0,
                 drop_g2h: float = 0.0, double: float = 0.0, spurious_hz: float = 0.0,
                 delay: float = 0.0, seed=None):
        self.listen_path = listen_path
        self.connect_path = connect_path
        self.drop_h2g = drop_h2g
        self.drop_g2h = drop_g2h
        self.double = double
        self.spurious_hz = spurious_hz
        self.delay = delay      # of each kick: at random, at most this many seconds
        self.connections = 0
        self.counts = {way: dict(passed=0, dropped=0, doubled=0, injected=0, refused=0)
                       for way in (H2G, G2H)}
        self._random = random.Random(seed)
        self._late = []         # heap of (due, sequence, way)
        self._sequence = itertools.count()
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = False
        self._dropping = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(listen_path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._run, name='kringvm-relay', daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def drop_connection(self) -> None:
        """Closes both ends of the connection that there is, if any; the host may connect again."""
        self._dropping = True

    def stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        os.write(self._wake_write, b'x')
        self._thread.join()
        self._listener.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        try:
            os.unlink(self.listen_path)
        except FileNotFoundError:
            pass

    def _run(self) -> None:
        while self._readable([self._listener], None):
            host, _ = self._listener.accept()
            with host:
                guest = self._connect()
                if guest:
                    with guest:
                        self.connections += 1
                        self._pump(host, guest)

    def _connect(self) -> socket.socket | None:
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._stopping:
            guest = socket.socket(socket.AF_UNIX)
            try:
                guest.connect(self.connect_path)
                return guest
            except OSError:
                guest.close()
                if time.monotonic() > deadline:
                    return None
                self._readable([], 0.02)
        return None

    def _pump(self, host: socket.socket, guest: socket.socket) -> None:
        """Until either end is gone or the relay is stopped."""
        self._late = []
        self._dropping = False
        target = {H2G: guest, G2H: host}
        try:
            next_spurious = self._next_spurious()
            while True:
                now = time.monotonic()
                while self._late and self._late[0][0] <= now:
                    self._send(target, heapq.heappop(self._late)[2])
                if now >= next_spurious:
                    way = self._random.choice((H2G, G2H))
                    self.counts[way]['injected'] += 1
                    self._send(target, way)
                    next_spurious = self._next_spurious()
                due = min(next_spurious, self._late[0][0] if self._late else next_spurious,
                          now + 0.1)    # the rate may be changed meanwhile
                ready = self._readable([host, guest], max(0.0, due - now))
                if self._stopping or self._dropping:
                    return
                if next_spurious == float('inf'):
                    next_spurious = self._next_spurious()
                for end, way in ((host, H2G), (guest, G2H)):
                    if end in ready:
                        kicks = len(end.recv(4096))
                        if not kicks:
                            return
                        for _ in range(kicks):
                            self._kick(target, way)
        except OSError:
            return

    def _next_spurious(self) -> float:
        if self.spurious_hz <= 0:
            return float('inf')
        return time.monotonic() + self._random.expovariate(self.spurious_hz)

    def _kick(self, target: dict, way: str) -> None:
        if self._random.random() < (self.drop_h2g if way == H2G else self.drop_g2h):
            self.counts[way]['dropped'] += 1
            return
        copies = 1
        if self._random.random() < self.double:
            self.counts[way]['doubled'] += 1
            copies = 2
        self.counts[way]['passed'] += 1
        for _ in range(copies):
            if self.delay > 0:
                due = time.monotonic() + self._random.uniform(0, self.delay)
                heapq.heappush(self._late, (due, next(self._sequence), way))
            else:
                self._send(target, way)

    def _send(self, target: dict, way: str) -> None:
        try:
            target[way].send(b'\0', socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.counts[way]['refused'] += 1

    def _readable(self, sockets: list, timeout) -> list:
        """Those of the sockets that can be read; [] when the relay is to stop or time is up."""
        ready, _, _ = select.select(sockets + [self._wake_read], [], [], timeout)
        return [] if self._stopping else ready
