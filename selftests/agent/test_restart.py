#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kringd is killed, and started again: its sessions go on, and nothing of them is lost."""

import os
import signal
import struct
import subprocess
import sys
import time

from guest import Tap, wait_for
from supervisor import LOST, Supervised, session, settled

# Of the file that is kept: see daemon/store.c and daemon/session_record.h.
VERSION_AT = 8
RECORD_SIZE = 1024
NUMBER_AT = 8
STARTING = 1


def detach(guest, name: str, script: str, *options) -> str:
    have = guest.exec('-d', '--name', name, *options, '--', 'sh', '-c', script)
    assert have.returncode == 0, have
    return have.stdout.decode().strip()


def alive(pid: int) -> bool:
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def check_lives_on(tap, guest) -> None:
    gate = os.path.join(guest.dir, 'gate')
    os.mkfifo(gate)
    number = detach(guest, 'first', f'echo before; cat {gate}; echo late >&2; exit 7')
    wait_for(lambda: session(guest, 'first').get('logged'))
    before = session(guest, 'first')
    guest.kill()
    tap.equal(session(guest, 'first'), before, 'it is there again, as it was')
    tap.equal(detach(guest, 'second', 'exit 0'), str(int(number) + 1),
              'the next one has the next number')
    tap.ok(guest.exec('-d', '--name', 'first', 'true').returncode == 125, 'its name is taken')
    process = guest.start('attach', number)
    tap.equal(process.stdout.readline(), b'before\n', 'what it had printed is kept')
    with open(gate, 'wb') as file:
        file.write(b'through\n')
    out, err = process.communicate(timeout=10)
    tap.equal((out, err, process.returncode), (b'through\n', b'late\n', 7), 'it goes on')
    tap.equal(guest.run('attach', 'second').returncode, 0, 'and so does what ended meanwhile')
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_ends(tap, guest) -> None:
    """While there is no kringd."""
    start = time.monotonic()
    ends = {'code': ('exit 42', 42), 'term': ('kill -TERM $$', 128 + 15),
            'segv': ('ulimit -c 0; kill -SEGV $$', 128 + 11), 'zero': ('true', 0)}
    for name, (script, _) in ends.items():
        detach(guest, name, f'echo {name}; sleep 0.5; echo more; echo err >&2; {script}')
    detach(guest, 'busy', 'sleep 0.4; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done')
    guest.down()
    wait_for(lambda: len(guest.tree()) == len(guest.keepers()), 30)
    tap.equal(len(guest.keepers()), len(ends) + 1, 'keepers are all that is left')
    guest.up()
    tap.ok(all(s['exit'] for s in guest.ps()), 'that they have ended is known', guest.ps())
    for name, (_, status) in ends.items():
        have = guest.run('attach', name)
        tap.equal((have.returncode, have.stdout, have.stderr),
                  (status, f'{name}\nmore\n'.encode(), b'err\n'), f'and how: {name}')
    busy = session(guest, 'busy')['exit']
    taken = time.time_ns() - busy['ended']
    tap.ok(busy['user_time'] > 1e6 and busy['max_rss'] > 1e5 and
           0 <= taken < (time.monotonic() - start) * 1e9, 'with times and memory', busy)
    guest.run('attach', 'busy')
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_limits(tap, guest) -> None:
    for name, limit in (('late', '3'), ('over', '0.5')):
        detach(guest, name, 'sleep 60', '--timeout', limit)
    guest.down()
    time.sleep(1)
    start = time.monotonic()
    guest.up()
    tap.equal(guest.run('attach', 'over').returncode, 124, 'a time that was over meanwhile')
    tap.equal(guest.run('attach', 'late').returncode, 124, 'one that was not')
    tap.ok(0.5 < time.monotonic() - start < 4, 'counts from the start', time.monotonic() - start)
    have = detach(guest, 'deaf', 'trap "" TERM; echo deaf; while :; do sleep 1; done',
                  '--timeout', '0.3', '--kill-after', '1')
    time.sleep(0.6)
    guest.kill()
    tap.equal(guest.run('attach', have).returncode, 124, 'nor is --kill-after forgotten')
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_terminal(tap, guest) -> None:
    detach(guest, 'tty', 'stty size; tty; read x; echo "got $x"; kill -HUP $$', '-t')
    wait_for(lambda: session(guest, 'tty').get('logged', 0) > 5)
    guest.kill()
    tap.ok(session(guest, 'tty')['tty'], 'a session on a terminal')
    process = guest.start('attach', '-i', 'tty', stdin=subprocess.PIPE)
    tap.equal(process.stdout.readline(), b'24 80\r\n', 'what it had printed')
    process.stdin.write(b'typed\n')
    process.stdin.flush()
    out, _ = process.communicate(timeout=10)
    tap.ok(b'typed\r\ngot typed\r\n' in out and process.returncode == 129,
           'it can be typed to', (out, process.returncode))
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_attached(tap, guest) -> None:
    """Who is attached loses the connection, and not the program."""
    process = guest.start('exec', '-i', '--name', 'cat', 'cat', stdin=subprocess.PIPE)
    process.stdin.write(b'one\n')
    process.stdin.flush()
    process.stdout.readline()
    guest.kill()
    _, err = process.communicate(timeout=20)
    have = session(guest, 'cat')
    tap.ok(process.returncode == 125 and f'kring attach {have["session"]}'.encode() in err,
           'the host is told, and how to go on', (process.returncode, err))
    tap.ok(have and not have['attached'] and not have['exit'], 'the program goes on', have)
    have = guest.run('attach', '-i', 'cat', input=b'two\n' * 50000)
    tap.equal((have.returncode, have.stdout), (0, b'two\n' * 50000),
              'attach gives it more input, and its end')
    have = guest.exec('-i', 'cat', input=b'y' * 1000000)
    tap.equal((have.returncode, len(have.stdout)), (0, 1000000), 'so it is with new ones')
    process = guest.start('exec', 'sh', '-c', 'while :; do echo line; done')
    process.stdout.read(100000)
    guest.kill()
    process.communicate(timeout=20)
    tap.ok(len(guest.ps()) == 1 and wait_for(lambda: guest.ps()[0]['logged'] == 65536),
           'what an orphan prints is logged', guest.ps())
    tap.equal(guest.run('kill', '-s', 'KILL', str(guest.ps()[0]['session'])).returncode, 0,
              'it can be killed')
    wait_for(lambda: guest.ps()[0]['exit'])
    tap.equal(guest.run('attach', str(guest.ps()[0]['session'])).returncode, 137,
              'and that is told')
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_grace(tap) -> None:
    with Supervised('orphan_time = 1\n') as guest:
        script = 'trap "echo hup >$0; exit" HUP; echo ready; while :; do sleep 0.1; done'
        marks = [os.path.join(guest.dir, name) for name in ('one', 'two')]
        detach(guest, 'durable', 'sleep 60')
        process = guest.start('exec', 'sh', '-c', script, marks[0])
        process.stdout.readline()
        guest.kill()
        process.communicate(timeout=20)
        tap.equal(len(guest.ps()), 2, 'an orphan has some time')
        tap.ok(wait_for(lambda: os.path.exists(marks[0])), 'then it is hung up')
        tap.ok(wait_for(lambda: [s['name'] for s in guest.ps()] == ['durable']),
               'and forgotten, which a detached one is not', guest.ps())
        process = guest.start('exec', '--name', 'taken', 'sh', '-c', script, marks[1])
        process.stdout.readline()
        guest.kill()
        process.communicate(timeout=20)
        process = guest.start('attach', 'taken')
        time.sleep(1.5)
        tap.ok(process.poll() is None and not os.path.exists(marks[1]),
               'not one that somebody has attached to')
        process.kill()
        process.communicate()
        tap.ok(wait_for(lambda: os.path.exists(marks[1])), 'which has that host from then on')
        process = guest.start('exec', '--name', 'done', 'sh', '-c', 'sleep 0.3; exit 3')
        time.sleep(0.1)
        guest.kill()
        process.communicate(timeout=20)
        wait_for(lambda: session(guest, 'done').get('exit'))
        tap.equal(session(guest, 'done').get('exit', {}).get('code'), 3,
                  'the result of an orphan is there')
        tap.ok(wait_for(lambda: not session(guest, 'done')), 'for as long')
        guest.run('kill', '-s', 'KILL', 'durable')
        guest.run('attach', 'durable')
        tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))
    with Supervised('orphan_time = 0\n') as guest:
        process = guest.start('exec', 'sh', '-c', 'echo ready; sleep 60')
        process.stdout.readline()
        guest.kill()
        process.communicate(timeout=20)
        tap.ok(settled(guest), 'no time: hung up at once', (guest.ps(), guest.tree()))


