import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { readSafetensors, writeSafetensors } from '../io/safetensors.ts';
import type { Tensor as FileTensor } from '../io/tensor.ts';
import type { Model } from '../model/graph.ts';
import type { ActivationQparams, CodebookLayer, LinearLayer } from '../model/precision.ts';
import { untileWeights } from '../quantize/weight-layout.ts';
import { roundHalfToEven } from '../reference/round.ts';
import type { TrainedConv } from './layers.ts';
import { buildNetwork } from './network.ts';
import { seeded, shuffled } from './random.ts';
import type { QuantizedTraining } from './weights.ts';

/** What a trainer is made for. */
export interface TrainerOptions {
  batch?: number;
  momentum?: number;
  nesterov?: boolean;
  weightDecay?: number;
  labelSmoothing?: number;
  quantized?: ReadonlyMap<string, CodebookLayer | LinearLayer>;
  activations?: ReadonlyMap<string, ActivationQparams>;
  training?: QuantizedTraining;
}

/** Where a step is in its run: all that decides its images and rate. */
export interface StepPlan {
  step: number;
  perEpoch: number;
  rate: number;
  augment: boolean;
  seed: number;
}

/** A network on the GPU that can be stepped, saved, restored and read. */
export interface Trainer {
  readonly batch: number;
  readonly classes: number;
  step(
    data: { images: Uint8Array; labels: Uint8Array },
    plan: StepPlan,
  ): Promise<{ loss: number; accuracy: number }>;
  /** Logits of images as training computes them; batch norm uses each batch's own statistics and moves its running ones. */
  logits(images: Uint8Array): Promise<Float32Array>;
  /** The parameters now, weights as the convolutions read them. */
  model(): Promise<Model>;
  /** The quantized layers now. */
  quantized(): Promise<Map<string, CodebookLayer | LinearLayer>>;
  reassign(): Promise<void>;
  checkpoint(step: number, settings: string): Promise<Uint8Array>;
  /** @returns the step the checkpoint was saved after */
  restore(checkpoint: Uint8Array, settings: string): Promise<number>;
  destroy(): void;
}

const FORMAT = 'lloyd-checkpoint';

