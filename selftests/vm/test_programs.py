#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Programs that nobody here wrote, over forwards and hybrid vsock: ssh, rsync, git, curl, socat."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import agent
import rig
from kringvm import VM, Tap

GUEST = ('dropbear', 'rsync', 'socat')
HOST = ('dbclient', 'dropbearkey', 'rsync', 'git', 'curl', 'socat')


def run(*argv: str, timeout: float = 120, **options) -> subprocess.CompletedProcess:
    options.setdefault('stdin', subprocess.DEVNULL if 'input' not in options else None)
    if 'input' in options:
        del options['stdin']
    return subprocess.run(argv, capture_output=True, timeout=timeout, **options)


def forward(a, *specs: str):
    """`kring forward`, once it listens."""
    log = os.path.join(a.vm.workdir, 'forward.log')
    with open(log, 'w') as output:
        process = a.popen('forward', *specs, stdout=output, stderr=output)
    deadline = time.monotonic() + 20
    while open(log).read().count('listening') < sum(s != '-R' for s in specs):
        if time.monotonic() > deadline or process.poll() is not None:
            raise AssertionError(f'kring forward does not listen:\n{open(log).read()}\n{a.logs()}')
        time.sleep(0.05)
    return process


def check_ssh(tap, a, keys: str) -> None:
    port = agent.free_port()
    # Port 2222 is 08AE, and 0A is LISTEN.
    a.sh('dropbear -F -E -s -p 127.0.0.1:2222 -r /root/hostkey >/root/dropbear.log 2>&1 & '
         'until grep -q ":08AE .* 0A " /proc/net/tcp; do sleep 0.1; done')
    process = forward(a, f'{port}:127.0.0.1:2222')
    ssh = ('dbclient', '-y', '-y', '-p', str(port), '-i', keys, 'root@127.0.0.1')
    result = run(*ssh, 'uname -r; exit 3')
    tap.ok(result.returncode == 3 and a.vm.kernel.version.encode() in result.stdout,
           'ssh: a command, its output and its status', result.stdout + result.stderr)
    data = os.urandom(4 << 20)
    result = run(*ssh, 'cat', input=data)
    tap.ok(result.stdout == data, 'ssh: 4 MiB there and back', result.stderr)
    with tempfile.TemporaryDirectory() as tree:
        for i in range(50):
            with open(os.path.join(tree, f'file{i}'), 'wb') as file:
                file.write(os.urandom(1000 * i))
        result = run('rsync', '-a', '-e', ' '.join(ssh[:-1]), f'{tree}/',
                     'root@127.0.0.1:/root/tree/')
        back = os.path.join(tree, 'back')
        again = run('rsync', '-a', '-e', ' '.join(ssh[:-1]), 'root@127.0.0.1:/root/tree/', back)
        same = run('diff', '-r', '-x', 'back', tree, back)
        tap.ok(result.returncode == again.returncode == same.returncode == 0,
               'rsync over ssh: 50 files there and back',
               result.stderr + again.stderr + same.stdout)
    process.terminate()
    process.wait(10)


def check_http(tap, a, directory: str) -> None:
    repository = os.path.join(directory, 'repository')
    bare = os.path.join(directory, 'www', 'repository.git')
    identity = {**os.environ, 'GIT_AUTHOR_NAME': 'a', 'GIT_AUTHOR_EMAIL': 'a@b',
                'GIT_COMMITTER_NAME': 'a', 'GIT_COMMITTER_EMAIL': 'a@b'}
    run('git', 'init', '-q', repository)
    for i in range(20):
        with open(os.path.join(repository, f'file{i}'), 'wb') as file:
            file.write(os.urandom(20000))
        run('git', 'add', '.', cwd=repository)
        run('git', 'commit', '-qm', f'{i}', cwd=repository, env=identity)
    run('git', 'clone', '-q', '--bare', repository, bare)
    run('git', 'update-server-info', cwd=bare)
    big = os.path.join(directory, 'www', 'big')
    with open(big, 'wb') as file:
        file.write(os.urandom(8 << 20))
    result = a.run('cp', '-r', os.path.join(directory, 'www'), ':/root/')
    tap.equal(result.returncode, 0, 'kring cp -r takes a repository to the guest')
    a.sh('httpd -p 127.0.0.1:8080 -h /root/www')

    port = agent.free_port()
    process = forward(a, f'{port}:127.0.0.1:8080')
    fetched = os.path.join(directory, 'fetched')
    result = run('curl', '-sS', '-o', fetched, f'http://127.0.0.1:{port}/big')
    tap.ok(not result.returncode and run('cmp', big, fetched).returncode == 0,
           'curl: 8 MiB from an HTTP server in the guest', result.stderr)
    several = [subprocess.Popen(['curl', '-sS', '-o', f'{fetched}{i}',
                                 f'http://127.0.0.1:{port}/big']) for i in range(4)]
    tap.ok(all(p.wait(120) == 0 for p in several) and
           all(run('cmp', big, f'{fetched}{i}').returncode == 0 for i in range(4)),
           'curl: four at once')
    clone = os.path.join(directory, 'clone')
    result = run('git', 'clone', '-q', f'http://127.0.0.1:{port}/repository.git', clone)
    heads = [run('git', 'rev-parse', 'HEAD', cwd=where).stdout for where in (repository, clone)]
    tap.ok(not result.returncode and heads[0] == heads[1] != b'', 'git clone over HTTP',
           result.stderr)
    process.terminate()
    process.wait(10)


