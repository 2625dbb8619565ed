import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type ConvLayer, fuseGraph } from '../model/fuse.ts';
import type { GraphNode, Model } from '../model/graph.ts';
import { type ActivationQparams, foldedWeights, type QuantizedModel } from '../model/precision.ts';
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
 * model. `learnedStep` trains the weights' step sizes (Esser et al., LSQ, 2020).
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
  const { centroids = 'mean', reassignEvery = 0, learnedStep = false, observe = 0, reestimate = 0 } = options;
  checkFinetuning(quantized, { centroids, reassignEvery, observe, reestimate });
  const { trainer, start } = await createFinetuner(runtime, quantized, options);
  const linear = quantized.method === 'linear';
  const current = async (): Promise<QuantizedModel> => {
    const layers = await trainer.quantized();
    const activations = normNames(quantized, await trainer.activations());
    const trained = await trainer.model();
    return {
      ...quantized,
      layers,
      activations,
      model: linear ? unfoldInto(quantized.model, trained) : trained,
    };
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
      await trainer.reestimate(data.images.subarray(0, reestimate * perImage));
    }
    return { model: await current(), checkpoint, step, log };
  } finally {
    trainer.destroy();
  }
}

function checkFinetuning(
  { method }: QuantizedModel,
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
): Promise<{ trainer: Trainer; start: Model }> {
  const linear = quantized.method === 'linear';
  const start = linear ? foldModel(quantized.model) : quantized.model;
  const trainer = await createTrainer(runtime, start, {
    ...options,
    quantized: quantized.layers,
    activations: linear ? convNames(quantized) : undefined,
    training: {
      centroids: options.centroids ?? 'mean',
      learnedStep: options.learnedStep ?? false,
      observe: options.observe ?? 0,
    },
  });
  return { trainer, start };
}

const normsOf = ({ model }: QuantizedModel) => model.graph.nodes.filter(({ op }) => op === 'batchNorm');

/** Activations by the names they have without batch norms: one that ends in a batch norm is its convolution's. */
function convNames(quantized: QuantizedModel): Map<string, ActivationQparams> {
  const activations = new Map(quantized.activations);
  for (const { name, inputs } of normsOf(quantized)) {
    const own = activations.get(name);
    if (own) activations.set(inputs[0], own);
  }
  return activations;
}

/** The inverse of {@link convNames}. */
function normNames(
  quantized: QuantizedModel,
  trained: Map<string, ActivationQparams>,
): Map<string, ActivationQparams> {
  for (const { name, inputs } of normsOf(quantized)) {
    if (!quantized.activations.has(name)) continue;
    trained.set(name, trained.get(inputs[0])!);
    trained.delete(inputs[0]);
  }
  return trained;
}

/** The network without its batch norms: folded into the weights and biases before them. */
function foldModel(model: Model): Model {
  const parameters = new Map<string, Tensor>();
  for (const conv of fuseGraph(model).filter((layer): layer is ConvLayer => layer.kind === 'conv2d')) {
    const { dims } = model.parameters.get(`${conv.name}.weight`)!;
    parameters.set(`${conv.name}.weight`, { dtype: 'float32', dims, data: foldedWeights(conv) });
    parameters.set(`${conv.name}.bias`, { dtype: 'float32', dims: [conv.shift.length], data: conv.shift });
  }
  const source = new Map(
    model.graph.nodes.filter(({ op }) => op === 'batchNorm').map(({ name, inputs }) => [name, inputs[0]]),
  );
  const nodes = model.graph.nodes
    .filter(({ op }) => op !== 'batchNorm')
    .map((node) => ({ ...node, inputs: node.inputs.map((name) => source.get(name) ?? name) }) as GraphNode);
  return { graph: { ...model.graph, nodes }, parameters };
}

/** Trained folded parameters in the graph that had batch norms: each becomes the bias it now stands for. */
function unfoldInto(original: Model, trained: Model): Model {
  const parameters = new Map(trained.parameters);
  const { nodes } = original.graph;
  for (const node of nodes) {
    if (node.op !== 'batchNorm') continue;
    const conv = node.inputs[0];
    const bias = parameters.get(`${conv}.bias`)!;
    parameters.delete(`${conv}.bias`);
    const constant = (value: number): Tensor => ({
      dtype: 'float32',
      dims: bias.dims,
      data: new Float32Array(bias.data.length).fill(value),
    });
    parameters.set(`${node.name}.weight`, constant(1));
    parameters.set(`${node.name}.bias`, bias);
    parameters.set(`${node.name}.running_mean`, constant(0));
    parameters.set(`${node.name}.running_var`, constant(1 - (node.epsilon ?? 1e-5)));
  }
  return { graph: original.graph, parameters };
}
