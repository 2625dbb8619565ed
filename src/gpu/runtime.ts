import { requestDefaultDevice } from '#default-device';
import { type Call, recordCalls } from './call.ts';
import type { AcquiredDevice, DeviceRequest } from './device.ts';
import { check, isDevice, type LloydError } from './errors.ts';
import { type DeviceGuard, type DeviceLoss, guardOf, scopeError } from './guard.ts';

/** Which kernel family an adapter gets before any tuning. */
export type Profile = 'cpu' | 'gpu';

/** What is known of the adapter, for reports and for choosing kernels. */
export interface AdapterReport {
  name: string;
  vendor: string;
  architecture: string;
  /** The card itself, where the browser or Dawn tells; cards of one driver differ in nothing else. */
  device: string;
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

/**
 * A device, what is known of it, and the few host operations every level above needs.
 *
 * WebGPU reports its errors late and beside the call. Whatever went wrong with buffers, pipelines or submits of this
 * runtime, memory that ran out included, is thrown as a LloydError by the operation concerned or, where there is none,
 * by the next one that is awaited; nothing is handed out before. Once the device is gone every call throws a
 * {@link DeviceLostError}.
 */
export interface Runtime {
  readonly device: GPUDevice;
  readonly adapter: AdapterReport;
  /** Comes true when the device is gone, destroyed or crashed, and says why; it never rejects. */
  readonly lost: Promise<DeviceLoss>;
  /** Creates a storage buffer holding `data` (padded to 4 bytes) that can be copied from and to. */
  upload(data: ArrayBufferView | ArrayBuffer, label?: string): GPUBuffer;
  /** Creates a zeroed storage buffer. */
  empty(byteLength: number, label?: string): GPUBuffer;
  /** Records the calls into one pass and submits it. */
  submit(calls: readonly Call[]): void;
  /** Submits what `encode` records. */
  record(encode: (encoder: GPUCommandEncoder) => void): void;
  /** Puts `data`, whole words, into a buffer from `offset` bytes on; what is submitted later sees it. */
  write(buffer: GPUBuffer, data: ArrayBufferView, offset?: number): void;
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
  /**
   * Told of errors that no error scope caught, at once; only where the runtime made the device. They are thrown by what
   * is awaited next all the same.
   */
  onError?: (error: LloydError) => void;
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
  check(
    !isDevice(options),
    'createRuntime takes options',
    'a GPUDevice',
    'pass it as one: createRuntime({ device })',
  );
  check(
    options.device === undefined || isDevice(options.device),
    'device must be a GPUDevice',
    options.device,
    'leave it out, or pass what adapter.requestDevice() gave',
  );
  const acquired: AcquiredDevice = options.device
    ? { device: options.device, info: options.device.adapterInfo, source: 'caller' }
    : await requestDefaultDevice(options);
  const { device } = acquired;
  const guard = guardOf(device);
  // A device that is gone already says so in a task of its own.
  await new Promise((resolve) => setTimeout(resolve));
  guard.alive();
  if (acquired.source !== 'caller') listen(device, guard, options.onError);

  const create = (byteLength: number, label: string, data?: Uint8Array) => {
    const size = Math.max(4, Math.ceil(byteLength / 4) * 4);
    const limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
    check(
      size <= limit,
      `${label || 'a buffer'} must fit the adapter's limit of ${limit} bytes a storage buffer`,
      size,
      'split the work into smaller batches',
    );
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    return guard.note(`${label || 'a buffer'} of ${size} bytes`, () => {
      const buffer = device.createBuffer({ label, size, usage, mappedAtCreation: data !== undefined });
      if (data) {
        try {
          new Uint8Array(buffer.getMappedRange()).set(data);
          buffer.unmap();
        } catch (error) {
          buffer.destroy();
          throw error;
        }
      }
      return buffer;
    });
  };
  const upload = (data: ArrayBufferView | ArrayBuffer, label = '') => {
    const bytes = bytesOf(data);
    return create(bytes.byteLength, label, bytes);
  };
  const empty = (byteLength: number, label = '') => create(byteLength, label);
  const record = (encode: (encoder: GPUCommandEncoder) => void) =>
    guard.note('a submit', () => {
      const encoder = device.createCommandEncoder();
      encode(encoder);
      device.queue.submit([encoder.finish()]);
    });

