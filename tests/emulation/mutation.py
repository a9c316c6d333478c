#!/usr/bin/env python3
"""Mutation test of the kernels' synchronisation and bounds: each defect put in by itself must be reported.

barrier  each __syncthreads, __syncwarp and their voting forms left out (optest_cuda_race --drop FILE:LINE)
bound    each integer comparison <, <=, >= of a kernel widened by one: i < n + 1, row >= rows + 1, x >= -1
wait     each copy_async_wait left out
event    each wait for an event, a stream or a device in the backend left out

Kernels (ops/*.cu, ops/detail/*.h, core/cuda/*.h) are marked in a copy (mutation.h); one race-checked build holds all
mutations, and the samples of the operators whose kernels reach a mark run until something is reported: by the
emulation, or as a result that differs from the CPU's. What `ref` does not report is tried in the other modes, then
with AddressSanitizer. Smaller-of-two expressions (a < b ? a : b) are no bounds and left out. Events: one file compiled
a mutation, reported by program_cuda_plain.
Survivors that cannot matter are listed with the reason in mutation_equivalent.txt.

usage: mutation.py BUILD_DIR [--kinds barrier,bound,wait,event] [--sample N] [--seed S] [--only PART_OF_PATH]
                   [--jobs N] [--keep DIR]
needs a finished build by ninja of optest_cuda_race, optest_cuda_asan, program_cuda_plain; the tree is not changed.
"""
import argparse, collections, concurrent.futures, json, os, pathlib, random, re, shlex, shutil, subprocess, sys, tempfile
import threading, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/optest'))
from mutation import closing, compile_command, link, link_command, masked  # noqa: E402

EQUIVALENT = ROOT / 'tests/emulation/mutation_equivalent.txt'
BARRIER = re.compile(r'__sync(?:threads|warp)\w*\s*(?=\()')
WAIT = re.compile(r'(?:cuda::)?copy_async_wait<\w+>\s*(?=\(\))')
COMPARISON = re.compile(r'(?<=\s)(<=|<|>=)(?=\s)')
END = re.compile(r'[;,{}?]|&&|\|\||\s:\s|\s(?:[=!<>]=|[<>]|[-+*/|&^]=|=)\s|\breturn\b')
EVENT_FILES = ('core/feed_buffers.cpp', 'core/cuda/backend.cpp')
EVENT = re.compile(r'[\w.]+->(?:synchronize|record|wait)\(\w*\);'
                   r'|check\(cuda(?:\w+Synchronize|StreamWaitEvent|EventRecord)\([^;]*\);')
LIMIT = 120  # seconds of one run; a whole operator takes a few


def flat(text):
    return ' '.join(text.split())


def bare(text):
    return re.sub(r'static_cast<[^<>]*>|[\s()]', '', text)


def operand_before(code, at):
    """Begin of the left operand of the comparison at `at`."""
    depth = 0
    for i in range(at - 1, -1, -1):
        c = code[i]
        depth += (c in ')]') - (c in '([')
        if depth < 0:
            return i + 1
        if depth == 0:
            m = END.match(code, i)
            if m and m.end() <= at:
                return m.end()
    return 0


def operand_after(code, at, end=END):
    depth = 0
    for i in range(at, len(code)):
        c = code[i]
        if depth == 0 and (c in ')]' or end.match(code, i)):
            return i
        depth += (c in '([') - (c in ')]')
    return len(code)


def smaller_of_two(code, left, right, after):
    """a < b ? a : b in any order: one more or less changes nothing."""
    m = re.match(r'\s*\?', code[after:])
    if not m:
        return False
    first_end = operand_after(code, after + m.end())
    m2 = re.match(r'\s*:', code[first_end:])
    if not m2:
        return False
    second_end = operand_after(code, first_end + m2.end())
    branches = {bare(code[after + m.end():first_end]), bare(code[first_end + m2.end():second_end])}
    return branches == {bare(left), bare(right)}


