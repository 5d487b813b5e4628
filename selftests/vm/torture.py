#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Random traffic on many streams, and at random moments whatever may happen to a VM, its VMM, and
all processes around it. After each of these every talk must get on; every byte and every exit
status is looked at. The last line is

    torture: rounds=N lost=N duplicated=N hung=N
"""

import argparse
import os
import random
import sys
import tempfile
import time

import agent
from torture_faults import FAULTS, choose
from torture_machine import Machine, leftovers
from torture_talks import Copy, Echo, Exits, Forward, Forwarded, Output

TALKS = 6
HUNG = 120      # seconds in which a talk must get on
SLOW = 10       # seconds after which it is worth a line


class Campaign:
    def __init__(self, directory: str, seed: int, say):
        self.random = random.Random(seed)
        self.say = say
        self.machine = Machine(directory, seed)
        self.forward = Forward(self.machine, agent.free_port())
        self.talks = []
        self.lost = self.duplicated = self.hung = 0
        self.done = 0
        self.complaints = []

    def round(self, number: int, fault=None) -> None:
        self.fill()
        time.sleep(self.random.uniform(0, 1.0))
        fault = fault or choose(self.random)
        begin = time.monotonic()
        word = fault(self.machine, self.talks, self.random)
        self.machine.wait_agent(HUNG)
        self.forward.ready()
        happened = time.monotonic()
        self.all_get_on(f'round {number}, {word}')
        self.say(f'round {number}: {word} ({happened - begin:.1f} s, '
                 f'all went on after {time.monotonic() - happened:.1f} s)')

    def fill(self) -> None:
        """As many talks as there should be."""
        kinds = (Echo, Echo, Output, Copy, Forwarded, Exits)
        while len(self.talks) < TALKS:
            kind, seed = self.random.choice(kinds), self.random.randrange(1 << 32)
            talk = (kind(self.machine, seed, self.forward) if kind is Forwarded
                    else kind(self.machine, seed))
            self.talks.append(talk.start())

    def all_get_on(self, when: str) -> None:
        before = {talk: talk.progress for talk in self.talks}
        begin = time.monotonic()
        deadline = begin + HUNG
        waiting = last = list(before)
        while waiting:
            last = waiting
            waiting = [talk for talk in waiting
                       if not talk.over and talk.progress == before[talk]]
            if waiting and time.monotonic() > deadline:
                self.give_up(waiting, when)
                break
            time.sleep(0.02)
        if time.monotonic() - begin > SLOW:
            self.say(f'  slow: {", ".join(talk.describe() for talk in last)}')
        self.reap(when)

    def give_up(self, talks, when: str) -> None:
        for talk in talks:
            self.hung += 1
            self.complaints.append(f'{when}: hung: {talk.describe()}')
            self.talks.remove(talk)

    def reap(self, when: str) -> None:
        for talk in [talk for talk in self.talks if talk.over]:
            self.talks.remove(talk)
            self.done += 1
            if talk.excused:
                self.machine.forget(talk.seed)
            self.lost += talk.lost
            self.duplicated += talk.duplicated
            if talk.complaint:
                # It should have gone on: what it still had to say is lost.
                self.lost += not talk.lost
                self.complaints.append(f'{when}: {talk.describe()}: {talk.complaint}')
            elif talk.lost or talk.duplicated:
                self.complaints.append(f'{when}: {talk.describe()}: lost {talk.lost}, '
                                       f'duplicated {talk.duplicated}')

    def finish(self) -> None:
        """All talks come to their ends, and nothing is left of them."""
        deadline = time.monotonic() + 2 * HUNG
        while any(not talk.over for talk in self.talks) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.give_up([talk for talk in self.talks if not talk.over], 'at the end')
        self.reap('at the end')
        deadline = time.monotonic() + 30
        while (left := leftovers(self.machine.vm)) and time.monotonic() < deadline:
            time.sleep(0.5)
        if left:
            self.hung += left
            self.complaints.append(f'at the end: {left} programs of nobody go on')

    def close(self) -> None:
        self.forward.close()
        self.machine.close()


def torture(rounds: int, seed: int, say, only=None) -> Campaign:
    with tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        campaign = Campaign(directory, seed, say)
        number = 0
        try:
            for number in range(1, rounds + 1):
                campaign.round(number, only)
                if campaign.complaints:
                    break
            campaign.finish()
            campaign.machine.vm.check_log()
        except Exception as error:
            campaign.hung += 1
            campaign.complaints.append(f'{type(error).__name__}: {error}')
        if campaign.complaints:
            say(campaign.machine.logs())
        campaign.rounds = number
        campaign.close()
    return campaign


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=200)
    parser.add_argument('--seed', type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument('--only', help='one fault, again and again')
    args = parser.parse_args()
    begin = time.monotonic()

    def say(text):
        print(f'[{time.monotonic() - begin:7.1f}] {text}', flush=True)
    say(f'seed {args.seed}')
    only = next((fault for fault, _ in FAULTS if fault.__name__ == args.only), None)
    if args.only and not only:
        parser.error('--only: ' + ', '.join(fault.__name__ for fault, _ in FAULTS))
    campaign = torture(args.rounds, args.seed, say, only)
    for text in campaign.complaints:
        say(text)
    say(f'{campaign.done} talks came to their ends')
    print(f'torture: rounds={campaign.rounds} lost={campaign.lost} '
          f'duplicated={campaign.duplicated} hung={campaign.hung}')
    return 1 if campaign.complaints or campaign.rounds < args.rounds else 0


if __name__ == '__main__':
    sys.exit(main())
