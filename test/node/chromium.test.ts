import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import puppeteer from 'puppeteer';
import { describe, expect, test } from 'vitest';
import { findChromium } from '../../src/node/chromium.ts';

// A list of drivers that holds none, as a machine with another adapter may have one: it must not reach the browser.
const DRIVERS = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_ADD_DRIVER_FILES'];
const before = DRIVERS.map((name) => process.env[name]);
for (const name of DRIVERS) process.env[name] = '/no/such/driver.json';
const chromium = await findChromium();
for (const [i, name] of DRIVERS.entries()) {
  if (before[i] === undefined) delete process.env[name];
  else process.env[name] = before[i];
}
if (!chromium) {
  if (process.env.LLOYD_ADAPTER_REQUIRED)
    throw new Error('no Chromium found, and LLOYD_ADAPTER_REQUIRED is set');
  console.log('1 skipped: no Chromium found');
}

describe.skipIf(!chromium)('findChromium', () => {
  test('keeps the caller’s list of Vulkan drivers from the browser, and the rest of its environment', () => {
    expect(Object.keys(chromium!.env).filter((name) => DRIVERS.includes(name))).toEqual([]);
    expect(chromium!.env.PATH).toBe(process.env.PATH);
  });

  test('starts a browser in which a page computes with WebGPU', { timeout: 120_000 }, async () => {
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>lloyd</title>');
    });
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const browser = await puppeteer.launch({ headless: true, ...chromium });
    try {
      const page = await browser.newPage();
      await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
      const found = await page.evaluate(async () => {
        const adapter = await navigator.gpu?.requestAdapter();
        if (!adapter) return null;
        const device = await adapter.requestDevice();
        const module = device.createShaderModule({
          code: `@group(0) @binding(0) var<storage, read_write> output: array<u32>;
            @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { output[id.x] = id.x * id.x; }`,
        });
        const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
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
        return {
          architecture: adapter.info.architecture,
          squares: [...new Uint32Array(readback.getMappedRange())],
        };
      });
      expect(found).toEqual({ architecture: 'swiftshader', squares: [0, 1, 4, 9] });
    } finally {
      await browser.close();
      server.close();
    }
  });
});
