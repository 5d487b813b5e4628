#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A guest that is told that it was restored: order, hooks, clock, and forked streams."""

import ctypes
import json
import os
import re
import signal
import socket
import sys
import time

from guest import Tap, wait_for
from hooks import DETACH, KEEP, KILL, UUID, UUID_TEXT, HookedBroker, HookedGuest, open_host
from wire import (ACCEPT, CLOSE, DATA, RESET, error, message, parse)

CAP_SYS_TIME, PR_CAPBSET_DROP = 25, 24


def stat_root(host) -> int:
    """Asks, and does not wait."""
    return host.open('stat', message((1, '/')))


def check_order(tap, guest) -> None:
    guest.hook('restore.d', '20-second', 'echo one line; echo error >&2; printf "no end"')
    guest.hook('restore.d', '10-first',
               'env | grep "^KRING_[FNOU]" | sort >>$notes; readlink /proc/self/fd/0 >>$notes; '
               'pwd >>$notes; sleep 0.4; echo end of first >>$notes; exit 3')
    guest.hook('restore.d', '30.text')
    guest.hook('restore.d', '40-no-program', mode=0o644)
    os.mkdir(os.path.join(guest.hooks, 'restore.d', '50-directory'))
    os.symlink('/bin/false', os.path.join(guest.hooks, 'restore.d', '60_link'))
    os.symlink('/nowhere', os.path.join(guest.hooks, 'restore.d', '70_broken'))
    with open_host(guest) as host:
        tap.equal((host.said.get(11, 0), host.said[12]), (0, UUID),
                  'a new agent takes over what the host says of the region')
        host.anew(8, 7)
        start = time.monotonic()
        host.say_restored()
        first = stat_root(host)
        answer = host.answered()
        seconds = time.monotonic() - start
        tap.ok(not host.seen(first, ACCEPT) and not host.seen(first, CLOSE),
               'RESTORED is answered first')
        tap.ok(0.4 <= seconds < 5, 'when the hooks have ended', seconds)
        tap.equal((answer[1], answer[2]), (5, 8), 'with the old generation and the new one')
        notes = guest.noted()
        tap.equal(notes[:-1], ['restore.d/10-first', 'KRING_FORKED=0', 'KRING_NEW_GENERATION=8',
                               'KRING_OLD_GENERATION=5', f'KRING_UUID={UUID_TEXT}', '/dev/null',
                               '/', 'end of first'], 'a hook, its environment, its stdin')
        tap.equal(notes[-1:], ['restore.d/20-second'], 'the next one, and nothing else')
        tap.equal(host.wait(first, (CLOSE, RESET))[0], CLOSE,
                  'what was asked behind RESTORED is answered then')
        log = guest.text().splitlines()
        tap.equal([line for line in log if '20-second' in line],
                  [f'kringd: restore.d/20-second: {line}'
                   for line in ('one line', 'error', 'no end')], 'what hooks print is in the log')
        tap.ok(not any('no-program' in line for line in log), 'what is no program is no failure')
        tap.ok('kringd: restore.d/10-first: exited with 3' in log and
               'kringd: restore.d/60_link: exited with 1' in log, 'and that two have failed', log)
        said = host.anew(9, 7)
        tap.equal((said[11], said[12]), (7, UUID), 'the guest knows now, and says so')


