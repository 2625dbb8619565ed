import { expect, test } from 'vitest';
import { kmeansFix } from '../../src/kernels/kmeans-fix.ts';
import { fixedPoint, fromFixed } from '../../src/quantize/kmeans-segments.ts';
import { type Chunk, toFixed, kmeansFix as twin } from '../../src/reference/kmeans-fix.ts';
import { chunkTable, guardedWords, layChunks } from '../support/kmeans.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const bitsOf = (values: Float32Array) => new Uint32Array(values.slice().buffer);

async function run(values: Float32Array, exponents: number[], chunks: Chunk[], workgroupSize = 64) {
  const { runtime } = gpu;
  return runtime.scope(async (scope) => {
    const kernel = await kmeansFix.create(runtime.device, { WORKGROUP_SIZE: workgroupSize });
    const elements = guardedWords(runtime, bitsOf(values));
    const buffers = {
      exponents: scope.upload(Uint32Array.from(exponents)),
      chunks: scope.upload(chunkTable(chunks)),
      elements: elements.slice,
    };
    runtime.submit([scope.keep(kernel.bind(buffers, { chunkCount: chunks.length }))]);
    return elements.read();
  });
}

/** Every exponent around the segment's, halves of units and their neighbours, both zeros, subnormals. */
function edgeCases(exponent: number): Float32Array {
  const random = seeded(exponent);
  const words: number[] = [0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x800000];
  for (let biased = Math.max(0, exponent - 27); biased <= exponent; biased++) {
    const drop = exponent - Math.max(1, biased);
    for (let i = 0; i < 24; i++) {
      const half = drop > 0 && drop < 24 ? 1 << (drop - 1) : 0;
      const upper = drop < 23 ? (random.integer(0, 0x7fffff) >>> drop) << drop : 0;
      const significand = (upper + half + random.integer(-1, 1)) & 0x7fffff;
      words.push(((random.integer(0, 1) << 31) | (biased << 23) | significand) >>> 0);
    }
  }
  return new Float32Array(Uint32Array.from(words).buffer);
}

test.each([1, 2, 24, 25, 26, 127, 254])('equals its twin at exponent %i', async (exponent) => {
  const values = edgeCases(exponent).filter(
    (value) => bitsOf(Float32Array.of(Math.abs(value)))[0] >>> 23 <= exponent,
  );
  const chunks: Chunk[] = [[0, 0, values.length]];
  const expected = twin(bitsOf(values), [exponent], chunks);
  expect(await run(values, [exponent], chunks)).toEqual(expected);
  // The host's float64 formula, which initial centroids use, agrees too.
  expect(Uint32Array.from(values, (value) => fixedPoint(value, exponent))).toEqual(expected);
});

test('keeps the largest magnitude exactly and every float16 under 1', () => {
  for (const value of [1, -1.9999998807907104, 2 ** -149, -(2 ** -126), 3.4028234663852886e38]) {
    const [bits] = bitsOf(Float32Array.of(value));
    const exponent = Math.max(1, (bits >>> 23) & 0xff);
    expect(fromFixed(toFixed(bits, exponent), exponent)).toBe(value);
  }
  for (let k = 0; k < 2048; k++) expect(fromFixed(fixedPoint(k * 2 ** -24, 126), 126)).toBe(k * 2 ** -24);
});

test.each([32, 64, 256])(
  'covers ragged chunks of several segments with %i lanes and nothing else',
  async (lanes) => {
    const { chunks, elements } = layChunks([1, lanes - 1, lanes, lanes + 1, 3 * lanes + 5], 128);
    const values = seeded(lanes).floats(elements, 0.3);
    const exponents = [129, 128, 130, 129, 131];
    const expected = twin(bitsOf(values), exponents, chunks);
    expect(await run(values, exponents, chunks, lanes)).toEqual(expected);
  },
);
