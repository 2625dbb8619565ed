// Ctrl-C in a real process: what it leaves on disk, and what a resumed run makes of it.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSafetensors } from '../../src/io/safetensors.ts';
import { buildCli } from '../support/built-cli.ts';
import { SLOW } from '../support/runtime.ts';

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

/** Runs a command to its end; `interruptAt` sends it SIGINT once stderr matches. */
function run(argv: readonly string[], interruptAt?: RegExp): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve, reject) => {
    const child = cli.spawn(...argv);
    let said = '';
    let pending = interruptAt;
    const hear = (chunk: Buffer) => {
      said += chunk;
      if (!pending?.test(said)) return;
      pending = undefined;
      child.kill('SIGINT');
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

      const stopped = await run([...argv(), '-o', file('cut')], new RegExp(`step [3-6] of ${steps}`));
      expect(stopped.code, stopped.said).toBe(130);
      const reached = Number(readSafetensors(await readFile(saved('cut'))).metadata.step);
      expect(reached).toBeGreaterThanOrEqual(3);
      expect(reached).toBeLessThan(steps);
      expect(stopped.said).toContain(`after step ${reached}`);

      const resumed = await run([...argv(), '-o', file('cut'), '--resume', saved('cut')]);
      expect(resumed.code, resumed.said).toBe(0);
      const whole = await run([...argv(), '-o', file('whole')]);
      expect(whole.code, whole.said).toBe(0);
      expect((await readFile(file('cut'))).equals(await readFile(file('whole')))).toBe(true);
      expect((await readFile(saved('cut'))).equals(await readFile(saved('whole')))).toBe(true);
    },
  );
});
