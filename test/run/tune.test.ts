import { describe, expect, test } from 'vitest';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import type { TunedLayers, TuneOptions } from '../../src/run/tune.ts';
import { testUnlessSlow, useRuntime } from '../support/runtime.ts';
import { smallModel, stripes } from '../support/small-model.ts';

const gpu = useRuntime();
const BATCH = 16;
const { images } = stripes(BATCH);

async function models() {
  const model = smallModel();
  const quantize = (method: 'linear' | 'kmeans', bits: number) =>
    quantizeModel(gpu.runtime, model, { method, bits, calibration: images });
  return { fp32: model, 'kmeans-4': await quantize('kmeans', 4), int8: await quantize('linear', 8) };
}

function memoryStore(text: string | null = null) {
  const store = {
    text,
    writes: 0,
    read: async () => store.text,
    async write(written: string) {
      store.text = written;
      store.writes++;
    },
  };
  return store;
}

type Network = Parameters<typeof compile>[1] | QuantizedModel;

async function run(model: Network, tune: boolean | TuneOptions) {
  const picks: TunedLayers[] = [];
  const options =
    typeof tune === 'object' ? { ...tune, onPick: (pick: TunedLayers) => picks.push(pick) } : tune;
  const session = await compile(gpu.runtime, model, { batch: BATCH, tune: options });
  const logits = await session.run(images);
  const plan = session.plan().map(({ kernel, specialization }) => ({ kernel, specialization }));
  session.destroy();
  return { logits, plan, picks };
}

// Every candidate is compiled: tens of pipelines, which takes a software adapter its time.
describe('compile with tune', { timeout: 300_000 }, () => {
  let searched:
    | Promise<{ text: string; picks: TunedLayers[]; plan: unknown; logits: Float32Array }>
    | undefined;
  /** One search to the end, which the tests share. */
  const search = () =>
    (searched ??= (async () => {
      const store = memoryStore();
      const result = await run((await models()).int8, { budgetMs: Number.POSITIVE_INFINITY, store });
      expect(store.writes).toBe(1);
      return { ...result, text: store.text! };
    })());

  testUnlessSlow('measures every layer once, and gives the same integers', async () => {
    const { int8 } = await models();
    const plain = await run(int8, false);
    const { logits, picks } = await search();
    expect(logits).toEqual(plain.logits);
    expect(picks.flatMap(({ layers }) => layers).sort()).toEqual(['c0', 'c1', 'fc']);
    for (const { source, timed, refused, milliseconds, defaultMilliseconds } of picks) {
      expect(source).toBe('measured');
      expect(timed).toBeGreaterThan(1);
      expect(refused).toEqual([]);
      expect(milliseconds).toBeLessThanOrEqual(defaultMilliseconds * 1.05);
    }
  });

  testUnlessSlow(
    'remembers: a second compilation, without any time to measure, runs the same kernels',
    async () => {
      const { int8 } = await models();
      const tuned = await search();
      const store = memoryStore(tuned.text);
      const again = await run(int8, { budgetMs: 0, store });
      expect(again.picks.map(({ source }) => source)).toEqual(['remembered', 'remembered', 'remembered']);
      expect(again.picks.map(({ choice }) => choice)).toEqual(tuned.picks.map(({ choice }) => choice));
      expect(again.plan).toEqual(tuned.plan);
      expect(again.logits).toEqual(tuned.logits);
      expect(store.writes).toBe(0);
    },
  );

  test.each(['fp32', 'kmeans-4'] as const)('%s stays within rounding', async (precision) => {
    const model = (await models())[precision];
    const plain = await run(model, false);
    const { logits, picks } = await run(model, { budgetMs: 3000, store: memoryStore() });
    expect(picks.length).toBeGreaterThan(0);
    for (const { refused } of picks) expect(refused).toEqual([]);
    for (const [i, logit] of logits.entries()) expect(logit).toBeCloseTo(plain.logits[i], 4);
  });

  test('without time, and with a damaged or foreign store, it is the library’s own choice', async () => {
    const { int8 } = await models();
    const plain = await run(int8, false);
    for (const text of [null, 'rubbish', '{"format":"lloyd-tuning-1","adapters":{"another":{}}}']) {
      const { plan, logits, picks } = await run(int8, { budgetMs: 0, store: memoryStore(text) });
      expect(picks).toEqual([]);
      expect(plan).toEqual(plain.plan);
      expect(logits).toEqual(plain.logits);
    }
  });

  testUnlessSlow('a remembered name that no candidate has is measured again', async () => {
    const { int8 } = await models();
    const { text } = await search();
    const store = memoryStore(
      text.replaceAll(/"label": "[^"]*"/g, '"label": "tensor cores of a later version"'),
    );
    const { picks } = await run(int8, { budgetMs: 1, store });
    expect(picks.map(({ source }) => source)).toContain('measured');
    expect(picks.map(({ source }) => source)).not.toContain('remembered');
    expect(store.text).not.toEqual(text);
  });

  testUnlessSlow('a search that ran out of time goes on where it stopped', async () => {
    const { int8 } = await models();
    const tried = (text: string | null) =>
      [...text!.matchAll(/"tried": (\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
    const all = tried((await search()).text);
    const store = memoryStore();
    await run(int8, { budgetMs: 1, store });
    const first = tried(store.text);
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(all);
    await run(int8, { budgetMs: Number.POSITIVE_INFINITY, store });
    expect(tried(store.text)).toBe(all);
  });

  test('refuses float16 beside it', async () => {
    const { fp32 } = await models();
    await expect(compile(gpu.runtime, fp32, { tune: true, float16: true })).rejects.toThrow(
      'float16 is not tuned',
    );
  });

  test('is off unless asked for', async () => {
    const { int8 } = await models();
    const session = await compile(gpu.runtime, int8, { batch: BATCH });
    const own = session.plan();
    session.destroy();
    expect((await run(int8, false)).plan).toEqual(
      own.map(({ kernel, specialization }) => ({ kernel, specialization })),
    );
  });
});
