#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring quiesce and kring thaw: hooks, streams that wait, and all the ways in which it ends."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from guest import Tap, wait_for
from hooks import KEEP, KILL, UUID_TEXT, HookedBroker, HookedGuest, open_host
from wire import ACCEPT, CLOSE, DATA, RESET, error, message

EBUSY, EAGAIN, ECANCELED, EINTR, ESTALE, ETIMEDOUT, EIO = 16, 11, 125, 4, 116, 110, 5
MS = 1000000


def answer(host, stream: int) -> tuple:
    """(CLOSE, None) or (RESET, (errno, step, text))."""
    kind, payload = host.wait(stream, (CLOSE, RESET))
    if kind == CLOSE:
        host.frame(CLOSE, stream)
        return kind, None
    return kind, error(payload)


def quiesce(host, milliseconds: int = 0) -> int:
    return host.offer('quiesce', message((1, milliseconds * MS)))


def hooks_of(guest) -> None:
    """Three on each side."""
    for directory in ('freeze.d', 'thaw.d'):
        for name in ('10-one', '20-two', '30-three'):
            guest.hook(directory, name)


FROZEN = ['freeze.d/10-one', 'freeze.d/20-two', 'freeze.d/30-three']
THAWED = ['thaw.d/30-three', 'thaw.d/20-two', 'thaw.d/10-one']


def check_command(tap, guest) -> None:
    hooks_of(guest)
    have = guest.run('quiesce')
    tap.equal((have.returncode, have.stdout, have.stderr), (0, b'', b''), 'kring quiesce')
    tap.equal(guest.noted(), FROZEN, 'runs freeze.d')
    have = guest.run('quiesce')
    tap.ok(have.returncode == 1 and b'quiesced already' in have.stderr, 'once', have)
    process = guest.start('exec', '--', 'echo', 'late')
    time.sleep(0.5)
    tap.equal(process.poll(), None, 'kring exec waits')
    # kringd --listen has one client at a time; a broker's would go on waiting.
    process.terminate()
    process.communicate()
    have = guest.run('thaw')
    tap.equal((have.returncode, have.stdout, have.stderr), (0, b'', b''), 'kring thaw')
    tap.equal(guest.noted(), FROZEN + THAWED, 'runs thaw.d, the last one first')
    have = guest.run('thaw')
    tap.ok(have.returncode == 1 and b'not quiesced' in have.stderr, 'and once', have)
    tap.equal(guest.exec('true').returncode, 0, 'kring exec does not wait any more')
    for args in (['quiesce', '-t', 'x'], ['quiesce', '-t', '0'], ['quiesce', 'x'], ['thaw', 'x'],
                 ['thaw', '-t', '1']):
        have = guest.run(*args)
        tap.ok(have.returncode == 2 and b"--help'." in have.stderr, f'{args} makes no sense', have)
    for name in ('quiesce', 'thaw'):
        have = guest.run(name, '--help')
        tap.ok(have.returncode == 0 and have.stdout.startswith(f'Usage: kring {name}'.encode()) and
               max(map(len, have.stdout.splitlines())) <= 90, f'{name} --help')


def check_environment(tap, guest) -> None:
    for directory in ('freeze.d', 'thaw.d'):
        guest.hook(directory, 'only', 'env | grep "^KRING_[FNOU]" | sort >>$notes')
    with open_host(guest) as host:
        host.anew(8, 7)
        host.restore()
        answer(host, quiesce(host))
        answer(host, host.open('thaw'))
    want = ['KRING_FORKED=0', 'KRING_NEW_GENERATION=0', 'KRING_OLD_GENERATION=0',
            f'KRING_UUID={UUID_TEXT}']
    tap.equal(guest.noted(), ['freeze.d/only', *want, 'thaw.d/only', *want],
              'hooks know the region: with a socket, it has no generation of its own')


