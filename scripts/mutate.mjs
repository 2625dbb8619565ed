// npm run mutate -- [FILTER] [--json FILE] [--resume] [--check]: would the tests notice a wrong operator, bound, rounding or mask?
//
// Each mutant of test/mutants.json changes one snippet of one file and is run against the test files that concern that
// file. A mutant is a folder of links into a copy of this tree, with the one file changed; a batch of them is one run of
// vitest in one process, so that a mutant costs what its tests cost. Killed: a test fails, or nothing comes back. A
// survivor that no test can kill carries `why`, another is a gap.
//
// --json keeps what is known after every batch, and --resume goes on from there: what was killed stays killed while the
// file, the mutant and its tests are as they were.
//
// The exit status is 1 for a survivor without a reason or under 95 % killed, 2 for a list that no longer fits the
// sources. --check only looks whether it does; --propose FILE prints what the rules make of a file.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { applyMutant, propose } from './mutation-rules.mjs';
import { root } from './package.mjs';

const LIST = 'test/mutants.json';
const COPIED = ['src', 'shaders', 'test', 'bench', 'package.json', 'tsconfig.json'];
const LEAST = 0.95;
const BATCH = 24;
/** Tests of dispatches beyond a limit take long, and no mutant is about the folding of workgroups. */
const USUAL = '^((?!65,535|65535|folded|wider than|one row of workgroups).)*$';
/** Nothing for so long, and the batch's process is ended: what was running counts as killed. */
const SILENCE = 240_000;

const options = process.argv.slice(2);
const flag = (name) => {
  const at = options.indexOf(name);
  return at < 0 ? undefined : options.splice(at, 2)[1];
};
const json = flag('--json');
const proposed = flag('--propose');
const resume = options.includes('--resume');
const checkOnly = options.includes('--check');
const [filter = ''] = options.filter((option) => !option.startsWith('--'));

if (proposed) {
  const mutants = propose(readFileSync(join(root, proposed), 'utf8'));
  console.log(mutants.map((mutant) => JSON.stringify(mutant)).join(',\n'));
  process.exit(0);
}

const groups = Object.entries(JSON.parse(readFileSync(join(root, LIST), 'utf8')));
refuseStale(groups);
const mutants = groups
  .flatMap(([file, { tests, name = '', mutants: own }]) =>
    own.map((mutant) => ({ file, tests, name, ...mutant })),
  )
  .filter(({ file, find }) => `${file} ${find}`.includes(filter));
console.log(`${mutants.length} mutants of ${new Set(mutants.map(({ file }) => file)).size} files`);
if (checkOnly || mutants.length === 0) process.exit(mutants.length === 0 ? 2 : 0);

// As on a slow adapter: half the sample, and no test of ten seconds and more.
const SETUP = "export default (project) => project.provide('slowAdapter', true);\n";
/** One failure of a file is enough. */
const BAIL = `import { afterEach, beforeEach } from 'vitest';
const failed = (globalThis.failedFiles ??= new Set());
beforeEach((context) => failed.has(context.task.file.filepath) && context.skip());
afterEach(({ task }) => task.result?.state === 'fail' && failed.add(task.file.filepath));
`;
let child;
const scratch = copyTree();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
process.on('exit', () => {
  stop();
  rmSync(scratch, { recursive: true, force: true });
});