/** Builds a trainer; see `train` for what it accepts. */
export async function createTrainer(
  runtime: Runtime,
  model: Model,
  options: TrainerOptions,
): Promise<Trainer> {
  const { batch = 128, momentum = 0.9, labelSmoothing = 0 } = options;
  check(Number.isInteger(batch) && batch >= 1, 'batch must be a positive integer', batch);
  check(momentum >= 0 && momentum < 1, 'momentum must be from 0 to below 1', momentum);
  check(
    labelSmoothing >= 0 && labelSmoothing < 1,
    'label smoothing must be from 0 to below 1',
    labelSmoothing,
  );
  const network = await buildNetwork(runtime, model, {
    batch,
    momentum,
    labelSmoothing,
    nesterov: options.nesterov ?? false,
    weightDecay: options.weightDecay ?? 0,
    quantized: options.quantized,
    activations: options.activations,
    training: options.training ?? { centroids: 'gradient', learnedStep: false },
  });
  const { graph } = model;
  const perImage = graph.input.height * graph.input.width * graph.input.channels;
  const { queue } = runtime.device;
  const pixels = new Uint8Array(Math.ceil((batch * perImage) / 4) * 4);
  const placements = new Uint32Array(batch);
  const labels = new Uint32Array(batch);
  const convs = network.layers.filter((layer): layer is TrainedConv => layer.kind === 'conv');
  const readFloats = async (buffer: GPUBuffer) => new Float32Array(await runtime.read(buffer));
  const architecture = JSON.stringify({
    graph: graph.name,
    layers: convs.map(({ name, shape, input, kernel }) => [name, input.channels, shape.channels, ...kernel]),
    quantized: [...(options.quantized ?? [])].map(([name, layer]) => [name, layer.method, layer.bits]),
  });

  return {
    batch,
    classes: network.classes,
    async step(data, { step, perEpoch, rate, augment, seed }) {
      const epoch = Math.floor(step / perEpoch);
      const order = shuffled(data.labels.length, seed, 1, epoch);
      const random = seeded(seed, 2, step);
      for (let i = 0; i < batch; i++) {
        const index = order[(step % perEpoch) * batch + i];
        pixels.set(data.images.subarray(index * perImage, (index + 1) * perImage), i * perImage);
        labels[i] = data.labels[index];
        const [down, right, flip] = [random.integer(-4, 4), random.integer(-4, 4), random.integer(0, 1)];
        placements[i] = augment ? (down + 128) | ((right + 128) << 8) | (flip << 16) : UNMOVED;
      }
      queue.writeBuffer(network.buffers.images, 0, pixels);
      queue.writeBuffer(network.buffers.placements, 0, placements);
      queue.writeBuffer(network.buffers.labels, 0, labels);
      queue.writeBuffer(network.buffers.schedule, 0, new Float32Array([rate]));
      runtime.submit(network.step);
      const pairs = await readFloats(network.buffers.results);
      let [loss, right] = [0, 0];
      for (let i = 0; i < batch; i++) {
        loss += pairs[i * 2] / batch;
        right += pairs[i * 2 + 1];
      }
      return { loss, accuracy: right / batch };
    },
    async logits(images) {
      const total = images.length / perImage;
      const { classes, stride } = network;
      const result = new Float32Array(total * classes);
      for (let first = 0; first < total; first += batch) {
        const count = Math.min(batch, total - first);
        pixels.fill(0);
        pixels.set(images.subarray(first * perImage, (first + count) * perImage));
        queue.writeBuffer(network.buffers.images, 0, pixels);
        queue.writeBuffer(network.buffers.placements, 0, placements.fill(UNMOVED));
        runtime.submit(network.forward);
        const rows = await readFloats(network.buffers.logits);
        for (let i = 0; i < count; i++) {
          result.set(rows.subarray(i * stride, i * stride + classes), (first + i) * classes);
        }
      }
      return result;
    },
    async model() {
      const parameters = new Map(model.parameters);
      const put = (name: string, data: Float32Array, dims: readonly number[]) =>
        parameters.set(name, { dtype: 'float32', dims, data } as Tensor);
      // Decoded or rounded weights are what the last forward pass read: bring them up to the last step.
      for (const { prepare } of network.weights.values()) if (prepare.length) runtime.submit(prepare);
      for (const layer of convs) {
        const { name, norm, shape } = layer;
        const { channels } = shape;
        const tiled = await readFloats(network.weights.get(name)!.effective);
        const dims = model.parameters.get(`${name}.weight`)!.dims;
        put(`${name}.weight`, untileWeights(tiled, network.layouts.get(name)!), dims);
        const affine = await readFloats(network.state.get(`${norm ?? name}.affine`)!);
        const second = affine.length / 2;
        if (!norm) {
          put(`${name}.bias`, affine.slice(second, second + channels), [channels]);
          continue;
        }
        const running = await readFloats(network.state.get(`${norm}.running`)!);
        put(`${norm}.weight`, affine.slice(0, channels), [channels]);
        put(`${norm}.bias`, affine.slice(second, second + channels), [channels]);
        put(`${norm}.running_mean`, running.slice(0, channels), [channels]);
        put(`${norm}.running_var`, running.slice(second, second + channels), [channels]);
      }
      return { graph, parameters };
    },
    async quantized() {
      const layers = new Map<string, CodebookLayer | LinearLayer>();
      for (const [name, start] of options.quantized ?? []) {
        if (start.method === 'kmeans') {
          const codebook = await readFloats(network.state.get(`${name}.codebook`)!);
          layers.set(name, { ...start, codes: network.weights.get(name)!.codes!().slice(), codebook });
          continue;
        }
        const pairs = await readFloats(network.state.get(`${name}.qparams`)!);
        const scale = start.scale.map((_, o) => pairs[o * 2]);
        const tiled = await readFloats(network.state.get(`${name}.weight`)!);
        const weight = untileWeights(tiled, network.layouts.get(name)!);
        const row = weight.length / scale.length;
        const limit = 2 ** (start.bits - 1);
        const codes = Int8Array.from(weight, (w, i) => {
          const code = roundHalfToEven(Math.fround(w / scale[Math.floor(i / row)]));
          return Math.min(limit - 1, Math.max(-limit, code));
        });
        layers.set(name, { ...start, codes, scale });
      }
      return layers;
    },
    async reassign() {
      for (const weights of network.weights.values()) await weights.reassign?.();
    },
    async checkpoint(step, settings) {
      const tensors = new Map<string, FileTensor>();
      for (const [name, buffer] of network.state) {
        const data = await readFloats(buffer);
        tensors.set(name, { dtype: 'float32', dims: [data.length], data });
      }
      for (const [name, { codes }] of network.weights) {
        if (!codes) continue;
        const data = codes().slice();
        tensors.set(`${name}.codes`, { dtype: 'uint8', dims: [data.length], data });
      }
      return writeSafetensors(tensors, {
        format: FORMAT,
        version: '1',
        step: String(step),
        architecture,
        settings,
      });
    },
    async restore(checkpoint, settings) {
      const { tensors, metadata } = readSafetensors(checkpoint);
      check(
        metadata.format === FORMAT,
        'a checkpoint must be one that training wrote',
        metadata.format ?? 'another file',
      );
      check(
        metadata.architecture === architecture,
        'a checkpoint must be of the same network and precision',
        describe(metadata.architecture),
        `this is ${describe(architecture)}`,
      );
      check(
        metadata.settings === settings,
        'a run goes on with the settings it began with',
        metadata.settings,
        `now ${settings}`,
      );
      for (const [name, buffer] of network.state) {
        const tensor = tensors.get(name);
        check(
          tensor?.dtype === 'float32' && tensor.data.byteLength === buffer.size,
          `the checkpoint must hold ${name}`,
          tensor ? `${tensor.dtype} [${tensor.dims}]` : 'none',
          'it is damaged, or of another version',
        );
        queue.writeBuffer(buffer, 0, tensor.data as Float32Array<ArrayBuffer>);
      }
      for (const [name, weights] of network.weights) {
        const saved = tensors.get(`${name}.codes`);
        if (weights.setCodes && saved) weights.setCodes(saved.data as Uint8Array);
      }
      return Number(metadata.step);
    },
    destroy: network.destroy,
  };
}

const UNMOVED = 128 | (128 << 8);

function describe(architecture: string | undefined): string {
  try {
    const { graph, quantized } = JSON.parse(architecture ?? '');
    return `${graph}${quantized.length ? `, ${quantized[0][1]} ${quantized[0][2]} bit` : ', float32'}`;
  } catch {
    return 'unknown';
  }
}
