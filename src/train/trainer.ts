import type { KernelPreference } from '../conv/kernel-choice.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { type ImageModel, type ImageShape, inferShapes } from '../model/graph.ts';
import type { ActivationQparams, CodebookLayer, LinearLayer } from '../model/quantized-model.ts';
import type { Teacher } from './builder.ts';
import { architectureOf, restoreCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { isAffine, normOf } from './layers.ts';
import { createMoments } from './moments.ts';
import { buildNetwork } from './network.ts';
import { seeded, shuffled } from './random.ts';
import { readActivations, readModel, readQuantized } from './read-network.ts';
import type { QuantizedTraining } from './weights.ts';

/** What a trainer is made for. */
export interface TrainerOptions {
  batch?: number;
  momentum?: number;
  nesterov?: boolean;
  weightDecay?: number;
  labelSmoothing?: number;
  /** Decay of the parameters' moving average; 0 keeps none. */
  average?: number;
  quantized?: ReadonlyMap<string, CodebookLayer | LinearLayer>;
  /** Batch norm normalizes by the running statistics that the model has, and leaves them as they are. */
  keepStatistics?: boolean;
  activations?: ReadonlyMap<string, ActivationQparams>;
  training?: QuantizedTraining;
  teacher?: Teacher;
  /** The family of the convolutions' kernels: the adapter's (`auto`) unless given. */
  kernels?: KernelPreference;
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
  /** Logits as training computes them: batch norm uses each batch's own statistics, and moves its running ones. */
  logits(images: Uint8Array): Promise<Float32Array>;
  /** The parameters now, weights as the convolutions read them. */
  model(): Promise<ImageModel>;
  /** The quantized layers now. */
  quantized(): Promise<Map<string, CodebookLayer | LinearLayer>>;
  /** The activations' grids now. */
  activations(): Promise<Map<string, ActivationQparams>>;
  reassign(): Promise<void>;
  /**
   * Sets batch norm's running statistics to those of whole batches of these images, at the weights of now; leaves them
   * where the signal fires before the last batch.
   */
  reestimate(images: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Puts the parameters' moving averages in their place; without any nothing changes. */
  useAverage(): void;
  checkpoint(step: number, settings: string): Promise<Uint8Array>;
  /** @returns the step the checkpoint was saved after */
  restore(checkpoint: Uint8Array, settings: string): Promise<number>;
  destroy(): void;
}

/** Builds a trainer; see `train` for what it accepts. */
export async function createTrainer(
  runtime: Runtime,
  model: ImageModel,
  options: TrainerOptions,
): Promise<Trainer> {
  const { batch = 128, momentum = 0.9, labelSmoothing = 0, average = 0 } = options;
  check(Number.isInteger(batch) && batch >= 1, 'batch must be a positive integer', batch);
  check(momentum >= 0 && momentum < 1, 'momentum must be from 0 to below 1', momentum);
  check(
    labelSmoothing >= 0 && labelSmoothing < 1,
    'label smoothing must be from 0 to below 1',
    labelSmoothing,
  );
  check(average >= 0 && average < 1, "the average's decay must be from 0 to below 1", average);
  if (options.teacher) checkTeacher(model, options.teacher);
  const network = await buildNetwork(runtime, model, {
    batch,
    momentum,
    labelSmoothing,
    average: average > 0,
    nesterov: options.nesterov ?? false,
    weightDecay: options.weightDecay ?? 0,
    quantized: options.quantized,
    teacher: options.teacher,
    kernels: options.kernels,
    keepStatistics: options.keepStatistics ?? false,
    activations: options.activations,
    training: options.training ?? { centroids: 'gradient', learnedStep: false, observe: 0 },
  });
  const { graph } = model;
  const perImage = graph.input.height * graph.input.width * graph.input.channels;
  const pixels = new Uint8Array(Math.ceil((batch * perImage) / 4) * 4);
  const placements = new Uint32Array(batch);
  const labels = new Uint32Array(batch);
  const layers = network.layers.filter(isAffine);
  const readFloats = async (buffer: GPUBuffer) => new Float32Array(await runtime.read(buffer));
  const architecture = architectureOf(graph.name, layers, options.quantized);
  const whole = (images: Uint8Array) => Math.floor(images.length / perImage / batch) * batch;

  /** Forward passes over the first `total` images, unmoved; a last partial batch is filled with zeros. */
  function* run(images: Uint8Array, total: number) {
    for (let first = 0; first < total; first += batch) {
      const count = Math.min(batch, total - first);
      pixels.fill(0);
      pixels.set(images.subarray(first * perImage, (first + count) * perImage));
      runtime.write(network.buffers.images, pixels);
      runtime.write(network.buffers.placements, placements.fill(UNMOVED));
      runtime.submit(network.forward);
      yield { first, count };
    }
  }

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
      runtime.write(network.buffers.images, pixels);
      runtime.write(network.buffers.placements, placements);
      runtime.write(network.buffers.labels, labels);
      // Early averages follow closely: the start would weigh on a short run's for long.
      const decay = Math.min(options.average ?? 0, (1 + step) / (10 + step));
      runtime.write(network.buffers.schedule, new Float32Array([rate, 1 - decay]));
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
      for (const { first, count } of run(images, total)) {
        const rows = await readFloats(network.buffers.logits);
        for (let i = 0; i < count; i++) {
          result.set(rows.subarray(i * stride, i * stride + classes), (first + i) * classes);
        }
      }
      return result;
    },
    model: () => readModel(runtime, network, model),
    quantized: () => readQuantized(runtime, network, options.quantized),
    activations: () => readActivations(runtime, network, options.activations),
    async reassign() {
      for (const weights of network.weights.values()) await weights.reassign?.();
    },
    async reestimate(images, signal) {
      const moments = new Map(
        layers.flatMap((layer) => {
          const norm = normOf(layer);
          return norm === null ? [] : [[norm, createMoments(layer, batch)]];
        }),
      );
      for (const _ of run(images, whole(images))) {
        if (signal?.aborted) return;
        for (const [norm, own] of moments) own.add(await readFloats(network.statistics.get(norm)!));
      }
      for (const [norm, own] of moments) {
        runtime.write(network.state.get(`${norm}.running`)!, own.running());
      }
    },
    useAverage() {
      runtime.record((encoder) => {
        for (const [name, buffer] of network.state) {
          const average = network.state.get(`average.${name}`);
          if (average) encoder.copyBufferToBuffer(average, 0, buffer, 0, buffer.size);
        }
      });
    },
    checkpoint: (step, settings) => writeCheckpoint(runtime, network, step, { architecture, settings }),
    restore: async (checkpoint, settings) =>
      restoreCheckpoint(runtime, network, checkpoint, { architecture, settings }),
    destroy: network.destroy,
  };
}

function checkTeacher(model: ImageModel, { model: teacher, share = 1, temperature = 4 }: Teacher): void {
  check(share > 0 && share <= 1, "the teacher's share must be above 0 and at most 1", share);
  check(
    temperature > 0 && Number.isFinite(temperature),
    "the teacher's temperature must be a positive number",
    temperature,
  );
  const shapeOf = ({ graph }: ImageModel) => {
    const shapes = inferShapes(graph);
    const text = ({ height, width, channels }: ImageShape) => `${height} x ${width} x ${channels}`;
    return `${text(graph.input)} to ${text(shapes.get(graph.output)!)}`;
  };
  check(
    shapeOf(teacher) === shapeOf(model),
    `a teacher must have the network's own input and outputs, ${shapeOf(model)}`,
    shapeOf(teacher),
    'teach with a network of the same images and classes',
  );
}

const UNMOVED = 128 | (128 << 8);
