// Graphs that nobody drew: each node is evaluated as it is drawn, so that only what float32 computes well is kept.
import { sizeOf } from '../../src/reference/interpreter/value.ts';
import { indexingTemplates } from './draw-indexing.ts';
import { layerTemplates } from './draw-layers.ts';
import { moveTemplates } from './draw-moves.ts';
import { pointwiseTemplates } from './draw-pointwise.ts';
import { reductionTemplates } from './draw-reductions.ts';
import { Drawing, type RandomGraph } from './drawing.ts';

const TEMPLATES = [
  ...[...pointwiseTemplates, ...layerTemplates, ...moveTemplates, ...reductionTemplates],
  ...indexingTemplates,
];

/** A graph by its seed. */
export function drawGraph(seed: number): RandomGraph {
  const d = new Drawing(seed);
  for (let count = d.random.pick([1, 1, 2, 3]); count > 0; count--) {
    const rank = d.random.pick([0, 1, 2, 3, 4, 4, 4, 4, 5]);
    const dtype = d.chance(0.9) ? d.floating : d.random.pick(['int64', 'int32', 'bool'] as const);
    const size = () => (d.chance(0.015) ? 0 : d.random.pick(d.sizes));
    const dims = Array.from({ length: rank }, size);
    while (sizeOf(dims) > 1500) dims[dims.indexOf(Math.max(...dims))] = 2;
    d.input(dtype, dims);
  }
  const wanted = d.random.integer(1, 14);
  for (let tries = 0, before = d.values.length; tries < wanted * 4; tries++) {
    if (d.values.filter(({ from }) => from === 'node').length >= wanted && d.values.length > before) break;
    d.random.pick(TEMPLATES)(d);
  }
  return d.finish();
}
