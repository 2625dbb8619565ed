// What the examples of docstrings take for granted: the values that their names stand for, made when they are asked for.
import { Buffer } from 'node:buffer';
import * as lloyd from '../../src/index.ts';
import * as io from '../../src/io/index.ts';
import * as node from '../../src/node/index.ts';
import * as onnx from '../../src/onnx/index.ts';
import * as tfjs from '../../src/tfjs/index.ts';
import { npy } from '../io/npy-writer.ts';
import { checkpoint, dict, storage, tensor } from '../io/pth-writer.ts';
import { zip } from '../io/zip-writer.ts';
import { graphDef } from '../support/graph-def.ts';
import { seeded } from '../support/runtime.ts';
import { smallFiles } from '../support/small-files.ts';
import { smallModel, stripes } from '../support/small-model.ts';

type Thing = () => unknown;

/** What scales every value of a buffer by two: the WGSL that an app would have of its own. */
const OWN_WGSL = `
struct Params { count: u32, }
override WORKGROUP_SIZE: u32 = 256u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.count) { output[id.x] = 2.0 * input[id.x]; }
}`;

const TEXEL_WGSL = `
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var weights: texture_2d<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@compute @workgroup_size(1)
fn main() { output[0] = input[0] + f32(textureLoad(weights, vec2u(0, 0), 0).x); }`;

