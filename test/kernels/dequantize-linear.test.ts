import { describe, expect, test } from 'vitest';
import { dequantizeLinearKernel } from '../../src/kernels/dequantize-linear.ts';
import { dequantizeLinear } from '../../src/reference/dequantize-linear.ts';
import { packCodes } from '../../src/reference/pack-codes.ts';
import type { ChannelLayout } from '../../src/reference/quantize-linear.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function mismatch(
  codes: Int8Array | Uint8Array,
  scale: ArrayLike<number>,
  zeroPoint: ArrayLike<number>,
  {
    bits = 8,
    workgroupSize = 64,
    ...rest
  }: { bits?: number; workgroupSize?: number; layout?: ChannelLayout } = {},
  twin = dequantizeLinear,
): Promise<number> {
  const layout = rest.layout ?? { axisSize: 1, axisStride: codes.length };
  const scales = Float32Array.from(scale);
  const { output } = await dispatch(
    gpu.runtime,
    dequantizeLinearKernel,
    { input: packCodes(codes, bits), scale: scales, zeroPoint: Int32Array.from(zeroPoint) },
    { output: codes.length * 4 },
    { count: codes.length, ...layout },
    { BITS: bits, SIGNED: codes instanceof Int8Array ? 1 : 0, WORKGROUP_SIZE: workgroupSize },
  );
  return firstDifference(new Float32Array(output), twin(codes, scales, zeroPoint, layout));
}

describe('dequantize-linear', () => {
  for (const bits of [2, 4, 8]) {
    for (const count of [1, 15, 16, 17, 63, 64, 65, 256, 257, 1023, 1024, 1025]) {
      test(`tail(bits=${bits},count=${count})`, async () => {
        const codes = seeded(count).int8s(count, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
        expect(await mismatch(codes, [0.1], [-1], { bits })).toBe(-1);
        const plain = Uint8Array.from(codes, (code) => code & (2 ** bits - 1));
        expect(await mismatch(plain, [0.1], [1], { bits })).toBe(-1);
      });
    }
  }

  test('every difference times 4,000 scales of any bits, subnormal results and overflows included', async () => {
    const random = seeded(3);
    const scaleBits = Uint32Array.from({ length: 4000 }, (_, i) =>
      i % 8 === 0 ? 1 + random.next() * 0x800000 : 1 + random.next() * 0x7f7ffffe,
    );
    const scale = new Float32Array(scaleBits.buffer);
    const zeroPoint = Int32Array.from(scale, () => random.integer(-128, 127));
    const codes = random.int8s(4000 * 64);
    expect(await mismatch(codes, scale, zeroPoint, { layout: { axisSize: 4000, axisStride: 64 } })).toBe(-1);
    const plain = Uint8Array.from(codes);
    expect(
      await mismatch(
        plain,
        scale,
        zeroPoint.map((z) => z & 255),
        { layout: { axisSize: 4000, axisStride: 64 } },
      ),
    ).toBe(-1);
  });

  test('more than 65,535 workgroups are folded into y', async () => {
    const codes = new Int8Array(65_537 * 32 * 4 + 3).map((_, i) => (i * 37) % 251);
    expect(await mismatch(codes, [0.3], [5], { workgroupSize: 32 })).toBe(-1);
  });

  test('known-wrong rules are told apart', async () => {
    const codes = Uint8Array.from({ length: 1027 }, (_, i) => i * 7);
    const wrongs = {
      'difference wraps in uint8': (q, s, z) => Float32Array.from(q, (code) => ((code - z[0]) & 255) * s[0]),
      'zero point scaled apart': (q, s, z) =>
        Float32Array.from(q, (code) => Math.fround(code * s[0]) - Math.fround(z[0] * s[0])),
      'tail off by one': (q, s, z, layout) => dequantizeLinear(Array.from(q).slice(0, -1), s, z, layout),
    } satisfies Record<string, typeof dequantizeLinear>;
    expect(await mismatch(codes, [0.1], [131])).toBe(-1);
    for (const [name, twin] of Object.entries(wrongs)) {
      expect(await mismatch(codes, [0.1], [131], {}, twin), name).not.toBe(-1);
    }
  });
});