def check_repeated(tap, guest) -> None:
    guest.hook('restore.d', 'only', 'mkdir $notes.lock || echo two at once >>$notes; '
               'echo $KRING_NEW_GENERATION >>$notes; sleep 0.1; rmdir $notes.lock')
    with open_host(guest, generation=10, restored=7) as host:
        for _ in range(100):
            host.say_restored()
        host.answered(100)
        tap.equal(guest.noted(), [], 'what is known is answered at once, a hundred times')
        host.say_restored(restored=3)
        host.answered(101)
        tap.equal(guest.noted(), [], 'so is what is older')
        for _ in range(50):
            host.say_restored(restored=11, generation=11)
        host.answered(151)
        tap.equal(guest.noted(), ['restore.d/only', '11'], 'one restore, one run')
        for generation in (12, 13, 14):
            host.say_restored(restored=generation, generation=generation)
        host.answered(154)
        tap.equal(guest.noted()[2:],
                  [line for n in (12, 13, 14) for line in ('restore.d/only', f'{n}')],
                  'several: one after another')
        guest.forget()
        host.uuid = bytes(range(2, 18))
        host.say_restored(restored=1, generation=15)
        host.answered(155)
        tap.equal(guest.noted(), ['restore.d/only', '15'], 'another region, whatever its number')
        host.frame(12, 0, b'\xff\xff', offset=16)
        host.settle()
        tap.ok('its RESTORED makes no sense' in guest.text(), 'nonsense is none')
        tap.equal(len(guest.noted()), 2, 'and runs nothing')


def lives(pid: int) -> bool:
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def check_time(tap, guest) -> None:
    guest.hook('restore.d', '10-slow', 'sleep 60 & echo $! >>$notes; wait')
    guest.hook('restore.d', '20-deaf',
               'trap "" TERM; sleep 60 & echo $! >>$notes; wait; sleep 60')
    guest.hook('restore.d', '30-parent', 'sleep 60 & echo $! >>$notes')
    guest.hook('restore.d', '40-last')
    with open_host(guest) as host:
        host.sock.settimeout(30)
        start = time.monotonic()
        host.restore(restored=6)
        seconds = time.monotonic() - start
        # One second for each of two, and five for SIGTERM to be ignored.
        tap.ok(6.9 < seconds < 12, 'hooks have their time', seconds)
        notes = guest.noted()
        tap.equal(notes[::2], ['restore.d/10-slow', 'restore.d/20-deaf', 'restore.d/30-parent',
                               'restore.d/40-last'], 'each, and all are run')
        log = guest.text()
        tap.ok('10-slow: not done in 1 s, and killed by signal 15' in log and
               '20-deaf: not done in 1 s, and killed by signal 9' in log, 'the log says how',
               log[-2000:])
        slow, deaf, parent = map(int, notes[1::2])
        tap.ok(wait_for(lambda: not lives(slow) and not lives(deaf), 2),
               'what they have started is ended with them', notes)
        tap.ok(lives(parent), 'but not what a hook has left behind', notes)
        os.kill(parent, signal.SIGKILL)


def check_flood(tap, guest) -> None:
    guest.hook('restore.d', 'flood', 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); '
               'done; head -c 100000 /dev/zero')
    guest.hook('restore.d', 'reads', 'cat; exit 0')
    with open_host(guest, generation=25, restored=20) as host:
        start = len(guest.text())
        host.restore()
        tap.equal(guest.noted(), ['restore.d/flood', 'restore.d/reads'],
                  'a hook that prints much comes to its end')
        tap.ok(len(guest.text()) - start < 400000, 'the log is bounded',
               len(guest.text()) - start)


