import type { ImageModel } from '../../src/model/graph.ts';
import { toGraphModel } from '../../src/model/translate.ts';
import { interpretReference } from '../../src/reference/interpreter/interpret.ts';

/** A network's output for NHWC images, by the definitions of its operators. */
export function definedOutput(model: ImageModel, given: ArrayLike<number>): Float64Array {
  const data = Float32Array.from(given);
  const { height, width, channels } = model.graph.input;
  const dims = [data.length / (height * width * channels), height, width, channels];
  const translated = toGraphModel(model);
  const { graph } = translated;
  const image = { dtype: 'float32', dims, data };
  return interpretReference(translated, { [graph.inputs[0].name]: image })[graph.outputs[0]].data;
}
