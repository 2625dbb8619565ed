import { requestDefaultDevice } from '#default-device';
import { type Call, recordCalls } from './call.ts';
import type { AcquiredDevice, DeviceRequest } from './device.ts';
import { check, LloydError } from './errors.ts';

/** Which kernel family an adapter gets before any tuning: see shaders/README.md. */
export type Profile = 'cpu' | 'gpu';

/** What is known of the adapter, for reports and for choosing kernels. */
export interface AdapterReport {
  name: string;
  vendor: string;
  architecture: string;
  description: string;
  source: AcquiredDevice['source'];
  profile: Profile;
  /** The driver's own software renderer, if it is one. */
  software: 'lavapipe' | 'swiftshader' | null;
  features: readonly string[];
  /** Threads that every subgroup has at least; 0 where the device lacks the feature. */
  subgroupSize: number;
  /** Shapes of matrices that subgroups multiply, where the adapter lists them: a device alone may not. */
  matrices: readonly MatrixShape[];
}

/** An M x K matrix times a K x N one, as subgroups multiply them (`chromium-experimental-subgroup-matrix`). */
export interface MatrixShape {
  M: number;
  N: number;
  K: number;
  componentType: string;
  resultComponentType: string;
}

/** A device, what is known of it, and the few host operations every level above needs. */
export interface Runtime {
  readonly device: GPUDevice;
  readonly adapter: AdapterReport;
  /** Creates a storage buffer holding `data` (padded to 4 bytes) that can be copied from and to. */
  upload(data: ArrayBufferView | ArrayBuffer, label?: string): GPUBuffer;
  /** Creates a zeroed storage buffer. */
  empty(byteLength: number, label?: string): GPUBuffer;
  /** Records the calls into one pass and submits it. */
  submit(calls: readonly Call[]): void;
  /** Copies `byteLength` bytes from `offset` back to the host. */
  read(buffer: GPUBuffer, byteLength?: number, offset?: number): Promise<ArrayBuffer>;
  /** Runs `use` and destroys every buffer that `upload` and `empty` created inside it, errors included. */
  scope<T>(use: (scope: Scope) => Promise<T>): Promise<T>;
  /** Waits until everything submitted so far has run. */
  idle(): Promise<void>;
  /** Destroys the device if this runtime created it. */
  destroy(): void;
}

/** Buffers and calls that live as long as one operation. */
export interface Scope {
  upload(data: ArrayBufferView | ArrayBuffer, label?: string): GPUBuffer;
  empty(byteLength: number, label?: string): GPUBuffer;
  /** Hands a call to the scope, which frees its params buffer at the end. */
  keep<C extends { destroy(): void }>(resource: C): C;
}

/** Options of {@link createRuntime}. */
export interface RuntimeOptions extends DeviceRequest {
  /** Bring your own device; it is never destroyed by the runtime. */
  device?: GPUDevice;
}

/**
 * Opens a runtime on your device, or on the best adapter there is.
 *
 * In Node without a device it uses Dawn (npm `webgpu`), falling back to a system software Vulkan and then to
 * SwiftShader (npm `@sparticuz/chromium`); `adapter` or the environment's `LLOYD_ADAPTER` forces one.
 *
 * @throws LloydError when there is no WebGPU, no adapter, or the device is already lost.
 * @example
 * const runtime = await createRuntime();
 * console.log(runtime.adapter.name);
 * runtime.destroy();
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const acquired: AcquiredDevice = options.device
    ? { device: options.device, info: options.device.adapterInfo, source: 'caller' }
    : await requestDefaultDevice(options);
  const { device } = acquired;
  let lost: GPUDeviceLostInfo | undefined;
  device.lost.then((info) => {
    lost = info;
  });
  await Promise.resolve();

  const alive = () => {
    if (!lost) return;
    throw new LloydError(
      'the device must be alive',
      `a device lost (${lost.reason ?? 'unknown'}${lost.message ? `: ${lost.message}` : ''})`,
      'create a new runtime and compile again',
    );
  };
  const create = (byteLength: number, label: string, mapped: boolean) => {
    alive();
    const size = Math.max(4, Math.ceil(byteLength / 4) * 4);
    const limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
    check(
      size <= limit,
      `${label || 'a buffer'} must fit the adapter's limit of ${limit} bytes a storage buffer`,
      size,
      'split the work into smaller batches',
    );
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    return device.createBuffer({ label, size, usage, mappedAtCreation: mapped });
  };
  const upload = (data: ArrayBufferView | ArrayBuffer, label = '') => {
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data);
    const buffer = create(bytes.byteLength, label, true);
    new Uint8Array(buffer.getMappedRange()).set(bytes);
    buffer.unmap();
    return buffer;
  };
  const empty = (byteLength: number, label = '') => create(byteLength, label, false);

  return {
    device,
    adapter: describeAdapter(acquired),
    upload,
    empty,
    submit(calls) {
      alive();
      const encoder = device.createCommandEncoder();
      recordCalls(encoder, calls);
      device.queue.submit([encoder.finish()]);
    },
    async read(buffer, byteLength = buffer.size, offset = 0) {
      alive();
      const size = Math.ceil(byteLength / 4) * 4;
      const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
      device.queue.submit([encoder.finish()]);
      try {
        await staging.mapAsync(GPUMapMode.READ);
      } catch (cause) {
        await Promise.resolve();
        alive();
        throw cause;
      }
      const copy = staging.getMappedRange().slice(0, byteLength);
      staging.destroy();
      return copy;
    },
    async scope(use) {
      const owned: { destroy(): void }[] = [];
      const keep = <C extends { destroy(): void }>(resource: C) => {
        owned.push(resource);
        return resource;
      };
      try {
        return await use({
          keep,
          upload: (data, label) => keep(upload(data, label)),
          empty: (byteLength, label) => keep(empty(byteLength, label)),
        });
      } finally {
        for (const resource of owned) resource.destroy();
      }
    },
    async idle() {
      alive();
      await device.queue.onSubmittedWorkDone();
    },
    destroy() {
      if (acquired.source !== 'caller') device.destroy();
    },
  };
}

function describeAdapter({ device, info, source }: AcquiredDevice): AdapterReport {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  const software = /llvmpipe|lavapipe/.test(text)
    ? 'lavapipe'
    : /swiftshader/.test(text)
      ? 'swiftshader'
      : null;
  return {
    name:
      info.description || info.device || `${info.vendor} ${info.architecture}`.trim() || 'unknown adapter',
    vendor: info.vendor,
    architecture: info.architecture,
    description: info.description,
    source,
    software,
    profile: software || info.isFallbackAdapter ? 'cpu' : 'gpu',
    features: [...device.features].sort(),
    subgroupSize: device.features.has('subgroups') ? (info.subgroupMinSize ?? 0) : 0,
    // Plain copies: Dawn's objects do not serialize.
    matrices: Array.from(
      (info as { subgroupMatrixConfigs?: Iterable<MatrixShape> }).subgroupMatrixConfigs ?? [],
      ({ M, N, K, componentType, resultComponentType }) => ({ M, N, K, componentType, resultComponentType }),
    ),
  };
}