def check_lost(tap, guest) -> None:
    guest.hook('restore.d', 'only', 'sleep 1.5; echo end >>$notes')
    before = guest.fds()
    host = open_host(guest, generation=30, restored=25)
    stream = host.open('exec', message((1, 'sh'), (1, '-c'), (1, 'sleep 0.5; echo x; sleep 60')))
    host.wait(stream, ACCEPT)
    host.say_restored(restored=30)
    host.sock.close()
    wait_for(lambda: guest.noted())
    # The program's output finds nobody, so this one is let in while the hook runs.
    with open_host(guest, generation=31, restored=30) as host:
        tap.ok('end' not in guest.noted(), 'the host is lost, and the next one comes meanwhile',
               guest.noted())
        first = stat_root(host)
        host.wait(first, CLOSE)
        tap.equal(guest.noted(), ['restore.d/only', 'end'], 'what it asks for waits for the hooks')
        host.say_restored()
        first = stat_root(host)
        host.answered()
        tap.equal(guest.noted(), ['restore.d/only', 'end'], 'which are not run again')
        host.wait(first, CLOSE)
        tap.equal(host.anew(32, 30)[11], 30, 'and the next one need not ask')
    host = open_host(guest, generation=33, restored=30)
    guest.forget()
    host.say_restored(restored=33)
    wait_for(lambda: guest.noted())
    host.sock.close()
    tap.ok(wait_for(lambda: 'end' in guest.noted()), 'nobody comes: the hooks are run to their end')
    with open_host(guest, generation=34, restored=33) as host:
        tap.equal(host.said.get(11), 33, 'and that is known')
        host.restore()
        tap.equal(guest.noted(), ['restore.d/only', 'end'], 'and not done again')
    tap.ok(wait_for(lambda: guest.fds() <= before), 'no open file is left', (before, guest.fds()))


def start_streams(guest, host, listener) -> dict:
    """A stream of each kind and policy: what it is, its policy, and what can be seen of it."""
    streams = {}
    for policy in (KEEP, DETACH, KILL):
        stream = host.offer('exec', message((1, 'cat'), (10, 1)), policy)
        started = parse(parse(host.wait(stream, ACCEPT)[1])[1])
        streams[stream] = ('exec', policy, started[2])
        session = host.offer('exec', message((1, 'cat'), (10, 1), (13, 1)))
        number = parse(parse(host.wait(session, ACCEPT)[1])[1])
        host.wait(session, CLOSE)
        host.frame(CLOSE, session)
        stream = host.offer('attach', message((1, str(number[1])), (2, 1)), policy)
        host.wait(stream, ACCEPT)
        streams[stream] = ('attach', policy, number[2])
        stream = host.offer('put', message((1, f'{guest.dir}/put-{policy}')), policy)
        host.wait(stream, ACCEPT)
        host.control(stream, message((1, 0), (2, 3)))
        streams[stream] = ('put', policy, None)
        stream = host.offer('connect', message((2, listener.getsockname())), policy)
        host.wait(stream, ACCEPT)
        connection, _ = listener.accept()
        connection.settimeout(5)
        streams[stream] = ('connect', policy, connection)
    return streams


def check_kept(tap, guest, host, what, stream, sign) -> None:
    """Its bytes arrive, and those of the other side."""
    host.data(stream, b'abc')
    if what == 'put':
        host.eof(stream)
        kind, payload = host.wait(stream, (CLOSE, RESET))
        host.frame(CLOSE, stream)
        with open(f'{guest.dir}/put-{KEEP}', 'rb') as file:
            tap.equal((kind, file.read()), (CLOSE, b'abc'), 'a copy is brought to its end')
        return
    if what == 'connect':
        tap.equal(sign.recv(3), b'abc', 'what is sent arrives at its connection')
        sign.sendall(b'abc')
    else:
        tap.ok(lives(sign), f'the program of {what} goes on')
    tap.equal(host.wait(stream, (DATA, RESET, CLOSE)), (DATA, b'abc'), f'{what} answers')
    host.eof(stream)


def ps(host) -> list:
    """Sessions, by their fields."""
    stream = host.open('ps')
    frames = []
    while True:
        kind, payload = host.wait(stream, (9, CLOSE, RESET))
        if kind != 9:
            break
        frames.append(payload)
    host.frame(CLOSE, stream)
    data, out = b''.join(frames), []
    while data:
        size = int.from_bytes(data[:4], 'little')
        out.append(parse(data[4:4 + size]))
        data = data[4 + size:]
    return out


