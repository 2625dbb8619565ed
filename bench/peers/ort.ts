import { availableParallelism } from 'node:os';
import { findGpu } from '../../src/node/default-device.ts';
import { macsPerImage } from '../cases/vgg.ts';
import type { BenchContext, Opened, Subject } from '../types.ts';
import { foldVgg, toFloats, toNchw } from './folded.ts';
import { vggOnnx } from './onnx-model.ts';

/** ONNX Runtime's VGG in float32, on its WebGPU provider (its own Dawn, the same driver) or on its CPU provider. */
export function ortVgg(provider: 'webgpu' | 'cpu', batch: number): Subject {
  return {
    implementation: `ort-${provider}`,
    precision: 'fp32',
    batch,
    open: (context) => openVgg(context, provider, batch),
  };
}

async function openVgg(context: BenchContext, provider: 'webgpu' | 'cpu', batch: number): Promise<Opened> {
  if (provider === 'webgpu') await checkSameAdapter(context);
  const ort = await import('onnxruntime-node');
  const model = await context.model();
  const vgg = foldVgg(model);
  const session = await ort.InferenceSession.create(vggOnnx(vgg, batch), {
    executionProviders: [{ name: provider }],
    graphOptimizationLevel: 'all',
    intraOpNumThreads: availableParallelism(),
    // Its warnings are about nodes that it moves to the CPU on purpose (shapes).
    logSeverityLevel: 3,
  });
  const { channels, height, width } = vgg.input;
  const floats = toNchw(toFloats(await context.images(batch)), batch, height * width, channels);
  const x = new ort.Tensor('float32', floats, [batch, channels, height, width]);
  const run = async () => (await session.run({ x })).y.data as Float32Array;
  return {
    work: { amount: batch, unit: 'images/s' },
    ...(provider === 'webgpu' && {
      bound: { ceiling: 'f32GFlops' as const, amount: 2 * batch * macsPerImage(model) },
    }),
    run,
    logits: run,
    note: 'input already NCHW floats',
    close: () => session.release(),
  };
}

/** ONNX Runtime opens the system's first adapter by itself; where ours is another the race would be unfair. */
export async function checkSameAdapter({ runtime }: Pick<BenchContext, 'runtime'>): Promise<void> {
  const { adapter, device } = runtime;
  if (adapter.source === 'swiftshader') throw new Error('its provider cannot be given our SwiftShader');
  const { gpu } = await findGpu({ adapter: 'auto' });
  const first = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (first?.info.description !== device.adapterInfo.description) {
    throw new Error(`it would run on ${first?.info.description ?? 'no adapter'}, not on ${adapter.name}`);
  }
}
