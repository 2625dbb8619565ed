import type { DeviceRequest } from '../gpu/device.ts';
import { findGpu, requestDefaultDevice } from './default-device.ts';

/**
 * A GPUDevice in Node, for code that needs no more than that. See {@link requestDefaultDevice} for which adapter.
 *
 * @throws LloydError as {@link requestDefaultDevice} does
 * @example
 * const device = await createNodeDevice();
 * const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
 */
export async function createNodeDevice(request: DeviceRequest = {}): Promise<GPUDevice> {
  return (await requestDefaultDevice(request)).device;
}

/**
 * Defines `navigator.gpu` in Node, which libraries written for browsers look for. Call it before they are imported:
 * tfjs' WebGPU backend reads it while it loads.
 *
 * @returns the GPU object; calling again replaces it by the one now asked for
 * @throws LloydError as {@link requestDefaultDevice} does
 * @example
 * await installNavigatorGpu();
 * const tf = await import('@tensorflow/tfjs');
 * await import('@tensorflow/tfjs-backend-webgpu');
 */
export async function installNavigatorGpu(request: DeviceRequest = {}): Promise<GPU> {
  const { gpu } = await findGpu(request);
  if (globalThis.navigator === undefined) {
    const navigator = { userAgent: `Node.js/${process.versions.node.split('.')[0]}` };
    Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  }
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
  return gpu;
}
