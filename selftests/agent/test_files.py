#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""kring cp: files and trees, both ways."""

import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from guest import Guest, Tap, wait_for

random.seed(1)


def write(path: str, data: bytes) -> str:
    with open(path, 'wb') as file:
        file.write(data)
    return path


def read(path: str) -> bytes:
    with open(path, 'rb') as file:
        return file.read()


def leftovers(*folders) -> list:
    return [name for folder in folders for name in os.listdir(folder)
            if name.startswith('.kring-')]


class Folders:
    """One here, one that is taken for the guest's."""

    def __init__(self, guest, name: str):
        self.here = os.path.join(guest.dir, name, 'here')
        self.there = os.path.join(guest.dir, name, 'there')
        os.makedirs(self.here)
        os.makedirs(self.there)

    def h(self, name: str) -> str:
        return os.path.join(self.here, name)

    def t(self, name: str) -> str:
        return os.path.join(self.there, name)


def check_sizes(tap, guest) -> None:
    f = Folders(guest, 'sizes')
    for size in (0, 1, 65535, 65536, 65537, 5 << 20):
        data = random.randbytes(size)
        write(f.h('a'), data)
        put = guest.run('cp', f.h('a'), f':{f.t("a")}')
        get = guest.run('cp', f':{f.t("a")}', f.h('b'))
        tap.ok(not put.returncode and not get.returncode and read(f.t('a')) == data and
               read(f.h('b')) == data, f'{size} bytes there and back', put.stderr + get.stderr)
    tap.equal(leftovers(f.here, f.there), [], 'no temporary file is left')


def check_sparse(tap, guest) -> None:
    f = Folders(guest, 'sparse')
    with open(f.h('a'), 'wb') as file:
        for position in (0, 1 << 20, 500 << 20):
            file.seek(position)
            file.write(random.randbytes(4096))
        file.truncate(1 << 30)
    start = time.monotonic()
    put = guest.run('cp', f.h('a'), f':{f.t("a")}')
    get = guest.run('cp', f':{f.t("a")}', f.h('b'))
    seconds = time.monotonic() - start
    tap.equal((put.returncode, get.returncode), (0, 0), '1 GiB with three blocks of data')
    tap.ok(seconds < 5, 'takes no time', f'{seconds} s')
    for name in (f.t('a'), f.h('b')):
        st = os.stat(name)
        tap.ok(st.st_size == 1 << 30 and st.st_blocks * 512 < 1 << 20,
               'the holes are kept', (st.st_size, st.st_blocks))
    tap.ok(filecmp.cmp(f.h('a'), f.h('b'), shallow=False), 'the bytes are the same')


def check_attributes(tap, guest) -> None:
    f = Folders(guest, 'attributes')
    stamp = 981173106789000000
    write(f.h('a'), b'x')
    os.chmod(f.h('a'), 0o751)
    os.utime(f.h('a'), ns=(stamp, stamp))
    guest.run('cp', f.h('a'), f':{f.t("a")}')
    guest.run('cp', f':{f.t("a")}', f.h('b'))
    for name in (f.t('a'), f.h('b')):
        st = os.stat(name)
        tap.equal((oct(st.st_mode & 0o7777), st.st_mtime_ns), ('0o751', stamp), 'mode and time')
    os.chmod(f.t('a'), 0o6777)
    guest.run('cp', f':{f.t("a")}', f.h('c'))
    tap.equal(oct(os.stat(f.h('c')).st_mode & 0o7777), '0o755',
              'from the guest: no setuid, and the umask')
    if os.geteuid():
        tap.skip('owner', 'needs root')
        return
    os.chown(f.t('a'), 1234, 4321)
    guest.run('cp', '-p', f':{f.t("a")}', f.h('d'))
    st = os.stat(f.h('d'))
    tap.equal((st.st_uid, st.st_gid), (1234, 4321), '-p: the owner, too')
    guest.run('cp', f.h('a'), f':{f.t("a")}')
    st = os.stat(f.t('a'))
    tap.equal((st.st_uid, st.st_gid), (1234, 4321), 'a file that is replaced keeps its owner')