def check_keeper(tap, guest) -> None:
    """The keeper itself is killed."""
    detach(guest, 'lost', 'echo out; sleep 1; echo more; exit 5')
    os.kill(guest.keepers()[0], signal.SIGKILL)
    have = guest.run('attach', 'lost')
    tap.ok(have.returncode == 125 and LOST in have.stderr.decode() and
           have.stdout == b'out\nmore\n', 'with kringd alive: all output, and an error', have)
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))

    number = detach(guest, 'both', 'trap "" HUP; echo out; sleep 60')
    wait_for(lambda: session(guest, 'both').get('logged'))
    program = session(guest, 'both')['pid']
    guest.down()
    os.kill(guest.keepers()[0], signal.SIGKILL)
    wait_for(lambda: not guest.keepers())
    guest.up()
    tap.ok(alive(program), 'with kringd dead: the program goes on at first')
    start = time.monotonic()
    have = guest.run('attach', number)
    tap.ok(have.returncode == 125 and LOST in have.stderr.decode() and
           have.stdout == b'out\n', 'what was logged, and an error', have)
    tap.ok(time.monotonic() - start < 8 and not alive(program), 'when it was hung up',
           time.monotonic() - start)

    detach(guest, 'gone', 'echo out; exec sleep 60')
    wait_for(lambda: session(guest, 'gone').get('logged'))
    program = session(guest, 'gone')['pid']
    guest.down()
    for pid in (guest.keepers()[0], program):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not guest.keepers())
    guest.up()
    have = guest.run('attach', 'gone')
    tap.ok(have.returncode == 125 and LOST in have.stderr.decode() and
           have.stdout == b'out\n', 'the program dead as well', have)

    detach(guest, 'told', 'echo out; exit 6')
    wait_for(lambda: session(guest, 'told').get('exit'))
    guest.down()
    os.kill(guest.keepers()[0], signal.SIGKILL)
    wait_for(lambda: not guest.keepers())
    guest.up()
    have = guest.run('attach', 'told')
    tap.equal((have.returncode, have.stdout), (6, b'out\n'), 'after it had recorded the end')
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_refused(tap) -> None:
    """What is kept is of another version, or makes no sense."""
    with Supervised() as guest:
        mark = os.path.join(guest.dir, 'hup')
        detach(guest, 'durable', 'exec sleep 60')
        durable = session(guest, 'durable')['pid']
        process = guest.start('exec', 'sh', '-c', f'trap "echo >{mark}; exit" HUP; echo ready; '
                              'while :; do sleep 0.1; done')
        process.stdout.readline()
        guest.down()
        guest.ask('write', VERSION_AT, struct.pack('<I', 4711).hex())
        guest.up()
        process.communicate(timeout=20)
        tap.ok('they are of version 4711, and only 1 is known' in guest.text(),
               'another version is refused, and that is logged', guest.text()[-500:])
        tap.equal(guest.ps(), [], 'its sessions are not there')
        tap.ok(wait_for(lambda: os.path.exists(mark) and not guest.keepers()),
               'but hung up, and no keeper is left', guest.tree())
        tap.ok(alive(durable), 'a detached one goes on alone')
        os.kill(durable, signal.SIGKILL)
        tap.equal(len(guest.state()['store']), 3, 'a new store is kept in their place')
        detach(guest, 'new', 'exit 3')
        guest.kill()
        tap.equal(guest.run('attach', 'new').returncode, 3, 'new ones are')

        # The first record is the next one's.
        tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))
        number = int(detach(guest, 'bad', 'exec sleep 60'))
        detach(guest, 'good', 'sleep 0.5; exit 4')
        bad = session(guest, 'bad')['pid']
        guest.down()
        guest.ask('write', RECORD_SIZE + NUMBER_AT, struct.pack('<Q', number + 7).hex())
        guest.up()
        tap.ok('makes no sense' in guest.text(), 'one session makes no sense')
        tap.ok(wait_for(lambda: not alive(bad)), 'and ends')
        tap.equal(guest.run('attach', 'good').returncode, 4, 'another one does not')

        tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))
        detach(guest, 'early', 'exec sleep 60')
        early = session(guest, 'early')['pid']
        guest.down()
        guest.ask('write', RECORD_SIZE, struct.pack('<I', STARTING).hex())
        guest.up()
        tap.ok(not guest.ps() and wait_for(lambda: not alive(early)),
               'one of which no host had been told ends')
        tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_not_kept(tap) -> None:
    """Whoever is at the socket keeps nothing; or no longer."""
    with Supervised(room=0) as guest:
        process = guest.start('exec', 'sh', '-c', 'echo ready; sleep 60')
        process.stdout.readline()
        guest.kill()
        process.communicate(timeout=20)
        tap.ok(settled(guest), 'nothing is kept: hung up', (guest.ps(), guest.tree()))
    with Supervised() as guest:
        detach(guest, 'alone', 'exec sleep 60')
        durable = session(guest, 'alone')['pid']
        process = guest.start('exec', 'sh', '-c', 'trap "" HUP; echo ready; sleep 60')
        process.stdout.readline()
        guest.down()
        time.sleep(0.2)
        tap.equal(len(guest.keepers()), 2, 'kringd is down: all wait')
        guest.ask('drop')
        tap.ok(wait_for(lambda: [p for p, _, _ in guest.tree()] == [durable]),
               'and for good: hung up, killed where that does not help', guest.tree())
        os.kill(durable, signal.SIGKILL)
        guest.up()
        process.communicate(timeout=20)
        tap.equal(guest.ps(), [], 'a detached one goes on alone')


