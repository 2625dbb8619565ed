import { describe, expect, test } from 'vitest';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import { defineKernel } from '../../src/gpu/kernel.ts';
import {
  f32AddBits,
  f32DivideBits,
  f32FromI32Bits,
  f32MultiplyBits,
  roundHalfEvenToI32,
} from '../../src/reference/exact-float.ts';
import { seeded, THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const operations = {
  f32_from_i32_bits: ['f32_from_i32_bits(i32(a))', (a: number) => f32FromI32Bits(a | 0)],
  f32_multiply_bits: ['f32_multiply_bits(a, b)', f32MultiplyBits],
  f32_add_bits: ['f32_add_bits(a, b)', f32AddBits],
  f32_divide_bits: ['f32_divide_bits(a, b)', f32DivideBits],
  round_half_even_to_i32: ['u32(round_half_even_to_i32(a))', (a: number) => roundHalfEvenToI32(a) >>> 0],
  multiply_wide_low: [
    'multiply_wide(a, b).x',
    (a: number, b: number) => Number((BigInt(a) * BigInt(b)) & 0xffffffffn),
  ],
  multiply_wide_high: [
    'multiply_wide(a, b).y',
    (a: number, b: number) => Number((BigInt(a) * BigInt(b)) >> 32n),
  ],
} as const;

const caller = (expression: string) => `
@group(0) @binding(0) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> results: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&pairs)) { return; }
  let a = pairs[id.x].x;
  let b = pairs[id.x].y;
  results[id.x] = ${expression};
}`;

/** Every pair of edge values, then random bits, random near values, ties and subnormals. */
function pairs(count: number): Uint32Array<ArrayBuffer> {
  const edges = [
    0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x800000, 0x800001, 0x3f000000, 0x3effffff, 0x3f800000,
    0xbf800000, 0x3fc00000, 0x40200000, 0x4b000001, 0x4b800001, 0x4effffff, 0x4f000000, 0xcf000000,
    0xcf000001, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x33800000, 0x34000000,
    0x7fffffff, 0xffffffff,
  ];
  const random = seeded(1);
  const list = edges.flatMap((a) => edges.flatMap((b) => [a, b]));
  const word = () => Math.floor(random.next() * 2 ** 32);
  while (list.length < count * 2) {
    const near = 0x3f800000 + random.integer(-0x2000000, 0x2000000);
    list.push(word(), word(), near, near ^ random.integer(0, 0xfff), word() & 0x80ffffff, near);
    list.push(
      random.integer(0, 1 << 25),
      near,
      (0x3f000000 + random.integer(0, 0xb) * 0x400000) >>> 0,
      word(),
    );
  }
  return Uint32Array.from(list, (value) => value >>> 0);
}

describe('exact-float', () => {
  for (const [name, [expression, twin]] of Object.entries(operations)) {
    test(`${name} has the bits of its twin`, async () => {
      const { runtime } = gpu;
      const input = pairs(THOROUGH ? 4_000_000 : 200_000);
      const count = input.length / 2;
      const results = await runtime.scope(async ({ upload, empty, keep }) => {
        const kernel = await defineKernel({
          name,
          wgsl: [exactFloat, caller(expression)],
          bindings: { pairs: { access: 'read', type: 'vec2u' }, results: { access: 'write', type: 'u32' } },
          params: {},
          workgroups: () => Math.ceil(count / 64),
        }).create(runtime.device);
        const output = empty(count * 4);
        runtime.submit([keep(kernel.bind({ pairs: upload(input), results: output }, {}))]);
        return new Uint32Array(await runtime.read(output));
      });
      const wrong = [];
      for (let i = 0; i < count && wrong.length < 5; i++) {
        const expected = twin(input[i * 2], input[i * 2 + 1]);
        if (expected !== results[i])
          wrong.push([input[i * 2], input[i * 2 + 1], results[i], expected].map((v) => v.toString(16)));
      }
      expect(wrong, 'a, b, received, expected').toEqual([]);
    });
  }
});
