// Ctrl-C and SIGTERM in a real process: what they leave on disk, and what a resumed run makes of it.
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSafetensors } from '../../src/io/safetensors.ts';
import { vgg } from '../../src/model/vgg.ts';
import { writeModelFile } from '../../src/run/file.ts';
import { initialize } from '../../src/train/initialize.ts';
import { buildCli } from '../support/built.ts';
import { SLOW, THOROUGH } from '../support/runtime.ts';

let folder = '';
let cli: Awaited<ReturnType<typeof buildCli>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-interrupt-'));
  cli = await buildCli();
});
afterAll(async () => {
  await cli?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command to its end; `interruptAt` sends it a signal once what it said matches. */
function run(
  argv: readonly string[],
  interruptAt?: RegExp,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve, reject) => {
    const child = cli.spawn(...argv);
    let said = '';
    let pending = interruptAt;
    const hear = (chunk: Buffer) => {
      said += chunk;
      if (!pending?.test(said)) return;
      pending = undefined;
      child.kill(signal);
    };
    child.stdout!.on('data', hear);
    child.stderr!.on('data', hear);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, said }));
  });
}

describe('Ctrl-C', () => {
  const steps = SLOW ? 10 : 20;
  const size = ['--batch', '5', '--images', String(5 * steps), '--epochs', '1', '--seed', '5'];
  const start = () => join(folder, 'start.safetensors');

  const commands = {
    train: () => ['train', '--width-divisor', '32', ...size],
    finetune: () => ['finetune', '--weights', start(), '--bits', '2', '--reassign', '3', ...size],
  };
  if (SLOW) console.log('Ctrl-C: 1 of 2 commands (npm run test:all runs both)');
  test.each(SLOW ? (['train'] as const) : (['train', 'finetune'] as const))(
    '%s saves, exits with 130, and resumes to the bytes of a run never interrupted',
    async (name) => {
      const argv = commands[name];
      if (name === 'finetune') {
        const made = await run([
          'train',
          '--width-divisor',
          '32',
          '-o',
          start(),
          '--batch',
          '10',
          '--images',
          '40',
        ]);
        expect(made.code, made.said).toBe(0);
      }
      const file = (kind: string) => join(folder, `${name}-${kind}.safetensors`);
      const saved = (kind: string) => join(folder, `${name}-${kind}.checkpoint.safetensors`);
      const [second, third] = [2, 3].map((n) => join(folder, `${name}-cut.checkpoint-${n}.safetensors`));
      const json = join(folder, `${name}.json`);
      const log = async () => JSON.parse(await readFile(json, 'utf8'));
      await writeFile(file('cut'), 'a good network');
      await writeFile(saved('cut'), 'something else of that name');

      const cut = [...argv(), '-o', file('cut'), '--json', json];
      const signal = name === 'train' ? 'SIGINT' : 'SIGTERM';
      const stopped = await run(cut, new RegExp(`step [3-6] of ${steps}`), signal);
      expect(stopped.code, stopped.said).toBe(130);
      const checkpoint = await readFile(second);
      const reached = Number(readSafetensors(checkpoint).metadata.step);
      expect(reached).toBeGreaterThanOrEqual(3);
      expect(reached).toBeLessThan(steps);
      expect(stopped.said).toContain(
        `interrupted after step ${reached} of ${steps}: ${file('cut')} is as it was; ` +
          `wrote ${second}, ${json}; go on with --resume ${second}`,
      );
      expect(await readFile(file('cut'), 'utf8')).toBe('a good network');
      expect(await readFile(saved('cut'), 'utf8')).toBe('something else of that name');
      const half = await log();
      expect([half.interrupted, half.step, half.log.length]).toEqual([true, reached, reached]);

      const resumed = await run([...cut, '--resume', second]);
      expect(resumed.code, resumed.said).toBe(0);
      const whole = await run([...argv(), '-o', file('whole')]);
      expect(whole.code, whole.said).toBe(0);
      expect((await readFile(file('cut'))).equals(await readFile(file('whole')))).toBe(true);
      expect((await readFile(third)).equals(await readFile(saved('whole')))).toBe(true);
      expect((await readFile(second)).equals(checkpoint)).toBe(true);
      const full = await log();
      expect(full.log.map(({ step }: { step: number }) => step)).toEqual(
        Array.from({ length: steps }, (_, i) => i + 1),
      );
      expect(full.interrupted).toBeUndefined();
      expect((await readdir(folder)).filter((each) => each.endsWith('.part'))).toEqual([]);
    },
  );

  test('before the first step leaves nothing, and says so', async () => {
    const out = join(folder, 'none.safetensors');
    const argv = ['train', '--width-divisor', '32', ...size, '-o', out, '--json', join(folder, 'none.json')];
    const { code, said } = await run(argv, /Training/);
    expect(code, said).toBe(130);
    expect(said).toMatch(/interrupted( before the first step)?; nothing was written\n$/);
    expect((await readdir(folder)).filter((each) => each.startsWith('none'))).toEqual([]);
  });

  if (!THOROUGH) console.log('Ctrl-C: finetune --within is left out (npm run test:all runs it)');
  // The clone's own network, since one bit is never as good for it.
  test.skipIf(!THOROUGH)(
    'finetune --within leaves the width under way as it was',
    async () => {
      const weights = join(folder, 'vgg.safetensors');
      const [one, json] = [join(folder, 'vgg-kmeans1-qat.safetensors'), join(folder, 'within.json')];
      await copyFile(join(import.meta.dirname, '../../weights/vgg-cifar10.safetensors'), weights);
      await writeFile(one, 'a good network');
      const argv = ['finetune', '--weights', weights, '--bits', '8,1', '--within', '25', '--held', '20'];
      const { code, said } = await run(
        [...argv, '--batch', '2', '--images', '20', '--json', json],
        /step \d+ of/,
      );
      expect(code, said).toBe(130);
      expect(said).toContain(`interrupted at 1 bit: ${one} is as it was; wrote ${json}`);
      expect(await readFile(one, 'utf8')).toBe('a good network');
      const { widths, interrupted } = JSON.parse(await readFile(json, 'utf8'));
      expect([widths.map(({ bits }: { bits: number }) => bits), interrupted]).toEqual([[8], true]);
    },
    300_000,
  );

  test.each(['SIGINT', 'SIGKILL'] as const)('compare goes on after %s', async (signal) => {
    const file = (kind: string) => join(folder, `compare-${signal}-${kind}.json`);
    const weights = join(folder, `compare-${signal}.safetensors`);
    await writeFile(weights, writeModelFile(initialize(vgg({ widthDivisor: 64 }), { seed: 8 })));
    const size = ['--images', '120', '--batch', '2', '--rows', 'kmeans-8,kmeans-4,kmeans-2'];
    const part = signal === 'SIGINT' ? ['--shard', '2/3'] : [];
    const argv = ['compare', '--weights', weights, ...size, ...part, '--json'];
    const cut = await run([...argv, file('cut')], /^ {2}kmeans-8: /m, signal);
    expect(cut.code, cut.said).toBe(signal === 'SIGINT' ? 130 : null);
    const half = JSON.parse(await readFile(file('cut'), 'utf8'));
    expect(half.interrupted).toBe(true);
    expect(half.rows.length).toBeGreaterThan(0);
    expect(half.rows.length).toBeLessThan(4);
    if (signal === 'SIGINT') {
      expect(cut.said).toMatch(/interrupted after \d rows?( and \d+ images? of kmeans-\d)?; wrote /);
      expect(cut.said).toContain(`; go on with --resume ${file('cut')}\n`);
      const early = await run(['compare', '--merge', file('cut')]);
      expect(early.said).toMatch(/must be of a run that has ended; received "an interrupted shard 2\/3"/);
    }
    const resumed = await run(['compare', '--weights', weights, '--resume', file('cut')]);
    expect(resumed.code, resumed.said).toBe(0);
    expect(resumed.said).not.toMatch(/^ {2}fp32: /m);
    const whole = await run([...argv, file('whole')]);
    expect(whole.code, whole.said).toBe(0);
    const [ended, expected] = await Promise.all(
      ['cut', 'whole'].map(async (kind) =>
        (await readFile(file(kind), 'utf8')).replace(/"(imagesPerSecond|date|commit)": .*/g, ''),
      ),
    );
    expect(ended).toBe(expected);
  });

  test.each([
    ['lab', /^2\. /m, ({ steps: done }: { steps: unknown[] }) => done.length],
    ['bench', /ms/, ({ cases }: { cases: unknown[] }) => cases.length],
  ] as const)('%s keeps what was done', async (name, at, count) => {
    const json = join(folder, `${name}.json`);
    const own = name === 'lab' ? ['--out', join(folder, 'report')] : ['--quick'];
    const { code, said } = await run([name, ...own, '--json', json], at);
    expect(code, said).toBe(130);
    expect(said).toMatch(/interrupted; wrote .*\.json/);
    const kept = JSON.parse(await readFile(json, 'utf8'));
    expect(kept.interrupted).toBe(true);
    expect(count(kept)).toBeGreaterThan(0);
    if (name === 'lab') expect(await readFile(join(folder, 'report/report.md'), 'utf8')).toMatch(/^## 1\. /m);
  });
});
