#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring exec: a program in the guest is like one that was started here."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from guest import KRING, Guest, Tap, wait_for


def check_status(tap, guest) -> None:
    for code in (0, 1, 2, 3, 42, 125, 255):
        have = guest.sh(f'exit {code}')
        tap.equal((have.returncode, have.stderr), (code, b''), f'exit {code}')
    for name in ('TERM', 'KILL', 'SEGV', 'USR1'):
        number = signal.Signals[f'SIG{name}'].value
        tap.equal(guest.sh(f'kill -{name} $$').returncode, 128 + number, f'died of SIG{name}')
    have = guest.sh('echo out; echo err >&2')
    tap.equal((have.stdout, have.stderr), (b'out\n', b'err\n'), 'stdout and stderr apart')
    tap.equal(guest.exec('true').returncode, 0, 'PATH is searched')
    have = guest.exec('echo', '-n', 'a  b', '-i', '--', '')
    tap.equal(have.stdout, b'a  b -i -- ', "options end at the program's name")
    have = guest.exec('printf', '%s', b'\xff\xfe\x01 \n"')
    tap.equal(have.stdout, b'\xff\xfe\x01 \n"', 'an argument is bytes')


def check_refused(tap, guest) -> None:
    script = os.path.join(guest.dir, 'script')
    with open(script, 'w', encoding='ascii') as file:
        file.write('#!/nonexistent/interpreter\n')
    for status, text, args in (
            (127, r'exec: /nope: No such file or directory', ['/nope']),
            (127, r'exec: nope.*No such file or directory', ['nope']),
            (126, r'exec: .*script: Permission denied', [script]),
            (126, r'exec: /: (Permission denied|Is a directory)', ['/']),
            (125, r'chdir: /nope: No such file or directory', ['-w', '/nope', 'true']),
            (125, r'user: .*nobody-of-that-name', ['-u', 'nobody-of-that-name', 'true']),
            (125, r'groups?: .*no-such-group', ['--group', 'no-such-group', 'true'])):
        have = guest.exec(*args)
        tap.ok(have.returncode == status and
               re.fullmatch(f'kring: {text}.*\n', have.stderr.decode()),
               f'{" ".join(args)}: {status}, and why', have)
    os.chmod(script, 0o755)
    tap.equal(guest.exec(script).returncode, 127, 'a script without its interpreter')
    have = guest.exec('true', *['y' * 100000] * 12)
    tap.ok(have.returncode in (125, 126) and have.stderr, 'more than a message holds', have)
    tap.equal(guest.exec('sh', '-c', 'echo ${#1}', '-', 'x' * 120000).stdout, b'120000\n',
              'a long argument arrives')


def check_command_line(tap, guest) -> None:
    for args in ([], ['-X', 'true'], ['--umask', '9', 'true'], ['--ulimit', 'no=1', 'true'],
                 ['--timeout', 'soon', 'true'], ['--timeout', '0', 'true'], ['-e', '=x', 'true'],
                 ['--ulimit', 'nofile=2:1', 'true'], ['--detach-keys', 'ctrl-', 'true'],
                 ['-d', '-i', 'true']):
        have = guest.exec(*args)
        tap.ok(have.returncode == 125 and b"Try 'kring exec --help'." in have.stderr,
               f'{args}: 125, and a hint', have)
    have = guest.exec('-i', '-t', 'true')
    tap.ok(have.returncode == 125 and b'stdin is not a terminal' in have.stderr,
           '-i -t without a terminal', have)
    have = guest.run('exec', '--socket', guest.dir + '/none', 'true')
    tap.ok(have.returncode == 125 and b'no such socket' in have.stderr, 'no broker', have)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute:
        mute.bind(guest.dir + '/mute')
        mute.listen()
        have = guest.run('exec', '--socket', guest.dir + '/mute', '--connect-timeout', '0.3',
                         'true')
        tap.ok(have.returncode == 125 and b'no answer' in have.stderr, 'an agent that is mute',
               have)
        mute.close()
        have = guest.run('exec', '--socket', guest.dir + '/mute', 'true')
        tap.ok(have.returncode == 125 and b'nobody listens' in have.stderr, 'one that has gone',
               have)