def device_ranges(code):
    """(begin, end, function) of the bodies of __global__ and __device__ functions."""
    stack = [dict(start=0, parens=0, name=None)]
    for i, c in enumerate(code):
        top = stack[-1]
        if c in '([':
            top['parens'] += 1
        elif c in ')]':
            top['parens'] -= 1
        elif c == '{':
            header = re.sub(r'__launch_bounds__\([^)]*\)', '', code[top['start']:i])
            m = re.search(r'__(?:global|device)__[^;{}]*?(\w+|operator\(\))\s*\(', header)
            outer = top['name']
            stack.append(dict(start=i + 1, parens=0, name=outer or (m and m.group(1)), begin=i, outermost=not outer and m))
        elif c == '}':
            done = stack.pop()
            if not stack:
                return
            if done['name'] and done['outermost']:
                yield done['begin'], i, done['name']
            if stack[-1]['parens'] == 0:
                stack[-1]['start'] = i + 1
        elif c == ';' and top['parens'] == 0:
            top['start'] = i + 1


class Source:
    """One file of the copy: each mark is (begin, end, what stands before, what behind, mutation)."""

    def __init__(self, copy, path, mutations):
        self.name, self.text = path.relative_to(copy).as_posix(), path.read_text()
        self.marks, self.code = [], masked(self.text)
        for begin, end, function in device_ranges(self.code):
            for m in BARRIER.finditer(self.code, begin, end):
                close = closing(self.code, m.end()) + 1
                self.mark('barrier', m.start(), close, '(::winnow_mutation::reached<{k}>(), ', ')', function,
                          flat(self.text[m.start():close]), mutations)
            for m in WAIT.finditer(self.code, begin, end):
                self.mark('wait', m.start(), m.end() + 2, '(::winnow_mutation::reached<{k}>() ? void() : ', ')', function,
                          flat(self.text[m.start():m.end() + 2]), mutations)
            for m in COMPARISON.finditer(self.code, begin, end):
                self.comparison(m, function, mutations)

    def comparison(self, m, function, mutations):
        code, text = self.code, self.text
        left_begin, right_end = operand_before(code, m.start()), operand_after(code, m.end())
        left, right = text[left_begin:m.start()].strip(), text[m.end():right_end].strip()
        line = code[code.rfind('\n', 0, m.start()) + 1:m.start()]
        if not left or not right or 'constexpr' in line or 'static_assert' in line or 'requires' in line:
            return
        if smaller_of_two(code, left, right, right_end):
            return
        left = re.sub(r'^(?:if|while|for)\s*\(|^!', '', left).strip()
        step = -1 if right == '0' and m.group() != '<=' else 1
        self.mark('bound', m.end() + 1, right_end, f'::winnow_mutation::bound<{{k}}, {step}, decltype({flat(left)})>(', ')',
                  function, f'{flat(left)} {m.group()} {flat(right)}', mutations)

    def mark(self, kind, begin, end, before, behind, function, what, mutations):
        k = len(mutations)
        mutation = dict(k=k, kind=kind, file=self.name, line=self.text.count('\n', 0, begin) + 1,
                        last=self.text.count('\n', 0, end) + 1, text=what, function=function)
        mutations.append(mutation)
        self.marks.append((begin, end, before.format(k=k), behind, mutation))

    def write(self, to):
        opens, closes = collections.defaultdict(str), collections.defaultdict(str)
        for begin, end, before, behind, _ in self.marks:
            opens[begin] += before
            closes[end] += behind
        out, at = [], 0
        for place in sorted(opens.keys() | closes.keys()):
            out += [self.text[at:place], closes[place], opens[place]]
            at = place
        to.write_text(''.join(out) + self.text[at:])

    def drop(self, lines):
        kept = [m for m in self.marks if not any(m[4]['line'] <= n <= m[4]['last'] for n in lines)]
        dropped, self.marks = len(self.marks) - len(kept), kept
        return dropped


