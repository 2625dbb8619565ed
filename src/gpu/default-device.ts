import { type AcquiredDevice, type DeviceRequest, deviceDescriptor } from './device.ts';
import { LloydError } from './errors.ts';

export { readTuning, writeTuning } from './tuning-text.ts';

/** The browser's device. In Node the package's `#default-device` import resolves to `src/node/default-device.ts`. */
export async function requestDefaultDevice(request: DeviceRequest = {}): Promise<AcquiredDevice> {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) {
    throw new LloydError(
      'WebGPU is needed',
      'a browser without navigator.gpu',
      'use Chrome or Edge 113+, Safari 26+, or Firefox 141+, on https or localhost',
    );
  }
  const ask = () => gpu.requestAdapter({ powerPreference: request.powerPreference ?? 'high-performance' });
  // Chrome has none for a moment while its GPU process starts, as it does again after a crash.
  const adapter = (await ask()) ?? (await later(RETRY_MS).then(ask));
  if (!adapter) {
    throw new LloydError(
      'a WebGPU adapter is needed',
      'none from navigator.gpu.requestAdapter()',
      'enable hardware acceleration, or start Chrome with --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader',
    );
  }
  return {
    device: await adapter.requestDevice(deviceDescriptor(adapter)),
    info: adapter.info,
    source: 'browser',
  };
}

const RETRY_MS = 1000;
const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
