// `lloyd train` and `lloyd finetune` end to end on the smallest VGG and a handful of images.
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { runCli } from '../../src/cli/main.ts';
import { readSafetensors } from '../../src/io/safetensors.ts';
import { isQuantized } from '../../src/model/quantized-model.ts';
import { readModelFile } from '../../src/run/file.ts';
import { testUnlessSlow } from '../support/runtime.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-training-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function lloyd(...argv: string[]) {
  let said = '';
  const hear = (text: unknown) => {
    said += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(hear),
    vi.spyOn(process.stderr, 'write').mockImplementation(hear),
  ];
  try {
    return { code: await runCli(argv), said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe('training from the command line', () => {
  const small = ['--width-divisor', '32', '--images', '60', '--batch', '10', '--epochs', '1', '--seed', '3'];

  test('trains, and fine-tunes what it trained', async () => {
    const out = join(folder, 'vgg.safetensors');
    const json = join(folder, 'log.json');
    const trained = await lloyd('train', ...small, '-o', out, '--json', json);
    expect(trained.said).toMatch(
      /step 6 of 6: epoch 1, loss [\d.]+, accuracy [\d.]+ %, [\d.]+ images\/s, 0 s left/,
    );
    expect(trained.code).toBe(0);
    const { step, log } = JSON.parse(await readFile(json, 'utf8'));
    expect([step, log.length]).toEqual([6, 6]);

    for (const [method, bits] of [
      ['kmeans', '2'],
      ['linear', '4'],
    ]) {
      const tuned = join(folder, `${method}.safetensors`);
      const report = join(folder, `${method}.json`);
      const result = await lloyd(
        ...['finetune', '--weights', out, '--method', method, '--bits', bits, '-o', tuned, '--json', report],
        ...['--steps', '2', '--batch', '10', '--images', '20', '--calibration', '20'],
        ...(method === 'linear' ? ['--teacher', out, '--teacher-share', '0.5'] : []),
      );
      const { teacher, input } = JSON.parse(await readFile(report, 'utf8'));
      expect(teacher).toEqual(method === 'linear' ? { ...input, share: 0.5 } : undefined);
      expect(result.said).toMatch(/step 2 of 2/);
      expect(result.code).toBe(0);
      const model = readModelFile(await readFile(tuned));
      expect(isQuantized(model) && [model.method, String(model.bits)]).toEqual([method, bits]);
    }
    const other = await lloyd(
      'train',
      ...small,
      '-o',
      out,
      '--resume',
      join(folder, 'kmeans.checkpoint.safetensors'),
    );
    expect(other.said).toMatch(/a checkpoint must be of the same network and precision/);
    expect(other.code).toBe(1);
  });

  testUnlessSlow(
    '--within trains each width until it is good enough, and prints what it won back',
    async () => {
      const out = join(folder, 'start.safetensors');
      expect(
        (await lloyd('train', ...small, '--schedule', 'one-cycle', '--average', '0.9', '-o', out)).code,
      ).toBe(0);
      const json = join(folder, 'within.json');
      const { code, said } = await lloyd(
        ...['finetune', '--weights', out, '--bits', '8,1', '--within', '99', '--held', '40', '--json', json],
        ...['--images', '40', '--batch', '10', '--epochs', '2', '--reestimate', '20'],
      );
      expect(code, said).toBe(0);
      expect(said).toMatch(/fp32 [\d.]+ % on 40 held-out images/);
      expect(said).toMatch(/k-means 8 bit +[\d.]+ +not needed/);
      const { widths } = JSON.parse(await readFile(json, 'utf8'));
      expect(widths.map(({ bits, epochs }: { bits: number; epochs: [] }) => [bits, epochs.length])).toEqual([
        [8, 0],
        [1, 0],
      ]);
    },
  );

  testUnlessSlow('reproduce goes on where it was stopped, and ends with the table', async () => {
    const out = join(folder, 'all');
    await mkdir(out);
    const network = join(out, 'vgg-cifar10');
    const sizes = ['--images', '10', '--batch', '10', '--seed', '0'];
    // What a stop leaves: the first network whole, a checkpoint of the second, nothing of the others.
    const trained = await lloyd(
      ...['train', ...sizes, '--width-divisor', '32', '--epochs', '1'],
      ...['-o', `${network}.safetensors`, '--json', `${network}.json`],
    );
    expect(trained.code, trained.said).toBe(0);
    const tuned = await lloyd(
      ...['finetune', ...sizes, '--weights', `${network}.safetensors`, '--bits', '4', '--epochs', '1'],
      ...['--lr', '0.005', '--reassign', '1', '--reestimate', '6000'],
    );
    expect(tuned.code, tuned.said).toBe(0);
    const { code, said } = await lloyd('reproduce', '--out', out, ...sizes, '--test-images', '10');
    expect(code, said).toBe(0);
    expect(said).toMatch(/vgg-cifar10\.safetensors: done before/);
    expect(said).toMatch(/vgg-cifar10-kmeans4-qat\.safetensors: going on from its checkpoint/);
    for (const row of ['fp32', 'kmeans-4-qat', 'kmeans-2-qat', 'linear-4-qat', 'linear-2-qat'])
      expect(said).toMatch(new RegExp(`^${row} +[\\d.]+`, 'm'));
    for (const [stage, epochs] of Object.entries({ kmeans4: 1, kmeans2: 5, linear4: 2, linear2: 5 })) {
      const { step } = JSON.parse(await readFile(`${network}-${stage}-qat.json`, 'utf8'));
      expect([stage, step]).toEqual([stage, epochs]);
    }
  });

  test('a rate that diverges names the step, and leaves the last good checkpoint', async () => {
    const out = join(folder, 'diverged.safetensors');
    const { code, said } = await lloyd('train', ...small, '--lr', '1e30', '-o', out);
    expect(said).toMatch(/finite number.*at step \d+.*lower the learning rate/);
    expect(code).toBe(1);
    const { metadata } = readSafetensors(await readFile(join(folder, 'diverged.checkpoint.safetensors')));
    expect(said).toContain(`the checkpoint of step ${metadata.step}`);
  });

  test.each([
    [['reproduce', '--out', '/no/such', '--test-images', 'some'], /--test-images must be an integer/],
    [
      ['reproduce', '--out', `${import.meta.filename}/x`],
      /--out must name a folder that can be made; received/,
    ],
    [['train', '--lr', '0'], /--lr must be a positive number; received 0/],
    [['train', '--batch', '0'], /--batch must be an integer of at least 1/],
    [['train', '-o', '/no/such/folder/x.safetensors'], /--out must name a file in an existing folder/],
    [['train', '--resume', '/no/such.safetensors'], /the input must be a readable file/],
    [['finetune', '--method', 'lloyd'], /--method must be one of kmeans, linear/],
    [['train', '--schedule', 'step'], /--schedule must be one of cosine, constant, one-cycle, lab/],
    [['train', '--average', '1'], /--average must be a number from 0 to below 1/],
    [['finetune', '--bits', '4,2'], /--bits takes one width; received "4,2"; or --within/],
    [['finetune', '--within', '0.5', '--method', 'linear'], /--within repeats the lab, which clusters/],
    [['finetune', '--within', '0.5', '--steps', '3'], /--within takes no --steps/],
  ])('%j is refused', async (argv, rule) => {
    const { code, said } = await lloyd(...(argv as string[]));
    expect(said).toMatch(rule as RegExp);
    expect(code).toBe(1);
  });
});
