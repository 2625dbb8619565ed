import { afterAll, beforeAll, inject, test } from 'vitest';
import { createRuntime, type Runtime } from '../../src/gpu/runtime.ts';

/** True under `npm run test:all`; otherwise the long suites run a seeded sample and print how much of it. */
export const THOROUGH = process.env.LLOYD_TESTS === 'all';

/** True on SwiftShader, where everything would take half an hour. Never under `npm run test:all`. */
export const SLOW = inject('slowAdapter');

/** `test`, but on a slow adapter a test that is left out, and said to be: for what takes ten seconds and more there. */
export function testUnlessSlow(name: string, run: () => Promise<void> | void, timeout?: number): void {
  if (SLOW) console.log(`left out on a slow adapter: ${name} (npm run test:all runs it)`);
  (SLOW ? test.skip : test)(name, run, timeout);
}

/** `all` cases when thorough, else every n-th so that about `usual` remain, half of them on a slow adapter, with a printed count. */
export function sampled<T>(name: string, cases: readonly T[], usual: number): T[] {
  const sample = SLOW ? Math.ceil(usual / 2) : usual;
  if (THOROUGH || cases.length <= sample) return [...cases];
  const kept = cases.filter(
    (_, i) => Math.floor((i * sample) / cases.length) !== Math.floor(((i - 1) * sample) / cases.length),
  );
  console.log(`${name}: ${kept.length} of ${cases.length} cases (npm run test:all runs every one)`);
  return kept;
}

/** One runtime for a test file; a missing adapter is always a failure, never a silent skip. */
export function useRuntime(): { readonly runtime: Runtime } {
  let runtime: Runtime | undefined;
  beforeAll(async () => {
    runtime = await createRuntime();
    console.log(`adapter: ${runtime.adapter.name} (${runtime.adapter.source})`);
  });
  afterAll(() => runtime?.destroy());
  return {
    get runtime() {
      if (!runtime) throw new Error('the runtime exists inside tests only');
      return runtime;
    },
  };
}

/** What a guarded output holds until it is written. */
export const GUARD = 0xdeadbeef;
const GUARD_BYTES = 256;

/** An output buffer with guard words on both sides; `read` fails if any of them changed. */
export function guardedOutput(runtime: Runtime, byteLength: number) {
  const padded = Math.ceil(byteLength / 4) * 4;
  const words = new Uint32Array((GUARD_BYTES * 2 + Math.ceil(padded / 256) * 256) / 4).fill(GUARD);
  const buffer = runtime.upload(words, 'guarded output');
  return {
    slice: { buffer, offset: GUARD_BYTES, size: Math.max(4, padded) },
    async read(): Promise<ArrayBuffer> {
      const after = new Uint32Array(await runtime.read(buffer));
      for (const [index, word] of after.entries()) {
        const inside = index * 4 >= GUARD_BYTES && index * 4 < GUARD_BYTES + padded;
        if (!inside && word !== GUARD)
          throw new Error(`guard word ${index} was overwritten with ${word.toString(16)}`);
      }
      buffer.destroy();
      return after.buffer.slice(GUARD_BYTES, GUARD_BYTES + byteLength) as ArrayBuffer;
    },
  };
}

/** Seeded uniform integers and floats (mulberry32), so that every failure can be replayed. */
export function seeded(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const integer = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return {
    next,
    integer,
    normal,
    pick: <T>(values: readonly T[]): T => values[integer(0, values.length - 1)],
    int8s: (length: number, low = -128, high = 127) => Int8Array.from({ length }, () => integer(low, high)),
    floats: (length: number, scale = 1) => Float32Array.from({ length }, () => normal() * scale),
    /** Values on a coarse grid, so that divisions land exactly on ties again and again. */
    ties: (length: number, step = 0.25, span = 64) =>
      Float32Array.from({ length }, () => integer(-span, span) * step),
  };
}