def check_surroundings(tap, guest) -> None:
    tap.equal(guest.sh('echo $A-$B', '-e', 'A=1', '-e', 'B=x y').stdout, b'1-x y\n', '-e')
    have = guest.sh('echo $HERE', '-e', 'HERE', env=guest.env | {'HERE': 'there'})
    tap.equal(have.stdout, b'there\n', '-e NAME takes it from here')
    have = guest.exec('--clear-env', '-e', 'ONLY=1', '/usr/bin/env')
    tap.equal(have.stdout, b'ONLY=1\n', '--clear-env')
    tap.equal(guest.exec('-w', '/usr/lib', 'pwd').stdout, b'/usr/lib\n', '-w')
    tap.equal(guest.exec('--umask', '027', 'sh', '-c', 'umask').stdout, b'0027\n', '--umask')
    have = guest.sh('ulimit -n; ulimit -Hn; ulimit -c', '--ulimit', 'nofile=100:200',
                    '--ulimit', 'core=0')
    tap.equal(have.stdout, b'100\n200\n0\n', '--ulimit')
    have = guest.sh('test $(ps -o pgid= -p $$) = $$ && ls /proc/self/fd | wc -l')
    tap.equal(have.stdout, b'4\n', 'a process group of its own, and no open file too many')
    if os.getuid():
        tap.skip('-u', 'needs root')
        return
    tap.equal(guest.exec('-u', 'nobody', 'id', '-un').stdout, b'nobody\n', '-u NAME')
    tap.equal(guest.exec('-u', '12345', 'id', '-u').stdout, b'12345\n', '-u NUMBER')
    have = guest.exec('-u', 'nobody', '--group', 'daemon', '--group', '7', 'id', '-G')
    tap.equal(have.stdout.split(), [b'1', b'7'], '--group')


def check_stdin(tap, guest) -> None:
    tap.equal(guest.exec('-i', 'cat', input=b'hello').stdout, b'hello', 'stdin, to its end')
    tap.equal(guest.exec('-i', 'cat', input=b'').stdout, b'', 'an empty one')
    tap.equal(guest.exec('readlink', '/proc/self/fd/0').stdout, b'/dev/null\n', 'none without -i')
    have = guest.exec('-i', 'head', '-c', '10', input=bytes(4 << 20))
    tap.equal((have.returncode, have.stdout), (0, bytes(10)), 'a program that does not read on')
    have = guest.exec('-i', 'sh', '-c', 'exec 0<&-; sleep 0.2; echo done', input=bytes(4 << 20))
    tap.equal((have.returncode, have.stdout), (0, b'done\n'), 'a program that closes it')
    path = os.path.join(guest.dir, 'file')
    data = os.urandom(3 << 20)
    with open(path, 'wb') as file:
        file.write(data)
    with open(path, 'rb') as source, open(path + '.copy', 'wb') as target:
        have = guest.exec('-i', 'cat', stdin=source, stdout=target)
    with open(path + '.copy', 'rb') as file:
        tap.ok(file.read() == data and not have.returncode, 'from a file to a file')
    with open('/dev/null', 'rb') as null, open('/dev/full', 'wb') as full:
        have = guest.exec('-i', 'echo', 'x', stdin=null, stdout=full)
    tap.ok(have.returncode == 125 and b'stdout: No space left' in have.stderr, '/dev/full', have)
    source = os.open('/', os.O_RDONLY)
    have = guest.exec('-i', 'cat', stdin=source)
    os.close(source)
    tap.ok(have.returncode == 0 and have.stderr == b'kring: stdin: Is a directory\n',
           'a stdin that cannot be read', have)
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        with ours, theirs:
            ours.sendall(b'through a socket')
            ours.shutdown(socket.SHUT_WR)
            have = guest.exec('-i', 'cat', stdin=theirs, stdout=theirs)
            tap.equal(ours.recv(100), b'through a socket', f'from and to a {kind.name}')


