import type { TileLayout } from '../conv/weight-layout.ts';
import type { Call } from '../gpu/call.ts';
import { add } from '../kernels/add.ts';
import { averagePool2dKernel } from '../kernels/average-pool2d.ts';
import { batchNormKernel } from '../kernels/batch-norm.ts';
import { batchNormStatisticsKernel } from '../kernels/batch-norm-statistics.ts';
import { maxPool2dKernel } from '../kernels/max-pool2d.ts';
import { requiredParameter } from '../model/parameters.ts';
import type { Builder, Stages } from './builder.ts';
import { codebookWeights } from './codebook-weights.ts';
import { bindConv } from './convolution.ts';
import { outputPixels, poolParams, vectorsOf, weightLayout } from './geometry.ts';
import { type AffineLayer, normOf, normParameters, type TrainedConv, type TrainedLayer } from './layers.ts';
import { mergeKernel, reductionChunk } from './reductions.ts';
import { roundedWeights } from './rounded-weights.ts';
import { roundOutput, roundTo } from './rounding.ts';
import { floatWeights, type TrainedWeights } from './weights.ts';

/** Binds a layer's forward pass over the tensors it reads; the last layer's logits are rounded to no grid. */
export async function forwardStages(
  builder: Builder,
  layer: TrainedLayer,
  inputs: readonly GPUBuffer[],
  last: boolean,
): Promise<Stages> {
  if (layer.kind === 'conv') return convForward(builder, layer, inputs, last);
  if (layer.kind === 'norm') {
    const norm = await normForward(builder, layer, inputs[0]);
    return roundOutput(builder, layer, { ...norm, inputs, sums: inputs[0] });
  }
  const { workshop, options, bytesOf, grids } = builder;
  const output = workshop.empty(bytesOf(layer.shape), layer.name);
  if (layer.kind === 'add') {
    const [a, b] = inputs;
    const { low, high } = layer;
    const sum = await workshop.bind(add, { a, b, output }, { count: output.size / 16, low, high });
    return roundOutput(builder, layer, { inputs, forward: [sum], output });
  }
  const [input] = inputs;
  const [, , bottom, right] = layer.pads;
  const geometry = { ...poolParams(layer, options.batch), dilationHeight: 1, dilationWidth: 1 };
  const kernel = layer.kind === 'maxPool' ? maxPool2dKernel : averagePool2dKernel;
  const extra: Record<string, number> =
    layer.kind === 'maxPool' ? {} : { padBottom: bottom, padRight: right, includePad: 0 };
  const forward = [await workshop.bind(kernel, { input, output }, { ...geometry, ...extra })];
  const grid = grids.get(layer.inputs[0]);
  if (grid) grids.set(layer.tensor, grid);
  const stages: Stages = { inputs, forward, output };
  return layer.kind === 'averagePool' && grid ? roundTo(builder, layer, stages, grid) : stages;
}

async function convForward(
  builder: Builder,
  layer: TrainedConv,
  inputs: readonly GPUBuffer[],
  last: boolean,
): Promise<Stages> {
  const { workshop, options, bytesOf, state } = builder;
  const { name } = layer;
  const { batch } = options;
  const layout = weightLayout(layer);
  const weights = await convWeights(builder, layer, layout);
  builder.layouts.set(name, layout);
  builder.weights.set(name, weights);
  for (const [key, buffer] of weights.state) state.set(key, buffer);
  const sums = workshop.empty(bytesOf(layer.shape), `${name} sums`);
  const operands = { input: inputs[0], weights: weights.effective, output: sums };
  const convolve = await bindConv(workshop, builder.kernels, layer, batch, operands);
  const norm = await normForward(builder, layer, sums);
  const forward = [...weights.prepare, ...convolve, ...norm.forward];
  const stages: Stages = { ...norm, inputs, forward, sums };
  return last ? stages : roundOutput(builder, layer, stages);
}

async function convWeights(
  { workshop, options, descent, model }: Builder,
  layer: TrainedConv,
  layout: TileLayout,
): Promise<TrainedWeights> {
  const { name } = layer;
  const weight = requiredParameter(model, `${name}.weight`);
  const quantized = options.quantized?.get(name);
  if (!quantized) return floatWeights(workshop, descent, name, weight, layout);
  if (quantized.method === 'kmeans') {
    return codebookWeights(workshop, descent, name, quantized, layout, options.training.centroids);
  }
  return roundedWeights(workshop, descent, name, weight, quantized, layout, options.training.learnedStep);
}

/** Normalizes, scales, shifts and clamps what a convolution summed up or any other layer left. */
async function normForward(builder: Builder, layer: AffineLayer, sums: GPUBuffer) {
  const { workshop, model, options, kernels, partial, state, bytesOf } = builder;
  const vectors = vectorsOf(layer.shape);
  const pixelCount = outputPixels(layer, options.batch);
  const { gamma, beta, mean, variance } = normParameters(model, layer);
  const join = (first: ArrayLike<number>, second: ArrayLike<number>) => {
    const rows = new Float32Array(vectors * 8);
    rows.set(first, 0);
    rows.set(second, vectors * 4);
    return rows;
  };
  const norm = normOf(layer);
  const stem = norm ?? layer.name;
  const affine = workshop.upload(join(gamma, beta), `${stem}.affine`);
  const inverse = norm ? variance.map((v) => 1 / Math.sqrt(v + layer.epsilon)) : variance;
  const statistics = workshop.upload(join(mean, inverse), `${stem}.statistics`);
  const output = workshop.empty(bytesOf(layer.shape), `${layer.name} activation`);
  state.set(`${stem}.affine`, affine);
  const forward: Call[] = [];
  if (norm && !options.keepStatistics) {
    const running = workshop.upload(join(mean, variance), `${stem}.running`);
    state.set(`${stem}.running`, running);
    builder.statistics.set(stem, statistics);
    const chunk = reductionChunk(kernels, pixelCount, vectors);
    const sizes = { pixelCount, vectors, chunk };
    forward.push(
      await workshop.bind(batchNormStatisticsKernel, { input: sums, partial }, sizes),
      await workshop.bind(
        mergeKernel(kernels, Math.ceil(pixelCount / chunk)),
        { partial, statistics, running },
        { ...sizes, epsilon: layer.epsilon, momentum: 0.1 },
      ),
    );
  }
  const { low, high } = layer;
  forward.push(
    await workshop.bind(
      batchNormKernel,
      { input: sums, statistics, affine, output },
      { pixelCount, vectors, low, high },
    ),
  );
  return { forward, output, statistics, affine };
}
