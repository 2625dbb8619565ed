import { check } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import { type ImageModel, imageModel } from '../model/graph.ts';
import type { ActivationQparams, QuantizedModel } from '../model/quantized-model.ts';
import { type Folded, foldModel } from './fold.ts';
import { quantizedImageForm } from './image-form.ts';
import { runSteps, type TrainingData, type TrainOptions, type TrainResult } from './train.ts';
import { createTrainer, type Trainer } from './trainer.ts';
import type { QuantizedTraining } from './weights.ts';

/** Options of {@link finetune}. */
export interface FinetuneOptions extends TrainOptions {
  /**
   * k-means: weights move and each centroid becomes its members' mean (`mean`, the lab's rule, unless given), or
   * centroids move by the sum of their members' gradients (`gradient`, Deep Compression) or by its mean
   * (`mean-gradient`). A sum over thousands of members is thousands of times a mean: at the lab's rate of 0.01 it takes
   * a network apart, and wants a rate smaller by as much.
   */
  centroids?: QuantizedTraining['centroids'];
  /** k-means by the lab's rule: weights move to their nearest centroid every so many steps; 0 never. */
  reassignEvery?: number;
  /** Linear: step sizes are trained too (LSQ). */
  learnedStep?: boolean;
  /** Linear: how far each batch moves the activations' ranges (moving-average observers; 0.01); 0 as calibrated. */
  observe?: number;
  /** k-means: training images over which batch norm's statistics are estimated again at the end; 0 leaves them. */
  reestimate?: number;
  /** After each epoch; true stops. The model is of that moment, without averages. */
  onEpoch?: (epoch: number, model: () => Promise<QuantizedModel>) => Promise<boolean | undefined>;
}

/**
 * Fine-tunes a quantized model with its precision in the forward pass (quantization-aware training).
 *
 * k-means (Han et al., Deep Compression, 2016): weights are codebook[codes]; codes stay, centroids move; batch norm
 * and biases train normally. Linear (Jacob et al., 2018): batch norm is folded first, weights are rounded per channel
 * and activations to int8 with straight-through gradients (Bengio et al., 2013); the result is the integer-only
 * model. A batch norm that no convolution can take in (after a sum, a pool, the image itself) stays a layer whose
 * scale and shift are trained in float and whose statistics are kept. `learnedStep` trains the weights' step sizes
 * (Esser et al., LSQ, 2020).
 *
 * A network of ONNX's operators becomes `{ graph: { input, nodes, output }, parameters }` where it consists of what can
 * be trained; a softmax at its end is left out.
 *
 * @returns the fine-tuned model, ready for `compile` and `writeModelFile`, the checkpoint, and the log
 * @throws what `train` throws
 * @example
 * const quantized = await quantizeModel(runtime, model, { method: 'kmeans', bits: 2 });
 * const { model: tuned } = await finetune(runtime, quantized, { images, labels }, { steps: 200, batch: 32 });
 */
export async function finetune(
  runtime: Runtime,
  quantized: QuantizedModel,
  data: TrainingData,
  options: FinetuneOptions = {},
): Promise<TrainResult<QuantizedModel>> {
  checkRuntime(runtime);
  return guardOf(runtime.device).operation(() => finetuneSteps(runtime, quantized, data, options));
}

async function finetuneSteps(
  runtime: Runtime,
  given: QuantizedModel,
  data: TrainingData,
  options: FinetuneOptions,
): Promise<TrainResult<QuantizedModel>> {
  const { centroids = 'mean', reassignEvery = 0, learnedStep = false, observe = 0, reestimate = 0 } = options;
  checkFinetuning(given, { centroids, reassignEvery, observe, reestimate });
  const quantized = quantizedImageForm(given);
  const { trainer, start, folded } = await createFinetuner(runtime, quantized, options);
  const linear = quantized.method === 'linear';
  const current = async (): Promise<QuantizedModel> => {
    const layers = await trainer.quantized();
    const observed = await trainer.activations();
    const model = await trainer.model();
    if (!folded) return { ...quantized, layers, model };
    const names = [...quantized.activations.keys()];
    const activations = new Map(names.map((name) => [name, observed.get(folded.names.get(name) ?? name)!]));
    return { ...quantized, layers, activations, model: folded.unfold(model) };
  };
  try {
    const settings = { rate: linear ? 0.002 : 0.01, ...options };
    const { step, log, checkpoint } = await runSteps(trainer, start, data, settings, {
      kept: {
        centroids: centroids === 'mean' ? undefined : centroids,
        reassignEvery: reassignEvery || undefined,
        learnedStep: learnedStep || undefined,
        observe: observe || undefined,
      },
      async afterStep(at, perEpoch) {
        if (reassignEvery > 0 && at % reassignEvery === 0) await trainer.reassign();
        return at % perEpoch === 0 && (await options.onEpoch?.(at / perEpoch, current)) === true;
      },
    });
    trainer.useAverage();
    // Who interrupts a run does not wait for more.
    if (reestimate > 0 && !options.signal?.aborted) {
      const perImage = data.images.length / data.labels.length;
      await trainer.reestimate(data.images.subarray(0, reestimate * perImage), options.signal);
    }
    return { model: await current(), checkpoint, step, log };
  } finally {
    trainer.destroy();
  }
}

/** Refuses settings that contradict each other; needs no network, so that a command can ask before it reads one. */
export function checkFinetuning(
  { method }: Pick<QuantizedModel, 'method'>,
  options: Required<Pick<FinetuneOptions, 'centroids' | 'reassignEvery' | 'observe' | 'reestimate'>>,
): void {
  const { centroids, reassignEvery, observe, reestimate } = options;
  check(
    reassignEvery === 0 || (method === 'kmeans' && centroids === 'mean'),
    "re-assignment needs weights that move: method kmeans with centroids 'mean'",
    `${method}, ${centroids}`,
    "pass centroids: 'mean', or reassignEvery: 0",
  );
  check(observe >= 0 && observe <= 1, 'observe must be from 0 to 1', observe);
  check(observe === 0 || method === 'linear', 'only linear quantization observes activations', method);
  check(
    reestimate === 0 || method === 'kmeans',
    'batch norm is folded in linear quantization and has no statistics to estimate again',
    `reestimate ${reestimate}`,
  );
}

/** The trainer that `finetune` steps: tests hold its fake-quantized logits against the integer model's. */
export async function createFinetuner(
  runtime: Runtime,
  quantized: QuantizedModel,
  options: FinetuneOptions,
): Promise<{ trainer: Trainer; start: ImageModel; folded?: Folded }> {
  const network = imageModel(quantized.model, 'training');
  const folded = quantized.method === 'linear' ? foldModel(network) : undefined;
  const start = folded?.model ?? network;
  const trainer = await createTrainer(runtime, start, {
    ...options,
    quantized: quantized.layers,
    keepStatistics: folded !== undefined,
    activations: folded && withoutNorms(quantized.activations, folded),
    training: {
      centroids: options.centroids ?? 'mean',
      learnedStep: options.learnedStep ?? false,
      observe: options.observe ?? 0,
    },
  });
  return { trainer, start, folded };
}

/** Activations by the names that they have in the folded model. */
function withoutNorms(activations: QuantizedModel['activations'], { names }: Folded) {
  return new Map<string, ActivationQparams>(
    [...activations].map(([name, grid]) => [names.get(name) ?? name, grid]),
  );
}