def check_streams(tap, guest) -> None:
    """What is sent stops between frames, and goes on where it was."""
    with open_host(guest) as host:
        lines = host.offer('exec', message((1, 'sh'), (1, '-c'), (
            1, 'i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.01; done')))
        host.wait(lines, DATA)
        host.received[lines].clear()
        start = host.taken[lines, 0]
        tap.equal(answer(host, quiesce(host)), (CLOSE, None), 'quiesced, while a program prints')
        first = host.offer('stat', message((1, '/')))
        second = host.offer('stat', message((1, '/nowhere')))
        gone = host.offer('stat', message((1, '/')))
        host.frame(RESET, gone)
        unknown = host.open('nothing')
        tap.equal(answer(host, unknown)[1][:2], (2, 'service'), 'an unknown service is refused')
        before = host.taken[lines, 0]
        tap.ok(host.quiet(0.7), 'nothing is sent')
        host.settle()
        tap.equal(host.taken[lines, 0], before, 'but that the agent is there')
        tap.ok(not any(host.received.get(stream) for stream in (first, second, gone)),
               'what is asked for waits')
        thaw = host.open('thaw')
        tap.equal(answer(host, thaw), (CLOSE, None), 'thawed')
        tap.equal((answer(host, first)[0], answer(host, second)[1][0]), (CLOSE, 2),
                  'then what has waited is answered')
        tap.ok(not host.received.get(gone), 'but not what was taken back')
        text = b''
        while True:
            kind, payload = host.wait(lines, (DATA, CLOSE, RESET))
            if kind != DATA:
                break
            text += payload
        whole = ''.join(f'{i}\n' for i in range(200)).encode()
        tap.ok(start > 0 and whole.endswith(text) and len(text) > 600 and
               host.taken[lines, 0] == len(whole), 'and no line is lost or doubled',
               (len(text), host.taken[lines, 0]))


def check_guest_streams(tap, guest) -> None:
    """Programs of the guest that want something of the host wait, too."""
    with open_host(guest) as host:
        answer(host, quiesce(host))
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(5)
        client.connect(os.path.join(guest.dir, 'host.sock'))
        client.sendall(b'CONNECT db\n')
        tap.ok(host.quiet(0.5), "a guest program's request waits")
        answer(host, host.open('thaw'))
        while not host.opened:
            host.step()
        host.frame(ACCEPT, host.opened[0][0])
        tap.equal(client.recv(100), b'OK db\n', 'and then reaches the host')
        client.close()


def check_veto(tap, guest) -> None:
    hooks_of(guest)
    guest.hook('freeze.d', '20-two', 'exit 3')
    have = guest.run('quiesce')
    tap.ok(have.returncode == 1 and have.stderr == b'kring: freeze.d: 20-two exited with 3\n',
           'a hook refuses', have)
    tap.equal(guest.noted(), FROZEN[:2] + THAWED[2:], 'what was frozen before it is thawed')
    tap.equal(guest.exec('true').returncode, 0, 'and nothing waits')

    guest.forget()
    guest.hook('freeze.d', '20-two', 'kill -9 $$')
    have = guest.run('quiesce')
    tap.ok(have.returncode == 1 and b'20-two killed by signal 9' in have.stderr,
           'one that is killed', have)
    tap.equal(guest.noted(), FROZEN[:2] + THAWED[1:],
              'is thawed itself: how far it came, who knows')

    guest.forget()
    path = os.path.join(guest.hooks, 'freeze.d', '20-two')
    with open(path, 'wb') as file:
        file.write(b'#!/no/such/interpreter\n')
    have = guest.run('quiesce')
    tap.ok(have.returncode == 1 and b'20-two ' in have.stderr and
           b'interpreter' in have.stderr, 'or cannot be started', have)
    tap.equal(guest.noted(), FROZEN[:1] + THAWED[2:], 'those before it are thawed')

    guest.clear()
    hooks_of(guest)
    guest.hook('thaw.d', '20-two', 'exit 4')
    guest.run('quiesce')
    have = guest.run('thaw')
    tap.ok(have.returncode == 1 and
           b'the guest is thawed, but: 20-two exited with 4' in have.stderr,
           'a hook of thaw.d fails', have)
    tap.equal(guest.noted(), FROZEN + THAWED, 'the others are run')
    tap.equal(guest.exec('true').returncode, 0, 'and all goes on')