def check_vsock(tap, a, uds: str) -> None:
    a.sh('modprobe vsock && modprobe vsock_loopback')
    a.sh('socat VSOCK-LISTEN:52,fork EXEC:cat >/root/socat.log 2>&1 & '
         'until grep -q . /proc/net/vsock 2>/dev/null || sleep 0.5; do :; done')
    data = os.urandom(1 << 20).hex().encode() + b'\n'
    result = run('socat', '-t', '30', '-', f'UNIX-CONNECT:{uds}', input=b'CONNECT 52\n' + data)
    first, _, rest = result.stdout.partition(b'\n')
    tap.ok(first.startswith(b'OK ') and first[3:].isdigit() and rest == data,
           'socat: CONNECT 52, OK, and 2 MiB to an AF_VSOCK service and back',
           result.stdout[:100] + result.stderr)
    result = run('socat', '-t', '5', '-', f'UNIX-CONNECT:{uds}', input=b'CONNECT 53\nhello\n')
    tap.equal(result.stdout, b'', 'a port where nobody listens: the connection is closed')

    listener = subprocess.Popen(['socat', f'UNIX-LISTEN:{uds}_99,fork', 'EXEC:cat'])
    while not os.path.exists(f'{uds}_99'):
        time.sleep(0.05)
    out = a.sh('(echo "CONNECT vsock:99"; echo ping; sleep 2) | '
               'socat -t 5 - UNIX-CONNECT:/run/kring/host.sock')
    tap.ok(out.startswith('OK') and out.endswith('ping\n'),
           "a guest's connection to port 99 arrives at PATH_99", out)
    listener.kill()
    listener.wait()


def check_services(tap, a) -> None:
    out = a.sh('(echo "CONNECT echo"; echo marco; sleep 1) | '
               'socat -t 5 - UNIX-CONNECT:/run/kring/host.sock')
    tap.ok(out.startswith('OK') and out.endswith('marco\n'),
           'a guest program uses a service of the host by its name', out)
    out = a.sh('echo "CONNECT other" | socat -t 5 - UNIX-CONNECT:/run/kring/host.sock')
    tap.ok(out.startswith('ERROR'), 'one that is not configured is refused, in words', out)


def check_remote(tap, a) -> None:
    port = agent.free_port()
    echo = subprocess.Popen(['socat', f'TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr',
                             'EXEC:cat'])
    process = forward(a, '-R', f'127.0.0.1:9000:127.0.0.1:{port}')
    out = a.sh('(head -c 100000 /dev/zero | tr "\\0" x; sleep 1) | '
               'socat -t 10 - TCP:127.0.0.1:9000 | wc -c')
    tap.equal(out.strip(), '100000', 'forward -R: a guest program reaches a server at the host')
    process.terminate()
    process.wait(10)
    echo.kill()
    echo.wait()


def main() -> int:
    with Tap() as tap, tempfile.TemporaryDirectory(prefix='kringvm-') as directory:
        missing = [name for name in (*GUEST, *HOST) if not shutil.which(name)]
        if missing:
            tap.skip('programs over forwards', f'not installed: {", ".join(missing)}')
            return tap.status or 0
        keys = os.path.join(directory, 'key')
        hostkey = os.path.join(directory, 'hostkey')
        for key in (keys, hostkey):
            run('dropbearkey', '-t', 'ed25519', '-f', key)
        public = next(line for line in run('dropbearkey', '-y', '-f', keys).stdout.splitlines()
                      if line.startswith(b'ssh-'))
        files = {f'/bin/{name}': shutil.which(name) for name in GUEST}
        files.update({'/root/hostkey': hostkey, '/root/.ssh/authorized_keys': public + b'\n',
                      '/etc/shells': b'/bin/sh\n'})
        vm = VM(**rig.guest(directory, {'/sbin/kringd': agent.KRINGD, **agent.FILES, **files},
                            modules=('vsock', 'vsock_loopback')), memory='512M')
        region, port = rig.add_kring(vm)
        uds = os.path.join(directory, 'vsock')
        server = os.path.join(directory, 'echo.sock')
        echo = subprocess.Popen(['socat', f'UNIX-LISTEN:{server},fork', 'EXEC:cat'])
        with vm:
            vm.run(rig.LOAD)
            vm.run(rig.PAIRED)
            vm.run('chmod 700 /root /root/.ssh; chmod 600 /root/.ssh/authorized_keys')
            a = agent.Agent(vm, region, port, '--vsock-uds', uds, '--service',
                            f'echo=unix:{server}')
            check_ssh(tap, a, keys)
            check_http(tap, a, directory)
            check_vsock(tap, a, uds)
            check_services(tap, a)
            check_remote(tap, a)
            a.stop()
        echo.kill()
        echo.wait()
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
