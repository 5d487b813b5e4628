#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring info, ping, health, clock and log."""

import json
import os
import re
import signal
import subprocess
import sys
import time

from guest import KRINGD, Guest, Tap
from wire import Wire, message


def check_info(tap, guest) -> None:
    have = guest.run('info', '--json')
    info = json.loads(have.stdout)
    kernel = os.uname()
    tap.equal((info['hostname'], info['kernel'], info['machine']),
              (kernel.nodename, kernel.release, kernel.machine), 'info --json: what it is')
    tap.ok(info['agent'].startswith('kringd') and info['cpus'] == os.cpu_count() and
           info['memory_total'] > info['memory_available'] > 0 and info['uptime'] > 0 and
           0 < info['agent_rss'] < 32 << 20 and 0 < info['agent_fds'] < 64,
           'and how it does', info)
    tap.ok(abs(info['clock_offset']) < 1e9, "its clock is the host's", info['clock_offset'])
    tap.ok({'exec', 'info', 'ps'} <= set(info['services']), 'its services', info['services'])
    tap.ok(info['counters'] and all(isinstance(v, int) for v in info['counters'].values()),
           'its counters', info['counters'])
    text = guest.run('info').stdout.decode()
    tap.ok(re.search(rf'^hostname +{re.escape(kernel.nodename)}$', text, re.M), 'info', text)
    text = guest.run('info', '--counters').stdout.decode()
    tap.ok(re.search(r'^  \w+ +\d+$', text, re.M), 'info --counters', text)


def check_ping(tap, guest) -> None:
    start = time.monotonic()
    have = guest.run('ping', '-c', '5', '-i', '0.1')
    seconds = time.monotonic() - start
    lines = have.stdout.decode().splitlines()
    tap.ok(have.returncode == 0 and len(lines) == 7 and 0.35 < seconds < 5, 'ping', have)
    tap.ok(lines[5] == '5 sent, 5 answered, 0% lost' and
           re.fullmatch(r'rtt min/avg/max/mdev = ([\d.]+/){3}[\d.]+ ms', lines[6]),
           'its summary', lines)
    have = json.loads(guest.run('ping', '-c', '100', '-i', '0.001', '--json').stdout)
    tap.ok(have['sent'] == have['answered'] == 100 and
           0 < have['min'] <= have['avg'] <= have['max'], 'ping --json', have)
    tap.diag(f"rtt {have['min']:.3f}/{have['avg']:.3f}/{have['max']:.3f} ms")
    process = guest.start('ping', '-i', '0.05')
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=10)[0].decode()
    tap.ok(process.returncode in (0, 1) and 'sent, ' in out, 'interrupted, it sums up', out)
    guest.process.send_signal(signal.SIGSTOP)
    have = guest.run('ping', '-c', '1', '--connect-timeout', '0.3')
    guest.process.send_signal(signal.SIGCONT)
    tap.ok(have.returncode == 1 and b'no answer' in have.stderr, 'nobody answers', have)


def check_health(tap, guest) -> None:
    have = guest.run('health')
    tap.ok(have.returncode == 0 and have.stdout.startswith(b'ok: '), 'health', have)
    have = json.loads(guest.run('health', '--json').stdout)
    tap.ok(have['ok'] and 0 < have['spawn'] < 10e9, 'health --json', have)
    tap.equal(guest.run('health', '--quiet').stdout, b'', 'health --quiet')
    have = guest.run('health', '--quiet', '--socket', guest.dir + '/none')
    tap.equal((have.returncode, have.stderr), (1, b''), 'and nobody there')


def check_clock(tap, guest) -> None:
    have = json.loads(guest.run('clock', '--json').stdout)
    tap.ok(abs(have['offset']) < 1e9 and abs(have['host'] / 1e9 - time.time()) < 5,
           'clock --json', have)
    text = guest.run('clock').stdout.decode()
    tap.ok(re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \([+-].*\)\n', text), 'clock', text)


def check_log(tap, guest) -> None:
    have = guest.run('log', '--kernel', '--lines', '3')
    if have.returncode and b'not permitted' in have.stderr:
        tap.skip('log --kernel', 'the log of the kernel cannot be read here')
    else:
        tap.ok(have.returncode == 0 and have.stdout.count(b'\n') <= 3, 'log --kernel --lines 3',
               have)
    process = guest.start('log', '--kernel', '--follow')
    time.sleep(0.3)
    process.terminate()
    process.communicate(timeout=10)
    tap.equal(process.returncode, -signal.SIGTERM, 'log --follow, until it is ended')


def check_refused(tap, guest) -> None:
    for args in (['info', 'x'], ['ping', '-c', '0'], ['ping', '-i', '-1'], ['log', '-n', 'x'],
                 ['health', '-X'], ['clock', 'x'], ['shutdown', '-r', '-H'], ['ps', 'x'],
                 ['info', '--connect-timeout', 'x'], ['attach']):
        have = guest.run(*args)
        tap.ok(have.returncode == (125 if args[0] == 'attach' else 2) and
               b"--help'." in have.stderr, f'{args} makes no sense', have)
    for name in ('exec', 'ps', 'attach', 'kill', 'info', 'ping', 'health', 'log', 'clock',
                 'shutdown'):
        have = guest.run(name, '--help')
        tap.ok(have.returncode == 0 and have.stdout.startswith(f'Usage: kring {name}'.encode()) and
               max(map(len, have.stdout.splitlines())) <= 90, f'{name} --help')


def check_policy(tap) -> None:
    with Guest('deny = exec\n') as guest:
        have = guest.exec('true')
        tap.ok(have.returncode == 125 and b'policy' in have.stderr, 'exec is not allowed', have)
        tap.equal(guest.run('info', '--json').returncode, 0, 'info is')
        path = os.path.join(guest.dir, 'config')
        for line in ('allow = ,', 'deny = ,,', 'allow = info, nothing'):
            with open(path, 'w', encoding='ascii') as file:
                file.write(line + '\n')
            have = subprocess.run([KRINGD, '--config', path, '--check-config'], timeout=10,
                                  capture_output=True, check=False)
            tap.ok(have.returncode == 1 and b':1: ' in have.stderr, f'"{line}" is refused', have)


def check_console(tap) -> None:
    """A terminal that nobody reads must not stop the agent."""
    master, slave = os.openpty()
    with Guest('log_level = debug\n', slave) as guest:
        with Wire.connect(guest.socket) as wire:
            for _ in range(1000):
                wire.call('stat', message((1, '/nowhere/' + 'x' * 100)))
            tap.equal(wire.call('stat', message((1, '/')))[2], 2, 'a full console stops nothing')
        os.read(master, 4096)
        tap.equal(guest.stop(), 0, 'and it ends in order')
    os.close(master)
    os.close(slave)


def check_log_flood(tap) -> None:
    with Guest() as guest:
        with Wire.connect(guest.socket) as wire:
            for _ in range(3000):
                wire.instance = os.urandom(7) + b'\x01'
                wire.hello()
                wire.step()
            tap.equal(wire.call('stat', message((1, '/')))[2], 2, 'a host that is new each time')
        time.sleep(1)
        guest.run('info')
        lines = guest.text().splitlines()
        tap.ok(len(lines) < 1500 and any('lines were lost here' in line for line in lines),
               'does not fill the log', len(lines))


def main() -> int:
    with Tap() as tap:
        with Guest() as guest:
            for check in (check_info, check_ping, check_health, check_clock, check_log,
                          check_refused):
                check(tap, guest)
            tap.equal(guest.stop(), 0, 'kringd ends in order')
        check_policy(tap)
        check_console(tap)
        check_log_flood(tap)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
