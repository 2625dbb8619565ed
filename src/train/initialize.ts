import type { ImageModel } from '../model/graph.ts';
import { checkMap, parameterShapes } from '../model/parameters.ts';
import { seeded } from './random.ts';

/**
 * A model with fresh parameters: He's normal weights for convolutions, PyTorch's uniform ones for linear layers,
 * batch norm at 1 and 0. He et al., 2015.
 *
 * @returns a model of the same graph; the given one is unchanged
 * @example
 * const start = initialize(vgg({ widthDivisor: 8 }), { seed: 7 });
 */
export function initialize(model: ImageModel, { seed = 0 }: { seed?: number } = {}): ImageModel {
  checkMap(model.parameters, `${model.graph.name}: parameters`);
  const parameters = new Map(model.parameters);
  const kinds = new Map(model.graph.nodes.map(({ name, op }) => [name, op]));
  let index = 0;
  for (const [name, dims] of parameterShapes(model.graph)) {
    const random = seeded(seed, index++);
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
    const node = name.slice(0, name.lastIndexOf('.'));
    const field = name.slice(node.length + 1);
    if (kinds.get(node) === 'batchNorm') data.fill(field === 'weight' || field === 'running_var' ? 1 : 0);
    else if (field === 'weight') {
      const fanIn = data.length / dims[0];
      const draw =
        kinds.get(node) === 'linear'
          ? () => (random.next() * 2 - 1) / Math.sqrt(fanIn)
          : () => random.normal() * Math.sqrt(2 / fanIn);
      for (let i = 0; i < data.length; i++) data[i] = draw();
    }
    parameters.set(name, { dtype: 'float32', dims, data });
  }
  return { graph: model.graph, parameters };
}
