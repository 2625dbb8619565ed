// Texture bindings: what a buffer's bytes become as texels, staged by the call or written once.
import { describe, expect, test } from 'vitest';
import texels from '../../shaders/lib/texels.wgsl?raw';
import { recordCalls } from '../../src/gpu/call.ts';
import { defineKernel, TEXELS } from '../../src/gpu/kernel.ts';
import { texelTexture, uploadTexels } from '../../src/gpu/texels.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const copyTexels = defineKernel({
  name: 'copy-texels',
  wgsl: [
    texels,
    `
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var input: texture_2d<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4u>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.count) { output[id.x] = textureLoad(input, texel_at(id.x), 0); }
}`,
  ],
  bindings: { input: { access: 'read', type: TEXELS }, output: { access: 'write', type: 'vec4u' } },
  params: { count: 'u32' },
  workgroups: ({ count }) => Math.ceil(count / 64),
});

const words = (length: number) => Uint32Array.from({ length }, (_, i) => Math.imul(i + 1, 2654435761));

describe('a texture binding', () => {
  // One texel, a row but one, a whole row, and two rows and a ragged third.
  test.each([1, 4095, 4096, 2 * 4096 + 5])('holds %i texels of a buffer in order', async (count) => {
    const data = words(count * 4);
    await gpu.runtime.scope(async ({ upload, empty, keep }) => {
      const output = empty(data.byteLength, 'output');
      const kernel = await copyTexels.create(gpu.runtime.device);
      const call = keep(kernel.bind({ input: upload(data, 'input'), output }, { count }));
      expect(call.stage?.bytes).toBe(Math.ceil(count / 4096) * 65_536);
      gpu.runtime.submit([call]);
      expect(new Uint32Array(await gpu.runtime.read(output))).toEqual(data);
    });
  });

  test('is copied anew in every recording, between the calls around it', async () => {
    const { device } = gpu.runtime;
    await gpu.runtime.scope(async ({ upload, empty, keep }) => {
      const input = upload(words(64), 'input');
      const [first, second] = [empty(256, 'first'), empty(256, 'second')];
      const kernel = await copyTexels.create(device);
      // The second call reads what the first writes.
      const calls = [
        keep(kernel.bind({ input, output: first }, { count: 16 })),
        keep(kernel.bind({ input: { buffer: first, offset: 0, size: 256 }, output: second }, { count: 16 })),
      ];
      for (const data of [words(64), words(128).slice(64)]) {
        device.queue.writeBuffer(input, 0, data);
        const encoder = device.createCommandEncoder();
        recordCalls(encoder, calls);
        device.queue.submit([encoder.finish()]);
        expect(new Uint32Array(await gpu.runtime.read(second))).toEqual(data);
      }
    });
  });

  test('that was not filled is refused, and nothing is computed of what it held before', async () => {
    const { device } = gpu.runtime;
    await gpu.runtime.scope(async ({ upload, empty, keep }) => {
      const kernel = await copyTexels.create(device);
      const call = keep(kernel.bind({ input: upload(words(64)), output: empty(256) }, { count: 16 }));
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      expect(() => call.encode(pass)).toThrow(/copy-texels: its texture must be filled before each pass/);
      pass.end();
      recordCalls(encoder, [call]);
      const later = encoder.beginComputePass();
      expect(() => call.encode(later)).toThrow(/use recordCalls/);
      later.end();
      device.queue.submit([encoder.finish()]);
    });
  });

  test('takes a texture that is written once, and stages nothing', async () => {
    const { device } = gpu.runtime;
    const count = 4096 + 3;
    const data = words(count * 4);
    await gpu.runtime.scope(async ({ empty, keep }) => {
      const texture = keep(uploadTexels(device, data, 'constant'));
      const output = empty(data.byteLength, 'output');
      const kernel = await copyTexels.create(device);
      const call = keep(kernel.bind({ input: texture, output }, { count }));
      expect(call.stage).toBeUndefined();
      gpu.runtime.submit([call]);
      expect(new Uint32Array(await gpu.runtime.read(output))).toEqual(data);
      expect(() => kernel.bind({ input: texture, output: texture as never }, { count })).toThrow(
        /copy-texels: output must be a buffer; received.*a texture/,
      );
    });
  });

  test('refuses a part of a texel, and more bytes than a texture has rows for', () => {
    const { device } = gpu.runtime;
    expect(() => uploadTexels(device, words(5), 'weights')).toThrow(
      /weights must be whole texels of 16 bytes; received 20; pad it/,
    );
    const rows = device.limits.maxTextureDimension2D;
    expect(() => texelTexture(device, (rows + 1) * 65_536, 'activations')).toThrow(
      new RegExp(`activations must fit a texture of ${rows} rows`),
    );
  });
});
