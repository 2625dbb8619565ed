// Rows of a comparison as they come, and Dawn's own words kept from the screen.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withoutDawnsWarnings } from '../../scripts/quiet.mjs';
import { liveRows } from '../../src/cli/live-rows.ts';
import { vgg } from '../../src/model/vgg.ts';
import { writeModelFile } from '../../src/run/file.ts';
import { initialize } from '../../src/train/initialize.ts';
import { lloyd } from '../support/command-line.ts';

function written(labels: readonly number[]) {
  let text = '';
  const live = liveRows(Uint8Array.from(labels), (part) => {
    text += part;
  });
  return { live, said: () => text };
}

/** Logits whose largest is at the class. */
const logitsOf = (...tops: number[]) =>
  Float32Array.from(tops.flatMap((top) => [0, 1, 2].map((c) => (c === top ? 1 : 0))));

test('a few images are marked one by one, right or wrong', () => {
  const { live, said } = written([0, 1, 2, 2]);
  live.start('fp32');
  expect(said()).toBe('  fp32:         ');
  live.update(1, 4, logitsOf(0));
  expect(said()).toBe('  fp32:         ✓');
  live.update(3, 4, logitsOf(0, 2, 2));
  live.update(4, 4, logitsOf(0, 2, 2, 1));
  live.end('50.0 % in 1.0 s');
  expect(said()).toBe('  fp32:         ✓✗✓✗ 50.0 % in 1.0 s\n');
});

test('of many a mark is a part, and a row never has more than a line', () => {
  const count = 1000;
  const { live, said } = written(new Array(count).fill(0));
  live.start('kmeans-4-qat');
  for (let done = 10; done <= count; done += 10)
    live.update(done, count, logitsOf(...new Array(done).fill(0)));
  live.end('100.0 % in 9.0 s');
  expect(said()).toMatch(/^ {2}kmeans-4-qat: \.{48} 100\.0 % in 9\.0 s\n$/);
});

test('what is left off ends its line, once', () => {
  const { live, said } = written([0]);
  live.stop();
  live.start('fp32');
  live.stop();
  live.end('never');
  live.stop();
  expect(said()).toBe('  fp32:         \n');
});

const DAWN =
  'Warning: maxDynamicUniformBuffersPerPipelineLayout artificially reduced from 1000000 to 16 to fit dynamic offset allocation limit.\n';

/** What passes of a text that comes in pieces of some length. */
async function passed(text: string, length: number): Promise<string> {
  const filter = withoutDawnsWarnings();
  for (let at = 0; at < text.length; at += length) filter.write(text.slice(at, at + length));
  filter.end();
  let out = '';
  for await (const part of filter) out += part;
  return out;
}

test.each([1, 7, 20, 500])('Dawn’s warnings go, all else stays, in pieces of %i', async (length) => {
  const own = '  fp32: ✓✗\nWarning: maxDynamic is a word here\nWarning: shader is slow\nWarn';
  expect(await passed(`${DAWN}${DAWN}${own}`, length)).toBe(own);
  expect(await passed(`a${DAWN}${DAWN}b`, length)).toBe(`a${DAWN}b`);
});

test('a line is passed on before it ends', () => {
  const filter = withoutDawnsWarnings();
  filter.write('  fp32:   ✓');
  expect(filter.read()).toBe('  fp32:   ✓');
  filter.write('Warning: maxDynamic');
  expect(filter.read()).toBe('Warning: maxDynamic');
});

test('a table has no rows that are not trained, unless they were asked for; a line says how to train them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lloyd-live-'));
  try {
    const weights = join(folder, 'small.safetensors');
    const json = join(folder, 'rows.json');
    await writeFile(weights, writeModelFile(initialize(vgg({ widthDivisor: 64 }), { seed: 3 })));
    const argv = ['compare', '--weights', weights, '--images', '3', '--batch', '1'];
    const { code, out, err } = await lloyd(...argv, '--json', json);
    expect([code, err]).toEqual([0, expect.not.stringContaining('error')]);
    for (const name of ['fp32', 'kmeans-8', 'linear-2'])
      expect(err).toMatch(new RegExp(`^  ${name}: +[✓✗]{3} \\d+\\.\\d % in `, 'm'));
    expect(err).not.toMatch(/qat/);
    expect(out).not.toMatch(/^linear-4-qat /m);
    expect(out).toMatch(
      /^linear-4-qat: not trained, .* npx lloyd finetune --method linear --bits 4 makes it$/m,
    );
    const { rows } = JSON.parse(await readFile(json, 'utf8'));
    expect(rows.filter(({ status }: { status: string }) => status === 'not trained')).toHaveLength(4);
    const asked = await lloyd(...argv, '--rows', 'linear-4-qat');
    expect(asked.out).toMatch(/^linear-4-qat +not trained/m);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
