# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Lines and branches of the module that were run in any of the VMs, from what gcov has counted."""

import collections
import gzip
import json
import os
import subprocess
import tempfile


class File:
    def __init__(self):
        self.lines = collections.Counter()
        self.branches = collections.Counter()

    def share(self, counts) -> tuple[int, int]:
        return sum(1 for count in counts.values() if count), len(counts)


class Coverage:
    """`notes` is the directory of the module's build, with its .gcno files; `sources`, whose
    files count."""

    def __init__(self, notes: str, sources: str):
        self._notes = notes
        self._sources = os.path.realpath(sources)
        self.files = collections.defaultdict(File)

    def add(self, archive: str) -> None:
        """An archive that a VM has left: .gcda files under the paths of their objects."""
        with tempfile.TemporaryDirectory() as directory:
            with open(archive, 'rb') as file:
                subprocess.run(['cpio', '--extract', '--make-directories', '--quiet',
                                '--no-absolute-filenames'],
                               cwd=directory, stdin=file, check=True)
            for where, _, names in os.walk(directory):
                for name in names:
                    if name.endswith('.gcda'):
                        self._add_data(where, name)

    def _add_data(self, where: str, name: str) -> None:
        note = name.removesuffix('.gcda') + '.gcno'
        source = os.path.join(self._notes, note)
        if not os.path.exists(source):
            return
        target = os.path.join(where, note)
        if os.path.lexists(target):
            os.unlink(target)
        os.symlink(source, target)
        output = subprocess.run(
            ['gcov', '--json-format', '--branch-probabilities', '--stdout', name], cwd=where,
            stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
        for document in _documents(output):
            for file in document['files']:
                self._add_file(document, file)

    def _add_file(self, document: dict, file: dict) -> None:
        path = os.path.realpath(os.path.join(document['current_working_directory'], file['file']))
        if os.path.dirname(path) != self._sources:
            return
        entry = self.files[os.path.basename(path)]
        for line in file['lines']:
            entry.lines[line['line_number']] += line['count']
            for i, branch in enumerate(line['branches']):
                # Where an exception would leave, in languages that have some.
                if not branch['throw']:
                    entry.branches[line['line_number'], i] += branch['count']

    def total(self, what: str) -> float:
        """Per cent of 'lines' or 'branches'."""
        have, of = map(sum, zip(*(file.share(getattr(file, what))
                                  for file in self.files.values()), strict=True))
        return 100 * have / of if of else 0

    def report(self) -> str:
        text = f'{"file":20} {"lines":>12} {"branches":>12}  not reached\n'
        for name, file in sorted(self.files.items()):
            missed = sorted(line for line, count in file.lines.items() if not count)
            shares = ['{}/{}'.format(*file.share(counts))
                      for counts in (file.lines, file.branches)]
            text += f'{name:20} {shares[0]:>12} {shares[1]:>12}  {_ranges(missed)}\n'
        return text


def _documents(output: bytes):
    """gcov prints a line of JSON for each of its inputs, or packs it."""
    if output[:2] == b'\x1f\x8b':
        output = gzip.decompress(output)
    return [json.loads(line) for line in output.splitlines() if line.strip()]


def _ranges(numbers: list) -> str:
    found = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ' '.join(str(a) if a == b else f'{a}-{b}' for a, b in found)
