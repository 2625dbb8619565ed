// Results on stdout, in pipes and devices, and outputs that would be inputs, in a real process.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isQuantized } from '../../src/model/quantized-model.ts';
import { vgg } from '../../src/model/vgg.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { buildCli } from '../support/built.ts';

let folder = '';
let cli: Awaited<ReturnType<typeof buildCli>>;
const network = vgg({ widthDivisor: 32 });
for (const { data } of network.parameters.values())
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i + 1) * 0.1 + 0.2;
const bytes = writeModelFile(network);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-streams-'));
  cli = await buildCli();
  await writeFile(join(folder, 'w.safetensors'), bytes);
});
afterAll(async () => {
  await cli?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** A command line as a shell runs it, in the test's folder; `lloyd` is the command. */
function shell(line: string, env: NodeJS.ProcessEnv = {}) {
  const script = `lloyd() { "${process.execPath}" "${cli.entry}" "$@"; }; ${line}`;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  return { code: status, out: stdout, err: stderr.toString() };
}
const intact = async (name = 'w.safetensors') =>
  Buffer.compare(await readFile(join(folder, name)), bytes) === 0;

describe.skipIf(process.platform === 'win32')('stdout, pipes and devices', () => {
  test('--json /dev/stdout is JSON and nothing else', async () => {
    const { code, out, err } = shell('lloyd quantize w.safetensors --bits 2 -o 007 --json /dev/stdout | cat');
    expect(code, err).toBe(0);
    expect(JSON.parse(out.toString())).toMatchObject({ method: 'kmeans', bits: 2 });
    expect(err).toContain('SQNR dB');
    expect(isQuantized(readModelFile(await readFile(join(folder, '007'))))).toBe(true);
  });

  test('-o /dev/stdout is the network and nothing else, also where stdout is a file', async () => {
    const piped = shell('lloyd quantize w.safetensors --bits 2 -o /dev/stdout | cat');
    expect(isQuantized(readModelFile(piped.out)), piped.err).toBe(true);
    const filed = shell('lloyd quantize w.safetensors --bits 2 -o /dev/stdout > q');
    expect(filed.code, filed.err).toBe(0);
    expect(Buffer.compare(await readFile(join(folder, 'q')), piped.out)).toBe(0);
  });

  test('/dev/null swallows both, and stays a device', async () => {
    const { code, err } = shell('lloyd quantize w.safetensors --bits 2 -o /dev/null --json /dev/null');
    expect(code, err).toBe(0);
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  test('the file behind stdout is no place for a result', async () => {
    const { code, err } = shell('lloyd info --json said > said');
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/--json must be another file than what stdout is sent to/),
    ]);
    expect(await readFile(join(folder, 'said'), 'utf8')).toBe('');
  });
});

describe('what is read is never written', () => {
  test.each([
    [
      'finetune --weights w.safetensors -o ./w.safetensors --steps 1',
      /--out must be another file than the input/,
    ],
    ['finetune --weights w.safetensors -o link --steps 1', /--out must be another file than the input/],
    [
      'finetune --weights w.safetensors -o x --resume w.safetensors --json w.safetensors',
      /--json must be another file/,
    ],
    ['train --resume w.safetensors -o w.safetensors', /--out must be another file than the input/],
    ['evaluate w.safetensors --json w.safetensors', /--json must be another file than the input/],
    ['compare --weights w.safetensors --json link', /--json must be another file than the input/],
    [
      'info --plan vgg/fp32 --weights w.safetensors --json w.safetensors',
      /--json must be another file than the input/,
    ],
    ['lab --weights w.safetensors --json w.safetensors', /--json must be another file than the input/],
    [
      'lab --weights w.safetensors --out r --json r/report.md',
      /--out must be another file than --json|existing folder/,
    ],
    ['quantize w.safetensors -o x --json ./x', /--out must be another file than --json/],
    ['bench --compare w.safetensors x --json w.safetensors', /--json must be another file than the input/],
    ['reproduce --out . --json vgg-cifar10.json', /--json must be another file than the input/],
  ])('lloyd %s', async (line, rule) => {
    await symlink('w.safetensors', join(folder, 'link')).catch(() => {});
    const { code, err } = shell(`lloyd ${line}`);
    expect(err).toMatch(rule);
    expect(code).toBe(1);
    expect(await intact()).toBe(true);
  });

  test('nor is the data set', async () => {
    await writeFile(join(folder, 'test_batch.bin'), 'images');
    const { code, err } = shell('lloyd evaluate w.safetensors --json test_batch.bin', {
      CIFAR10_DIR: folder,
    });
    expect([code, err]).toEqual([1, expect.stringMatching(/--json must be another file than the input/)]);
    expect(await readFile(join(folder, 'test_batch.bin'), 'utf8')).toBe('images');
    expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });
});
