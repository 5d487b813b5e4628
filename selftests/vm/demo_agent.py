# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The demo's second half: kringd in the guest and `kring` at the host. A program whose output
arrives as it is printed, a shell on a terminal, a large file each way and a web server, all at
once over one pair of rings."""

import fcntl
import hashlib
import os
import pty
import struct
import subprocess
import termios
import threading
import time
import urllib.request

import agent

BULK = 64 << 20
PAGE = b'<h1>hello from the guest</h1>\n'


class Show:
    def __init__(self, a: agent.Agent, say, directory: str):
        self.a = a
        self.say = say
        self.directory = directory
        self.good = {}

    def run(self) -> bool:
        """Everything at once."""
        acts = (self.stream, self.shell, self.copy_up, self.copy_down, self.web)
        self.prepare()
        threads = [threading.Thread(target=self.act, args=(act,), daemon=True) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        return len(self.good) == len(acts) and all(self.good.values())

    def act(self, act) -> None:
        try:
            self.good[act.__name__] = act()
        except Exception as error:
            self.say(f'  {act.__name__}: {error}')
            self.good[act.__name__] = False

    def prepare(self) -> None:
        self.a.sh(f'head -c {BULK} /dev/urandom >/tmp/down; mkdir -p /tmp/www; '
                  f"echo '{PAGE.decode().strip()}' >/tmp/www/index.html; "
                  'httpd -p 127.0.0.1:80 -h /tmp/www')
        with open(self.path('up'), 'wb') as file:
            file.write(os.urandom(BULK))

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def stream(self) -> bool:
        program = self.a.popen('exec', '--', 'sh', '-c',
                               'for i in 1 2 3 4 5; do echo "line $i"; sleep 0.4; done; exit 7',
                               stdout=subprocess.PIPE)
        times, begin = [], time.monotonic()
        while program.stdout.readline():
            times.append(time.monotonic() - begin)
        status = program.wait()
        self.say('  exec: lines arrived after ' +
                 ', '.join(f'{at:.1f}' for at in times) + f' s; exit status {status}')
        return status == 7 and len(times) == 5 and times[4] - times[0] > 1.2

    def shell(self) -> bool:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 101, 0, 0))
        program = self.a.popen('exec', '-i', '-t', '--', 'sh', stdin=theirs, stdout=theirs)
        os.close(theirs)
        os.write(ours, b'echo "size $(stty size) on $(tty)"; exit 5\n')
        output = b''
        try:
            while data := os.read(ours, 4096):
                output += data
        except OSError:
            pass        # the other end of a terminal has gone
        status = program.wait()
        os.close(ours)
        answer = next((line.strip() for line in output.decode().splitlines()
                       if line.startswith('size ')), '?')
        self.say(f'  exec -it: a shell says "{answer}"; exit status {status}')
        return status == 5 and answer.startswith('size 33 101 on /dev/pts/')

    def copy(self, source: str, target: str, sums) -> bool:
        begin = time.monotonic()
        result = self.a.run('cp', source, target, timeout=300)
        seconds = time.monotonic() - begin
        here, there = sums()
        self.say(f'  cp {"to" if target.startswith(":") else "from"} the guest: {BULK >> 20} MiB '
                 f'in {seconds:.1f} s, sha256 {"equal" if here == there else "DIFFERENT"} '
                 f'{result.stderr.decode()}')
        return not result.returncode and here == there

    def sums(self, here: str, there: str):
        with open(here, 'rb') as file:
            return (hashlib.sha256(file.read()).hexdigest(),
                    self.a.sh(f'sha256sum {there}', timeout=300).split()[0])

    def copy_up(self) -> bool:
        return self.copy(self.path('up'), ':/tmp/up',
                         lambda: self.sums(self.path('up'), '/tmp/up'))

    def copy_down(self) -> bool:
        return self.copy(':/tmp/down', self.path('down'),
                         lambda: self.sums(self.path('down'), '/tmp/down'))

    def web(self) -> bool:
        port = agent.free_port()
        program = self.a.popen('forward', f'{port}:127.0.0.1:80', stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        count, begin = 0, time.monotonic()
        while time.monotonic() - begin < 3:
            try:
                with urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=30) as answer:
                    count += answer.read() == PAGE
            except ConnectionError:
                time.sleep(0.1)     # it does not listen yet
        program.terminate()
        program.wait()
        self.say(f'  forward: {count} pages from a web server in the guest, in 3 s')
        return count > 0


def show(vm, region: str, port, say) -> bool:
    a = agent.Agent(vm, region, port)
    say('kringd in the guest, a broker at the host; all at once over one pair of rings:')
    good = Show(a, say, vm.workdir).run()
    a.stop()
    if not good:
        say(a.logs())
    return good
