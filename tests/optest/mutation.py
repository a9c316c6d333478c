#!/usr/bin/env python3
"""Mutation test of the gradients: breaking any one expression of a gradient must make optest fail.

Every expression that a gradient rule or gradient kernel in ops/ returns, stores or assigns is marked in a copy of ops/
as mutated<K>(expression) (mutation.h); one build holds all mutations and WN_MUTATION=K turns one on, which scales the
expression by 1.01. For each: `optest grad` of the operators that reach it, then `optest ref`, must fail.
A survivor that cannot matter (a factor that cancels) is listed with its reason in mutation_equivalent.txt.

usage: mutation.py BUILD_DIR [--only SUBSTRING_OF_FILE] [--every N] [--jobs N] [--keep DIR]
needs a finished build (optest, compile_commands.json); the tree itself is not changed.
"""
import argparse, collections, concurrent.futures, json, os, pathlib, re, shlex, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRADIENT = re.compile(r'\b(?:df|\w*(?:grad|backward)\w*)\s*(<[^<>]*>)?\s*\(|\bGrad\s*&', re.I)
NOT_A_RULE = re.compile(r'\b(infer|samples?|cost|reject|register|add_samples|name|doc)\w*\s*(<[^<>]*>)?\s*\(', re.I)
SKIPPED = re.compile(r'^\s*(using|static|constexpr|typedef|template|struct|namespace|case|break|continue|goto)\b')