def check_late(tap) -> None:
    with HookedGuest('hook_timeout = 3\n') as guest:
        hooks_of(guest)
        guest.hook('freeze.d', '20-two', 'sleep 60')
        start = time.monotonic()
        have = guest.run('quiesce')
        tap.ok(have.returncode == 1 and b'20-two not done in 3 s' in have.stderr and
               2.9 < time.monotonic() - start < 8, 'a hook that takes too long', have)
        tap.equal(guest.noted(), FROZEN[:2] + THAWED[1:], 'refuses as well')


def check_abort(tap, guest) -> None:
    hooks_of(guest)
    guest.hook('freeze.d', '20-two', 'sleep 0.6')
    with open_host(guest) as host:
        stream = quiesce(host)
        wait_for(lambda: FROZEN[1] in guest.noted())
        first = host.offer('stat', message((1, '/')))
        tap.equal(answer(host, quiesce(host))[1][0], EBUSY, 'not twice at once')
        host.frame(RESET, stream)
        tap.equal(answer(host, first)[0], CLOSE, 'taken back: what has waited goes on')
        tap.equal(guest.noted(), FROZEN[:2] + THAWED[1:], 'when all that was done is undone')

        guest.forget()
        stream = quiesce(host)
        wait_for(lambda: FROZEN[1] in guest.noted())
        thaw = host.open('thaw')
        tap.equal(answer(host, host.open('thaw'))[1][0], EBUSY, 'two thaws at once')
        tap.equal((answer(host, stream)[1][0], answer(host, thaw)), (EINTR, (CLOSE, None)),
                  'thawed before it was quiesced')
        tap.equal(guest.noted(), FROZEN[:2] + THAWED[1:], 'the same')

    guest.forget()
    process = guest.start('quiesce')
    wait_for(lambda: FROZEN[1] in guest.noted())
    process.kill()
    process.communicate()
    tap.ok(wait_for(lambda: THAWED[2] in guest.noted()), 'the host goes away')
    tap.equal(guest.noted(), FROZEN[:2] + THAWED[1:], 'the same')


def check_timeout(tap, guest) -> None:
    hooks_of(guest)
    tap.equal(guest.run('quiesce', '--timeout', '0.7').returncode, 0, 'quiesced for 0.7 s')
    start = time.monotonic()
    tap.equal(guest.exec('true').returncode, 0, 'a program is run')
    seconds = time.monotonic() - start
    tap.ok(0.3 < seconds < 5, 'when that is over', seconds)
    tap.equal(guest.noted(), FROZEN + THAWED, 'by itself')
    have = guest.run('thaw')
    tap.ok(have.returncode == 1, 'of which kring thaw tells', have)

    guest.forget()
    guest.hook('freeze.d', '20-two', 'sleep 0.9')
    with open_host(guest) as host:
        have = answer(host, quiesce(host, 300))
        tap.ok(have[0] == RESET and have[1][0] == ETIMEDOUT and '0.3 s' in have[1][2],
               'the time is over before it is quiesced', have)
        tap.equal(guest.noted(), FROZEN[:2] + THAWED[1:], 'thawed')

        # The timer of one is not taken for that of the next.
        guest.hook('freeze.d', '20-two')
        for _ in range(20):
            tap_ok = answer(host, quiesce(host, 10000)), answer(host, host.open('thaw'))
            if tap_ok != ((CLOSE, None), (CLOSE, None)):
                break
        tap.equal(tap_ok, ((CLOSE, None), (CLOSE, None)), 'over and over')
        guest.clear()
        answer(host, quiesce(host))
        quiesced, outcomes = True, set()
        for _ in range(300):
            thaw = host.open('thaw')
            streams = [quiesce(host, 10000) for _ in range(8)]
            if (answer(host, thaw)[0] == CLOSE) != quiesced:
                outcomes.add('thawed by itself')
            have = [(answer(host, stream)[1] or (0,))[0] for stream in streams]
            quiesced = 0 in have
            outcomes.update(have)
        tap.equal(outcomes, {0, EBUSY}, 'also one right behind the other')
        answer(host, host.open('thaw'))
        hooks_of(guest)
        guest.hook('thaw.d', '20-two', 'sleep 0.5')
        answer(host, quiesce(host, 300))
        wait_for(lambda: guest.noted()[-1] == THAWED[1])
        tap.equal(answer(host, host.open('thaw'))[1][0], ESTALE,
                  'thaw, while it is thawed as its time is over')


