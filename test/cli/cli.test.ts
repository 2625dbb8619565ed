// The command line without an adapter: what it refuses, in one line, before any work; what its helpers write.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { affordableCalibration, affordableImages } from '../../src/cli/budget.ts';
import type { CompareReport } from '../../src/cli/compare-file.ts';
import { comparisonLines, notesOn, recordedLines, spread } from '../../src/cli/compare-table.ts';
import { closest } from '../../src/cli/errors.ts';
import { checkWritable, writeAtomically } from '../../src/cli/files.ts';
import { imageCount, integer, layerBits, layerPlan } from '../../src/cli/options.ts';
import { alignTable, columns } from '../../src/cli/table.ts';
import type { CompareRow } from '../../src/run/compare.ts';
import { lloyd } from '../support/command-line.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-cli-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('refusals are one line and exit code 1', () => {
  test.each([
    [['comparr'], /commands are compare, .*received "comparr"; did you mean compare\?/],
    [['compare', '--imges', '3'], /compare has no such option; received "--imges"; did you mean --images\?/],
    [['compare', '--images', '0'], /--images must be an integer of at least 1; received 0/],
    [['compare', '--images', 'some'], /--images must be a positive integer or 'all'; received "some"/],
    [['compare', '--rows', 'kmeans-3'], /--rows are fp32, .*received "kmeans-3"/],
    [['compare', '--requantize', 'round'], /--requantize must be one of ort-f32, .*received "round"/],
    [['compare', '--json', '/no/such/folder/x.json'], /--json must name a file in an existing folder/],
    [['compare', '--weights', '/no/such.safetensors'], /the input must be a readable file; .*no such file/],
    [['compare', '--batch', '8', '--batch', '9'], /--batch may be given once/],
    [['quantize', 'in.safetensors'], /quantize needs a file to write; received "no --out"; add -o/],
    [['quantize'], /quantize takes <input>; received no arguments; see lloyd quantize --help/],
    [['compare', 'vgg.safetensors'], /compare takes no arguments; received "vgg.safetensors"/],
    [['info', '--plan', 'resnet'], /--plan must be MODEL\/PRECISION/],
    [['info', '--adapter', 'cuda'], /--adapter must be one of auto, system, swiftshader; received "cuda"/],
    [['compare', '--batch'], /--batch needs a value; write --batch=VALUE/],
    [['compare', '--weights', '--json'], /--weights needs a value; received "--json"; write --weights=VALUE/],
    [['bench', '--quick=no'], /--quick takes no value; received "no"/],
    [['--images', '3'], /lloyd takes a command first; received "--images"/],
    [['help', 'comparr'], /commands are compare, .*did you mean compare/],
    [['compare', '--json', ''], /--json must name a file; received ""/],
    [['compare', '--json', `${tmpdir()}/`], /--json must name a file; received/],
    [['bench', 'no such case'], /the filter must match a case/],
    [['bench', '--compare', 'a.json'], /--compare takes two results files/],
  ])('lloyd %j', async (argv, message) => {
    const { code, err } = await lloyd(...argv);
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(1);
  });

  // Neither file is there, nor could a device be opened: an option that is wrong by itself is told first.
  const input = '/no/such.safetensors';
  test.each([
    [['quantize', input, '-o', 'x', '--bits', '9'], /--bits must be at most 8; received 9/],
    [
      ['quantize', input, '-o', 'x', '--bits', '1', '--method', 'linear'],
      /--bits must be an integer of at least 2/,
    ],
    [
      ['quantize', input, '-o', 'x', '--layers', 'a=9'],
      /--layers takes widths from 1 to 8, or 32 for fp32; received/,
    ],
    [
      ['quantize', input, '-o', 'x', '--layers', 'a=1', '--method', 'linear'],
      /--layers takes widths from 2 to 8, or 32 for fp32; /,
    ],
    [['quantize', input, '-o', 'x', '--seed', '4294967296'], /--seed must be at most 4294967295/],
    [['quantize', input, '-o', 'x', '--calibration', '60000'], /--calibration must be at most 50000/],
    [['quantize', input, '-o', 'x', '--init', 'best'], /--init must be one of/],
    [['quantize', input, '-o', 'x', '--adapter', 'cuda'], /--adapter must be one of/],
    [['compare', '--images', '20000', '--weights', input], /--images must be at most 10000; received 20000/],
    [['evaluate', input, '--images', '20000'], /--images must be at most 10000; received 20000/],
    [['lab', '--images', '20000', '--weights', input], /--images must be at most 10000; received 20000/],
    [
      ['compare', '--shard', '0/2', '--weights', input],
      /--shard must be i\/n, .*"0\/2"; choose from 1\/2 to 2\/2/,
    ],
    [
      ['compare', '--shard', '3/2', '--weights', input],
      /--shard must be i\/n, the i-th of n parts; received "3\/2"/,
    ],
    [['compare', '--shard', '0/0', '--weights', input], /--shard must be i\/n.*received "0\/0"; for example/],
    [['compare', '--shard', '1', '--weights', input], /--shard must be i\/n.*received "1"; for example/],
    [['compare', '--shard=-1/2', '--weights', input], /--shard must be i\/n.*received "-1\/2"/],
    [['compare', '--shard', '1.5/2', '--weights', input], /--shard must be i\/n.*received "1.5\/2"/],
    [
      ['compare', '--shard', '1/4', '--images', '3', '--weights', input],
      /--shard must not make more parts than there are images; received "1\/4 of 3 images"/,
    ],
    [
      ['compare', '--shard', '1/10001', '--images', 'all', '--weights', input],
      /received "1\/10001 of 10000 images"/,
    ],
    [
      ['compare', '--shard', '1/2', '--tune', '9', '--weights', input],
      /--shard leaves the choice of kernels/,
    ],
    [['compare', '--merge', input, '--shard', '1/2'], /--merge measures nothing.*received "--shard"/],
    [['compare', '--resume', input], /--resume must name a file in an existing folder/],
    [
      ['compare', '--resume', `${tmpdir()}/no such.json`],
      /the input must be a readable file; .*no such file/,
    ],
    [['compare', '--resume', `${tmpdir()}/no such.json`, '--shard', '2'], /--shard must be i\/n/],
    [['compare', '--tune', 'long', '--weights', input], /--tune must be an integer/],
    [['train', '--images', '50001', '--resume', input], /--images must be at most 50000/],
    [
      ['train', '--width-divisor', '3', '--resume', input],
      /--width-divisor must be one of 1, 2, 4, 8, 16, 32, 64/,
    ],
    [
      ['train', '--images', '100', '--batch', '101'],
      /at least a batch of images; received "100 for a batch of 101"/,
    ],
    [['finetune', '--bits', '9', '--weights', input], /--bits must be at most 8; received 9/],
    [['finetune', '--bits', ',', '--weights', input], /--bits must name a width/],
    [['finetune', '--steps', '0', '--weights', input], /--steps must be an integer of at least 1/],
    [['finetune', '--lr', '0x1', '--weights', input], /--lr must be a positive number; received "0x1"/],
    [['finetune', '--observe', '0.1', '--weights', input], /only linear quantization observes/],
    [
      ['finetune', '--reassign', '1', '--method', 'linear', '--weights', input],
      /re-assignment needs weights that move/,
    ],
    [['info', '--plan', 'vgg/linear-1', '--weights', input], /--plan must be MODEL\/PRECISION/],
    [['bench', '--tune', '1.5'], /--tune must be an integer/],
  ])('before a file or a device is opened: lloyd %j', async (argv, message) => {
    vi.stubEnv('LLOYD_ADAPTER', 'none of them');
    const { code, err } = await lloyd(...argv).finally(() => vi.unstubAllEnvs());
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(code).toBe(1);
  });

  test('what a name holds reaches no terminal', async () => {
    for (const name of ['\u001b[2J', 'a\nerror: b', '\u009b31m', '\u202eexe']) {
      const { code, err } = await lloyd('evaluate', `/no/${name}`);
      expect(code).toBe(1);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(err.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    }
  });

  test('a file that is no model', async () => {
    const path = join(folder, 'damaged.safetensors');
    await writeFile(path, new Uint8Array(20));
    const { code, err } = await lloyd('evaluate', path);
    expect([code, err.trim().split('\n').length]).toEqual([1, 1]);
  });
});

