# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What became of every byte of a conversation, from what both ends have written down."""

import dataclasses


class Ledger:
    """What `talk report` says of one end; '' where it has not begun."""

    def __init__(self, text: str):
        self.wrote, self.got, self.values = [], [], {}
        for line in text.splitlines():
            name, _, value = line.partition('=')
            if name in ('wrote', 'got'):
                first, _, last = value.partition('-')
                getattr(self, name).append((int(first), int(last)))
            else:
                self.values[name] = int(value)
        if self['overflow']:
            raise ValueError('a ledger has overflowed')

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, 0)


@dataclasses.dataclass
class Account:
    """Bytes, of one direction or of several.

    lost: arrived less often than they were written. doubled: arrived more often than they were
    written. resent: were written again, as the program saw no other way. dropped: arrived when
    they were there already, for either reason. missing: are not there in the end. unknown:
    arrived, and nobody has written them.
    """
    lost: int = 0
    doubled: int = 0
    resent: int = 0
    dropped: int = 0
    missing: int = 0
    unknown: int = 0

    def __add__(self, other: 'Account') -> 'Account':
        return Account(*(a + b for a, b in zip(dataclasses.astuple(self),
                                               dataclasses.astuple(other))))


def direction(sender: Ledger, receiver: Ledger, total: int) -> Account:
    """Of what one end has sent and the other one received."""
    steps = {0: [0, 0], total: [0, 0]}      # position -> how many ranges begin there, less ends
    for which, ranges in enumerate((sender.wrote, receiver.got)):
        for first, last in ranges:
            steps.setdefault(first, [0, 0])[which] += 1
            steps.setdefault(last, [0, 0])[which] -= 1
    account = Account(unknown=receiver['unknown'])
    wrote = got = 0
    positions = sorted(steps)
    for first, last in zip(positions, positions[1:]):
        wrote += steps[first][0]
        got += steps[first][1]
        size = last - first
        account.lost += size * max(0, wrote - got)
        account.doubled += size * max(0, got - wrote)
        account.resent += size * max(0, wrote - 1)
        account.dropped += size * max(0, got - 1)
        account.missing += size * (not got)
    return account


def both(host: Ledger, guest: Ledger, total: int) -> Account:
    return direction(host, guest, total) + direction(guest, host, total)
