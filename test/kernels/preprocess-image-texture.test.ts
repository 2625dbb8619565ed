import { describe, expect, test } from 'vitest';
import { apart, CASES, expected, nameOf, noise, textureOf } from '../support/preprocess-image.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('preprocess-image-texture', () => {
  test.each(
    CASES.flatMap((each) =>
      (['rgba8unorm', 'bgra8unorm'] as const).map((format) => [nameOf(each), format, each] as const),
    ),
  )('%s, %s', async (_, format, options) => {
    const bytes = noise(options.source);
    const texture = textureOf(gpu.runtime.device, options.source, bytes, format);
    expect(await apart(gpu.runtime, options, texture, expected(bytes, options))).toBe(-1);
    texture.destroy();
  });

  test('every byte is itself', async () => {
    const size = { width: 16, height: 16 };
    const bytes = Uint8Array.from({ length: 1024 }, (_, i) => (i >> 2) ^ (37 * (i & 3)));
    const texture = textureOf(gpu.runtime.device, size, bytes);
    const options = { source: size, size, channels: 4, layout: 'nhwc', std: 1 / 255 } as const;
    expect(await apart(gpu.runtime, options, texture, Float32Array.from(bytes))).toBe(-1);
    // The comparator sees one byte that is off by one.
    const wrong = Float32Array.from(bytes);
    wrong[517] += 1;
    expect(await apart(gpu.runtime, options, texture, wrong)).toBe(517);
    texture.destroy();
  });
});
