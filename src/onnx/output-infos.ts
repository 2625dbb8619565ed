import { LloydError } from '../gpu/errors.ts';
import { concreteGraph } from '../graph/concrete.ts';
import type { Dim, GraphModel, ShapeOptions, ValueInfo } from '../graph/graph.ts';

/** Sizes of images are multiples of it while shapes are inferred: networks halve them, and join the halves. */
const STEP = 64;

/**
 * What is known of a graph's outputs: dtype and shape, with the inputs' symbols where a size is one of them, and
 * `<output>:<axis>` where it follows from some. An output is missing where its operators don't run here.
 */
export function outputInfos(model: GraphModel): Map<string, ValueInfo> {
  const symbols = symbolsOf(model);
  try {
    // A size that is a symbol's value under two assignments is that symbol; one that is the same under both is fixed.
    const [first, second] = [0, 1].map((round) => {
      const shapes = Object.fromEntries([...symbols].map(([symbol, sizes]) => [symbol, sizes[round]]));
      return round === 1 && symbols.size === 0 ? null : shapesOf(model, shapes);
    });
    return new Map(
      model.graph.outputs.map((name) => {
        const { dtype, dims } = first!.get(name)!;
        const others = (second ?? first!).get(name)!.dims;
        const shape = dims.map((size, axis): Dim => {
          if (size === others[axis]) return size;
          const same = [...symbols].find(([, [a, b]]) => a === size && b === others[axis]);
          return same ? same[0] : `${name}:${axis}`;
        });
        return [name, { name, dtype, shape }];
      }),
    );
  } catch (error) {
    if (!(error instanceof LloydError)) throw error;
    return new Map();
  }
}

const shapesOf = (model: GraphModel, shapes: ShapeOptions) => concreteGraph(model, { shapes }).values;

/** Two sizes for every symbol, all different; small ones for batches, which are the first axis of an input. */
function symbolsOf({ graph }: GraphModel): Map<string, readonly [number, number]> {
  const first = new Map<string, boolean>();
  for (const { shape } of graph.inputs) {
    for (const [axis, dim] of shape.entries()) {
      if (typeof dim === 'string') first.set(dim, axis === 0 && (first.get(dim) ?? true));
    }
  }
  return new Map(
    [...first].map(([symbol, isBatch], i) => {
      const unit = isBatch ? 1 : STEP;
      return [symbol, [unit * (2 * i + 2), unit * (2 * i + 3)]];
    }),
  );
}
