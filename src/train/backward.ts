import type { Call } from '../gpu/kernel.ts';
import { averagePool2dGradientKernel } from '../kernels/average-pool2d-gradient.ts';
import { batchNormGradientKernel } from '../kernels/batch-norm-gradient.ts';
import { batchNormGradientSumsKernel } from '../kernels/batch-norm-gradient-sums.ts';
import { conv2dFilterGradientKernel } from '../kernels/conv2d-filter-gradient.ts';
import { conv2dInputGradientKernel } from '../kernels/conv2d-input-gradient.ts';
import { fakeQuantizeGradientKernel } from '../kernels/fake-quantize-gradient.ts';
import { maxPool2dGradientKernel } from '../kernels/max-pool2d-gradient.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import { type Builder, SPLIT_PIXELS, type Stages } from './builder.ts';
import { outputPixels, planFilterGradient, planInputGradient, poolParams, vectorsOf } from './geometry.ts';
import type { TrainedLayer } from './layers.ts';
import { descend } from './weights.ts';

/** Binds a layer's backward pass; the gradient of its output is in `gradients[0]`, and its input's will be. */
export async function bindBackward(
  builder: Builder,
  layer: TrainedLayer,
  input: GPUBuffer,
  stages: Stages,
  first: boolean,
): Promise<{ backward: Call[]; update: Call[] }> {
  const { workshop, options, gradients, partial, descent, state } = builder;
  const { batch } = options;
  const swap = () => gradients.reverse();
  const backward: Call[] = [];
  if (stages.rounding) {
    const { qparams, range } = stages.rounding;
    const bound = { input: stages.normal!, gradient: gradients[0], qparams, output: gradients[1] };
    backward.push(await workshop.bind(fakeQuantizeGradientKernel, bound, range));
    swap();
  }
  if (layer.kind !== 'conv') {
    const bound = { gradient: gradients[0], inputGradient: gradients[1] };
    const geometry = poolParams(layer, batch);
    if (layer.kind === 'maxPool')
      backward.push(await workshop.bind(maxPool2dGradientKernel, { input, ...bound }, geometry));
    else backward.push(await workshop.bind(averagePool2dGradientKernel, bound, geometry));
    swap();
    return { backward, update: [] };
  }
  const sums = stages.sums!;
  const statistics = stages.statistics!;
  const affine = stages.affine!;
  const vectors = vectorsOf(layer.shape);
  const pixelCount = outputPixels(layer, batch);
  const { low, high } = layer;
  const affineGradient = workshop.empty(vectors * 32, `${layer.name} affine gradient`);
  const splits = Math.ceil(pixelCount / SPLIT_PIXELS);
  const own = { input: sums, gradient: gradients[0], statistics, affine };
  backward.push(
    await workshop.bind(
      batchNormGradientSumsKernel,
      { ...own, partial },
      { pixelCount, vectors, chunk: SPLIT_PIXELS, low, high },
    ),
    await workshop.bind(sumSplitsKernel, { partial, output: affineGradient }, { count: vectors * 8, splits }),
    await workshop.bind(
      batchNormGradientKernel,
      { ...own, sums: affineGradient, output: gradients[1] },
      { pixelCount, vectors, low, high, frozen: layer.norm ? 0 : 1 },
    ),
  );
  swap();
  const weights = builder.weights.get(layer.name)!;
  const filter = planFilterGradient(layer, batch);
  backward.push(
    await workshop.bind(
      conv2dFilterGradientKernel,
      { input, gradient: gradients[0], partial },
      filter.params,
      filter.specialization,
    ),
    await workshop.bind(
      sumSplitsKernel,
      { partial, output: weights.gradient },
      { count: filter.length, splits: filter.splits },
    ),
  );
  if (!first) {
    const plan = planInputGradient(layer, batch);
    backward.push(
      await workshop.bind(
        conv2dInputGradientKernel,
        { gradient: gradients[0], weights: weights.effective, inputGradient: gradients[1] },
        plan.params,
        plan.specialization,
      ),
    );
    swap();
  }
  const stem = layer.norm ?? layer.name;
  const velocity = workshop.empty(vectors * 32, `${stem}.affine velocity`);
  state.set(`velocity.${stem}.affine`, velocity);
  // Without a batch norm the scale stays 1 and only the second row, the bias, moves.
  const begin = layer.norm ? 0 : vectors * 4;
  const step = await descend(
    workshop,
    { ...descent, weightDecay: 0 },
    { weights: affine, gradient: affineGradient },
    velocity,
    vectors * 8 - begin,
    begin,
  );
  return { backward, update: [...weights.update, step] };
}
