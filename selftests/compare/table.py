# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What was measured of each transport, as a table."""

import account


class Row:
    """Of the table: one transport, and all that was measured of it."""

    def __init__(self, transport, conversations: list):
        self.transport = transport
        self.count, self.bulk = conversations
        self.both = conversations
        self.account = self.count.account + self.bulk.account

    def sum(self, what: str) -> int:
        return sum(c.host[what] for c in self.both)

    @property
    def ended(self) -> bool:
        return self.sum('done') == len(self.both) and not self.account.missing

    @property
    def caught(self) -> bool:
        return all(c.caught for c in self.both)

    @property
    def survived(self) -> bool:
        """To their end over the connections that they began with."""
        return (self.caught and self.ended and self.sum('greetings') == len(self.both) and
                not any(self.sum(what) for what in ('resyncs', 'breaks', 'status')))

    @property
    def perfect(self) -> bool:
        return self.survived and self.account == account.Account()

    def duties(self) -> str:
        """What the two programs have done about it, counted by themselves."""
        found = [] if self.caught else ['all in vain: the snapshot did not catch them at work']
        again = self.sum('greetings') - len(self.both)
        if again > 0:
            found += [f'{again}x {self.transport.again}, {self.transport.guest_again}']
        if self.sum('resyncs'):
            found += [f'{self.sum("resyncs")}x agree anew where to go on']
        if self.account.resent:
            found += [f'send {self.account.resent} bytes again']
        if self.account.dropped:
            found += [f'drop {self.account.dropped} bytes that were there already']
        if self.account.unknown:
            found += [f'drop {self.account.unknown} bytes that make no sense']
        if not self.ended:
            found += ['all in vain: it never came to its end']
        return '; '.join(found) or 'nothing'

    def cells(self) -> list:
        def shown(value):
            return '-' if value is None else f'{value:.0f}'
        return [self.transport.name, 'yes' if self.survived else 'no', str(self.account.lost),
                str(self.account.doubled), shown(self.count.milliseconds('first')),
                shown(self.count.milliseconds('echo')), self.duties()]


HEAD = ['transport', 'survived', 'bytes lost', 'bytes doubled', 'first byte after (ms)',
        'first echo after (ms)', 'what its programs had to do']


def show(rows: list, skipped: list) -> None:
    cells = [HEAD, *(row.cells() for row in rows),
             *([name, 'skipped', '-', '-', '-', '-', why] for name, why in skipped)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD) - 1)] + [0]
    for number, line in enumerate(cells):
        # All but names and words to the right.
        print('| ' + ' | '.join(cell.rjust(width) if 2 <= column < len(HEAD) - 1 else
                                cell.ljust(width)
                                for column, (cell, width) in enumerate(zip(line, widths))) + ' |')
        if not number:
            print('|' + '|'.join('-' * (width + 2) for width in widths[:-1]) + '| --- |')
    for row in rows:
        for note in row.transport.notes:
            print(f'{row.transport.name}: {note}.')