def check_tree(tap, guest) -> None:
    f = Folders(guest, 'tree')
    for i in range(300):
        folder = f.h(f'tree/{i % 7}/{i % 3}')
        os.makedirs(folder, exist_ok=True)
        write(f'{folder}/f{i}', random.randbytes(random.choice((0, 10, 1000, 100000))))
    os.symlink('../nowhere', f.h('tree/link'))
    os.makedirs(f.h('tree/readonly'))
    write(f.h('tree/readonly/x'), b'x')
    write(f.h('tree/\xff\n odd'), b'x')
    os.chmod(f.h('tree/readonly'), 0o555)
    os.utime(f.h('tree/1'), ns=(10 ** 18, 10 ** 18))
    start = time.monotonic()
    put = guest.run('cp', '-r', f.h('tree'), f':{f.there}')
    middle = time.monotonic()
    get = guest.run('cp', '-r', f':{f.t("tree")}', f.h('back'))
    tap.diag(f'{middle - start:.2f} s there, {time.monotonic() - middle:.2f} s back')
    tap.equal((put.returncode, put.stderr, get.returncode, get.stderr), (0, b'', 0, b''),
              'a tree of 300 files there and back')
    for name in (f.t('tree'), f.h('back')):
        same = subprocess.run(['diff', '-r', '--no-dereference', f.h('tree'), name],
                              capture_output=True, check=False)
        tap.equal(same.stdout, b'', 'it is the same')
        tap.equal((os.stat(f'{name}/1').st_mtime_ns, os.stat(f'{name}/readonly').st_mode & 0o777,
                   os.readlink(f'{name}/link')), (10 ** 18, 0o555, '../nowhere'),
                  'directories have their time and mode, symlinks their target')
    again = guest.run('cp', '-r', f.h('tree'), f':{f.there}')
    tap.equal((again.returncode, again.stderr), (0, b''), 'once more over what is there')
    into = guest.run('cp', '-r', f.h('tree/.'), f':{f.t("new")}')
    tap.ok(into.returncode == 0 and os.path.exists(f.t('new/link')) is False and
           os.path.lexists(f.t('new/link')), 'the contents, into a new directory', into.stderr)


def check_targets(tap, guest) -> None:
    f = Folders(guest, 'targets')
    a, b = write(f.h('a'), b'a'), write(f.h('b'), b'b')
    tap.equal(guest.run('cp', a, b, f':{f.there}').returncode, 0, 'two into a directory')
    tap.equal((read(f.t('a')), read(f.t('b'))), (b'a', b'b'), 'under their names')
    result = guest.run('cp', a, b, f':{f.t("none")}')
    tap.ok(result.returncode == 1 and b'none: No such file' in result.stderr,
           'two into nothing are refused', result.stderr)
    result = guest.run('cp', a, f':{f.t("none/")}')
    tap.equal(result.returncode, 1, 'one into nothing/ too')
    tap.equal(guest.run('cp', '-', f':{f.t("c")}', input=b'in').returncode, 0, 'from stdin')
    tap.equal(read(f.t('c')), b'in', 'all of it')
    tap.equal(guest.run('cp', f':{f.t("c")}', f':{f.t("a")}', '-').stdout, b'ina', 'to stdout')
    tap.ok(guest.run('cp', ':/proc/meminfo', '-').stdout.startswith(b'MemTotal'),
           'a file whose size nobody knows')
    result = guest.run('cp', f':{f.t("a")}', f':{f.t("nope")}', f':{f.t("b")}', f.here)
    tap.ok(result.returncode == 1 and b'nope: No such file' in result.stderr,
           'one that is missing is said', result.stderr)
    tap.equal((read(a), read(b)), (b'a', b'b'), 'and the others are copied')
    for args in (('x', 'y'), (':x', ':y'), ('x', ':y', ':z'), ('x',)):
        tap.equal(guest.run('cp', *args).returncode, 2, f'usage: {" ".join(args)}')


def check_refused(tap, guest) -> None:
    f = Folders(guest, 'refused')
    a = write(f.h('a'), b'new')
    os.mkfifo(f.t('fifo'))
    os.mkfifo(f.h('fifo'))
    for args, what in (((a, f':{f.t("fifo")}'), b'not a regular file'),
                       ((f':{f.t("fifo")}', f.h('x')), b'left out'),
                       ((f.h('fifo'), f':{f.t("x")}'), b'left out'),
                       ((f':{f.t("a")}', f.h('x')), b'No such file'),
                       ((f.here, f':{f.there}'), b'-r is needed'),
                       ((f':{f.there}', f.h('x')), b'-r is needed'),
                       ((f':{f.there}/nope/x', f.h('x')), b'No such file'),
                       ((a, ':/sys/kernel/x'), b'denied' if os.geteuid() == 0 else b''),
                       ((f':{f.t("fifo")}/x', f.h('x')), b'Not a directory')):
        result = guest.run('cp', *args)
        tap.ok(result.returncode == 1 and what in result.stderr, what.decode(), result.stderr)
    os.symlink(f.t('elsewhere'), f.t('link'))
    guest.run('cp', a, f':{f.t("link")}')
    tap.ok(not os.path.exists(f.t('elsewhere')) and not os.path.islink(f.t('link')),
           'a symlink in the guest is replaced, not written through')
    tap.equal(leftovers(f.here, f.there), [], 'no temporary file is left')