def check_restored(tap, guest) -> None:
    hooks_of(guest)
    for directory in ('thaw.d', 'restore.d'):
        guest.hook(directory, '15-env', 'echo $KRING_OLD_GENERATION $KRING_NEW_GENERATION '
                   '$KRING_FORKED >>$notes; sleep 0.2')
    with open_host(guest, restored=7) as host:
        answer(host, quiesce(host))
        kept = host.offer('stat', message((1, '/')), KEEP)
        killed = host.offer('stat', message((1, '/')), KILL)
        host.uuid = bytes(range(7, 23))
        host.anew(12, 11)
        host.say_restored(forked=True)
        host.resume([kept])
        later = host.open('stat', message((1, '/')))
        host.answered()
        tap.ok(not host.seen(kept, CLOSE) and not host.seen(later, CLOSE),
               'a quiesced guest is restored: nothing goes on before all hooks are done')
        tap.equal(guest.noted(), FROZEN + THAWED[:2] +
                  ['thaw.d/15-env', '5 12 1', 'thaw.d/10-one', 'restore.d/15-env', '5 12 1'],
                  'thaw.d, then restore.d')
        tap.equal((answer(host, kept)[0], answer(host, later)[0]), (CLOSE, CLOSE), 'then all does')
        tap.equal(answer(host, killed)[1][1], 'fork', 'but what was not to be kept')
        tap.equal(answer(host, host.open('thaw'))[1][0], ESTALE, 'it is not quiesced any more')

        guest.forget()
        guest.hook('freeze.d', '20-two', 'sleep 60')
        stream = quiesce(host)
        wait_for(lambda: FROZEN[1] in guest.noted())
        host.anew(14, 13)
        host.restore()
        host.resume([stream])
        tap.equal(answer(host, stream)[1][0], ESTALE, 'restored before it was quiesced')
        tap.equal(guest.noted(), FROZEN[:2] + THAWED[1:2] +
                  ['thaw.d/15-env', '12 14 0', 'thaw.d/10-one', 'restore.d/15-env', '12 14 0'],
                  'what was done is undone')
        tap.equal(answer(host, host.open('stat', message((1, '/'))))[0], CLOSE, 'and all goes on')


def check_flood(tap, guest) -> None:
    """What waits is bounded."""
    with open_host(guest) as host:
        answer(host, quiesce(host))
        before = guest.rss()
        request = message((1, '/' + 'x' * 60000))
        streams = [host.offer('stat', request) for _ in range(200)]
        host.settle()
        refused = [stream for stream in streams if host.seen(stream, RESET)]
        tap.ok(100 < len(refused) < 150 and refused == streams[-len(refused):],
               'those of 200 large requests that are too many are refused', len(refused))
        tap.equal(host.refusal(refused[0])[:2], (EAGAIN, 'quiesced'), 'and why')
        tap.ok(guest.rss() - before < 16 << 20, 'and take no memory', guest.rss() - before)
        answer(host, host.open('thaw'))
        have = {answer(host, stream)[1][0] for stream in streams[:len(streams) - len(refused)]}
        tap.equal(have, {36}, 'the others are answered')
        tap.equal(answer(host, quiesce(host)), (CLOSE, None), 'again')
        for _ in range(3):
            streams = [host.offer('stat', request) for _ in range(60)]
            host.settle()
            if any(host.seen(stream, RESET) for stream in streams):
                break
            for stream in streams:
                host.frame(RESET, stream)
        tap.ok(not any(host.seen(stream, RESET) for stream in streams),
               'with as much room, also when what waits is taken back')


