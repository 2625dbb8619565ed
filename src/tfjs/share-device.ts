import { check, LloydError } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';

/** The umbrella module `@tensorflow/tfjs`. */
export type Tfjs = typeof import('@tensorflow/tfjs');
/** The module `@tensorflow/tfjs-backend-webgpu`. */
export type TfjsWebgpuModule = typeof import('@tensorflow/tfjs-backend-webgpu');

type Backend = InstanceType<TfjsWebgpuModule['WebGPUBackend']>;
type TfjsTensor = import('@tensorflow/tfjs').Tensor;

/** tfjs whose `webgpu` backend computes on a runtime's own device. */
export interface SharedTfjs {
  tf: Tfjs;
  backend: Backend;
  runtime: Runtime;
}

/** One sharing a device: tfjs knows one `webgpu` backend, and compiled kernels belong to its device. */
let shared: { runtime: Runtime; done: Promise<SharedTfjs> } | undefined;

/**
 * Registers tfjs' WebGPU backend on the runtime's device, so that tensors and our buffers are the same memory.
 *
 * Both packages are loaded here (they are optional peers); in Node a `navigator.gpu` is put in place first, which the
 * backend looks for while it loads. tfjs has one `webgpu` backend: sharing with another runtime replaces it, and
 * tensors of the one before must not be used again.
 *
 * @returns tfjs ready on the shared device, and the backend
 * @throws LloydError when the packages are not installed, or the device is lost
 * @example
 * const runtime = await createRuntime();
 * const { tf } = await shareDevice(runtime);
 * const doubled = tf.mul(tf.tensor1d([1, 2, 3]), 2);
 */
export async function shareDevice(runtime: Runtime): Promise<SharedTfjs> {
  checkRuntime(runtime);
  if (shared?.runtime === runtime) return shared.done;
  // One after another: tfjs has a single backend of the name.
  const before = shared?.done.catch(() => undefined);
  const own = { runtime, done: Promise.resolve(before).then(() => registerBackend(runtime)) };
  shared = own;
  own.done.catch(() => {
    if (shared === own) shared = undefined;
  });
  return own.done;
}

async function registerBackend(runtime: Runtime): Promise<SharedTfjs> {
  guardOf(runtime.device).alive();
  provideNavigator();
  const { tf, module } = await loadTfjs();
  const { vendor, architecture, description } = runtime.adapter;
  const info = { vendor, architecture, description, device: '' } as GPUAdapterInfo;
  if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
  let backend: Backend | undefined;
  tf.registerBackend('webgpu', () => (backend = new module.WebGPUBackend(runtime.device, info)), 3);
  await tf.setBackend('webgpu');
  await tf.ready();
  check(backend, 'the webgpu backend must start on the shared device', 'none');
  // Small inputs otherwise run on the CPU backend, and would have no buffer to share.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  return { tf, backend, runtime };
}

/**
 * Submits what tfjs has recorded. Queue order then makes its results visible to whatever is submitted next.
 *
 * @example
 * const y = tf.add(a, b);
 * flush(shared); // before a submit that reads y's buffer
 */
export function flush({ backend }: SharedTfjs): void {
  // submitQueue alone fails when nothing has been recorded: it finishes an encoder that is not there.
  const recorder = backend as unknown as {
    ensureCommandEncoderReady(): void;
    endComputePassEncoder(): void;
    submitQueue(): void;
  };
  recorder.ensureCommandEncoderReady();
  recorder.endComputePassEncoder();
  recorder.submitQueue();
}

/**
 * The GPUBuffer that holds a tensor's elements, without a copy; what tfjs had recorded is submitted first.
 *
 * float32 and int32 tensors are their elements in order, row-major. The buffer stays tfjs': it is valid until the
 * tensor is disposed, after which tfjs hands it to another tensor. Kernels that write to it change the tensor.
 *
 * @throws LloydError for a tensor of another backend, dtype bool, string or complex64, or a disposed one
 * @example
 * const buffer = tensorToBuffer(shared, tf.tensor1d([1, 2, 3]));
 * const values = new Float32Array(await runtime.read(buffer, 12));
 */
export function tensorToBuffer(sharing: SharedTfjs, tensor: TfjsTensor): GPUBuffer {
  const { backend } = sharing;
  check(!tensor.isDisposed, 'the tensor must not be disposed', `a disposed tensor of [${tensor.shape}]`);
  check(
    tensor.dtype === 'float32' || tensor.dtype === 'int32',
    'a shared tensor must be float32 or int32',
    tensor.dtype,
    'cast it',
  );
  const entries = backend as unknown as {
    uploadToGPU(id: object): void;
    tensorMap: { has(id: object): boolean; get(id: object): { resource?: GPUBuffer } | undefined };
  };
  check(
    entries.tensorMap.has(tensor.dataId),
    'the tensor must belong to the shared webgpu backend',
    'a tensor of another backend',
    'create it after shareDevice()',
  );
  entries.uploadToGPU(tensor.dataId);
  flush(sharing);
  const buffer = entries.tensorMap.get(tensor.dataId)?.resource;
  check(buffer, 'the tensor must have a GPU buffer', `none, shape [${tensor.shape}]`);
  return buffer;
}

/**
 * A tensor over a buffer of the shared device, without a copy.
 *
 * The buffer stays the caller's: destroy it after the tensor is disposed and its readers have been submitted. Work
 * that fills the buffer must have been submitted before tfjs submits its readers.
 *
 * @param shape row-major; the buffer holds at least that many 4-byte elements
 * @throws LloydError for a buffer too small, or one without STORAGE and COPY_SRC usage
 * @example
 * const tensor = bufferToTensor(shared, runtime.upload(new Float32Array([1, 2, 3])), [3]);
 * const sum = await tf.sum(tensor).data();
 */
export function bufferToTensor(
  { tf }: SharedTfjs,
  buffer: GPUBuffer,
  shape: readonly number[],
  dtype: 'float32' | 'int32' = 'float32',
): TfjsTensor {
  const byteLength = shape.reduce((a, b) => a * b, 4);
  check(
    buffer.size >= byteLength,
    `a tensor of [${shape}] needs a buffer of ${byteLength} bytes`,
    buffer.size,
  );
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
  check(
    (buffer.usage & usage) === usage,
    'a shared buffer must have the usages STORAGE and COPY_SRC',
    `usage ${buffer.usage}`,
    'create it with runtime.upload() or runtime.empty()',
  );
  return tf.tensor({ buffer, zeroCopy: true }, [...shape], dtype);
}

function provideNavigator(): void {
  if (globalThis.navigator === undefined) {
    Object.defineProperty(globalThis, 'navigator', { value: { userAgent: 'Node.js' }, configurable: true });
  }
  if (globalThis.navigator.gpu) return;
  // The backend only asks whether there is one: the device is the runtime's.
  const gpu = { requestAdapter: async () => null };
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
}

async function loadTfjs() {
  try {
    const tf = await import('@tensorflow/tfjs');
    const module = await import('@tensorflow/tfjs-backend-webgpu');
    return { tf, module };
  } catch (cause) {
    throw new LloydError(
      'sharing a device needs tfjs',
      (cause as Error).message,
      'run: npm install @tensorflow/tfjs @tensorflow/tfjs-backend-webgpu',
      { cause },
    );
  }
}