def compile_one(entry, copy, sources, objects):
    words, output = compile_command(entry, copy)
    output = objects / output.name
    words[words.index('-o') + 1] = str(output)
    words[words.index(str(ROOT / 'tests/optest/mutation.h'))] = str(ROOT / 'tests/emulation/mutation.h')
    words = [w for w in words if w != '-O1'] + ['-O1']
    for _ in range(12):
        r = subprocess.run(words, cwd=entry['directory'], capture_output=True, text=True)
        if r.returncode == 0:
            return output
        wrong = collections.defaultdict(set)
        for m in re.finditer(re.escape(str(copy)) + r'/(\S+?):(\d+):\d+:\s+(?:error|note|  required|required from)', r.stderr):
            wrong[m.group(1)].add(int(m.group(2)))
        dropped = 0
        for name, lines in wrong.items():
            if name in sources:
                dropped += sources[name].drop(lines)
                sources[name].write(copy / name)
        if dropped == 0:
            break
    sys.exit(f'mutation: {entry["file"]} does not compile marked:\n{r.stderr[:3000]}')


def build_marked(a, copy, sources, variant):
    commands = json.loads((a.build_dir / 'compile_commands.json').read_text())
    folder = f'op_kernels_{variant}.dir/'
    entries = [e for e in commands if folder in e['command']]
    objects = copy / variant
    objects.mkdir()
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        built = dict(zip((pathlib.Path(e['file']).name for e in entries),
                         pool.map(lambda e: compile_one(e, copy, sources, objects), entries)))

    def replace(word):
        return str(built[pathlib.Path(word).name[:-2]]) if folder in word else None
    return link(a.build_dir, f'optest_cuda_{variant}', copy / f'optest_cuda_{variant}', replace)