def masked(text):
    """The text with comments, strings and preprocessor lines blanked, position by position."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|^[ \t]*#(?:[^\n\\]|\\.|\\\n)*', re.S | re.M)
    return pattern.sub(lambda m: re.sub(r'[^\n]', ' ' if m.group()[0] in '/#' else '_', m.group()), text)


def statements(code, whole_file):
    """(begin, end) of the simple statements that lie inside gradient functions."""
    stack = [dict(start=0, parens=0, grad=whole_file)]
    for i, c in enumerate(code):
        top = stack[-1]
        if c in '([':
            top['parens'] += 1
        elif c in ')]':
            top['parens'] -= 1
        elif c == '{':
            header = code[top['start']:i]
            grad = top['grad']
            if len(stack) < 4 and GRADIENT.search(header):
                grad = True
            if NOT_A_RULE.search(header) and not re.search(r'\bfor\b|\bif\b|=\s*\w+\(', header):
                grad = False
            stack.append(dict(start=i + 1, parens=0, grad=grad))
        elif c == '}':
            stack.pop()
            if not stack:
                return
            if stack[-1]['parens'] == 0 and not re.match(r'\s*[;,).]', code[i + 1:i + 40]):
                stack[-1]['start'] = i + 1
        elif c == ';' and top['parens'] == 0:
            if top['grad']:
                yield top['start'], i
            top['start'] = i + 1


def closing(code, at):
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in '([{') - (code[i] in ')]}')
        if depth == 0:
            return i
    return len(code)


def split_top(code, begin, end):
    """Top-level comma-separated parts; a comma between < and > also splits, which the shapes below filter out."""
    parts, depth, start = [], 0, begin
    for i in range(begin, end):
        depth += (code[i] in '([{') - (code[i] in ')]}')
        if code[i] == ',' and depth == 0:
            parts.append((start, i))
            start = i + 1
    return parts + [(start, end)]


def expressions(code, begin, end):
    """(begin, end) of what the statement returns, stores, assigns or hands to dx()."""
    while True:  # behind labels and the heads of one-line loops and conditions
        m = re.match(r'\s*(?:else\b|(?:for|if|while)\s*(?:constexpr\s*)?(?=\())', code[begin:end])
        if not m:
            break
        begin += m.end()
        if code[begin:begin + 1] == '(':
            begin = closing(code, begin) + 1
    text = code[begin:end]
    if '{' in text or SKIPPED.match(text):
        # a lambda or list inside: only the gradient handed over counts
        m = re.search(r'\.dx\(', text)
        if m and not SKIPPED.match(text):
            yield from dx_argument(code, begin + m.end() - 1)
        return
    m = re.search(r'\.dx\(', text)
    if m:
        yield from dx_argument(code, begin + m.end() - 1)
        return
    m = re.match(r'\s*return\b\s*', text)
    if m:
        if m.end() < len(text):
            yield begin + m.end(), end
        return
    m = re.match(r'\s*(?:\w+::)*store\w*\s*(?=\()', text)
    if m:
        close = closing(code, begin + m.end())
        last = split_top(code, begin + m.end() + 1, close)[-1]
        yield last
        return
    parts = split_top(code, begin, end)
    shape = re.compile(r'[^=<>!()]*[\w\]\)]\s*[-+*/]?=(?!=)\s*(?=\S)')
    plain = re.compile(r'(?:[^=!\[\]()<>]|\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]|<[^<>=]*>)*?\s*[-+*/]?=(?!=)\s*(?=\S)')
    heads = [plain.match(code[b:e]) for b, e in parts]
    if heads[0] is None:
        return
    if len(parts) > 1 and not all(heads):  # commas that belong to a call's template arguments: one expression
        yield parts[0][0] + heads[0].end(), end
        return
    for (b, e), head in zip(parts, heads):
        yield b + head.end(), e


def dx_argument(code, opening):
    close = closing(code, opening)
    parts = split_top(code, opening + 1, close)
    if len(parts) >= 2:
        yield parts[1][0], close


class Source:
    """One file of the copy; marks can be taken back when the compiler refuses them."""

    def __init__(self, path, sites):
        self.path, self.text = path, path.read_text()
        code = masked(self.text)
        self.marks = []
        for begin, end in statements(code, 'grad' in path.stem):
            for b, e in expressions(code, begin, end):
                expression = self.text[b:e].strip()
                if expression and not re.fullmatch(r'[\d.\'fFuUlL]+|true|false|nullptr|NULL|this', expression):
                    k = len(sites)
                    line = self.text.count('\n', 0, b + len(self.text[b:e]) - len(self.text[b:e].lstrip())) + 1
                    sites.append(dict(k=k, file=str(path), line=line, text=' '.join(expression.split())))
                    self.marks.append((b, e, k, line, self.text.count('\n', 0, e) + 1))

    def write(self, to):
        out, at = [], 0
        for b, e, k, _, _ in sorted(self.marks):
            out += [self.text[at:b], f'::winnow_mutation::mutated<{k}>(', self.text[b:e], ')']
            at = e
        to.write_text(''.join(out) + self.text[at:])

    def drop(self, lines):
        kept = [m for m in self.marks if not any(m[3] <= line <= m[4] for line in lines)]
        dropped, self.marks = len(self.marks) - len(kept), kept
        return dropped


def compile_command(entry, copy):
    words = shlex.split(entry['command'])
    words = [w for w in words if w != '-Winvalid-pch' and not w.endswith('ccache') and not w.startswith('CCACHE_')]
    if words[0].endswith('cmake') or words[0].endswith('env'):  # a launcher
        words = words[next(i for i, w in enumerate(words) if re.search(r'(g\+\+|clang\+\+|c\+\+)[\d.-]*$', w)):]
    words = [str(copy) + w[len(str(ROOT)):] if w == entry['file'] else w for w in words]
    words = [f'-I{copy}' if w == f'-I{ROOT}' else w for w in words]
    output = copy / 'objects' / (pathlib.Path(entry['file']).relative_to(ROOT).as_posix().replace('/', '__') + '.o')
    words[words.index('-o') + 1] = str(output)
    return words + ['-O1', '-w', f'-I{ROOT}', '-include', str(ROOT / 'tests/optest/mutation.h')], output


def link_command(build_dir, target):
    lines = subprocess.run(['ninja', '-C', str(build_dir), '-t', 'commands', target], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    words = shlex.split(lines[-1])
    return [w for w in words if w not in (':', '&&')]


def link(build_dir, target, output, replace=lambda word: None, ahead=()):
    """The target's link command with other objects: replace(word) gives the new word, or None to keep it; those of
    `ahead`, in front of the libraries, take the place of the libraries' own."""
    words = [replace(w) or w for w in link_command(build_dir, target)]
    at = words.index('-o')
    words[at:at + 2] = [*map(str, ahead), '-o', str(output)]
    subprocess.run(words, cwd=build_dir, check=True)
    return output


def reads_a_mark(path, sources, seen=None):
    """Whether a file of ops/ is marked or includes a marked file."""
    seen = set() if seen is None else seen
    if path in seen or not path.is_relative_to(ROOT / 'ops') or not path.exists() or path.suffix == '.cu':
        return False
    seen.add(path)
    if sources[path.relative_to(ROOT).as_posix()].marks:
        return True
    return any(reads_a_mark(ROOT / m, sources, seen) for m in re.findall(r'#include "(ops/[^"]+)"', path.read_text()))