def check_stop(tap, guest) -> None:
    """Stopped in order, for an upgrade perhaps."""
    detach(guest, 'ended', 'echo out; exit 8')
    detach(guest, 'goes', 'echo out; sleep 3; exit 9')
    wait_for(lambda: session(guest, 'ended').get('exit'))
    process = guest.start('exec', 'sh', '-c', 'echo ready; sleep 60')
    process.stdout.readline()
    guest.down(signal.SIGTERM)
    tap.ok(wait_for(lambda: len(guest.keepers()) == 2), 'one that needs a host is hung up',
           guest.tree())
    guest.up()
    process.communicate(timeout=20)
    tap.equal([s['name'] for s in guest.ps()], ['ended', 'goes'], 'the others are there again')
    for name, status in (('ended', 8), ('goes', 9)):
        have = guest.run('attach', name)
        tap.equal((have.returncode, have.stdout), (status, b'out\n'), f'with all: {name}')
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))


def check_child(tap, guest) -> None:
    """A child in the background still has a pipe of a session that is over."""
    mark = os.path.join(guest.dir, 'child')
    have = guest.sh(f'(sleep 2; head -c 200000 /dev/zero; echo >{mark}; sleep 0.3) & echo over')
    tap.equal((have.returncode, have.stdout), (0, b'over\n'), 'a session that is over')
    tap.ok(wait_for(lambda: len(guest.state()['store']) == 5 and not guest.ps()),
           'its pipes are kept, too', guest.state())
    guest.kill()
    guest.kill()
    tap.ok(wait_for(lambda: os.path.exists(mark)), 'its child is not killed by writing')
    tap.ok(wait_for(lambda: len(guest.state()['store']) == 3), 'and they go with it',
           guest.state())


