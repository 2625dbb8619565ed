import { describe, expect, test } from 'vitest';
import { loadImageKernel } from '../../src/kernels/load-image.ts';
import { pixelCodes, pixelFloats } from '../../src/reference/load-image.ts';
import { firstDifference } from '../support/dispatch.ts';
import { guardedOutput, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

/** Pads each pixel's channels with zeros to whole vectors of four. */
function padChannels<T extends Int8Array | Float32Array>(values: T, channels: number): T {
  const stride = Math.ceil(channels / 4) * 4;
  const padded = new (values.constructor as new (n: number) => T)((values.length / channels) * stride);
  values.forEach((value, i) => {
    padded[Math.floor(i / channels) * stride + (i % channels)] = value;
  });
  return padded;
}

async function load(format: string, input: Uint8Array | Float32Array, pixelCount: number, channels: number) {
  const { runtime } = context;
  const kernel = await loadImageKernel.create(runtime.device, { FORMAT: format });
  const vectors = Math.ceil(channels / 4);
  const output = guardedOutput(runtime, pixelCount * vectors * (format === '0u' ? 4 : 16));
  const call = kernel.bind(
    { input: runtime.upload(input), output: output.slice },
    { pixelCount, channels, vectors },
  );
  runtime.submit([call]);
  return output.read();
}

describe('load-image', () => {
  test.each([
    [1, 3],
    [63, 3],
    [64, 1],
    [65, 4],
    [100, 5],
  ])('%i pixels of %i channels, all formats', async (pixelCount, channels) => {
    const r = seeded(pixelCount);
    const bytes = Uint8Array.from({ length: pixelCount * channels }, () => r.integer(0, 255));
    const codes = new Int8Array(await load('0u', bytes, pixelCount, channels));
    expect(firstDifference(codes, padChannels(pixelCodes(bytes), channels))).toBe(-1);
    const floats = new Float32Array(await load('1u', bytes, pixelCount, channels));
    const want = padChannels(pixelFloats(bytes), channels);
    // WGSL allows a division 2.5 ULP.
    for (const [i, value] of floats.entries()) {
      expect(Math.abs(value - want[i])).toBeLessThanOrEqual(2.5 * 2 ** -24);
    }
    const copied = new Float32Array(await load('2u', pixelFloats(bytes), pixelCount, channels));
    expect(firstDifference(copied, want)).toBe(-1);
    // The comparator sees a shift by one code.
    expect(firstDifference(codes, padChannels(pixelCodes(bytes.map((b) => b ^ 1)), channels))).not.toBe(-1);
  });
});