def build(build_dir, copy, sources, jobs):
    commands = json.loads((build_dir / 'compile_commands.json').read_text())
    entries = [e for e in commands if reads_a_mark(pathlib.Path(e['file']), sources)]
    (copy / 'objects').mkdir()

    def compile_one(entry):
        words, output = compile_command(entry, copy)
        for _ in range(12):
            r = subprocess.run(words, cwd=entry['directory'], capture_output=True, text=True)
            if r.returncode == 0:
                return output
            wrong = collections.defaultdict(set)
            for m in re.finditer(re.escape(str(copy)) + r'/(\S+?):(\d+):\d+: (?:error|note|  required)', r.stderr):
                wrong[m.group(1)].add(int(m.group(2)))
            for m in re.finditer(re.escape(str(copy)) + r'/(\S+?):(\d+):\d+:\s+required from', r.stderr):
                wrong[m.group(1)].add(int(m.group(2)))
            dropped = 0
            for name, lines in wrong.items():
                source = sources.get(name)
                if source is not None:
                    dropped += source.drop(lines)
                    source.write(copy / name)
            if dropped == 0:
                sys.exit(f'mutation: {entry["file"]} does not compile marked:\n{r.stderr[:3000]}')
        sys.exit(f'mutation: {entry["file"]} does not compile after 12 attempts')

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        objects = list(pool.map(compile_one, entries))
    return link(build_dir, 'optest', copy / 'optest', ahead=objects)


def run(program, arguments, **variables):
    environment = dict(os.environ, OMP_NUM_THREADS='1', **variables)
    return subprocess.run([str(program), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build_dir', type=lambda p: pathlib.Path(p).resolve())
    parser.add_argument('--only', default='', help='only files whose path contains this')
    parser.add_argument('--every', type=int, default=1, help='every Nth mutation')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--keep', type=pathlib.Path, help='work here and keep the copy')
    a = parser.parse_args()
    copy = a.keep.resolve() if a.keep else pathlib.Path(tempfile.mkdtemp(prefix='winnow_mutation_'))
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / 'ops', copy / 'ops')
    try:
        return check(a, copy)
    finally:
        if not a.keep:
            shutil.rmtree(copy, ignore_errors=True)


def check(a, copy):
    sites, sources = [], {}
    for path in sorted((copy / 'ops').rglob('*')):
        name = path.relative_to(copy).as_posix()
        if path.suffix in ('.cpp', '.h'):
            sources[name] = Source(path, sites)
            if a.only not in name:
                sources[name].marks = []
            sources[name].write(path)
    for site in sites:
        site['file'] = os.path.relpath(site['file'], copy)
    program = build(a.build_dir, copy, sources, a.jobs)
    alive = {m[2] for s in sources.values() for m in s.marks}

    operators = [line.split(':')[0] for line in run(program, ['--list']).stdout.splitlines() if not line.startswith(' ')]
    reach, listed, integers = collections.defaultdict(list), set(), set()

    def trace(mode_and_operator):
        mode, operator = mode_and_operator
        file = copy / f'trace_{mode}_{operator}'
        r = run(program, [mode, '--op', operator], WN_MUTATION_TRACE=str(file))
        if r.returncode != 0 and 'has no kernel' not in r.stdout:
            sys.exit(f'mutation: optest {mode} --op {operator} fails without any mutation:\n{r.stdout[-2000:]}')
        return mode, operator, [tuple(map(int, line.split())) for line in file.read_text().splitlines()]

    tasks = [(mode, operator) for mode in ('grad', 'ref') for operator in operators]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for mode, operator, lines in pool.map(trace, tasks):
            for k, reached in lines:
                listed.add(k)
                if reached & 1:
                    reach[k].append((mode, operator))
                elif reached == 2:
                    integers.add(k)

    def kill(site):
        tries = reach[site['k']]
        for mode, operator in [t for t in tries if t[0] == 'grad'][:4] + [t for t in tries if t[0] == 'ref'][:4]:
            if run(program, [mode, '--op', operator, '--first'], WN_MUTATION=str(site['k'])).returncode != 0:
                return f'{mode} --op {operator}'
        return 'SURVIVED' if tries else 'NOT REACHED'

    integers -= reach.keys()
    chosen = [s for s in sites if s['k'] in alive and s['k'] in listed - integers][::a.every]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        verdicts = list(pool.map(kill, chosen))
    return report(chosen, verdicts)


def report(chosen, verdicts):
    allowed = {}
    for line in (ROOT / 'tests/optest/mutation_equivalent.txt').read_text().splitlines():
        if line.strip() and not line.startswith('#'):
            where, reason = line.split(' -- ', 1)
            allowed[where.strip()] = reason
    bad = 0
    used = set()
    for site, verdict in zip(chosen, verdicts):
        key = f"{site['file']}: {site['text']}"
        if verdict in ('SURVIVED', 'NOT REACHED'):
            if key in allowed:
                used.add(key)
                verdict = f'equivalent: {allowed[key]}'
            else:
                bad += 1
        print(f"{site['file']}:{site['line']:<5} {verdict:40} {site['text'][:110]}")
    found = sum(v not in ('SURVIVED', 'NOT REACHED') for v in verdicts)
    print(f'{len(chosen)} mutations: {found} found, {len(used)} equivalent, {bad} not found')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
