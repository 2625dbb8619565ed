import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { deviceDescriptor } from '../../src/gpu/device.ts';
import { installNavigatorGpu } from '../../src/node/device.ts';
import { gradientInputs } from '../cases/gradients.ts';
import { macsPerImage } from '../cases/vgg.ts';
import { choiceOf } from '../node.ts';
import { seeded } from '../random.ts';
import type { BenchContext, ConvCase, Opened, PeerWork, Subject } from '../types.ts';
import { foldVgg, toFloats, toHwio, toOihw } from './folded.ts';

type Tf = typeof import('@tensorflow/tfjs');
type Tensor4D = import('@tensorflow/tfjs').Tensor4D;

/** tfjs' VGG in float32: `fused.conv2d` with bias and ReLU, `maxPool`, batch norm folded as in ours. */
export function tfjsVgg(backend: 'webgpu' | 'wasm', batch: number): Subject {
  return {
    implementation: `tfjs-${backend}`,
    precision: 'fp32',
    batch,
    open: (context) => openVgg(context, backend, batch),
  };
}

async function openVgg(context: BenchContext, backend: 'webgpu' | 'wasm', batch: number): Promise<Opened> {
  const tf = backend === 'webgpu' ? await startWebgpu(context) : await startWasm();
  const model = await context.model();
  const { convs, classifier, input } = foldVgg(model);
  const layers = convs.map(({ outputs, inputs, weight, bias, pool }) => ({
    filter: tf.tensor4d(toHwio(weight, outputs, inputs, 3), [3, 3, inputs, outputs]),
    bias: tf.tensor1d(bias),
    pool,
  }));
  const { outputs, inputs } = classifier;
  const matrix = tf.tensor2d(toHwio(classifier.weight, outputs, inputs, 1), [inputs, outputs]);
  const offset = tf.tensor1d(classifier.bias);
  const floats = toFloats(await context.images(batch));
  const shape: [number, number, number, number] = [batch, input.height, input.width, input.channels];
  const run = async () => {
    const logits = tf.tidy(() => {
      let x: Tensor4D = tf.tensor4d(floats, shape);
      for (const { filter, bias, pool } of layers) {
        x = tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', bias, activation: 'relu' });
        if (pool) x = tf.maxPool(x, 2, 2, 'valid');
      }
      return tf.add(tf.matMul(tf.reshape(tf.avgPool(x, 2, 2, 'valid'), [batch, inputs]), matrix), offset);
    });
    const values = (await logits.data()) as Float32Array;
    logits.dispose();
    return values;
  };
  return {
    work: { amount: batch, unit: 'images/s' },
    ...(backend === 'webgpu' && {
      bound: { ceiling: 'f32GFlops' as const, amount: 2 * batch * macsPerImage(model) },
    }),
    // Two backends of one tfjs may be timed in turn.
    before: () => tf.setBackend(backend),
    run,
    logits: run,
    note: 'input already floats',
    close() {
      for (const { filter, bias } of layers) tf.dispose([filter, bias]);
      tf.dispose([matrix, offset]);
    },
  };
}

/** One `fused.conv2d` with operands on the GPU already; its result is not read back. */
export function tfjsConv({ N, H, C, O, K }: ConvCase): Subject {
  return {
    implementation: 'tfjs-webgpu',
    precision: 'fp32',
    batch: N,
    async open(context) {
      const tf = await startWebgpu(context);
      const random = seeded(N + H + C);
      const x = tf.tensor4d(random.floats(N * H * H * C), [N, H, H, C]);
      const filter = tf.tensor4d(random.floats(K * K * C * O, 0.1), [K, K, C, O]);
      const operations = 2 * N * H * H * K * K * C * O;
      const run = async () => {
        const y = tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', activation: 'linear' });
        // tfjs submits when it is asked for data: one element of the result is data that depends on all of it.
        await tf.tidy(() => tf.slice(y, [0, 0, 0, 0], [1, 1, 1, 1])).data();
        y.dispose();
      };
      return {
        work: { amount: operations, unit: 'GFLOP/s' },
        bound: { ceiling: 'f32GFlops', amount: operations },
        before: () => tf.setBackend('webgpu'),
        run,
        close: () => tf.dispose([x, filter]),
      };
    },
  };
}

/** tfjs' own kernel for a convolution's gradient, operands on the GPU already; only the check reads the result. */
export function tfjsConvGradient({ by, shape }: Extract<PeerWork, { kind: 'conv2d-gradient' }>): Subject {
  const { N, H, C, O, K } = shape;
  return {
    implementation: 'tfjs-webgpu',
    precision: 'fp32',
    batch: N,
    async open(context) {
      const tf = await startWebgpu(context);
      const { input, gradient, weights } = gradientInputs(shape);
      const x = tf.tensor4d(input, [N, H, H, C]);
      const dy = tf.tensor4d(gradient, [N, H, H, O]);
      const filter = tf.tensor4d(toHwio(weights, O, C, K), [K, K, C, O]);
      const common = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC' };
      const derive = () =>
        by === 'input'
          ? tf.engine().runKernel('Conv2DBackpropInput', { dy, filter }, { ...common, inputShape: x.shape })
          : tf
              .engine()
              .runKernel('Conv2DBackpropFilter', { x, dy }, { ...common, filterShape: filter.shape });
      const operations = 2 * N * H * H * K * K * C * O;
      return {
        work: { amount: operations, unit: 'GFLOP/s' },
        bound: { ceiling: 'f32GFlops', amount: operations },
        before: () => tf.setBackend('webgpu'),
        async run() {
          const result = derive() as Tensor4D;
          // As above: one element is data that depends on all of it.
          await tf.tidy(() => tf.slice(result, [0, 0, 0, 0], [1, 1, 1, 1])).data();
          result.dispose();
        },
        async logits() {
          const result = derive() as Tensor4D;
          const values = (await result.data()) as Float32Array;
          result.dispose();
          return by === 'input' ? values : toOihw(values, O, C, K);
        },
        close: () => tf.dispose([x, dy, filter]),
      };
    },
  };
}

let webgpu: Promise<unknown> | undefined;

/** tfjs on a Dawn device of its own, from the adapter that our runtime took. */
export async function startWebgpu({ runtime }: Pick<BenchContext, 'runtime'>): Promise<Tf> {
  const gpu = await installNavigatorGpu({ adapter: choiceOf(runtime) });
  // Its WebGPU backend looks for navigator.gpu while it loads.
  const tf = await import('@tensorflow/tfjs');
  webgpu ??= import('@tensorflow/tfjs-backend-webgpu').then(async ({ WebGPUBackend }) => {
    const found = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    const own = runtime.device.adapterInfo;
    if (found?.info.description !== own.description || found.info.device !== own.device) {
      throw new Error(
        `it would run on ${found?.info.description ?? 'no adapter'}, not on ${own.description}`,
      );
    }
    const device = await found.requestDevice(deviceDescriptor(found));
    tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', () => new WebGPUBackend(device, found.info), 3);
  });
  await webgpu;
  await tf.setBackend('webgpu');
  await tf.ready();
  return tf;
}

/** tfjs on its WebAssembly backend. */
export async function startWasm(): Promise<Tf> {
  const tf = await import('@tensorflow/tfjs');
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')) + sep);
  await tf.setBackend('wasm');
  await tf.ready();
  return tf;
}