const results = new Map();
if (resume && json && existsSync(json)) {
  const before = JSON.parse(readFileSync(json, 'utf8')).results;
  const killed = new Map(before.map(({ key, outcome }) => [key, outcome]));
  for (const mutant of mutants)
    if (isKill(killed.get(keyOf(mutant)))) results.set(mutant, killed.get(keyOf(mutant)));
  console.log(`${results.size} are killed already`);
}
for (const name of new Set(mutants.map((mutant) => mutant.name))) {
  const own = mutants.filter((mutant) => mutant.name === name && !results.has(mutant));
  if (own.length === 0) continue;
  const failing = await failingUnchanged(name, [...new Set(own.flatMap(({ tests }) => tests))]);
  for (const mutant of own.filter(({ tests }) => tests.some((test) => failing.has(test))))
    report(mutant, 'unjudged');
  let queue = own.filter((mutant) => !results.has(mutant));
  while (queue.length > 0) {
    const batch = queue.slice(0, BATCH);
    const seen = await run(name, batch);
    for (const [mutant, outcome] of seen) report(mutant, outcome);
    queue = queue.filter((mutant) => !seen.has(mutant));
  }
}
const { killed, survived, explained, broken, unjudged, share } = summary();
console.log(
  `${killed} of ${results.size} killed (${(share * 100).toFixed(1)} %), ${explained} survive with a reason, ${survived} without, ${broken} do not compile, ${unjudged} have tests that fail without them`,
);
process.exit(survived + broken + unjudged === 0 && share >= LEAST ? 0 : 1);

function report(mutant, outcome) {
  results.set(mutant, outcome);
  const said = outcome === 'survived' && mutant.why ? 'survived, explained' : outcome;
  console.log(
    `${results.size}/${mutants.length} ${said}: ${mutant.file}: ${mutant.find} -> ${mutant.replace}`,
  );
  if (json) writeFileSync(json, `${JSON.stringify(summary(), null, 2)}\n`);
}

function isKill(outcome) {
  return outcome === 'killed' || outcome === 'stopped';
}

/** What an outcome is of: the mutant, and the texts of its file and its tests. */
function keyOf({ file, tests, name, find, replace }) {
  const texts = [file, ...tests].map((path) => readFileSync(join(root, path), 'utf8'));
  return createHash('sha256')
    .update(JSON.stringify([texts, name, find, replace]))
    .digest('hex')
    .slice(0, 16);
}

function summary() {
  const all = [...results].map(([mutant, outcome]) => {
    const { file, find, replace, why } = mutant;
    return { file, find, replace, outcome, ...(why && { why }), key: keyOf(mutant) };
  });
  const of = (outcome) => all.filter((result) => result.outcome === outcome);
  const killed = all.filter(({ outcome }) => isKill(outcome)).length;
  const alive = of('survived');
  return {
    mutants: all.length,
    killed,
    explained: alive.filter(({ why }) => why).length,
    survived: alive.filter(({ why }) => !why).length,
    broken: of('broken').length,
    unjudged: of('unjudged').length,
    share: killed / all.length,
    results: all,
  };
}

/** A list that no longer fits the sources would test less than it says. */
function refuseStale(entries) {
  const stale = entries.flatMap(([file, { tests, mutants: own }]) => {
    const missing = [file, ...tests].filter((path) => !existsSync(join(root, path)));
    if (missing.length > 0) return missing.map((path) => `${file}: there is no ${path}`);
    const source = readFileSync(join(root, file), 'utf8');
    return own.flatMap((mutant) => {
      try {
        applyMutant(file, source, mutant);
        return [];
      } catch (error) {
        return [error.message];
      }
    });
  });
  if (stale.length === 0) return;
  console.error(`${LIST} is stale in ${stale.length} places:\n${stale.join('\n')}`);
  process.exit(2);
}

/** Tests that fail unchanged would kill everything: they judge no mutant. */
async function failingUnchanged(name, tests) {
  const failing = new Set();
  for (let first = 0; first < tests.length; first += BATCH) {
    const unchanged = tests.slice(first, first + BATCH).map((test) => ({ tests: [test] }));
    const seen = await run(name, unchanged, ({ module, state, seconds }) => {
      if (state) console.log(`unchanged: ${module.replace(/^m\d+\//, '')} ${state}, ${seconds.toFixed(1)} s`);
    });
    for (const one of unchanged) if (seen.get(one) !== 'survived') failing.add(one.tests[0]);
  }
  return failing;
}

