// `lloyd compare` in parts: shards merged are the whole, a resumed run is one that was never stopped, and what is not
// of one comparison is refused.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Context } from '../../src/cli/command.ts';
import { type CompareReport, parseReport } from '../../src/cli/compare-file.ts';
import { keeping } from '../../src/cli/compare-resume.ts';
import { loadImages } from '../../src/cli/data.ts';
import { createLedger } from '../../src/cli/ledger.ts';
import { runCli } from '../../src/cli/main.ts';
import { shardRange } from '../../src/cli/shard.ts';
import { vgg } from '../../src/model/vgg.ts';
import { type CompareState, compareModel } from '../../src/run/compare.ts';
import { writeModelFile } from '../../src/run/file.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { initialize } from '../../src/train/initialize.ts';
import { testUnlessSlow, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const network = initialize(vgg({ widthDivisor: 64 }), { seed: 3 });
// Parts of 10, 11, 10 and no whole number of batches in any.
const IMAGES = 31;
const BATCH = 4;
const ROWS = ['fp32', 'kmeans-2', 'kmeans-2-qat', 'linear-8', 'linear-2-qat'];

/** In place of a fine-tuned network: one that differs from the row of its width. */
const tuned = () => quantizeModel(context.runtime, network, { method: 'kmeans', bits: 2, init: 'linear' });

let folder = '';
const at = (name: string) => join(folder, name);
const settings = () => [
  ...['--weights', at('vgg.safetensors'), '--images', String(IMAGES), '--batch', String(BATCH)],
  ...['--rows', ROWS.join(',')],
];

async function lloyd(...argv: string[]) {
  const said = { out: '', err: '' };
  const hearing = (stream: 'out' | 'err') => (text: unknown) => {
    said[stream] += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(hearing('out')),
    vi.spyOn(process.stderr, 'write').mockImplementation(hearing('err')),
  ];
  try {
    return { code: await runCli(argv), ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

async function works(...argv: string[]) {
  const result = await lloyd(...argv);
  expect(result.code, result.err).toBe(0);
  return result;
}

const readJson = async (name: string) => JSON.parse(await readFile(at(name), 'utf8')) as CompareReport;
const write = (name: string, value: unknown) => writeFile(at(name), JSON.stringify(value));

/** New values by their paths: `rows.1.counts`; undefined takes one out. */
type Changes = Record<string, unknown>;
function changed(report: CompareReport, changes: Changes): CompareReport {
  const copy = structuredClone(report);
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.');
    const owner = keys.slice(0, -1).reduce((each, key) => each[key] as Changes, copy as unknown as Changes);
    owner[keys.at(-1)!] = value;
  }
  return copy;
}

/** The bytes of all in a report that is not time, speed or date. */
function lasting({ date: _, commit: __, rows, ...rest }: CompareReport): string {
  return JSON.stringify({ ...rest, rows: rows.map(({ imagesPerSecond: ___, ...row }) => row) }, null, 2);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lloyd-shards-'));
  await writeFile(at('vgg.safetensors'), writeModelFile(network));
  await writeFile(at('vgg-kmeans2-qat.safetensors'), writeModelFile(await tuned()));
  await works('compare', ...settings(), '--json', at('whole.json'));
  for (const index of [1, 2, 3])
    await works('compare', ...settings(), '--shard', `${index}/3`, '--json', at(`${index}.json`));
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('shards', () => {
  test('are contiguous, cover every image once, and differ by one at most', () => {
    for (const total of [1, 2, 31, 10_000])
      for (const of of [1, 2, 3, 7, 31, 9999, 10_000]) {
        if (of > total) continue;
        let next = 0;
        for (let index = 1; index <= of; index++) {
          const { first, count } = shardRange({ index, of, total });
          expect(first).toBe(next);
          expect(count - Math.floor(total / of)).toBeOneOf(total % of === 0 ? [0] : [0, 1]);
          next += count;
        }
        expect(next).toBe(total);
      }
  });

  test('merged are the whole run, in whatever order', async () => {
    const whole = await readJson('whole.json');
    expect(whole.rows.map(({ name, status }) => [name, status])).toEqual(
      ROWS.map((name) => [name, name === 'linear-2-qat' ? 'not trained' : 'ok']),
    );
    for (const order of [
      [1, 2, 3],
      [3, 1, 2],
    ]) {
      const files = order.map((index) => at(`${index}.json`));
      const { out } = await works('compare', '--merge', ...files, '--json', at('merged.json'));
      expect(out).toMatch(/^31 test images in 3 shards, on /);
      expect(out).toMatch(/^linear-8 /m);
      expect(lasting(await readJson('merged.json'))).toBe(lasting(whole));
    }
    const shards = await Promise.all([1, 2, 3].map((index) => readJson(`${index}.json`)));
    expect(shards.map(({ images, shard }) => [images, shard?.first, shard?.total])).toEqual([
      [10, 0, 31],
      [10, 10, 31],
      [11, 20, 31],
    ]);
    // A merge of other images is another table: the figures do come from the shards.
    const spoilt = structuredClone(shards[1]);
    for (const row of spoilt.rows) if (row.counts) row.counts.correct = row.counts.correct === 0 ? 1 : 0;
    await write('spoilt.json', spoilt);
    await works(
      'compare',
      '--merge',
      at('1.json'),
      at('spoilt.json'),
      at('3.json'),
      '--json',
      at('other.json'),
    );
    expect(lasting(await readJson('other.json'))).not.toBe(lasting(whole));
  });

  test('that are no parts of one comparison are refused in a line', async () => {
    const [first, second] = [await readJson('1.json'), await readJson('2.json')];
    const [a, b, c, whole] = ['1.json', '2.json', '3.json', 'whole.json'].map(at);
    const odd = (name: string, content: string | Uint8Array) =>
      writeFile(at(name), content).then(() => at(name));
    const cases: [string[], RegExp][] = [
      [[a, b], /all 3 shards must be given; received "none for 3\/3"/],
      [[c], /none for 1\/3, 2\/3/],
      [[a, b, c, b], /each shard must be given once; received "shard 2\/3 in .*2.json and .*2.json"/],
      [[a, whole, c], /whole.json must be a shard of a comparison.*--shard i\/n/],
      [[a, at('none.json'), c], /the input must be a readable file; .*no such file/],
      [[a, at('vgg.safetensors'), c], /vgg.safetensors must be a file that lloyd compare --json wrote/],
      [[a, await odd('empty.json', ''), c], /empty.json must be a file that lloyd compare --json wrote/],
      [[a, await odd('array.json', '[]'), c], /array.json must be .*one without rows/],
      [[a, await odd('null.json', 'null'), c], /null.json must be .*one without rows/],
      [[a, await odd('bench.json', '{"cases":[]}'), c], /bench.json must be .*one without rows/],
    ];
    const rows = Object.fromEntries(second.rows.map(({ name }, i) => [name, `rows.${i}`]));
    const untrained = { ...second.rows[3], name: 'linear-2-qat' };
    const changes: [Changes, RegExp][] = [
      [{ 'weights.sha256': 'f'.repeat(64) }, /must be of the same weights as .*1.json/],
      [{ 'shard.total': 32, images: 11 }, /same images as .*received "32 images instead of 31 images"/],
      [{ shard: { index: 1, of: 2, first: 0, total: 31 }, images: 15 }, /same parts as .*received "2 parts/],
      [{ rows: second.rows.slice(0, 2) }, /same rows as .*received "fp32,kmeans-2 instead of fp32,/],
      [{ batch: 5 }, /same batch as/],
      [{ requantize: 'lab' }, /same requantization rule as/],
      [{ requantize: 'none' }, /one without a known requantization rule/],
      [{ calibrationImages: 8 }, /same calibration images as/],
      [{ [`${rows['kmeans-2-qat']}.sha256`]: '0'.repeat(64) }, /the same network in row kmeans-2-qat as/],
      [{ [rows['linear-2-qat']]: untrained }, /the same network in row linear-2-qat as/],
      [{ [`${rows['kmeans-2']}.counts`]: undefined }, /one without the counts of kmeans-2/],
      [{ [`${rows.fp32}.counts.correct`]: 11 }, /one without the counts of fp32/],
      [{ [`${rows.fp32}.counts.agreeing`]: -1 }, /one without the counts of fp32/],
      [{ [`${rows['linear-8']}.counts.noise`]: '1.5' }, /one without the sums of linear-8/],
      [{ [`${rows['kmeans-2']}.sha256`]: undefined }, /one without the hash of kmeans-2's network/],
      [{ [`${rows.fp32}.status`]: 'done' }, /one without the hash of fp32's network/],
      [{ [`${rows.fp32}.gpuBytes`]: 'many' }, /one without the sizes and speed of fp32/],
      [{ 'rows.1': second.rows[0] }, /one without known rows in their order/],
      [{ 'rows.1': null }, /one without known rows in their order/],
      [{ 'shard.index': 4 }, /one without a shard that is one/],
      [{ shard: null }, /one without a shard that is one/],
      [{ 'shard.first': 11 }, /one without a shard that is one/],
      [{ images: 9 }, /one without a shard that is one/],
      [
        { interrupted: true },
        /must be of a run that has ended; received "an interrupted shard 2\/3"; finish/,
      ],
    ];
    for (const [i, [change, rule]] of changes.entries()) {
      await write(`bad-${i}.json`, changed(second, change));
      cases.push([[a, at(`bad-${i}.json`), c], rule]);
    }
    expect(first.shard).toEqual({ index: 1, of: 3, first: 0, total: 31 });
    for (const [files, rule] of cases) {
      const out = at('not-written.json');
      const { code, err } = await lloyd('compare', '--merge', ...files, '--json', out);
      expect(err).toMatch(rule);
      expect([code, err.trim().split('\n').length]).toEqual([1, 1]);
      await expect(readFile(out)).rejects.toThrow(/ENOENT/);
    }
    const over = await lloyd('compare', '--merge', a, b, c, '--json', b);
    expect(over.err).toMatch(/--json must be another file than the input/);
    const measured = await lloyd('compare', '--merge', a, b, c, '--batch', '8');
    expect(measured.err).toMatch(
      /--merge measures nothing and takes only files and --json; received "--batch"/,
    );
  });
});

/** What `--json` holds in the middle of a run: the command's own keeper, fed with every state. */
async function partialReports(): Promise<CompareReport[]> {
  const whole = await readJson('whole.json');
  const kept: CompareReport[] = [];
  const stub = {
    options: {},
    signal: new AbortController().signal,
    keepJson: async (report: object) => void kept.push(JSON.parse(JSON.stringify(report))),
  } as unknown as Context;
  const names = whole.rows.map(({ name }) => name);
  const { interrupted: _, partial: __, ...settled } = whole;
  const keeper = keeping(stub, undefined, names, (rows) => ({ ...settled, rows }));
  const { test: images, calibration } = await loadImages(createLedger(), IMAGES, whole.calibrationImages);
  await compareModel(context.runtime, network, images.images, images.labels, {
    ...{ calibration, batch: BATCH, rows: ROWS, trained: { 'kmeans-2-qat': await tuned() } },
    onNetwork: keeper.onNetwork,
    async onState(state: CompareState) {
      await keeper.onState(state);
      if (state.current) await keeper.keepAfter(new Error('any'));
    },
  });
  return kept;
}

describe('a run that goes on', () => {
  testUnlessSlow(
    'ends with the bytes of one that was never stopped',
    async () => {
      const whole = await readJson('whole.json');
      const kept = await partialReports();
      const wanted = [
        ['fp32', 8],
        ['kmeans-2', 16],
        ['linear-8', 28],
        [undefined, undefined],
      ] as const;
      for (const [name, images] of wanted) {
        const isIt = ({ partial, rows }: CompareReport) =>
          partial?.current?.name === name &&
          partial?.current?.images === images &&
          (name || rows.length === 1);
        const partial = kept.find(isIt)!;
        expect(partial.interrupted).toBe(true);
        await write('partial.json', partial);
        // Settings are the file's; it becomes what it would have been.
        const weights = ['--weights', at('vgg.safetensors')];
        const { err } = await works('compare', '--resume', at('partial.json'), ...weights);
        if (name) expect(err).toMatch(new RegExp(`going on with .* after .*${images} images of ${name}`));
        expect(lasting(await readJson('partial.json'))).toBe(lasting(whole));
        expect(await readFile(at('partial.json'), 'utf8')).toMatch(/}\n$/);
      }
      // Into another file, the settings said again: the first stays.
      await write('partial.json', kept[0]);
      const before = await readFile(at('partial.json'));
      await works('compare', ...settings(), '--resume', at('partial.json'), '--json', at('ended.json'));
      expect(lasting(await readJson('ended.json'))).toBe(lasting(whole));
      expect(await readFile(at('partial.json'))).toEqual(before);
      const again = await works(
        'compare',
        ...settings(),
        '--resume',
        at('ended.json'),
        '--json',
        at('ended.json'),
      );
      expect(again.err).toMatch(/is of a run that has ended: nothing is left to do/);
      expect(again.out).toMatch(/^linear-8 /m);
      expect(lasting(await readJson('ended.json'))).toBe(lasting(whole));
    },
    300_000,
  );

  test('is refused with other settings, networks or adapters, and the file stays', async () => {
    const kept = await partialReports();
    const good = kept.find(
      ({ partial, rows }) => partial?.current?.name === 'linear-8' && rows.length === 3,
    )!;
    expect(good, 'a state in the middle of linear-8').toBeDefined();
    const other = initialize(vgg({ widthDivisor: 64 }), { seed: 4 });
    await writeFile(at('other.safetensors'), writeModelFile(other));
    const current = 'partial.current';
    const cases: [string[], RegExp, Changes?][] = [
      [['--weights', at('other.safetensors')], /must be of the same weights; received ".*other/],
      [['--images', '30'], /--images must be that of .*received 30; leave it out for 31/],
      [['--batch', '5'], /--batch must be that of .*received 5/],
      [['--requantize', 'lab'], /--requantize must be that of .*received "lab"/],
      [['--rows', 'kmeans-2'], /--rows must be that of /],
      [['--shard', '1/2'], /--shard must be that of .*received "1\/2"; leave it out for all images/],
      [['--tune', '5'], /a run with --tune cannot be gone on with/],
      [[], /a run with --tune cannot be gone on with/, { tuned: true }],
      [[], /must be gone on with on the same adapter/, { 'adapter.name': 'another' }],
      [[], /the same network in row linear-8/, { [`${current}.sha256`]: '0'.repeat(64) }],
      [[], /the same network in row kmeans-2-qat/, { 'rows.2.sha256': '0'.repeat(64) }],
      [[], /logits of whole batches/, { [`${current}.images`]: good.partial!.current!.images + 1 }],
      [[], /fp32 logits of all images/, { 'partial.reference': 'AAAAAA==' }],
      [[], /one without what it takes to go on/, { 'partial.reference': 'AAAA' }],
      [[], /one without what it takes to go on/, { partial: null }],
      [[], /one without what it takes to go on/, { [`${current}.name`]: 'kmeans-8' }],
    ];
    for (const [argv, rule, change] of cases) {
      await write('refused.json', changed(good, change ?? {}));
      const before = await readFile(at('refused.json'));
      const weights = argv.includes('--weights') ? [] : ['--weights', at('vgg.safetensors')];
      const { code, err } = await lloyd('compare', ...argv, ...weights, '--resume', at('refused.json'));
      expect(err).toMatch(rule);
      expect(code).toBe(1);
      expect(await readFile(at('refused.json'))).toEqual(before);
    }
  });

  test('parseReport takes the rates from the counts', async () => {
    const report = await readJson('whole.json');
    report.rows[1].accuracy = 1;
    const bytes = new TextEncoder().encode(JSON.stringify(report));
    expect(lasting(parseReport('x', bytes))).toBe(lasting(await readJson('whole.json')));
  });
});