def steady(count) -> int:
    """A number that counts what may still be closing, once it has stood for half a second."""
    seen = []
    while len(seen) < 100 and len(set(seen[-5:])) != 1 or len(seen) < 5:
        seen.append(count())
        time.sleep(0.1)
    return seen[-1]


def check_leaks(tap, guest) -> None:
    guest.kill()
    before = (guest.fds(), guest.state()['fds'], len(guest.tree()))
    detach(guest, 'pipes', 'echo out; sleep 600')
    detach(guest, 'tty', 'echo out; sleep 600', '-t')
    wait_for(lambda: all(s['logged'] for s in guest.ps()))
    own = steady(guest.fds)
    guest.kill()
    during = (guest.fds(), guest.state()['fds'], len(guest.tree()))
    tap.equal(during[0], own, 'as many files as of whoever has started them')
    for _ in range(50):
        guest.kill()
    time.sleep(0.3)
    tap.equal((guest.fds(), guest.state()['fds'], len(guest.tree())), during,
              '50 times: no file or process more')
    tap.ok(not any(state == 'Z' for _, state, _ in guest.tree()), 'no zombie', guest.tree())
    maps = sum('memfd:kring-sessions' in line
               for line in open(f'/proc/{guest.pid}/maps', encoding='ascii'))
    tap.equal(maps, 1, 'and one memory for all')
    sizes = []
    for pid in guest.keepers():
        with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as file:
            sizes += [int(line.split()[1]) for line in file if line.startswith('Private_Dirty')]
    tap.ok(max(sizes) < 200, 'a keeper is small', sizes)
    tap.diag(f'memory of its own of each keeper: {sizes} KiB')
    guest.run('kill', '-s', 'KILL', 'pipes', 'tty')
    for name in ('pipes', 'tty'):
        tap.equal(guest.run('attach', name).returncode, 137, f'{name} is killed')
    tap.ok(settled(guest), 'then nothing is left', (guest.ps(), guest.tree()))
    guest.kill()
    tap.equal((guest.fds(), guest.state()['fds'], len(guest.tree())), before, 'nowhere')


def main() -> int:
    with Tap() as tap:
        with Supervised() as guest:
            for check in (check_lives_on, check_ends, check_limits, check_terminal,
                          check_attached, check_keeper, check_stop, check_child, check_leaks):
                tap.diag(check.__name__)
                check(tap, guest)
        for check in (check_grace, check_refused, check_not_kept):
            tap.diag(check.__name__)
            check(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