/** The values by name, on one runtime; `settle` undoes what an example leaves behind. */
export function surroundings(runtime: lloyd.Runtime) {
  const { device } = runtime;
  const random = seeded(11);
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const undo: (() => unknown)[] = [];
  const buffer = (size = 2 ** 20) => {
    const made = device.createBuffer({ size, usage: STORAGE | COPY_DST | COPY_SRC });
    undo.push(() => made.destroy());
    return made;
  };
  const texture = (width: number, height: number) => {
    const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST;
    const made = device.createTexture({ size: [width, height], format: 'rgba8unorm', usage });
    undo.push(() => made.destroy());
    return made;
  };
  const int8s = (dims: number[]) => ({
    dtype: 'int8' as const,
    dims,
    data: random.int8s(io.elementCount(dims)),
  });
  const network = smallModel;
  const pixels = () => stripes(4).images;
  const labels = () => stripes(4).labels;
  const shared = () => tfjs.shareDevice(runtime);
  const quantized = () =>
    lloyd.quantizeModel(runtime, network(), { method: 'linear', bits: 8, calibration: pixels() });
  const session = async () => {
    const made = await lloyd.compile(runtime, await quantized(), { batch: 2 });
    undo.push(() => made.destroy());
    return made;
  };
  const trainable = async () => {
    const { tf } = await shared();
    const layers = [tf.layers.flatten({ inputShape: [4, 4, 1] }), tf.layers.dense({ units: 2 })];
    const model = tf.sequential({ layers });
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    return model;
  };
  const readers = async () => {
    const { tf } = await shared();
    const image = graphDef('image', [-1, 224, 224, 3]);
    image.node('Relu', 'active', ['image']);
    const predictions = tf.layers.dense({ units: 2, inputShape: [3], name: 'predictions' });
    return {
      loadGraphModel: () => image.load({ tf }),
      loadLayersModel: async () => tf.sequential({ layers: [predictions] }),
    };
  };
  const tensorOf = async (shape: number[]) => {
    const { tf } = await shared();
    return tf.tensor(random.floats(io.elementCount(shape)), shape);
  };
  /** A training run long enough to show, but for an example's: two steps of what it asks for. */
  const briefly = <T extends { epochs?: number; steps?: number }>(options: T): T => ({
    ...options,
    epochs: undefined,
    steps: 2,
    batch: 2,
  });
  const files = new Map<string, Uint8Array>();
  const fileOf = async (name: string) => {
    const written = files.get(name);
    if (written) return written;
    if (name.endsWith('.npz')) {
      const image = npy({ dtype: 'float32', dims: [1, 3], data: new Float32Array(3) });
      return zip([{ name: 'image.npy', data: image }]);
    }
    if (name.endsWith('.safetensors')) return smallFiles().linear;
    throw new Error(`examples have no file ${name}`);
  };

  const everywhere: Record<string, Thing> = {
    runtime: () => runtime,
    device: () => device,
    weights: () => random.floats(4096),
    conv1: () => random.floats(432),
    conv2: () => random.floats(1000),
    activations: () => [random.floats(64), random.floats(64)],
    batches: () => [random.floats(64), random.floats(64)],
    images: pixels,
    pixels,
    calibration: pixels,
    labels,
    data: () => ({ images: pixels(), labels: labels() }),
    trainingData: () => ({ images: pixels(), labels: labels() }),
    testData: () => ({ images: pixels(), labels: labels() }),
    model: network,
    quantized,
    session,
    logits: () => undefined,
    input: () => buffer(),
    output: () => buffer(),
    count: () => 4096,
    width: () => 32,
    height: () => 32,
    a: () => int8s([3, 8]),
    b: () => int8s([8, 5]),
    shared,
    tf: async () => (await shared()).tf,
    readFile: () => fileOf,
    writeFile: () => async (name: string, bytes: Uint8Array) => void files.set(name, bytes),
    Buffer: () => Buffer,
  };
  /** Where a name stands for something else, by the export whose example it is. */
  const own: Record<string, Record<string, Thing>> = {
    conv2dInt8: { input: () => int8s([1, 5, 5, 4]), weight: () => int8s([8, 4, 3, 3]) },
    prepareConv2dInt8: { weight: () => int8s([8, 16, 3, 3]), input: () => buffer(32 * 32 * 16) },
    preparePreprocessImage: { camera: () => texture(640, 480) },
    'kernels.preprocessImageTexture': { source: () => texture(640, 480) },
    prepareMatmulInt8: { a: () => buffer(64 * 8), output: () => buffer(64 * 5 * 4) },
    recordCalls: {
      calls: async () => {
        const kernel = await lloyd.kernels.packCodes.create(device, { BITS: 4 });
        return [kernel.bind({ input: buffer(), output: buffer() }, { count: 64 })];
      },
    },
    defineKernel: { source: () => OWN_WGSL },
    uploadTexels: {
      params: () => ({}),
      kernel: () =>
        lloyd
          .defineKernel({
            name: 'own',
            wgsl: [TEXEL_WGSL],
            bindings: {
              input: { access: 'read', type: 'f32' },
              weights: { access: 'read', type: 'texture_2d<u32>' },
              output: { access: 'write', type: 'f32' },
            },
            params: {},
            workgroups: () => 1,
          })
          .create(device),
    },
    compareModel: {
      compareModel:
        () =>
        (...[on, model, images, labels, options]: Parameters<typeof lloyd.compareModel>) =>
          lloyd.compareModel(on, model, images, labels, { ...options, rows: ['kmeans-4'] }),
    },
    vgg: { bytes: () => lloyd.writeModelFile(lloyd.vgg({ widthDivisor: 64 })) },
    linearQuantize: { weights: () => random.floats(512 * 256 * 9) },
    train: {
      vgg: () => () => network(),
      train:
        () =>
        (...[on, model, data, options]: Parameters<typeof tfjs.train>) =>
          tfjs.train(on, model, data, briefly(options!)),
    },
    finetune: {
      finetune:
        () =>
        (...[on, model, data, options]: Parameters<typeof tfjs.finetune>) =>
          tfjs.finetune(on, model, data, briefly(options!)),
    },
    recoverAccuracy: {
      recoverAccuracy:
        () =>
        (...[on, model, data, options]: Parameters<typeof tfjs.recoverAccuracy>) =>
          tfjs.recoverAccuracy(on, model, data, { ...options, maxEpochs: 1, batch: 2 }),
    },
    // A tenth of the cases is what `lloyd conformance --quick` runs, and tests of its own do.
    runConformance: {
      runConformance: () => async () => [
        { operator: 'QLinearConv', rule: 'ort-f32', outputs: 1, mismatches: 0, hash: '' },
      ],
    },
    'tfjs fakeQuantize': { filter: () => tensorOf([3, 3, 2, 4]), scale: () => tensorOf([4]) },
    fromGraphModel: { tf: readers },
    fromLayersModel: { tf: readers },
    registerKernels: {
      createRuntime: () => async () => runtime,
      model: trainable,
      images: () => tensorOf([4, 4, 4, 1]),
      labels: () => tensorOf([4, 2]),
    },
    shareDevice: { createRuntime: () => async () => runtime },
    flush: { a: () => tensorOf([3]), b: () => tensorOf([3]) },
    findChromium: {
      puppeteer: () => ({
        launch: async ({ executablePath }: { executablePath: string }) => {
          if (!executablePath) throw new Error('puppeteer needs the path that findChromium gives');
          return { newPage: async () => ({ goto: async () => {} }), close: async () => {} };
        },
      }),
    },
    readCodebookFile: {
      bytes: () => {
        const codes = Uint8Array.of(0, 1, 1, 0);
        const tensor = { dims: [2, 2], bits: 1, codes, codebook: Float32Array.of(-1, 1) };
        const tensors = new Map([['classifier.weight', tensor]]);
        return io.writeCodebookFile({ tensors, parameters: new Map(), metadata: {} });
      },
    },
    readPth: {
      fetch: () => async () => {
        const weight = tensor(storage('FloatStorage', '0', 5120), 0, [10, 512], [512, 1]);
        return new Response(
          checkpoint(dict([['classifier.weight', weight]]), { 0: new Float32Array(5120) }) as never,
        );
      },
    },
  };
  const registering: Thing = () => async (given: tfjs.SharedTfjs) => {
    const unregister = await tfjs.registerKernels(given);
    undo.push(unregister);
    return unregister;
  };

  const modules: Record<string, Record<string, unknown>> = {
    lloyd: lloyd as never,
    'lloyd/io': io as never,
    'lloyd/node': node as never,
    'lloyd/onnx': onnx as never,
    'lloyd/tfjs': tfjs as never,
    // Last: kernels have names that are also words.
    'lloyd/kernels': lloyd.kernels as never,
  };
  return {
    /** The value of a name in the example of an entry's export, or undefined where it has none. */
    async find(entry: string, exported: string, name: string): Promise<unknown> {
      const special = own[`${entry.replace('lloyd/', '')} ${exported}`] ?? own[exported];
      const thing = special?.[name] ?? (name === 'registerKernels' ? registering : undefined);
      if (thing) return thing();
      const kernel = exported.startsWith('kernels.') && lloyd.kernels[exported.slice(8) as 'add'];
      if (kernel && name in kernel.declaration.bindings) return buffer();
      // An entry's own exports hide those of the same name elsewhere.
      if (name in modules[entry]) return modules[entry][name];
      if (name in everywhere) return everywhere[name]();
      return Object.values(modules).find((module) => name in module)?.[name];
    },
    /** Zeros, for a binding by whatever name an example has for it. */
    buffer,
    /** Undoes what examples have left. */
    settle() {
      for (const work of undo.splice(0)) work();
    },
  };
}