  return {
    device,
    adapter: describeAdapter(acquired),
    lost: guard.lost,
    upload,
    empty,
    record,
    submit: (calls) => record((encoder) => recordCalls(encoder, calls)),
    write: (buffer, data, offset = 0) =>
      guard.note('a write', () => device.queue.writeBuffer(buffer, offset, bytesOf(data))),
    async read(buffer, byteLength = buffer.size, offset = 0) {
      const size = Math.ceil(byteLength / 4) * 4;
      const what = 'reading a buffer back';
      const { value: staging, fault } = guard.watch(what, () => {
        const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
        const target = device.createBuffer({ size, usage });
        try {
          const encoder = device.createCommandEncoder();
          encoder.copyBufferToBuffer(buffer, offset, target, 0, size);
          device.queue.submit([encoder.finish()]);
          return target;
        } catch (error) {
          target.destroy();
          throw error;
        }
      });
      try {
        const mapped = guard.until(what, () => staging.mapAsync(GPUMapMode.READ));
        const [failure, result] = await Promise.all([fault, outcome(mapped)]);
        // A buffer that could not be made cannot be mapped either: its own error says more.
        await guard.hear();
        if (failure ?? result) throw failure ?? result;
        return await guard.until(what, async () => staging.getMappedRange().slice(0, byteLength));
      } finally {
        staging.destroy();
      }
    },
    scope(use) {
      const owned: { destroy(): void }[] = [];
      const keep = <C extends { destroy(): void }>(resource: C) => {
        owned.push(resource);
        return resource;
      };
      return guard.operation(async () => {
        try {
          return await use({
            keep,
            upload: (data, label) => keep(upload(data, label)),
            empty: (byteLength, label) => keep(empty(byteLength, label)),
          });
        } finally {
          for (const resource of owned) resource.destroy();
        }
      });
    },
    async idle() {
      await guard.until('the work submitted so far', () => device.queue.onSubmittedWorkDone());
      await guard.hear();
    },
    destroy() {
      if (acquired.source === 'caller') return;
      guard.lose({ reason: 'destroyed', message: 'runtime.destroy() was called' });
      device.destroy();
    },
  };
}

/**
 * Throws unless it is a runtime: what a public operation asks first, for callers without a type checker.
 *
 * @throws LloydError for a GPUDevice or anything else
 */
export function checkRuntime(runtime: unknown): asserts runtime is Runtime {
  const cure = 'pass what createRuntime() or createRuntime({ device }) gave';
  check(!isDevice(runtime), 'the first argument must be a runtime', 'a GPUDevice', cure);
  const { scope, device } = (runtime ?? {}) as Partial<Runtime>;
  check(
    typeof scope === 'function' && isDevice(device),
    'the first argument must be a runtime',
    runtime,
    runtime instanceof Promise ? 'await createRuntime()' : cure,
  );
}

/**
 * The runtime that an operation was given, or one on the device that it was given.
 *
 * @throws LloydError for anything else
 */
export async function runtimeOn(target: Runtime | GPUDevice): Promise<Runtime> {
  if (isDevice(target)) return createRuntime({ device: target });
  checkRuntime(target);
  return target;
}

/** The error that a promise was rejected with, or null. */
const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error) => error,
  );

const bytesOf = (data: ArrayBufferView | ArrayBuffer): Uint8Array<ArrayBuffer> =>
  ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);

function listen(device: GPUDevice, guard: DeviceGuard, tell: RuntimeOptions['onError']): void {
  const hear = (event: Event) => {
    const { error } = event as GPUUncapturedErrorEvent;
    const memory = typeof GPUOutOfMemoryError === 'function' && error instanceof GPUOutOfMemoryError;
    const internal = typeof GPUInternalError === 'function' && error instanceof GPUInternalError;
    const filter = memory ? 'out-of-memory' : internal ? 'internal' : 'validation';
    const fault = scopeError("a call on the runtime's device", filter, error);
    // It is reported here; the browser need not print it too.
    event.preventDefault();
    guard.blame(fault);
    tell?.(fault);
  };
  device.addEventListener('uncapturederror', hear);
  // Dawn's device holds its listeners and they hold the device: neither would ever be collected.
  guard.lost.then(() => device.removeEventListener('uncapturederror', hear));
}

function describeAdapter({ device, info, source }: AcquiredDevice): AdapterReport {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  const software = /llvmpipe|lavapipe/.test(text)
    ? 'lavapipe'
    : /swiftshader/.test(text)
      ? 'swiftshader'
      : null;
  return {
    name: nameOf(info, software !== null),
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
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

/** Dawn describes an adapter by its driver, which names a software renderer and only the maker of a card. */
function nameOf({ vendor, architecture, device, description }: GPUAdapterInfo, software: boolean): string {
  const card = software && description ? '' : device;
  const known = [card, description].filter(Boolean).join(', ');
  return known || `${vendor} ${architecture}`.trim() || 'unknown adapter';
}