def check_broker(tap) -> None:
    """As it is used: several commands, each a process of its own."""
    with HookedBroker() as guest:
        hooks_of(guest)
        guest.hook('freeze.d', '20-two', 'sleep 0.5')
        lines = guest.start('exec', '--', 'sh', '-c', 'i=0; while [ $i -lt 150 ]; do echo $i; '
                            'i=$((i+1)); sleep 0.02; done; exit 9')
        lines.stdout.readline()
        process = guest.start('quiesce')
        wait_for(lambda: FROZEN[1] in guest.noted())
        process.send_signal(signal.SIGINT)
        process.communicate()
        tap.ok(wait_for(lambda: guest.noted() == FROZEN[:2] + THAWED[1:]),
               'kring quiesce is interrupted: the guest is thawed', guest.noted())
        guest.forget()
        have = guest.run('quiesce', '-t', '30')
        tap.equal((have.returncode, have.stderr), (0, b''), 'kring quiesce')
        late = guest.start('exec', '--', 'echo', 'late')
        time.sleep(4)
        tap.equal((lines.poll(), late.poll()), (None, None), 'other commands wait')
        tap.equal(guest.run('thaw').returncode, 0, 'kring thaw')
        out, _ = lines.communicate(timeout=10)
        tap.equal((lines.returncode, out.split()[-1], out.count(b'\n')), (9, b'149', 149),
                  'and go on where they were')
        tap.equal((late.communicate(timeout=10)[0], late.returncode), (b'late\n', 0),
                  'or begin')
        tap.equal(guest.noted(), FROZEN + THAWED, 'all hooks were run')
        tap.equal(guest.stop(), 0, 'all ends in order')


def refuses(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(path) != 0


def check_stop(tap) -> None:
    """A guest is not left quiesced, however kringd ends."""
    directory = tempfile.mkdtemp(prefix='kring-run-')
    os.environ['RUNTIME_DIRECTORY'] = directory
    mark = os.path.join(directory, 'quiesced')
    with HookedGuest() as guest:
        hooks_of(guest)
        guest.run('quiesce')
        tap.ok(os.path.exists(mark), 'a quiesced guest is marked')
        guest.process.send_signal(signal.SIGTERM)
        tap.equal((guest.process.wait(10), guest.noted()), (0, FROZEN + THAWED),
                  'kringd stops: the guest is thawed')
        tap.ok(not os.path.exists(mark), 'and not marked')
    with HookedGuest() as guest:
        hooks_of(guest)
        guest.run('quiesce')
        guest.process.kill()
        guest.process.wait()
        tap.equal(guest.noted(), FROZEN, 'kringd is killed')
        # Its io_uring may hold on to its sockets for a moment.
        wait_for(lambda: refuses(os.path.join(guest.dir, 'host.sock')))
        config = os.path.join(guest.dir, 'kringd.conf')
        with subprocess.Popen([guest.process.args[0], '--config', config, '--listen',
                               guest.socket + '2'], stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            tap.ok(wait_for(lambda: guest.noted() == FROZEN + THAWED),
                   'and the next one thaws the guest', guest.noted())
            tap.ok(wait_for(lambda: not os.path.exists(mark)), 'once')
            process.terminate()
    del os.environ['RUNTIME_DIRECTORY']
    os.rmdir(directory)


def check_denied(tap) -> None:
    with HookedGuest('deny = quiesce thaw\n') as guest:
        for name in ('quiesce', 'thaw'):
            have = guest.run(name)
            tap.ok(have.returncode == 1 and b'not allowed' in have.stderr, f'{name} is not allowed',
                   have)


def main() -> int:
    with Tap() as tap:
        with HookedGuest() as guest:
            before = guest.fds()
            for check in (check_command, check_environment, check_streams, check_guest_streams,
                          check_veto, check_abort, check_timeout, check_flood):
                check(tap, guest)
                guest.run('thaw')
                guest.clear()
            tap.ok(wait_for(lambda: guest.fds() <= before), 'no open file is left',
                   (before, guest.fds()))
            tap.equal(guest.stop(), 0, 'kringd ends in order')
        with HookedGuest() as guest:
            check_restored(tap, guest)
            tap.equal(guest.stop(), 0, 'kringd ends in order')
        check_late(tap)
        check_broker(tap)
        check_stop(tap)
        check_denied(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
