import { type TileLayout, tileWeights } from '../conv/weight-layout.ts';
import type { Call } from '../gpu/call.ts';
import { fakeQuantizeKernel } from '../kernels/fake-quantize.ts';
import { fakeQuantizeGradientKernel } from '../kernels/fake-quantize-gradient.ts';
import { stepSizeGradientKernel } from '../kernels/step-size-gradient.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import type { LinearLayer } from '../model/quantized-model.ts';
import { type Descent, descend, type State, type TrainedWeights, type Workshop } from './weights.ts';

/** Weights that a forward pass rounds to integers times a step size a channel (straight-through estimator, LSQ). */
export async function roundedWeights(
  workshop: Workshop,
  descent: Descent,
  name: string,
  weight: Float32Array,
  { bits, scale }: LinearLayer,
  layout: TileLayout,
  learnedStep: boolean,
): Promise<TrainedWeights> {
  const count = layout.length;
  const channels = layout.tileCount * layout.tileChannels;
  const block = count / layout.tileCount;
  const lanes = layout.tileChannels;
  const [quantMin, quantMax] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  const range = { count, block, lanes, quantMin, quantMax };
  const pairs = new Float32Array(channels * 2);
  for (let c = 0; c < channels; c++) pairs[c * 2] = scale[c] ?? 1;
  const qparams = workshop.upload(pairs, `${name} qparams`);
  const master = workshop.upload(tileWeights(weight, layout), `${name}.weight`);
  const velocity = workshop.empty(count * 4, `${name}.weight velocity`);
  const effective = workshop.empty(count * 4, `${name} rounded weight`);
  const gradient = workshop.empty(count * 4, `${name} rounded gradient`);
  const passed = workshop.empty(count * 4, `${name}.weight gradient`);
  const round = await workshop.bind(fakeQuantizeKernel, { input: master, qparams, output: effective }, range);
  const through = await workshop.bind(
    fakeQuantizeGradientKernel,
    { input: master, gradient, qparams, output: passed },
    range,
  );
  const update: Call[] = [through];
  const state: State = new Map([
    [`${name}.weight`, master],
    [`velocity.${name}.weight`, velocity],
    [`${name}.qparams`, qparams],
  ]);
  if (learnedStep) {
    const elements = block / lanes;
    const chunk = Math.min(256, elements);
    const splits = Math.ceil(elements / chunk);
    const real = (layout.shape.inChannels * layout.shape.kernelHeight * layout.shape.kernelWidth) as number;
    const gradientScale = 1 / Math.sqrt(real * quantMax);
    const partial = workshop.empty(splits * channels * 8, `${name} step partial sums`);
    const steps = workshop.empty(channels * 8, `${name} step gradient`);
    const stepVelocity = workshop.empty(channels * 8, `${name} step velocity`);
    state.set(`velocity.${name}.qparams`, stepVelocity);
    const bound = { input: master, gradient, qparams, partial };
    update.push(
      await workshop.bind(stepSizeGradientKernel, bound, { ...range, chunk, gradientScale }),
      await workshop.bind(sumSplitsKernel, { partial, output: steps }, { count: channels * 2, splits }),
      await descend(
        workshop,
        { ...descent, weightDecay: 0 },
        { weights: qparams, gradient: steps },
        stepVelocity,
        channels * 2,
      ),
    );
  }
  update.push(await descend(workshop, descent, { weights: master, gradient: passed }, velocity, count));
  return { effective, gradient, prepare: [round], update, state };
}