def check_space(tap, guest) -> None:
    f = Folders(guest, 'space')
    if os.geteuid() or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', f.there],
                                      capture_output=True, check=False).returncode:
        tap.skip('no space left', 'cannot mount a tmpfs')
        return
    try:
        write(f.h('big'), bytes(range(256)) * 20000)
        write(f.t('old'), b'old')
        put = guest.run('cp', f.h('big'), f':{f.t("old")}')
        tap.ok(put.returncode == 1 and b'No space left' in put.stderr, 'put: no space left',
               put.stderr)
        tap.equal((os.listdir(f.there), read(f.t('old'))), (['old'], b'old'),
                  'the old file is there, and nothing else')
        write(f.h('small'), b'small')
        shutil.copy(f.h('big'), guest.dir)
        get = guest.run('cp', f':{guest.dir}/big', f':{f.h("small")}', f.there)
        tap.ok(get.returncode == 1 and b'No space left' in get.stderr, 'get: no space left',
               get.stderr)
        tap.equal(sorted(os.listdir(f.there)), ['old', 'small'], 'and the other file is copied')
    finally:
        subprocess.run(['umount', f.there], check=False)


def interrupt(guest, folder: str, *args) -> int:
    """Kill a transfer once something has arrived; how much."""
    process = guest.start('cp', '--resume', *args)

    def size() -> int:
        for name in leftovers(folder):
            return os.stat(os.path.join(folder, name)).st_size
        return 0

    wait_for(lambda: size() > 1 << 20 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(0.2)
    return size()


def check_resume(tap, guest) -> None:
    f = Folders(guest, 'resume')
    data = random.randbytes(200 << 20)
    write(f.h('a'), data)
    write(f.t('b'), data)
    for folder, args, result in ((f.there, (f.h('a'), f':{f.t("a")}'), f.t('a')),
                                 (f.here, (f':{f.t("b")}', f.h('b')), f.h('b'))):
        size = interrupt(guest, folder, *args)
        part = os.path.join(folder, (leftovers(folder) or ['none'])[0])
        if not tap.ok(0 < size < len(data), f'{size} bytes are kept'):
            continue
        # What was there is not sent again, or the mark would be gone.
        with open(part, 'r+b') as file:
            file.write(b'mark')
        again = guest.run('cp', '--resume', *args)
        tap.equal((again.returncode, again.stderr), (0, b''), 'it goes on')
        have = read(result)
        tap.ok(have[:4] == b'mark' and have[4:] == data[4:], 'from where it was interrupted')
        tap.equal(leftovers(folder), [], 'no temporary file is left')
    process = guest.start('cp', f.h('a'), f':{f.t("c")}')
    time.sleep(0.05)
    process.kill()
    process.communicate()
    tap.ok(wait_for(lambda: leftovers(f.there) == []), 'without --resume nothing is left')
    tap.ok(not os.path.exists(f.t('c')) or read(f.t('c')) == data, 'all of a file, or none')
    size = interrupt(guest, f.there, f.h('a'), f':{f.t("d")}')
    before = os.stat(f.h('a'))
    write(f.h('other'), bytes(len(data)))
    os.utime(f.h('other'), ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(f.h('other'), f.h('a'))
    again = guest.run('cp', '--resume', f.h('a'), f':{f.t("d")}')
    tap.ok(size and again.returncode == 0 and read(f.t('d')) == bytes(len(data)),
           'another file of the same name, size and time is another file', again)


def check_killed(tap, guest) -> None:
    f = Folders(guest, 'killed')
    guest.run('info')
    before = guest.fds()
    for i in range(100):
        write(f.h(f'f{i}'), bytes(100000))
    for i in range(20):
        args = ('-r', f.here, f':{f.there}') if i % 2 else ('-r', f':{f.here}', f.h('x'))
        process = guest.start('cp', *args)
        time.sleep(random.random() / 20)
        process.kill()
        process.communicate()
    tap.ok(wait_for(lambda: guest.fds() <= before), 'killed clients leave no file open',
           (before, guest.fds()))
    tap.equal(guest.run('cp', f.h('f1'), f':{f.t("z")}').returncode, 0, 'and kringd goes on')


def main() -> int:
    with Tap() as tap, Guest() as guest:
        for check in (check_sizes, check_sparse, check_attributes, check_tree, check_targets,
                      check_refused, check_space, check_resume, check_killed):
            check(tap, guest)
        tap.equal(guest.stop(), 0, 'kringd ends in order')
        shutil.rmtree(guest.dir, ignore_errors=True)
    return tap.status


if __name__ == '__main__':
    sys.exit(main())