describe('help', () => {
  test('help, --help, -h and nothing at all list the commands; help NAME is NAME --help', async () => {
    const { code, out } = await lloyd('--help');
    expect(code).toBe(0);
    expect(out).toContain('quantize <input>');
    for (const argv of [['help'], ['-h'], []]) expect(await lloyd(...argv)).toEqual({ code, out, err: '' });
    const own = await lloyd('quantize', '--help');
    expect(own.out).toContain('--method <name>');
    for (const argv of [
      ['help', 'quantize'],
      ['quantize', '-h'],
      ['quantize', 'x', '--bits', '9', '--help'],
    ])
      expect(await lloyd(...argv)).toEqual(own);
    expect((await lloyd('--version')).out).toMatch(/^lloyd\/\d+\.\d+\.\d+ /);
  });

  test.each(['compare', 'quantize', 'evaluate', 'lab', 'conformance', 'info'])(
    '%s --help shows --json',
    async (name) => {
      const { code, out } = await lloyd(name, '--help');
      expect(code).toBe(0);
      expect(out).toContain('--json <file>');
      expect(out).toContain('Examples:');
    },
  );
});

describe('options', () => {
  test('values stay the text that was typed', () => {
    const parse = (...argv: string[]) => {
      const parsed = parseArguments(argv);
      if ('show' in parsed) throw new Error('help');
      return parsed;
    };
    for (const name of [
      '007',
      '1e3',
      '0x10',
      '2024.10',
      '12',
      'true',
      'null',
      '-',
      '1_0',
      '٣',
      'a=b',
      'NaN',
    ]) {
      expect(parse('quantize', name, '-o', name).options.out).toBe(name);
      expect(parse('quantize', name, `--out=${name}`).args).toEqual([name]);
      expect(parse('--json', name, 'compare').options).toEqual({ json: name });
    }
    expect(parse('quantize', 'in', '--out=-x', '--bits=2').options).toEqual({ out: '-x', bits: '2' });
    expect(parse('quantize', '-oq', '--', '-in').options).toEqual({ out: 'q' });
    expect(parse('quantize', '-oq', '--', '-in').args).toEqual(['-in']);
    expect(parse('finetune', '--learned-step', '--bits=8').options).toEqual({
      learnedStep: true,
      bits: '8',
    });
  });

  test('--images, integers and their bounds', () => {
    expect([imageCount(undefined), imageCount('all'), imageCount(30)]).toEqual([
      undefined,
      Number.POSITIVE_INFINITY,
      30,
    ]);
    expect(integer('--seed', 0, 0)).toBe(0);
    expect([integer('--n', '1e3'), integer('--n', '+07'), integer('--n', '3.')]).toEqual([1000, 7, 3]);
    for (const wrong of ['', ' ', true, 1.5, '3x', '0x3', ' 3', '3 ', 'Infinity', '1e-1'])
      expect(() => integer('--n', wrong)).toThrow(/--n must be an integer/);
  });

  test('--layers takes names and patterns, and refuses what matches nothing', () => {
    const layers = [
      { name: 'backbone.conv0', op: 'Conv' },
      { name: 'backbone.conv1', op: 'Conv' },
      { name: 'classifier', op: 'Gemm' },
    ];
    expect(layerBits(layerPlan('backbone.*=4, classifier=8', 'kmeans'), layers)).toEqual({
      'backbone.conv0': 4,
      'backbone.conv1': 4,
      classifier: 8,
    });
    expect(layerBits(layerPlan('Conv=4,backbone.conv1=2', 'linear'), layers, ['Gemm', '*0'])).toEqual({
      'backbone.conv0': 32,
      'backbone.conv1': 2,
      classifier: 32,
    });
    expect(() => layerBits(layerPlan('backboneXconv0=4', 'kmeans'), layers)).toThrow(
      /--layers may name only the model's layers: backbone.conv0, .*; or their operators: Conv, Gemm/,
    );
    expect(() => layerBits([], layers, ['MatMul'])).toThrow(/--exclude may name only the model's layers/);
    expect(() => layerPlan('classifier', 'kmeans')).toThrow(/name=bits/);
  });

  test('closest offers a likely word only', () => {
    expect(closest('quantise', ['compare', 'quantize'])).toBe('quantize');
    expect(closest('frobnicate', ['compare', 'quantize'])).toBeUndefined();
  });
});

describe('files', () => {
  test('are written whole, and nothing else is left or touched', async () => {
    const path = join(folder, 'out.json');
    await writeFile(join(folder, 'mine.tmp'), 'kept');
    await writeAtomically(path, 'first');
    await writeAtomically(path, 'second');
    expect(await readFile(path, 'utf8')).toBe('second');
    await expect(writeAtomically(folder, 'a folder is in the way')).rejects.toThrow();
    expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
    expect(await readFile(join(folder, 'mine.tmp'), 'utf8')).toBe('kept');
  });

  test('a folder in place of a file is refused', async () => {
    await expect(checkWritable('--json', folder)).rejects.toThrow(/--json must name a file; received/);
  });
});

describe('the time budget', () => {
  const networks = { float: 6, integer: 3 };
  test('takes the whole test set on a GPU, about 100 seconds on a CPU, never less than eight images', () => {
    expect(affordableImages('gpu', { float: 1, integer: 1 }, networks, 32)).toBe(10_000);
    // 6 / 4 + 3 / 8 seconds an image: 53 of them, and a last partial batch would cost a whole one.
    expect(affordableImages('cpu', { float: 4, integer: 8 }, networks, 32)).toBe(32);
    expect(affordableImages('cpu', { float: 0.1, integer: 0.1 }, networks, 32)).toBe(8);
    expect(affordableImages('cpu', { float: 40, integer: 80 }, networks, 32) % 32).toBe(0);
  });

  test('calibrates on fewer images where the adapter is slow', () => {
    expect(affordableCalibration('gpu', { float: 1, integer: 1 })).toBe(256);
    expect(affordableCalibration('cpu', { float: 4, integer: 8 })).toBe(128);
    expect(affordableCalibration('cpu', { float: 0.1, integer: 1 })).toBe(32);
  });
});

describe('tables', () => {
  const row: CompareRow = {
    name: 'kmeans-4',
    method: 'kmeans',
    bits: 4,
    status: 'ok',
    accuracy: 0.9156,
    accuracyLow: 0.91,
    accuracyHigh: 0.921,
    agreement: 0.95,
    logitSqnrDb: Number.POSITIVE_INFINITY,
    sizeBytes: 4.4 * 2 ** 20,
    fileBytes: 4.45 * 2 ** 20,
    gpuBytes: 10 * 2 ** 20,
    imagesPerSecond: 12.34,
  };
  const missing: CompareRow = {
    name: 'linear-4-qat',
    method: 'linear',
    bits: 4,
    status: 'not trained',
    sizeBytes: 1,
  };
  const comparison = { adapter: { software: 'lavapipe' }, images: 32, model: 'vgg', rows: [row, missing] };

  test('line up, and say what was not measured', () => {
    const lines = comparisonLines(comparison as unknown as CompareReport);
    expect(lines[2]).toMatch(
      /^kmeans-4 .* 91\.6 .* 91\.0-92\.1 .* 95\.0 .* exact .* 4\.40 .* 4\.45 .* 10\.00 .* 12\.3$/,
    );
    expect(lines[3]).toMatch(/^linear-4-qat +not trained/);
    expect(notesOn(comparison as unknown as CompareReport).join('\n')).toContain('not trained');
    expect(alignTable(columns('a, bb'), [['x', '1']])).toEqual(['a  bb', '-  --', 'x   1']);
  });

  test('label the recorded figures, of the rows asked for only', () => {
    const report = {
      ...comparison,
      images: 10_000,
      date: '2030-01-02T00:00:00Z',
    } as unknown as CompareReport;
    const lines = recordedLines(report, ['kmeans-4']).join('\n');
    expect(lines).toContain('recorded: the same weights on 10,000 test images (lavapipe, 2030-01-02)');
    expect(lines).toContain('91.56');
    expect(recordedLines(report, ['fp32']).join('\n')).not.toContain('kmeans-4');
  });

  test('the interval narrows with the images', () => {
    expect(Number(spread(30))).toBeGreaterThan(8);
    expect(Number(spread(10_000))).toBeLessThan(0.6);
  });
});
