import { afterEach, describe, expect, test, vi } from 'vitest';
import { requestDefaultDevice } from '../../src/node/default-device.ts';
import { createNodeDevice, installNavigatorGpu } from '../../src/node/device.ts';
import { collectGarbage } from '../support/collect.ts';

type Name = 'auto' | 'system' | 'swiftshader';

const available = new Map<Name, boolean>();
for (const adapter of ['auto', 'system', 'swiftshader'] as const) {
  const found = await requestDefaultDevice({ adapter }).catch((error: Error) => error);
  available.set(adapter, !(found instanceof Error));
  if (found instanceof Error) console.log(`${adapter}: ${found.message}`);
  else console.log(`${adapter}: ${found.info.description} (${found.source})`);
}
const skipped = [...available].filter(([, there]) => !there).length;
if (skipped > 0) console.log(`${skipped} skipped: no such adapter`);
if (process.env.LLOYD_ADAPTER_REQUIRED && !available.get('auto'))
  throw new Error('no adapter, and one is required');

afterEach(() => vi.unstubAllEnvs());

describe('requestDefaultDevice', () => {
  test.each([...available].map(([adapter, there]) => ({ adapter, there })))(
    '$adapter computes',
    async ({ adapter, there }) => {
      if (!there) return;
      const { device, info, source } = await requestDefaultDevice({ adapter });
      expect(info.device).not.toBe('null-backend');
      if (adapter !== 'auto') expect(source).toBe(adapter === 'system' ? 'system-software' : 'swiftshader');
      const code = `@group(0) @binding(0) var<storage, read_write> output: array<u32>;
      @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { output[id.x] = id.x + 5; }`;
      const compute = { module: device.createShaderModule({ code }) };
      const pipeline = device.createComputePipeline({ layout: 'auto', compute });
      const output = device.createBuffer({
        size: 16,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
      });
      const readback = device.createBuffer({
        size: 16,
        usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
      });
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      const entries = [{ binding: 0, resource: { buffer: output } }];
      pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(1);
      pass.end();
      encoder.copyBufferToBuffer(output, 0, readback, 0, 16);
      device.queue.submit([encoder.finish()]);
      await readback.mapAsync(GPUMapMode.READ);
      expect([...new Uint32Array(readback.getMappedRange())]).toEqual([5, 6, 7, 8]);
      device.destroy();
    },
  );

  test.skipIf(!available.get('auto'))('a garbage collection does not take Dawn down', async () => {
    const device = await createNodeDevice();
    for (let i = 0; i < 3; i++) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const buffer = device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    await buffer.mapAsync(GPUMapMode.READ);
    expect([...new Uint8Array(buffer.getMappedRange())]).toEqual([0, 0, 0, 0]);
  });

  test.skipIf(!available.get('swiftshader'))('swiftshader leaves the environment as it was', async () => {
    vi.stubEnv('LLOYD_ADAPTER', 'swiftshader');
    expect((await requestDefaultDevice()).source).toBe('swiftshader');
    expect(process.env.VK_DRIVER_FILES ?? '').not.toMatch(/swiftshader/);
  });

  test('an unknown adapter is refused with the list', async () => {
    const rule = /must be one of auto, system, swiftshader; received "gpu"/;
    await expect(async () => requestDefaultDevice({ adapter: 'gpu' as Name })).rejects.toThrow(rule);
    vi.stubEnv('LLOYD_ADAPTER', 'gpu');
    await expect(async () => requestDefaultDevice()).rejects.toThrow(rule);
  });

  test.skipIf(!available.get('auto'))('installNavigatorGpu gives libraries a navigator.gpu', async () => {
    const gpu = await installNavigatorGpu();
    expect(navigator.gpu).toBe(gpu);
    expect(await navigator.gpu.requestAdapter()).not.toBeNull();
    expect(await installNavigatorGpu()).toBe(gpu);
  });
});