def check_ended(tap, guest, host, what, policy, stream, sign) -> None:
    name = f'{what}, {"detach" if policy == DETACH else "kill"}'
    if what in ('exec', 'attach') and policy == DETACH:
        have = [session for session in ps(host) if session.get(3) == sign]
        tap.ok(lives(sign) and have and not have[0].get(6), f'{name}: goes on by itself', have)
        kind, payload = host.wait(stream, (CLOSE, RESET))
        tap.equal((kind, parse(parse(payload)[1])), (CLOSE, {3: 1}), 'and its stream says so')
        os.kill(sign, signal.SIGKILL)
        return
    payload = host.seen(stream, RESET)
    tap.equal(payload and error(payload)[1], 'fork', f'{name}: the stream is reset')
    if what == 'exec':
        tap.ok(wait_for(lambda: not lives(sign)), 'and its program hung up')
    elif what == 'attach':
        # It was detached once: it does not need a host.
        tap.ok(lives(sign), 'and its program goes on, as it needs no host')
        os.kill(sign, signal.SIGKILL)
    elif what == 'connect':
        try:
            gone = sign.recv(1) == b''
        except ConnectionResetError:
            gone = True
        tap.ok(gone, 'and its connection is broken off')
    else:
        tap.ok(not os.path.exists(f'{guest.dir}/put-{policy}'), 'and there is no file')


def check_fork(tap, guest) -> None:
    guest.hook('restore.d', 'only', 'echo forked $KRING_FORKED >>$notes')
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.path.join(guest.dir, 'server'))
    listener.listen(16)
    listener.settimeout(5)
    with open_host(guest, generation=40, restored=33) as host:
        streams = start_streams(guest, host, listener)
        host.anew(42, 41)
        host.restore()
        host.resume(streams)
        host.settle()
        tap.equal(guest.noted(), ['restore.d/only', 'forked 0'], 'restored, not forked')
        tap.ok(not any(host.seen(stream, RESET) or host.seen(stream, CLOSE)
                       for stream in streams), 'all streams are kept, whatever their policy')

        host.uuid = bytes(range(3, 19))
        host.anew(44, 43)
        host.restore(forked=True)
        tap.equal(guest.noted()[2:], ['restore.d/only', 'forked 1'], 'forked')
        host.resume(stream for stream in streams if not host.seen(stream, RESET))
        host.settle()
        for stream, (what, policy, sign) in streams.items():
            if policy == KEEP:
                check_kept(tap, guest, host, what, stream, sign)
            else:
                check_ended(tap, guest, host, what, policy, stream, sign)
    listener.close()


def check_fork_listener(tap, guest) -> None:
    """Connections that a listener has accepted go with it."""
    path = os.path.join(guest.dir, 'listening')
    with open_host(guest, generation=50, restored=43, uuid=bytes(range(3, 19))) as host:
        stream = host.offer('listen', message((2, path)), KILL)
        host.wait(stream, ACCEPT)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(5)
        client.connect(path)
        while not host.opened:
            host.step()
        accepted = host.opened[0][0]
        host.frame(ACCEPT, accepted)
        host.frame(DATA, accepted, b'x')
        tap.equal(client.recv(1), b'x', 'a connection to a listener')
        host.uuid = bytes(range(4, 20))
        host.anew(52, 51)
        host.restore(forked=True)
        try:
            gone = client.recv(1) == b''
        except ConnectionResetError:
            gone = True
        tap.ok(gone and not os.path.exists(path), 'is broken off with it in a fork')


def check_clock(tap) -> None:
    """No clock is really set: kringd is not allowed to. That it does so, a VM shows."""
    if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0) and os.geteuid() == 0:
        tap.ok(False, 'CAP_SYS_TIME is given up')
        return
    for config, ahead, tries in (('', 3, True), ('', -3, True), ('', 0.03, False),
                                 ('clock = keep\n', 3, False), ('deny = clock\n', 3, False)):
        with HookedGuest(config) as guest:
            with open_host(guest) as host:
                host.anew(8, 7)
                host.restore(at=time.time() + ahead)
                host.say_restored(restored=9, at=-1)
                host.answered(2)
                found = re.findall(r'clock: it is ([+-]\d+) ms from .* cannot be set: ',
                                   guest.text())
                tap.ok(len(found) == tries and guest.text().count('clock: ') == tries and
                       all(abs(int(ms) + ahead * 1000) < 900 for ms in found),
                       f'{config.strip() or "by default"}, a host that is {ahead} s ahead: '
                       f'{"followed" if tries else "not followed"}', found)