/** What tests read of this tree; packages are links, so that a cache beside them is the copy's own. */
function copyTree() {
  const folder = mkdtempSync(join(tmpdir(), 'lloyd-mutate-'));
  for (const name of COPIED) cpSync(join(root, name), join(folder, 'base', name), { recursive: true });
  symlinkSync(join(root, 'weights'), join(folder, 'base', 'weights'));
  mkdirSync(join(folder, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.'))
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
  return folder;
}

/** A folder of links to the copy, but for one file: only the folders on the way to it are real. */
function makeMutant(folder, { file, ...mutant }) {
  const real = file ? dirname(file).split(sep) : [];
  const link = (path, depth) => {
    mkdirSync(join(folder, path));
    for (const name of readdirSync(join(scratch, 'base', path))) {
      const own = join(path, name);
      if (own === file) {
        const source = readFileSync(join(scratch, 'base', file), 'utf8');
        writeFileSync(join(folder, file), applyMutant(file, source, mutant));
      } else if (name === real[depth]) link(own, depth + 1);
      else symlinkSync(join(scratch, 'base', own), join(folder, own));
    }
  };
  link('.', 0);
}

/** Outcomes of a batch; where its process ended early, of those that were run, the last of them stopped. */
async function run(name, batch, onEvent = () => {}) {
  const folders = batch.map((mutant, i) => {
    makeMutant(join(scratch, `m${i}`), mutant);
    return join(scratch, `m${i}`);
  });
  const include = batch.flatMap(({ tests }, i) => tests.map((test) => `m${i}/${test}`));
  writeFileSync(join(scratch, 'setup.mjs'), SETUP);
  writeFileSync(join(scratch, 'bail.mjs'), BAIL);
  writeFileSync(join(scratch, 'vitest.config.mjs'), configOf(include));
  const events = await runVitest(name, include.length, onEvent);
  for (const folder of folders) rmSync(folder, { recursive: true });
  const seen = new Map();
  for (const [i, mutant] of batch.entries()) {
    const own = events.filter(({ module }) => module.startsWith(`m${i}/`));
    const ended = own.filter(({ state }) => state);
    if (ended.some(({ broken }) => broken)) seen.set(mutant, 'broken');
    else if (ended.some(({ state }) => state !== 'passed')) seen.set(mutant, 'killed');
    else if (ended.length === mutant.tests.length) seen.set(mutant, 'survived');
    else if (own.length > ended.length) seen.set(mutant, 'stopped');
  }
  if (seen.size === 0) throw new Error(`vitest ran nothing of ${include.join(', ')}`);
  return seen;
}

/** What the reporter says; ended once every file has, since a worker that holds a device is slow to go. */
function runVitest(name, files, onEvent) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const only = ['-t', name || USUAL];
  return new Promise((resolve) => {
    const events = [];
    let rest = '';
    child = spawn(process.execPath, [vitest, 'run', '--root', scratch, ...only], {
      cwd: scratch,
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    let timer = setTimeout(stop, SILENCE);
    child.stdio[3].on('data', (chunk) => {
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE);
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        events.push(JSON.parse(line));
        onEvent(events.at(-1));
      }
      if (events.filter(({ state }) => state).length === files) stop();
    });
    child.on('close', () => {
      clearTimeout(timer);
      child = undefined;
      resolve(events);
    });
  });
}

/** The runner and its workers, which are a process group of their own. */
function stop() {
  if (!child) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** One process for all of a batch: modules of one mutant are others than those of the next by their paths. */
function configOf(include) {
  return `import { defineConfig } from 'vitest/config';
export default defineConfig({
  resolve: {
    preserveSymlinks: true,
    alias: [
      { find: '#default-device', replacement: ${JSON.stringify(join(scratch, 'base/src/node/default-device.ts'))} },
    ],
  },
  test: {
    include: ${JSON.stringify(include)},
    globalSetup: ['./setup.mjs'],
    setupFiles: ['./bail.mjs'],
    reporters: [${JSON.stringify(join(root, 'scripts/mutation-reporter.mjs'))}],
    pool: 'forks',
    isolate: false,
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
`;
}
