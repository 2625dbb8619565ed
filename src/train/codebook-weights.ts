import type { TileLayout } from '../conv/weight-layout.ts';
import type { Call } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import { codebookGatherKernel } from '../kernels/codebook-gather.ts';
import { codebookGradientKernel } from '../kernels/codebook-gradient.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import { groupOf } from '../lower/layer-codes.ts';
import type { CodebookLayer } from '../model/quantized-model.ts';
import {
  type Descent,
  descend,
  type QuantizedTraining,
  type State,
  type TrainedWeights,
  type Workshop,
} from './weights.ts';

/** Weights that are codebook[codes]: the centroids move, by their gradient or as their members' mean. */
export async function codebookWeights(
  workshop: Workshop,
  descent: Descent,
  name: string,
  layer: CodebookLayer,
  layout: TileLayout,
  rule: QuantizedTraining['centroids'],
): Promise<TrainedWeights> {
  const { codebook } = layer;
  const segments = codebook.length;
  const clusters = segments / (layer.groups ?? 1);
  // The first entry of each element's codebook; an entry numbers the values of all of them.
  const bases = Uint32Array.from(layer.codes, (_, i) => groupOf(i, layer) * clusters);
  const { runtime } = workshop;
  let current = layer.codes.slice();
  const positions = realPositions(layout);
  // Padded elements decode to the first centroid: they meet zeros in the input, or channels scaled by zero.
  const entryBuffer = workshop.empty(layout.length * 4, `${name}.entries`);
  const members = workshop.empty(positions.length * 4, `${name} members`);
  const offsets = workshop.empty((segments + 1) * 4, `${name} offsets`);
  const load = () => {
    const tiled = new Uint32Array(layout.length);
    const starts = new Uint32Array(segments + 1);
    for (let i = 0; i < positions.length; i++) {
      const entry = bases[i] + current[i];
      tiled[positions[i]] = entry;
      starts[entry + 1]++;
    }
    for (let k = 0; k < segments; k++) starts[k + 1] += starts[k];
    const sorted = new Uint32Array(positions.length);
    const next = starts.slice();
    for (let i = 0; i < positions.length; i++) sorted[next[bases[i] + current[i]]++] = positions[i];
    runtime.write(entryBuffer, tiled);
    runtime.write(offsets, starts);
    runtime.write(members, sorted);
  };
  load();
  const centroids = workshop.upload(codebook, `${name}.codebook`);
  const effective = workshop.empty(layout.length * 4, `${name}.weight`);
  const gradient = workshop.empty(layout.length * 4, `${name}.weight gradient`);
  const decode = await workshop.bind(
    codebookGatherKernel,
    { entries: entryBuffer, codebook: centroids, output: effective },
    { count: layout.length },
  );
  const splits = Math.max(1, Math.min(256, Math.ceil(positions.length / segments / 64)));
  const partial = workshop.empty(splits * segments * 4, `${name} partial sums`);
  const sumMembers = async (values: GPUBuffer, output: GPUBuffer, mean: number) => [
    await workshop.bind(
      codebookGradientKernel,
      { members, offsets, values, partial },
      { segments, splits, mean },
    ),
    await workshop.bind(sumSplitsKernel, { partial, output }, { count: segments, splits }),
  ];
  let recenter: Call[] | undefined;
  const state: State = new Map([[`${name}.codebook`, centroids]]);
  const update: Call[] = [];
  if (rule !== 'mean') {
    const sums = workshop.empty(segments * 4, `${name}.codebook gradient`);
    const velocity = workshop.empty(segments * 4, `${name}.codebook velocity`);
    state.set(`velocity.${name}.codebook`, velocity);
    update.push(...(await sumMembers(gradient, sums, rule === 'mean-gradient' ? 1 : 0)));
    update.push(await descend(workshop, descent, { weights: centroids, gradient: sums }, velocity, segments));
  } else {
    const velocity = workshop.empty(layout.length * 4, `${name}.weight velocity`);
    state.set(`velocity.${name}.weight`, velocity);
    update.push(await descend(workshop, descent, { weights: effective, gradient }, velocity, layout.length));
    update.push(...(await sumMembers(effective, centroids, 1)));
  }
  return {
    effective,
    gradient,
    prepare: [decode],
    update,
    state,
    codes: () => current,
    setCodes(restored) {
      const highest = restored.reduce((most, code) => Math.max(most, code), 0);
      check(
        restored.length === current.length && highest < clusters,
        `${name} must have ${current.length} codes below ${clusters}`,
        `${restored.length} codes up to ${highest}`,
        'the checkpoint is damaged',
      );
      current = restored.slice();
      load();
    },
    async reassign() {
      // Before the next decode the buffer still holds the weights the step moved.
      const tiled = new Float32Array(await runtime.read(effective));
      const values = new Float32Array(await runtime.read(centroids));
      // A new array, as the old one was handed out. No view a weight: it would take longer than the search.
      current = current.slice();
      for (let i = 0; i < current.length; i++) {
        const weight = tiled[positions[i]];
        const base = bases[i];
        let least = Math.abs(values[base + current[i]] - weight);
        for (let k = 0; k < clusters; k++) {
          const distance = Math.abs(values[base + k] - weight);
          if (distance < least) {
            least = distance;
            current[i] = k;
          }
        }
      }
      load();
      recenter ??= await sumMembers(effective, centroids, 1);
      runtime.submit(recenter);
    },
  };
}

/** Where each OIHW element lies in the tiled order. */
function realPositions(layout: TileLayout): Uint32Array {
  const { shape, tileChannels, paddedChannels } = layout;
  const taps = shape.kernelHeight * shape.kernelWidth;
  const row = shape.inChannels * taps;
  return Uint32Array.from({ length: shape.outChannels * row }, (_, i) => {
    const o = Math.floor(i / row);
    const c = Math.floor(i / taps) % shape.inChannels;
    const at = (Math.floor(o / tileChannels) * taps + (i % taps)) * paddedChannels + c;
    return at * tileChannels + (o % tileChannels);
  });
}