def check_bulk(tap, guest) -> None:
    size = 64 << 20
    digest = hashlib.sha256(bytes(size)).hexdigest().encode()
    have = guest.exec('-i', 'sha256sum', input=bytes(size))
    tap.equal(have.stdout.split()[0], digest, '64 MiB to the guest')
    have = guest.sh(f'head -c {size} /dev/zero; head -c {size // 8} /dev/zero >&2')
    tap.ok(len(have.stdout) == size and hashlib.sha256(have.stdout).hexdigest().encode() == digest,
           '64 MiB from the guest')
    tap.equal(len(have.stderr), size // 8, 'and 8 MiB on stderr')
    data = os.urandom(1 << 20) * 64
    start = time.monotonic()
    have = guest.exec('-i', 'cat', input=data)
    seconds = time.monotonic() - start
    tap.ok(have.stdout == data, 'to the guest and back')
    tap.diag(f'{len(data) / seconds / 1e6:.0f} MB/s each way')
    tap.ok(guest.rss() < 32 << 20, "kringd's memory stays small", guest.rss())


def check_slow_reader(tap, guest) -> None:
    """Nobody reads stdout; stderr goes on, and nothing is lost."""
    process = guest.start('exec', 'sh', '-c',
                          'head -c 8000000 /dev/zero & for i in 1 2 3; do sleep 0.1; '
                          'echo $i >&2; done; echo ready >&2; wait')
    seen = b''
    while b'ready' not in seen:
        seen += os.read(process.stderr.fileno(), 100)
    tap.equal(seen, b'1\n2\n3\nready\n', 'stderr goes on while nobody reads stdout')
    tap.equal(len(process.communicate(timeout=30)[0]), 8000000, 'and all of stdout comes')
    tap.equal(process.returncode, 0, 'and the exit status')
    process = guest.start('exec', 'yes')
    process.stdout.read(10)
    process.stdout.close()
    tap.equal(process.wait(10), 128 + signal.SIGPIPE, 'stdout closed: as if of SIGPIPE')
    tap.ok(wait_for(lambda: not guest.children()), 'and the program is hung up', guest.children())
    # O_NONBLOCK is a property of the open file, which others have too.
    read_end, write_end = os.pipe()
    process = guest.start('exec', 'sh', '-c', 'echo x; sleep 0.2', stdout=write_end)
    os.read(read_end, 10)
    tap.ok(os.get_blocking(write_end), 'stdout is left blocking for those who share it')
    process.wait()
    os.close(read_end)
    os.close(write_end)


def check_shared(tap, guest) -> None:
    """Pipes that kring may use, but not open a second time."""
    if os.getuid() or not os.access(KRING, os.X_OK):
        tap.skip('pipes of another user', 'needs root')
        return
    parent = os.path.dirname(guest.dir)
    mode = os.stat(parent).st_mode & 0o7777
    os.chmod(parent, mode | 0o111)
    os.chmod(guest.dir, 0o755)
    os.chmod(guest.socket, 0o666)
    nobody = {'preexec_fn': lambda: os.setuid(65534)}
    data = os.urandom(1 << 20) * 8
    have = guest.exec('-i', 'cat', input=data, **nobody)
    tap.ok(have.stdout == data, 'pipes of another user', have.stderr)
    process = guest.start('exec', 'sh', '-c', 'head -c 1000000 /dev/zero & sleep 0.2; '
                          'echo ready >&2; wait', **nobody)
    tap.equal(process.stderr.readline(), b'ready\n', 'stderr goes on while nobody reads stdout')
    tap.equal(len(process.communicate(timeout=10)[0]), 1000000, 'and all of stdout comes')
    os.chmod(parent, mode)


def check_signals(tap, guest) -> None:
    script = ('trap "echo got TERM; exit 9" TERM; trap "echo got INT" INT; trap "echo got USR1" '
              'USR1; trap "echo got HUP" HUP; trap "echo got QUIT" QUIT; echo ready; '
              'while :; do sleep 0.05; done')
    process = guest.start('exec', 'sh', '-c', script)
    process.stdout.readline()
    for name in ('INT', 'USR1', 'HUP', 'QUIT'):
        process.send_signal(signal.Signals[f'SIG{name}'])
        tap.equal(process.stdout.readline(), f'got {name}\n'.encode(), f'SIG{name} is passed on')
    process.send_signal(signal.SIGTERM)
    tap.equal(process.communicate(timeout=10)[0], b'got TERM\n', 'SIGTERM is passed on')
    tap.equal(process.returncode, 9, 'and the program decides')
    process = guest.start('exec', 'sh', '-c', 'trap "" INT; echo ready; sleep 60')
    process.stdout.readline()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    tap.equal(process.wait(10), 130, 'three times SIGINT: kring gives up')
    process = guest.start('exec', 'sh', '-c', 'sleep 60 & echo ready; wait')
    process.stdout.readline()
    process.kill()
    process.communicate()
    tap.ok(wait_for(lambda: not guest.children()), 'kring killed: the program is hung up')
    process = guest.start('exec', 'sleep', '60', stdin=subprocess.DEVNULL,
                          preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    tap.ok(process.poll() is None, 'what nohup has ignored stays ignored')
    process.terminate()
    tap.equal(process.wait(10), 128 + signal.SIGTERM, 'SIGTERM ends a program that lets it')


def check_time(tap, guest) -> None:
    start = time.monotonic()
    have = guest.exec('--timeout', '0.3', 'sleep', '60')
    tap.ok(have.returncode == 124 and time.monotonic() - start < 5, '--timeout: 124', have)
    start = time.monotonic()
    have = guest.sh('trap "" TERM; while :; do sleep 1; done', '--timeout', '0.2',
                    '--kill-after', '0.3')
    tap.ok(have.returncode == 124 and time.monotonic() - start < 5, '--kill-after', have)
    tap.equal(guest.exec('--timeout', '30', 'true').returncode, 0, 'one that is not reached')
    start = time.monotonic()
    have = guest.sh('sleep 30 & echo started; exit 5')
    tap.ok((have.returncode, have.stdout) == (5, b'started\n') and time.monotonic() - start < 5,
           'a child in the background does not hold up the exit', have)
    guest.sh('pkill -x sleep; true')


def check_killed_clients(tap, guest) -> None:
    """Whatever a client was at when it was killed, the agent goes on."""
    for i in range(40):
        process = guest.start('exec', '-i', 'cat', stdin=subprocess.PIPE)
        thread = threading.Thread(target=_feed, args=(process.stdin,))
        thread.start()
        time.sleep(0.002 * (i % 20))
        process.kill()
        process.stdout.close()
        process.stderr.close()
        process.wait()
        thread.join()
    tap.equal(guest.exec('echo', 'alive').stdout, b'alive\n', '40 clients killed at any moment')
    tap.ok(wait_for(lambda: not guest.children()), 'none of their programs is left')


def _feed(pipe) -> None:
    try:
        while True:
            pipe.write(bytes(65536))
    except OSError:
        pass
    finally:
        try:
            pipe.close()
        except OSError:
            pass


def check_many(tap, guest) -> None:
    guest.exec('true')
    before, memory = guest.fds(), guest.rss()
    start = time.monotonic()
    bad = sum(guest.exec('true').returncode != 0 for _ in range(1000))
    seconds = time.monotonic() - start
    tap.equal(bad, 0, '1000 programs, one after the other')
    tap.diag(f'{seconds:.3f} ms each; kringd: {memory} bytes before, {guest.rss()} after')
    tap.ok(wait_for(lambda: guest.fds() <= before), 'no open file is left', (before, guest.fds()))
    tap.equal(guest.children(), [], 'and no process')
    tap.ok(guest.rss() < memory + (1 << 20), 'and no memory', (memory, guest.rss()))


def main() -> int:
    with Tap() as tap, Guest() as guest:
        for check in (check_status, check_refused, check_command_line, check_surroundings,
                      check_stdin, check_bulk, check_slow_reader, check_shared, check_signals,
                      check_time, check_killed_clients, check_many):
            check(tap, guest)
        tap.equal(guest.stop(), 0, 'kringd ends in order')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