def run(arguments, **variables):
    """What was reported first, or None; and the output."""
    environment = dict(os.environ, OMP_NUM_THREADS='1', ASAN_OPTIONS='detect_leaks=0', **variables)
    process = subprocess.Popen([str(x) for x in arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors='replace')
    late = threading.Timer(LIMIT, process.kill)
    late.start()
    out = []
    reader = threading.Thread(target=lambda: out.extend(process.stdout))
    reader.start()
    found = None
    for line in process.stderr:
        m = re.match(r'\[emulation\] ([\w-]+):', line) or re.search(r'(AddressSanitizer: [\w-]+)|(runtime error)', line)
        if m:
            found = m.group(1) or m.group(2)
            process.kill()
            break
    process.stderr.close()
    code = process.wait()
    reader.join()
    in_time = late.is_alive()
    late.cancel()
    if found is None and not in_time:
        found = f'no end in {LIMIT} s'
    elif found is None and code != 0:
        found = 'wrong result' if code == 1 else f'exit {code}'
    return found, ''.join(out)


class Kernels:
    """The marked programs and which operators reach which mark."""

    def __init__(self, a, copy):
        self.a, self.copy, self.mutations, self.sources = a, copy, [], {}
        for path in sorted(p for folder in ('ops', 'core/cuda') for p in (copy / folder).rglob('*')):
            if path.suffix in ('.cu', '.h'):
                source = Source(copy, path, self.mutations)
                source.write(path)
                self.sources[source.name] = source
        self.program, self.asan = build_marked(a, copy, self.sources, 'race'), None
        kept = [m[4] for s in self.sources.values() for m in s.marks]
        self.unmarked = len(self.mutations) - len(kept)
        self.trace(kept)

    def trace(self, kept):
        listing = subprocess.run([self.program, '--list'], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        listing = re.sub(r'^thread order.*?: ', '', listing)
        operators = [line.split(':')[0] for line in listing.splitlines() if line[:1] not in (' ', '')]
        reach, listed = collections.defaultdict(list), set()

        def one(operator):
            file = self.copy / f'trace_{operator}'
            start = time.monotonic()
            found, out = run([self.program, 'ref', '--op', operator], WN_MUTATION_TRACE=str(file))
            if found is not None and 'has no kernel' not in out and 'no kernel' not in out:
                sys.exit(f'mutation: ref --op {operator} fails without any mutation ({found}):\n{out[-2000:]}')
            return operator, time.monotonic() - start, file.read_text().split('\n') if file.exists() else []
        with concurrent.futures.ThreadPoolExecutor(self.a.jobs) as pool:
            for operator, seconds, lines in sorted(pool.map(one, operators), key=lambda r: r[1]):
                for line in filter(None, lines):
                    k, hit = map(int, line.split())
                    listed.add(k)
                    if hit:
                        reach[k].append(operator)
        # a comparison of floats never lists itself, nor does a template that no sample asks for
        self.reach = reach
        self.chosen = [m for m in kept if m['k'] in listed]
        self.unlisted = [m for m in kept if m['k'] not in listed and m['kind'] != 'bound']
        self.chosen += self.unlisted

    def kill(self, mutation):
        """Who reported it, or None."""
        operators = self.reach[mutation['k']]
        if not operators:
            return None
        drop = ['--drop', f"{mutation['file']}:{mutation['line']}"] if mutation['kind'] == 'barrier' else []
        k = -1 if drop else mutation['k']
        for mode in ('ref', 'oob', 'nan', 'alias'):
            for operator in operators[:None if mode == 'ref' else 4]:
                found, _ = run([self.program, *drop, mode, '--op', operator, '--first'], WN_MUTATION=str(k))
                if found:
                    return f'{found} ({mode} --op {operator})'
        return None

    def kill_with_asan(self, mutation):
        for operator in self.reach[mutation['k']][:8]:
            found, _ = run([self.asan, 'ref', '--op', operator, '--first'], WN_MUTATION=str(mutation['k']))
            if found:
                return f'{found} (asan ref --op {operator})'
        return None


def event_mutations():
    for name in EVENT_FILES:
        text = (ROOT / name).read_text()
        for m in EVENT.finditer(text):
            before = text[:m.start()]
            function = re.findall(r'(\w+)\([^;{}]*\)(?: noexcept| override)* (?:override )?\{', before)[-1]
            yield dict(kind='event', file=name, line=before.count('\n') + 1, text=flat(m.group()), function=function,
                       span=m.span())


def kill_event(a, everything, mutation):
    copy = everything / f"event_{mutation['file'].replace('/', '_')}_{mutation['line']}"  # several at a time
    text = (ROOT / mutation['file']).read_text()
    begin, end = mutation['span']
    mutant = copy / mutation['file']
    mutant.parent.mkdir(parents=True, exist_ok=True)
    mutant.write_text(text[:begin] + '(void)0;' + text[end:])
    commands = json.loads((a.build_dir / 'compile_commands.json').read_text())
    entry = next(e for e in commands if e['file'] == str(ROOT / mutation['file']))
    words, output = compile_command(entry, copy)
    output.parent.mkdir(exist_ok=True)
    at = words.index(str(ROOT / 'tests/optest/mutation.h'))
    words = words[:at - 1] + words[at + 1:]
    subprocess.run(words, cwd=entry['directory'], check=True)
    mutant.unlink()

    def replace(word):
        return str(output) if word.endswith(f'{mutation["file"]}.o') else None
    target = 'program_cuda_plain'
    of_library = not any(replace(w) for w in link_command(a.build_dir, target))
    program = link(a.build_dir, target, copy / target, replace, ahead=[output] if of_library else [])
    found, out = run([program, '--gtest_fail_fast'])
    failed = re.search(r'\[  FAILED  \] (\w+\.\w+)', out)
    return found and f'{found} ({failed.group(1) if failed else target})'


def equivalents():
    found = {}
    for line in EQUIVALENT.read_text().splitlines():
        if line.strip() and not line.startswith('#'):
            where, reason = line.split(' -- ', 1)
            found[where.strip()] = reason
    return found


def name_all(mutations):
    """Names that survive edits elsewhere in the file; the second of the same text in a function is `#2`."""
    seen = collections.Counter()
    for m in mutations:
        name = f"{m['kind']} {m['file']}: {m['function']}: {m['text']}"
        seen[name] += 1
        m['name'] = name if seen[name] == 1 else f'{name} #{seen[name]}'


def check(a, copy):
    kinds = a.kinds.split(',')
    chosen, kill, everything = [], {}, set()
    if set(kinds) & {'barrier', 'bound', 'wait'}:
        kernels = Kernels(a, copy)
        mine = [m for m in kernels.chosen if m['kind'] in kinds]
        name_all(kernels.mutations)
        everything |= {m['name'] for m in kernels.mutations}
        print(f'{len(kernels.mutations)} marks, {kernels.unmarked} of them in constant expressions')
        chosen += mine
    if 'event' in kinds:
        events = list(event_mutations())
        name_all(events)
        everything |= {m['name'] for m in events}
        chosen += events
    chosen = [m for m in chosen if a.only in m['file']]
    if a.sample:
        bounds = [m for m in chosen if m['kind'] == 'bound']
        taken = {id(m) for m in random.Random(a.seed).sample(bounds, min(a.sample, len(bounds)))}
        chosen = [m for m in chosen if m['kind'] != 'bound' or id(m) in taken]
    known = equivalents()

    def one(mutation):
        if mutation['kind'] == 'event':
            found = kill_event(a, copy, mutation)
        else:
            found = kernels.kill(mutation)
        verdict = found or ('SURVIVED' if mutation['kind'] == 'event' or kernels.reach[mutation['k']] else 'NOT REACHED')
        if found or mutation['kind'] != 'bound':
            show(mutation, verdict)
        return verdict
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        verdicts = list(pool.map(one, chosen))
    left = [i for i, m in enumerate(chosen) if m['kind'] == 'bound' and verdicts[i] in ('SURVIVED', 'NOT REACHED')]
    again = [i for i in left if verdicts[i] == 'SURVIVED' and chosen[i]['name'] not in known]
    if again:
        kernels.asan = build_marked(a, copy, kernels.sources, 'asan')
        with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
            for i, found in zip(again, pool.map(lambda i: kernels.kill_with_asan(chosen[i]), again)):
                verdicts[i] = found or verdicts[i]
    for i in left:
        show(chosen[i], verdicts[i])
    return summary(chosen, verdicts, known, everything if not a.only and kinds == ALL_KINDS else None)


def show(mutation, verdict):
    print(f"{mutation['kind']:8} {mutation['file']}:{mutation['line']:<5} {verdict:50} {mutation['text'][:90]}", flush=True)


def summary(chosen, verdicts, known, everything):
    print()
    bad = 0
    for kind in ALL_KINDS:
        of_kind = [(m, v) for m, v in zip(chosen, verdicts) if m['kind'] == kind]
        if not of_kind:
            continue
        alive = [m for m, v in of_kind if v in ('SURVIVED', 'NOT REACHED')]
        excused = [m for m in alive if m['name'] in known]
        reported = len(of_kind) - len(alive)
        print(f'{kind}: {len(of_kind)} mutations, {reported} reported ({100 * reported / len(of_kind):.1f} %), '
              f'{len(excused)} equivalent, {len(alive) - len(excused)} survive')
        for m, v in of_kind:
            if m in excused:
                print(f"  equivalent: {m['name']} -- {known[m['name']]}")
            elif m in alive:
                bad += 1
                print(f"  {v}: {m['name']} (line {m['line']})")
    gone = sorted(set(known) - everything) if everything is not None else []
    for where in gone:
        print(f'mutation_equivalent.txt names what is not there: {where}')
    return 1 if bad or gone else 0


ALL_KINDS = ['barrier', 'bound', 'wait', 'event']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build_dir', type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument('--kinds', default=','.join(ALL_KINDS))
    parser.add_argument('--sample', type=int, help='so many of the bounds')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--only', default='', help='only files whose path contains this')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--keep', type=pathlib.Path, help='work here and keep the copy')
    a = parser.parse_args()
    copy = a.keep.resolve() if a.keep else pathlib.Path(tempfile.mkdtemp(prefix='winnow_mutation_'))
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / 'ops', copy / 'ops')
    (copy / 'core/cuda').mkdir(parents=True)
    for path in (ROOT / 'core/cuda').glob('*.h'):
        shutil.copy(path, copy / 'core/cuda')
    try:
        return check(a, copy)
    finally:
        if not a.keep:
            shutil.rmtree(copy, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
