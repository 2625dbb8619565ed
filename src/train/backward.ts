import type { Call } from '../gpu/call.ts';
import { averagePool2dGradientKernel } from '../kernels/average-pool2d-gradient.ts';
import { batchNormGradientKernel } from '../kernels/batch-norm-gradient.ts';
import { batchNormGradientSumsKernel } from '../kernels/batch-norm-gradient-sums.ts';
import { fakeQuantizeGradientKernel } from '../kernels/fake-quantize-gradient.ts';
import { maxPool2dGradientKernel } from '../kernels/max-pool2d-gradient.ts';
import type { Builder, Stages } from './builder.ts';
import { bindFilterGradient, bindInputGradient } from './convolution.ts';
import { LARGEST, outputPixels, poolParams, vectorsOf } from './geometry.ts';
import { type AffineLayer, normOf, type TrainedAdd, type TrainedConv, type TrainedLayer } from './layers.ts';
import { bindSum, reductionChunk } from './reductions.ts';
import { descend } from './weights.ts';

/** A layer's backward pass, and the gradients of its inputs: null where nothing needs one. */
export interface Backward {
  backward: Call[];
  update: Call[];
  gradients: (GPUBuffer | null)[];
}

/** Binds a layer's backward pass from the gradient of its output, which it gives back to the pool. */
export async function bindBackward(
  builder: Builder,
  layer: TrainedLayer,
  stages: Stages,
  gradient: GPUBuffer,
  wanted: boolean,
): Promise<Backward> {
  const { workshop, options, gradients } = builder;
  const { batch } = options;
  const backward: Call[] = [];
  let current = gradient;
  /** Binds one call from the current gradient to the next. */
  const pass = async (bind: (from: GPUBuffer, to: GPUBuffer) => Promise<Call>) => {
    const next = gradients.take();
    backward.push(await bind(current, next));
    gradients.give(current);
    current = next;
  };
  if (stages.rounding) {
    const { qparams, range } = stages.rounding;
    await pass((from, to) =>
      workshop.bind(
        fakeQuantizeGradientKernel,
        { input: stages.normal!, gradient: from, qparams, output: to },
        range,
      ),
    );
  }
  if (layer.kind === 'conv') return convBackward(builder, layer, stages, current, wanted, backward);
  if (layer.kind === 'norm') {
    const { normalized, step } = await normBackward(builder, layer, stages, current, backward);
    return { backward, update: [step], gradients: [normalized] };
  }
  if (layer.kind === 'add') {
    if (layer.low > -LARGEST) {
      const mask = await clampMask(builder, layer, stages.normal ?? stages.output);
      await pass(mask);
    }
    return { backward, update: [], gradients: [current, gradients.share(current)] };
  }
  const params = poolParams(layer, batch);
  await pass((from, to) =>
    layer.kind === 'maxPool'
      ? workshop.bind(
          maxPool2dGradientKernel,
          { input: stages.inputs[0], gradient: from, inputGradient: to },
          params,
        )
      : workshop.bind(averagePool2dGradientKernel, { gradient: from, inputGradient: to }, params),
  );
  return { backward, update: [], gradients: [current] };
}

/** The gradient through a clamp, by what it left: batch norm's that changes nothing else. */
async function clampMask({ workshop, options }: Builder, layer: TrainedAdd, input: GPUBuffer) {
  const vectors = vectorsOf(layer.shape);
  const rows = (first: number, second: number) =>
    new Float32Array(vectors * 8).fill(first, 0, vectors * 4).fill(second, vectors * 4);
  const statistics = workshop.upload(rows(0, 1), `${layer.name} statistics`);
  const affine = workshop.upload(rows(1, 0), `${layer.name} affine`);
  const { low, high } = layer;
  const params = { pixelCount: outputPixels(layer, options.batch), vectors, low, high, frozen: 1 };
  return (from: GPUBuffer, to: GPUBuffer) =>
    workshop.bind(
      batchNormGradientKernel,
      { input, gradient: from, statistics, affine, sums: affine, output: to },
      params,
    );
}

/**
 * The gradients through a clamp, scale, shift and normalization, from that of what they left, which goes back to the
 * pool: by what was normalized, and a step of the scale and shift.
 */
async function normBackward(
  builder: Builder,
  layer: AffineLayer,
  stages: Stages,
  gradient: GPUBuffer,
  backward: Call[],
): Promise<{ normalized: GPUBuffer; step: Call }> {
  const { workshop, options, kernels, gradients, partial, descent, state } = builder;
  const statistics = stages.statistics!;
  const affine = stages.affine!;
  const vectors = vectorsOf(layer.shape);
  const pixelCount = outputPixels(layer, options.batch);
  const { low, high } = layer;
  const norm = normOf(layer);
  const affineGradient = workshop.empty(vectors * 32, `${layer.name} affine gradient`);
  const chunk = reductionChunk(kernels, pixelCount, vectors);
  const own = { input: stages.sums!, gradient, statistics, affine };
  const normalized = gradients.take();
  backward.push(
    await workshop.bind(
      batchNormGradientSumsKernel,
      { ...own, partial },
      { pixelCount, vectors, chunk, low, high },
    ),
    await bindSum(
      workshop,
      kernels,
      { partial, output: affineGradient },
      vectors * 8,
      Math.ceil(pixelCount / chunk),
    ),
    await workshop.bind(
      batchNormGradientKernel,
      { ...own, sums: affineGradient, output: normalized },
      { pixelCount, vectors, low, high, frozen: norm && !options.keepStatistics ? 0 : 1 },
    ),
  );
  gradients.give(gradient);
  const stem = norm ?? layer.name;
  const velocity = workshop.empty(vectors * 32, `${stem}.affine velocity`);
  state.set(`velocity.${stem}.affine`, velocity);
  // Without a batch norm the scale stays 1 and only the second row, the bias, moves.
  const begin = norm ? 0 : vectors * 4;
  const step = await descend(
    workshop,
    { ...descent, weightDecay: 0 },
    { weights: affine, gradient: affineGradient },
    velocity,
    vectors * 8 - begin,
    begin,
  );
  return { normalized, step };
}

async function convBackward(
  builder: Builder,
  layer: TrainedConv,
  stages: Stages,
  gradient: GPUBuffer,
  wanted: boolean,
  backward: Call[],
): Promise<Backward> {
  const { workshop, options, kernels, gradients, partial } = builder;
  const { batch } = options;
  const [input] = stages.inputs;
  const { normalized, step } = await normBackward(builder, layer, stages, gradient, backward);
  const weights = builder.weights.get(layer.name)!;
  const parts = { input, gradient: normalized, partial, output: weights.gradient };
  backward.push(...(await bindFilterGradient(workshop, kernels, layer, batch, parts)));
  let inputGradient: GPUBuffer | null = null;
  if (wanted) {
    inputGradient = gradients.take();
    const operands = { gradient: normalized, weights: weights.effective, inputGradient };
    backward.push(...(await bindInputGradient(workshop, kernels, layer, batch, operands)));
  }
  gradients.give(normalized);
  return { backward, update: [...weights.update, step], gradients: [inputGradient] };
}
