// Inputs for the command line: its own commands and options with values of every kind, in a folder of its own. Nothing
// leaves the machine: there is no network, no program to call and no device.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from '../../src/cli/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { runCli } from '../../src/cli/main.ts';
import { LloydError } from '../../src/gpu/errors.ts';
import { smallFiles } from '../support/small-files.ts';
import type { Random } from './random.ts';
import type { Target } from './target.ts';

let folder = '';
let home = '';

const VALUES = [
  '1',
  '0',
  '-1',
  '2',
  '4',
  '9',
  '1.5',
  '1e3',
  '007',
  'x',
  '',
  'all',
  'kmeans',
  'linear',
  'lab',
  'auto',
  '1,2',
  '--',
  'NaN',
  '\u001b[2J',
  'é',
];
const FILES = [
  'w.safetensors',
  'q.safetensors',
  './w.safetensors',
  'missing.safetensors',
  'no/such/folder',
  '.',
  'report.json',
  'damaged.safetensors',
];
const STOP = 'the fuzzed command line opens no device';

/** Commands as they are, but for what they would reach: a device. */
function fenced(command: Command): Command {
  const load = command.load.bind(command);
  return {
    ...command,
    load: async () => {
      const { run } = await load();
      const runtime = async () => {
        throw new LloydError(STOP);
      };
      return { run: (context) => run({ ...context, runtime }) };
    },
  };
}

function makeArguments(random: Random): string[] {
  const command = random.pick(commands);
  const name = random.chance(0.95)
    ? command.usage.split(' ')[0]
    : random.pick(['quantise', 'help', '', '--', '__proto__', 'constructor']);
  const argv: string[] = name === '' ? [] : [name];
  const operands = command.usage.split(' ').length - 1 + (random.chance(0.05) ? 1 : 0);
  for (let i = 0; i < operands; i++) if (random.chance(0.9)) argv.push(random.pick(FILES));
  for (const [flags] of random.shuffled(command.options).slice(0, random.int(5))) {
    const flag = random.pick(flags.replace(/ <.*/, '').split(', '));
    const takes = flags.includes('<');
    const isFile = /<file>|<folder>/.test(flags);
    argv.push(random.chance(0.05) ? `${flag}=${random.pick(VALUES)}` : flag);
    if (takes && random.chance(0.95)) argv.push(random.pick(isFile && random.chance(0.8) ? FILES : VALUES));
  }
  if (random.chance(0.1)) argv.push('--json', random.pick(FILES));
  if (random.chance(0.05))
    argv.push(
      random.pick(['--help', '--version', '-x', '--unknown', '--no-json', '-', '--adapter', '--__proto__']),
    );
  return argv;
}

interface Outcome {
  code: number;
  said: string;
}

async function run(argv: string[]): Promise<Outcome> {
  writeFileSync(join(folder, 'w.safetensors'), files.fp32);
  writeFileSync(join(folder, 'damaged.safetensors'), files.linear.subarray(0, 500));
  const { write: out } = process.stdout;
  const { write: err } = process.stderr;
  let said = '';
  process.stdout.write = (() => true) as typeof out;
  process.stderr.write = ((text: string) => {
    said += text;
    return true;
  }) as typeof err;
  try {
    return { code: await runCli(argv), said };
  } finally {
    process.stdout.write = out;
    process.stderr.write = err;
  }
}

let files: ReturnType<typeof smallFiles>;

export const commandLine: Target<string[]>[] = [
  {
    name: 'cli',
    kind: 'surface',
    share: 0.1,
    // A sound command line does its work up to the device: compare reads three networks of 25 MB.
    slowMs: 20_000,
    async open() {
      files = smallFiles();
      home = process.cwd();
      folder = mkdtempSync(join(tmpdir(), 'lloyd-fuzz-'));
      process.chdir(folder);
      process.env.PATH = '';
      process.env.HOME = folder;
      process.env.XDG_CACHE_HOME = join(folder, 'cache');
      process.env.CIFAR10_DIR = join(folder, 'cifar10');
      globalThis.fetch = async () => {
        throw new TypeError('fetch failed: the fuzzed command line has no network');
      };
      console.log = console.info = console.warn = console.error = () => {};
      (commands as Command[]).splice(0, commands.length, ...commands.map(fenced));
    },
    make: makeArguments,
    run,
    verify: ({ code, said }: Outcome) => {
      if (![0, 1].includes(code)) return `exit code ${code}`;
      if (code === 1 && !/(^|\n)error: /.test(said)) return `no error line: ${said.trim().slice(0, 160)}`;
      if (/\n\s+at .+:\d+:\d+/.test(said)) return `a stack: ${said.trim().slice(0, 200)}`;
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      return /[\u0000-\u0008\u000e-\u001a]/.test(said.replace(/\u001b\[[0-9;]*[A-Za-z]/g, ''))
        ? 'control characters'
        : undefined;
    },
    show: (argv) => JSON.stringify(argv),
    close() {
      process.chdir(home);
      rmSync(folder, { recursive: true, force: true });
    },
  },
];
