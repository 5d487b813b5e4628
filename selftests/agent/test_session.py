#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Sessions that outlive their host: detach, ps, attach, kill."""

import os
import re
import signal
import sys
import time

from guest import Guest, Tap, wait_for


def check_detach(tap, guest) -> None:
    gate = os.path.join(guest.dir, 'gate')
    os.mkfifo(gate)
    have = guest.exec('-d', '--name', 'first', 'sh', '-c',
                      f'echo before; cat {gate}; echo late >&2; exit 7')
    tap.ok(have.returncode == 0 and re.fullmatch(rb'\d+\n', have.stdout),
           "-d prints the session's number", have)
    number = have.stdout.decode().strip()
    found = [s for s in guest.ps() if str(s['session']) == number]
    tap.ok(len(found) == 1, 'kring ps knows it', found)
    session = found[0]
    tap.equal((session['name'], session['attached'], session['tty'], session['exit']),
              ('first', False, False, None), 'by its name, and detached')
    tap.ok(session['argv'][0] == 'sh' and session['pid'] > 0, 'and what it is', session)
    table = guest.run('ps').stdout.decode()
    tap.ok(re.search(rf'^ *{number} +first +\d+ +detached', table, re.M), 'and so does its table',
           table)
    tap.ok(guest.exec('-d', '--name', 'first', 'true').returncode == 125,
           'a name is given once')

    process = guest.start('attach', 'first')
    tap.equal(process.stdout.readline(), b'before\n', 'attach shows what was missed')
    with open(gate, 'wb') as file:
        file.write(b'through\n')
    out, err = process.communicate(timeout=10)
    tap.equal((out, err), (b'through\n', b'late\n'), 'and what comes')
    tap.equal(process.returncode, 7, 'and how it ends')
    tap.equal(guest.ps(), [], 'after which it is forgotten')
    have = guest.run('attach', 'first')
    tap.ok(have.returncode == 125 and have.stderr, 'attach to what is not there', have)


def check_ended(tap, guest) -> None:
    number = guest.exec('-d', 'sh', '-c', 'echo out; echo err >&2; kill -USR1 $$')
    number = number.stdout.decode().strip()
    ended = []
    tap.ok(wait_for(lambda: any(s['exit'] for s in ended.clear() or guest.ps())),
           'a session ends by itself')
    ended = guest.ps()[0]['exit']
    tap.equal((ended['by'], ended['signal']), ('signal', signal.SIGUSR1.value), 'ps knows how')
    tap.ok('SIGUSR1' in guest.run('ps').stdout.decode(), 'and its table')
    have = guest.run('attach', number)
    tap.equal((have.returncode, have.stdout, have.stderr),
              (128 + signal.SIGUSR1, b'out\n', b'err\n'), 'attach has all of it')
    have = guest.exec('-d', 'sh', '-c', 'head -c 300000 /dev/zero; echo end')
    number = have.stdout.decode().strip()
    wait_for(lambda: guest.ps()[0]['exit'])
    tap.equal(guest.ps()[0]['logged'], 65536, 'the log is bounded')
    have = guest.run('attach', number)
    tap.ok(have.stdout.endswith(b'end\n') and len(have.stdout) <= 65536, 'its end is kept')
    lost = 300004 - len(have.stdout)
    tap.ok(f'{lost} bytes of older output are lost' in have.stderr.decode(), 'and says so',
           have.stderr)
    have = guest.exec('-d', '--log-size', '1M', 'sh', '-c', 'head -c 300000 /dev/zero; echo end')
    wait_for(lambda: guest.ps()[0]['exit'])
    have = guest.run('attach', have.stdout.decode().strip())
    tap.equal((len(have.stdout), have.stderr), (300004, b''), 'a larger one has all')


def check_not_taken(tap, guest) -> None:
    """A host that goes before it has all has taken nothing."""
    script = 'head -c 100000 /dev/zero; echo end; exit 9'
    number = guest.exec('-d', '--log-size', '1M', 'sh', '-c', script).stdout.decode().strip()
    wait_for(lambda: guest.ps()[0]['exit'])
    for _ in range(2):
        process = guest.start('attach', number)
        # More than its pipe holds, so that it cannot have come to the end.
        process.stdout.read(1)
        time.sleep(0.3)
        process.kill()
        process.communicate()
        tap.ok([str(s['session']) for s in guest.ps()] == [number], 'it is there still', guest.ps())
    have = guest.run('attach', number)
    tap.ok(have.returncode == 9 and have.stdout.endswith(b'\0end\n'), 'and its result', have)
    tap.equal(guest.ps(), [], 'until somebody has got it')


def check_kill(tap, guest) -> None:
    script = 'trap "echo usr1" USR1; echo ready; sleep 60 & while :; do wait; done'
    guest.exec('-d', '--name', 'victim', 'sh', '-c', script)
    wait_for(lambda: guest.ps()[0]['logged'])
    have = guest.run('kill', '-s', 'USR1', 'victim')
    tap.equal((have.returncode, have.stderr), (0, b''), 'kill -s USR1')
    tap.ok(wait_for(lambda: guest.ps()[0]['logged'] > 6), 'the session has noticed')
    have = guest.run('kill', 'nobody', 'victim', 'none')
    tap.ok(have.returncode == 1 and have.stderr.count(b'\n') == 2 and
           b'nobody: ' in have.stderr and b'none: ' in have.stderr,
           'kill of several: those that are there, and a line for each other', have)
    wait_for(lambda: guest.ps()[0]['exit'])
    have = guest.run('attach', 'victim')
    tap.equal((have.returncode, have.stdout.split()[0]), (128 + signal.SIGTERM, b'ready'),
              'TERM is the default, for all of its processes')
    tap.ok(wait_for(lambda: not guest.children()), 'none of which is left')
    for args in (['-s', 'NONE', '1'], ['-s', '0', '1'], []):
        tap.equal(guest.run('kill', *args).returncode, 2, f'kill {args}')


def check_stdin(tap, guest) -> None:
    number = guest.exec('-d', 'cat').stdout.decode().strip()
    time.sleep(0.2)
    have = guest.run('attach', '-i', number, input=b'x')
    tap.ok(have.returncode == 0, 'attach -i to a session that had no stdin', have)
    numbers = [guest.exec('-d', 'sleep', '60').stdout.decode().strip() for _ in range(50)]
    tap.equal([str(s['session']) for s in guest.ps()], numbers, '50 at once, in their order')
    have = guest.run('kill', '-s', 'KILL', *numbers)
    tap.equal((have.returncode, have.stderr), (0, b''), 'killed by one call')
    wait_for(lambda: all(s['exit'] for s in guest.ps()))
    codes = {guest.run('attach', number).returncode for number in numbers}
    tap.equal((codes, guest.ps()), ({128 + signal.SIGKILL}, []), 'each of them attached to')


def main() -> int:
    with Tap() as tap, Guest() as guest:
        before = guest.fds()
        for check in (check_detach, check_ended, check_not_taken, check_kill, check_stdin):
            check(tap, guest)
        tap.ok(wait_for(lambda: guest.fds() <= before), 'no open file is left',
               (before, guest.fds()))
        tap.equal(guest.stop(), 0, 'kringd ends in order')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
