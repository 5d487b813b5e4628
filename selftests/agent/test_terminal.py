#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring exec -t: the person's terminal on this side, a terminal in the guest."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from guest import KRING, Guest, Tap, wait_for


class Screen:
    """kring on a terminal of its own."""

    def __init__(self, guest, *args, rows=33, columns=111):
        self.ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        self.found = termios.tcgetattr(self.theirs)
        self.seen = b''
        self.process = subprocess.Popen(
            [KRING, *args], stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
            env=guest.env | {'TERM': 'kringterm'}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def expect(self, pattern: bytes, seconds: float = 10) -> bool:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.ours], [], [], left)[0]:
                return False
            try:
                self.seen += os.read(self.ours, 65536)
            except OSError:
                return False
        self.seen = self.seen[re.search(pattern, self.seen).end():]
        return True

    def raw(self) -> bool:
        return not termios.tcgetattr(self.theirs)[3] & termios.ICANON

    def restored(self) -> bool:
        return termios.tcgetattr(self.theirs) == self.found

    def end(self, seconds: float = 10) -> int:
        """Its exit status; what it has still written is seen."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            self.expect(b'(?!)', 0.05)
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()

    def close(self) -> None:
        os.close(self.ours)
        os.close(self.theirs)


def check_shell(tap, guest) -> None:
    screen = Screen(guest, 'exec', '-i', '-t', '-e', 'PS1=prompt> ', '/bin/sh')
    tap.ok(screen.expect(b'prompt> '), 'a shell on a terminal', screen.seen)
    tap.ok(screen.raw(), 'ours is raw')
    screen.type(b'tty; stty size; echo $TERM\r')
    tap.ok(screen.expect(rb'/dev/pts/\d+\r\n'), 'it has one', screen.seen)
    tap.ok(screen.expect(rb'33 111\r\n'), 'of our size, from the start', screen.seen)
    tap.ok(screen.expect(rb'kringterm\r\n'), 'and of our kind', screen.seen)
    screen.resize(50, 90)
    screen.type(b'sleep 0.2; stty size\r')
    tap.ok(screen.expect(rb'50 90\r\n'), 'a new size is passed on', screen.seen)
    screen.type(b'sleep 60\r')
    time.sleep(0.3)
    screen.type(b'\x03')
    tap.ok(screen.expect(b'prompt> '), '^C ends what runs there, and not kring', screen.seen)
    screen.type(b'cat\r')
    time.sleep(0.2)
    screen.type(b'echoed\r\x04')
    tap.ok(screen.expect(rb'echoed\r\nechoed\r\n'), '^D is the end of a file', screen.seen)
    screen.type(b'exit 6\r')
    tap.equal(screen.end(), 6, 'its exit status')
    tap.ok(screen.restored(), 'our terminal is as it was')
    screen.close()


def check_ends(tap, guest) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        screen = Screen(guest, 'exec', '-i', '-t', 'sh', '-c', 'trap "" TERM INT; echo up; cat')
        screen.expect(b'up')
        wait_for(screen.raw)
        screen.process.send_signal(number)
        tap.equal(screen.end(), 128 + number, f'{number.name} from outside ends kring')
        tap.ok(screen.restored(), 'our terminal is as it was')
        screen.close()
    tap.ok(wait_for(lambda: not guest.children() and not guest.ps()), 'the programs are hung up')
    screen = Screen(guest, 'exec', '-i', '-t', 'sh', '-c', 'echo up; cat')
    screen.expect(b'up')
    wait_for(screen.raw)
    screen.process.send_signal(signal.SIGSEGV)
    tap.equal(screen.end(), -signal.SIGSEGV, 'even a crash')
    tap.ok(screen.restored(), 'leaves our terminal as it was')
    screen.close()
    screen = Screen(guest, 'exec', '-i', '-t', '/nope')
    tap.equal(screen.end(), 127, 'a program that is not there')
    tap.ok(screen.restored() and b'No such file' in screen.seen, 'is said on a sane terminal')
    screen.close()
    screen = Screen(guest, 'exec', '-t', 'sh', '-c', 'tty; trap "echo int; exit 3" INT; echo up; '
                    'while :; do sleep 0.1; done')
    tap.ok(screen.expect(rb'/dev/pts/\d+\r+\nup') and screen.restored(),
           '-t alone leaves our terminal as it is', screen.seen)
    screen.type(b'\x03')
    tap.equal(screen.end(), 3, 'and ^C is passed on as a signal')
    screen.close()
    screen = Screen(guest, 'exec', '-i', '-t', 'sh', '-c', 'echo up; sleep 60')
    screen.expect(b'up')
    wait_for(screen.raw)
    screen.process.send_signal(signal.SIGTSTP)
    tap.ok(wait_for(lambda: _state(screen.process.pid) == 'T') and screen.restored(),
           'suspended, our terminal is as it was')
    screen.process.send_signal(signal.SIGCONT)
    tap.ok(wait_for(screen.raw), 'and raw when it goes on')
    screen.process.terminate()
    screen.end()
    screen.close()
    wait_for(lambda: not guest.ps())


def _state(pid: int) -> str:
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        return file.read().rsplit(')', 1)[1].split()[0]


def check_detach(tap, guest) -> None:
    screen = Screen(guest, 'exec', '-i', '-t', '--name', 'shell', '-e', 'PS1=prompt> ', '/bin/sh')
    screen.expect(b'prompt> ')
    screen.type(b'a=\x10x; echo "[$a]"\r')
    tap.ok(screen.expect(rb'\[\x10?x\]'), 'half of the detach keys is passed on', screen.seen)
    screen.type(b'kept=1\r')
    screen.expect(b'prompt> ')
    screen.type(b'\x10\x11')
    tap.equal(screen.end(), 0, 'ctrl-p ctrl-q leaves it')
    tap.ok(screen.restored() and b'detached from session' in screen.seen, 'and says so',
           screen.seen)
    screen.close()
    found = guest.ps()
    tap.ok(len(found) == 1 and not found[0]['attached'] and found[0]['tty'], 'it goes on', found)
    screen = Screen(guest, 'attach', '-i', '--no-log', 'shell', rows=20, columns=60)
    wait_for(screen.raw)
    screen.type(b'echo kept is $kept; stty size; exit 4\r')
    tap.ok(screen.expect(rb'kept is 1\r\n20 60\r\n'), 'attached again, with the new size',
           screen.seen)
    tap.equal(screen.end(), 4, 'to its end')
    tap.ok(screen.restored(), 'our terminal is as it was')
    screen.close()
    screen = Screen(guest, 'exec', '-i', '-t', '--detach-keys', 'q', 'sleep', '60')
    wait_for(screen.raw)
    time.sleep(0.1)
    screen.type(b'q')
    tap.equal(screen.end(), 0, 'other keys')
    screen.close()
    number = str(guest.ps()[0]['session'])
    guest.run('kill', '-s', 'KILL', number)
    wait_for(lambda: guest.ps()[0]['exit'])
    tap.equal(guest.run('attach', number).returncode, 137, 'and the session is killed')


def check_escapes(tap, guest) -> None:
    """What a hostile guest has a person's terminal obey: nothing but a program's output."""
    evil = '\x1b]0;owned\x07\x9b\u202e\u009b31m'
    screen = Screen(guest, 'exec', f'/nope{evil}')
    screen.end()
    tap.ok(b'\x1b' not in screen.seen and b'\xc2\x9b' not in screen.seen and
           b'\xe2\x80\xae' not in screen.seen and rb'\x1b]0;owned' in screen.seen,
           'an error', screen.seen)
    screen.close()
    guest.exec('-d', '--name', 'evil', 'sleep', '0', evil)
    screen = Screen(guest, 'ps')
    screen.end()
    tap.ok(b'\x1b' not in screen.seen and rb'\x1b]0;owned' in screen.seen, 'a table', screen.seen)
    screen.close()
    guest.run('attach', 'evil')


def main() -> int:
    with Tap() as tap, Guest() as guest:
        for check in (check_shell, check_ends, check_detach, check_escapes):
            check(tap, guest)
        tap.equal(guest.stop(), 0, 'kringd ends in order')
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
