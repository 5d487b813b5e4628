#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A short torture; `make torture` is the long one."""

import os
import sys

from kringvm import Tap
from torture import torture

ROUNDS = int(os.environ.get('KRING_TORTURE_ROUNDS', 20))


def main() -> int:
    with Tap() as tap:
        seed = int(os.environ.get('KRING_TORTURE_SEED', int.from_bytes(os.urandom(3))))
        campaign = torture(ROUNDS, seed, tap.diag)
        tap.ok(campaign.rounds == ROUNDS and not campaign.complaints,
               f'{ROUNDS} rounds of torture, seed {seed}: {campaign.done} talks, '
               f'lost={campaign.lost} duplicated={campaign.duplicated} hung={campaign.hung}',
               '\n'.join(campaign.complaints))
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
