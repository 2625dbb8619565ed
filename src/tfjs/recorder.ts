import { broadcastLanes, type Lanes } from '../conv/tile.ts';
import type { Call } from '../gpu/call.ts';
import type { CompiledKernel, Kernel, Specialization } from '../gpu/kernel.ts';
import type { SharedTfjs } from './share-device.ts';

/** What tfjs hands to kernels and takes back. */
export type TensorInfo = import('@tensorflow/tfjs').TensorInfo;

/** Members of the backend that have no types: its pass and its bookkeeping (tfjs-backend-webgpu 4.22). */
interface Backend {
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  dispatchCountInPass: number;
  commandQueueOwnedIds: WeakSet<object>;
  ensureCommandEncoderReady(): void;
  makeTensorInfo(shape: number[], dtype: 'float32', values?: Float32Array): TensorInfo;
  uploadToGPU(id: object): void;
  disposeData(id: object): boolean;
  tensorMap: { get(id: object): { resource: GPUBuffer } };
}

/** Records our kernels into the pass that tfjs is recording, over the buffers of its tensors. */
export interface Recorder {
  /** What plans of convolutions are given here. */
  readonly lanes: Lanes;
  /** A float32 tensor of unset content. */
  output(shape: readonly number[]): TensorInfo;
  /** A tensor that is given back with `release`, of unset content unless values are given. */
  scratch(count: number, values?: Float32Array): TensorInfo;
  run(
    kernel: unknown,
    tensors: Record<string, TensorInfo>,
    params: Record<string, number>,
    specialization?: Specialization,
  ): void;
  /** Gives scratch tensors back to tfjs, which keeps them until the pass is submitted. */
  release(): void;
}

/** A recorder factory over kernels compiled ahead: tfjs' kernels are synchronous, compiling is not. */
export async function createRecorders(
  { backend: typed, runtime }: SharedTfjs,
  variants: readonly (readonly [kernel: unknown, specialization?: Specialization])[],
): Promise<{ begin(): Recorder; destroy(): void }> {
  const backend = typed as unknown as Backend;
  const lanes = broadcastLanes(runtime);
  const compiled = new Map<unknown, Map<string, CompiledKernel>>();
  const keyOf = (specialization: Specialization = {}) => JSON.stringify(specialization);
  for (const [kernel, specialization] of variants as readonly [Kernel, Specialization?][]) {
    const own = compiled.get(kernel) ?? new Map<string, CompiledKernel>();
    compiled.set(kernel, own.set(keyOf(specialization), await kernel.create(runtime.device, specialization)));
  }
  // Calls own a params buffer, which must outlive the submit of the encoder they were recorded into.
  let pending: Call[] = [];
  let encoder: GPUCommandEncoder | null = null;
  const retire = () => {
    for (const call of pending) call.destroy();
    pending = [];
  };

  function record(call: Call, used: readonly TensorInfo[]): void {
    backend.ensureCommandEncoderReady();
    if (backend.commandEncoder !== encoder) retire();
    encoder = backend.commandEncoder!;
    backend.computePassEncoder ??= encoder.beginComputePass();
    call.encode(backend.computePassEncoder);
    pending.push(call);
    // What the pass uses is neither freed nor handed out again before it is submitted.
    for (const { dataId } of used) backend.commandQueueOwnedIds.add(dataId);
    backend.dispatchCountInPass++;
  }

  return {
    begin() {
      const scratch: TensorInfo[] = [];
      return {
        lanes,
        output: (shape) => backend.makeTensorInfo([...shape], 'float32'),
        scratch(count, values) {
          const info = backend.makeTensorInfo([count], 'float32', values);
          scratch.push(info);
          return info;
        },
        run(kernel, tensors, params, specialization) {
          const ready = compiled.get(kernel)!.get(keyOf(specialization))!;
          const buffers = Object.entries(tensors).map(([name, { dataId }]) => {
            backend.uploadToGPU(dataId);
            return [name, backend.tensorMap.get(dataId).resource] as const;
          });
          record(ready.bind(Object.fromEntries(buffers), params as never), Object.values(tensors));
        },
        release() {
          for (const { dataId } of scratch.splice(0)) backend.disposeData(dataId);
        },
      };
    },
    destroy: retire,
  };
}
