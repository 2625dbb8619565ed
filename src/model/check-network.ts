import { check } from '../gpu/errors.ts';
import { isImageModel, type Model } from './graph.ts';
import { checkMap, checkModel, parameterShapes } from './parameters.ts';
import type { QuantizedModel } from './quantized-model.ts';
import {
  type ActivationQparams,
  type CodebookLayer,
  isQuantized,
  type LinearLayer,
} from './quantized-model.ts';

/**
 * Checks a network of any precision against its graph: parameters, and each layer's codes with their scales or
 * codebooks.
 *
 * @throws LloydError naming what does not fit, what it should be and what it is
 */
export function checkNetwork(network: Model | QuantizedModel): void {
  const given = network as unknown;
  check(
    given !== null && typeof given === 'object' && ('graph' in given || 'model' in given),
    'a network must be a Model, or what quantizeModel makes of one',
    given,
    'vgg, readModelFile, fromLayersModel and fromGraphModel make one',
  );
  if (!isQuantized(network)) {
    checkModel(network);
    return;
  }
  const { model, method, layers, activations } = network;
  checkModel(model);
  check(
    method === 'kmeans' || method === 'linear',
    "a quantized model's method is 'kmeans' or 'linear'",
    method,
  );
  checkMap(layers, "a quantized model's layers");
  checkMap(activations, "a quantized model's activations");
  const shapes = weightShapes(model);
  for (const [name, layer] of layers) {
    const shape = shapes.get(`${name}.weight`);
    check(
      shape && shape.length > 1,
      `${model.graph.name}: codes must be those of a convolution or linear layer`,
      name,
      'quantize this model again',
    );
    checkLayer(name, layer, method, shape);
  }
  for (const [name, qparams] of activations) checkQparams(name, qparams);
}

/** Shapes of the weights that codes may stand for: outputs first. */
function weightShapes(model: Model): ReadonlyMap<string, readonly number[]> {
  if (isImageModel(model)) return parameterShapes(model.graph);
  const shapes = new Map<string, readonly number[]>();
  for (const { op, name, inputs, attributes } of model.graph.nodes) {
    if (op !== 'Conv' && op !== 'Gemm' && op !== 'MatMul') continue;
    const dims = model.parameters.get(inputs[1] ?? '')?.dims;
    if (dims) shapes.set(`${name}.weight`, op === 'Conv' || attributes.transB ? dims : [...dims].reverse());
  }
  return shapes;
}

function checkLayer(
  name: string,
  layer: CodebookLayer | LinearLayer,
  method: string,
  shape: readonly number[],
): void {
  check(layer?.method === method, `${name}: a ${method} model's layers are ${method} too`, layer?.method);
  const count = shape.reduce((a, b) => a * b, 1);
  const { codes } = layer;
  check(
    codes instanceof (layer.method === 'linear' ? Int8Array : Uint8Array) && codes.length === count,
    `${name}: codes must be ${count} in ${layer.method === 'linear' ? 'an Int8Array' : 'a Uint8Array'}, a weight each`,
    codes,
  );
  if (layer.method === 'linear') {
    check(
      layer.scale instanceof Float32Array && layer.scale.length === shape[0],
      `${name}: there must be ${shape[0]} scales in a Float32Array, one an output channel`,
      layer.scale,
    );
    return;
  }
  const { codebook, groups = 1 } = layer;
  check(
    codebook instanceof Float32Array && codebook.length > 0 && codebook.length % groups === 0,
    `${name}: a codebook must be a Float32Array of whole groups (${groups})`,
    codebook,
  );
  const clusters = codebook.length / groups;
  let high = 0;
  for (const code of codes) if (code > high) high = code;
  check(high < clusters, `${name}: codes must be below their codebook's ${clusters} entries`, high);
}

function checkQparams(name: string, qparams: ActivationQparams): void {
  const { scale, zeroPoint } = qparams ?? {};
  check(
    Number.isFinite(Math.fround(scale)) &&
      Math.fround(scale) > 0 &&
      Number.isInteger(zeroPoint) &&
      zeroPoint >= -128 &&
      zeroPoint <= 127,
    `${name}: an activation's scale must be a float32 above 0 and its zero point an integer from -128 to 127`,
    [scale, zeroPoint],
  );
}