def check_broker(tap) -> None:
    """A region that was cloned: its broker tells the guest."""
    with HookedBroker() as guest:
        guest.hook('restore.d', 'only', 'sleep 0.5; env | grep "^KRING_[FNOU]" | sort >>$notes; '
                   'touch $notes.done')
        stat = json.loads(guest.run('stat', '--json', guest.region).stdout)
        tap.equal(guest.exec('true').returncode, 0, 'a guest is used')
        for fork in (False, True):
            guest.end_broker()
            guest.bridge.kill()
            guest.bridge.wait()
            saved = guest.region
            guest.region = f'{saved}.{"fork" if fork else "restored"}'
            have = guest.run('clone', *(['--fork'] if fork else []), saved, guest.region)
            tap.equal((have.returncode, have.stderr), (0, b''), 'its region is cloned')
            old, stat = stat, json.loads(guest.run('stat', '--json', guest.region).stdout)
            guest.start_bridge()
            guest.start_broker()
            have = guest.exec('ls', f'{guest.notes}.done')
            tap.equal(have.returncode, 0, 'the first request comes behind the hooks')
            tap.equal(guest.noted(), ['restore.d/only', f'KRING_FORKED={int(fork)}',
                                      f'KRING_NEW_GENERATION={stat["generation"] + 1}',
                                      f'KRING_OLD_GENERATION={old["generation"]}',
                                      f'KRING_UUID={stat["uuid"]}'],
                      f'which know that it was {"forked" if fork else "restored"}')
            os.unlink(f'{guest.notes}.done')
            guest.forget()
            guest.end_broker()
            guest.start_broker()
            tap.equal((guest.exec('true').returncode, guest.noted()), (0, []),
                      'another broker does not ask again')
            stat = json.loads(guest.run('stat', '--json', guest.region).stdout)
        tap.equal(guest.stop(), 0, 'all ends in order')


def check_config(tap) -> None:
    with HookedGuest('restore_d = none\n') as guest, open_host(guest) as host:
        guest.hook('restore.d', 'only')
        host.anew(8, 7)
        host.restore()
        tap.equal(guest.noted(), [], 'restore_d = none')
    with HookedGuest('restore_d = /nowhere/at/all\n') as guest, open_host(guest) as host:
        host.anew(8, 7)
        tap.equal(host.restore()[2], 8, 'a directory that is not there')
        tap.ok('nowhere' not in guest.text() and '/all' not in guest.text(), 'is no news',
               guest.text())
    for line in ('clock = maybe', 'hook_timeout = 0', 'restore_d = restore.d', 'hook_timeout = x'):
        try:
            HookedGuest(line + '\n').stop()
            tap.ok(False, f'"{line}" is refused')
        except RuntimeError as wrong:
            tap.ok('kringd.conf:' in str(wrong), f'"{line}" is refused', str(wrong))


def main() -> int:
    with Tap() as tap:
        with HookedGuest() as guest:
            before = guest.fds()
            for check in (check_order, check_repeated, check_flood, check_lost, check_fork,
                          check_fork_listener):
                check(tap, guest)
                guest.clear()
            tap.ok(wait_for(lambda: guest.fds() <= before), 'no open file is left',
                   (before, guest.fds()))
            tap.equal(guest.stop(), 0, 'kringd ends in order')
        with HookedGuest('hook_timeout = 1\n') as guest:
            check_time(tap, guest)
            tap.equal(guest.stop(), 0, 'kringd ends in order')
        check_broker(tap)
        check_config(tap)
        # For good: what comes later may not set the clock either.
        check_clock(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
