import { checkRule } from '../conv/requantize.ts';
import { quoted } from '../gpu/describe.ts';
import { check } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import {
  codebookFileOf,
  packCodes,
  parseLayout,
  unpackCodes,
  writeCodebookFile,
} from '../io/codebook-file.ts';
import { JsonReader } from '../io/json-reader.ts';
import { readSafetensors, writeSafetensors } from '../io/safetensors.ts';
import { elementCount, type Tensor as FileTensor, toFloat32 } from '../io/tensor.ts';
import { inPlaceOrder } from '../lower/conv-layers.ts';
import { fuseAnyShape, hasWeights } from '../lower/fuse.ts';
import { decodeCodebook } from '../lower/layer-codes.ts';
import { checkNetwork } from '../model/check-network.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import {
  type ActivationQparams,
  type CodebookLayer,
  isQuantized,
  type LinearLayer,
  type QuantizedModel,
} from '../model/quantized-model.ts';
import { vgg } from '../model/vgg.ts';
import { graphText, parseGraph, weightOf } from './graph-file.ts';

const LINEAR_FORMAT = 'lloyd-linear';
const LINEAR_VERSION = '1';
const DAMAGED = 'write it again';

/**
 * A model as a safetensors file that any reader opens: fp32 parameters as they are, codes packed to their width
 * beside their codebook (`<name>.codes`, `<name>.codebook`) or scales (`<name>.codes`, `<name>.scale`).
 *
 * @throws LloydError for a mixed model that no format holds, or parameters that are not what the graph says.
 * @example
 * await writeFile('vgg-int4.safetensors', writeModelFile(quantized));
 */
export function writeModelFile(
  model: Model | QuantizedModel,
  metadata: Record<string, string> = {},
): Uint8Array {
  checkNetwork(model);
  const network = isQuantized(model) ? model.model : model;
  const own = isImageModel(network) ? metadata : { ...metadata, graph: graphText(network.graph) };
  const coded = new Set(
    isQuantized(model) ? [...model.layers.keys()].map((name) => weightOf(network, name).parameter) : [],
  );
  const parameters = new Map(
    [...network.parameters]
      .filter(([name]) => !coded.has(name))
      .map(([name, tensor]) => [
        name,
        isImageModel(network) ? floatTensor(tensor as Tensor) : (tensor as FileTensor),
      ]),
  );
  if (!isQuantized(model)) return writeSafetensors(parameters, own);
  const dims = (name: string) => {
    const { parameter, inputMajor } = weightOf(network, name);
    const own = [...network.parameters.get(parameter)!.dims];
    return inputMajor ? own.reverse() : own;
  };
  if (model.method === 'kmeans') {
    const tensors = new Map(
      [...model.layers].map(([name, layer]) => {
        check(layer.method === 'kmeans', 'a k-means model holds codebook layers only', layer.method);
        const { method: _, ...coded } = layer;
        return [`${name}.weight`, { dims: dims(name), ...coded }];
      }),
    );
    return writeCodebookFile({ tensors, parameters, metadata: own });
  }
  const tensors: Map<string, FileTensor> = new Map(parameters);
  const shapes: Record<string, { dims: number[]; bits: number }> = {};
  for (const [name, layer] of model.layers) {
    check(layer.method === 'linear', 'a linear model holds linear layers only', layer.method);
    const { bits, codes, scale } = layer;
    const unsigned = new Uint8Array(codes.length);
    for (let i = 0; i < codes.length; i++) unsigned[i] = codes[i] & (2 ** bits - 1);
    const packed = packCodes(unsigned, bits);
    tensors.set(`${name}.weight.codes`, { dtype: 'uint8', dims: [packed.length], data: packed });
    tensors.set(`${name}.weight.scale`, { dtype: 'float32', dims: [scale.length], data: scale });
    shapes[name] = { dims: dims(name), bits };
  }
  return writeSafetensors(tensors, {
    ...own,
    format: LINEAR_FORMAT,
    version: LINEAR_VERSION,
    bits: String(model.bits),
    requantize: model.requantize,
    layers: JSON.stringify(shapes),
    activations: JSON.stringify(Object.fromEntries(model.activations)),
  });
}

/**
 * Bytes of {@link writeModelFile}'s result.
 *
 * @example
 * console.log(`${modelFileBytes(quantized) / 2 ** 20} MiB`);
 */
export function modelFileBytes(model: Model | QuantizedModel): number {
  return writeModelFile(model).byteLength;
}

/**
 * Reads what {@link writeModelFile} wrote, or any state dict in safetensors.
 *
 * @param build makes the network from its parameters; by default the VGG of the width the file has.
 * @throws LloydError for a damaged file (a layer, scale or activation missing, out of range or of another size), a
 *   missing parameter, or another format or version.
 * @example
 * const model = readModelFile(await readFile('vgg-int4.safetensors'));
 */
export function readModelFile(
  bytes: Uint8Array,
  build?: (parameters: ReadonlyMap<string, Tensor>) => Model,
): Model | QuantizedModel {
  const safetensors = readSafetensors(bytes);
  return readWith(safetensors, build ?? builderOf(safetensors.metadata));
}

/** What makes the network: the graph that the file holds, or the VGG of its parameters. */
function builderOf({ graph }: Record<string, string>): (parameters: ReadonlyMap<string, Tensor>) => Model {
  if (graph === undefined) return (parameters) => vgg({ parameters });
  const read = parseGraph(graph);
  return (parameters) => ({ graph: read, parameters: parameters as ReadonlyMap<string, OnnxTensor> });
}

function readWith(
  safetensors: ReturnType<typeof readSafetensors>,
  build: (parameters: ReadonlyMap<string, Tensor>) => Model,
): Model | QuantizedModel {
  const { tensors, metadata } = safetensors;
  if (metadata.format === LINEAR_FORMAT) return readLinear(tensors, metadata, build);
  if (![...tensors.keys()].some((name) => name.endsWith('.codebook')))
    return build(tensors as Map<string, Tensor>);
  const file = codebookFileOf(safetensors);
  const parameters = new Map(file.parameters as Map<string, Tensor>);
  const layers = new Map<string, CodebookLayer>();
  let bits = 0;
  const dimsOf = new Map<string, number[]>();
  for (const [weight, { dims, ...coded }] of file.tensors) {
    const name = weight.replace(/\.weight$/, '');
    dimsOf.set(name, [...dims]);
    layers.set(name, { method: 'kmeans', ...coded });
    bits = Math.max(bits, coded.bits);
  }
  const model = buildWith(build, metadata, parameters, dimsOf);
  setWeights(model, layers, decodeCodebook);
  const known = new Set(
    fuseAnyShape(model)
      .layers.filter(hasWeights)
      .map((layer) => `${layer.name}.weight`),
  );
  for (const name of file.tensors.keys()) {
    check(known.has(name), 'a file may quantize only weights of its network', name, DAMAGED);
  }
  return { model, method: 'kmeans', bits, layers, activations: new Map(), requantize: 'ort-f32' };
}

function readLinear(
  tensors: ReadonlyMap<string, FileTensor>,
  metadata: Record<string, string>,
  build: (parameters: ReadonlyMap<string, Tensor>) => Model,
): QuantizedModel {
  const { version, requantize = 'ort-f32' } = metadata;
  check(
    version === LINEAR_VERSION,
    `a ${LINEAR_FORMAT} file's version must be ${LINEAR_VERSION}`,
    version,
    'use a newer release to read it',
  );
  checkRule(requantize);
  const bits = Number(metadata.bits);
  check(
    isWidth(bits),
    `a ${LINEAR_FORMAT} file's bits must be an integer from 2 to 8`,
    metadata.bits,
    DAMAGED,
  );
  const parameters = new Map<string, Tensor>();
  const layers = new Map<string, LinearLayer>();
  const dimsOf = new Map<string, number[]>();
  for (const [name, tensor] of tensors) {
    if (!/\.weight\.(codes|scale)$/.test(name)) parameters.set(name, tensor as Tensor);
  }
  for (const [name, { dims, bits }] of parseLayout(metadata.layers)) {
    const layer = readLinearLayer(tensors, name, dims, bits);
    layers.set(name, layer);
    dimsOf.set(name, dims);
  }
  const floats = new Set(parameters.keys());
  const model = buildWith(build, metadata, parameters, dimsOf);
  const activations = parseActivations(metadata.activations);
  checkComplete(model, floats, { layers, activations, requantize });
  setWeights(model, layers, unfolded);
  return { model, method: 'linear', bits, layers, activations, requantize };
}

const isWidth = (bits: number) => Number.isInteger(bits) && bits >= 2 && bits <= 8;

function readLinearLayer(
  tensors: ReadonlyMap<string, FileTensor>,
  name: string,
  dims: number[],
  bits: number,
): LinearLayer {
  const packed = tensors.get(`${name}.weight.codes`);
  const scale = tensors.get(`${name}.weight.scale`);
  const layer = quoted(name);
  check(packed && scale, `${layer}: a linear layer has codes and scales`, 'a file without them', DAMAGED);
  check(isWidth(bits), `${layer}: linear bits must be an integer from 2 to 8`, bits, DAMAGED);
  const stored = `${packed.dtype} and ${scale.dtype}`;
  check(
    packed.dtype === 'uint8' && scale.dtype === 'float32',
    `${layer}: codes must be uint8 and scales float32`,
    stored,
    DAMAGED,
  );
  const scales = scale.data as Float32Array;
  check(
    scales.length === dims[0] && scales.every((value) => value > 0 && value < Infinity),
    `${layer}: it must have ${dims[0]} positive, finite scales, one an output channel`,
    scales.find((value) => !(value > 0 && value < Infinity)) ?? scales.length,
    DAMAGED,
  );
  const unsigned = unpackCodes(packed.data as Uint8Array, bits, elementCount(dims));
  const codes = new Int8Array(unsigned.length);
  for (let i = 0; i < codes.length; i++) codes[i] = (unsigned[i] << (32 - bits)) >> (32 - bits);
  return { method: 'linear', bits, codes, scale: scales };
}

function parseActivations(text: string | undefined): Map<string, ActivationQparams> {
  const activations = new Map<string, ActivationQparams>();
  const json = new JsonReader(text ?? '', `a ${LINEAR_FORMAT} file's activations`);
  json.object((name) => {
    const fields: Record<string, number | undefined> = { scale: undefined, zeroPoint: undefined };
    if (json.peek() === '{') {
      json.object((key) => {
        const value = json.finite();
        if (value === undefined) json.skip();
        else if (key in fields) fields[key] = value;
      });
    } else json.skip();
    const { scale = 0, zeroPoint = Number.NaN } = fields;
    check(
      Math.fround(scale) > 0 && Math.fround(scale) < Infinity,
      `activation ${quoted(name)} must have a positive scale`,
      fields.scale,
      DAMAGED,
    );
    check(
      Number.isInteger(zeroPoint) && zeroPoint >= -128 && zeroPoint <= 127,
      `activation ${quoted(name)} must have a zero point from -128 to 127`,
      fields.zeroPoint,
      DAMAGED,
    );
    activations.set(name, { scale, zeroPoint });
  });
  json.end();
  return activations;
}

/**
 * A layer or an activation that the file lacks, or has too many of, is damage: it would be found only when it runs. A
 * layer that stayed in floats has them there instead of codes.
 */
function checkComplete(
  model: Model,
  floats: ReadonlySet<string>,
  {
    layers,
    activations,
    requantize,
  }: {
    layers: ReadonlyMap<string, LinearLayer>;
    activations: ReadonlyMap<string, ActivationQparams>;
    requantize: string;
  },
): void {
  const fused = fuseAnyShape(model);
  const weighted = new Map(fused.layers.filter(hasWeights).map((layer) => [layer.name, layer]));
  for (const [name, { weight, place }] of weighted) {
    const codes = layers.get(name)?.codes;
    if (!codes && floats.has(place!.parameter)) continue;
    check(
      codes?.length === weight.length,
      `a ${LINEAR_FORMAT} file must hold the ${weight.length} codes of ${quoted(name)}`,
      codes?.length ?? 'none',
      DAMAGED,
    );
  }
  for (const name of layers.keys()) {
    check(weighted.has(name), 'a file may quantize only weights of its network', name, DAMAGED);
  }
  // What integers are made of; the lab's outputs are codes too. Other values may be floats.
  const coded = [...weighted.values()].filter(({ name }) => layers.has(name));
  const outputs = new Set(requantize === 'lab' ? fused.graph.outputs.map(fused.origin) : []);
  const ends = coded.map(({ output }) => fused.origin(output)).filter((name) => outputs.has(name));
  for (const name of [...coded.map(({ input }) => fused.origin(input)), ...ends]) {
    check(
      activations.has(name),
      `a ${LINEAR_FORMAT} file must hold the scale of ${quoted(name)}`,
      'none',
      DAMAGED,
    );
  }
}

/** The network of a file whose layers' weights are yet to be put in: zeros of their shapes. */
function buildWith(
  build: (parameters: ReadonlyMap<string, Tensor>) => Model,
  { graph }: Record<string, string>,
  parameters: Map<string, Tensor>,
  dimsOf: ReadonlyMap<string, number[]>,
): Model {
  const own = graph === undefined ? null : { graph: parseGraph(graph), parameters: new Map() };
  for (const [name, dims] of dimsOf) {
    const { parameter, inputMajor } = own
      ? weightOf(own, name)
      : { parameter: `${name}.weight`, inputMajor: false };
    const data = new Float32Array(elementCount(dims));
    parameters.set(parameter, { dtype: 'float32', dims: inputMajor ? [...dims].reverse() : [...dims], data });
  }
  return build(parameters);
}

/** Puts the weights that a file's codes stand for among the parameters that the network was built with. */
function setWeights<L>(
  model: Model,
  layers: ReadonlyMap<string, L>,
  weightsOf: (layer: L, scale: Float32Array) => Float32Array,
): void {
  const kept = model.parameters as Map<string, Tensor>;
  for (const { name, place, scale } of fuseAnyShape(model).layers.filter(hasWeights)) {
    const coded = layers.get(name);
    if (!coded) continue;
    const { parameter } = place!;
    const { dims } = kept.get(parameter)!;
    const data = inPlaceOrder(weightsOf(coded, scale), scale.length, place!);
    kept.set(parameter, { dtype: 'float32', dims, data });
  }
}

/** The weights that linear codes stand for, with the folded batch norm divided out again. */
function unfolded({ codes, scale }: LinearLayer, folded: Float32Array): Float32Array {
  const row = codes.length / scale.length;
  const weights = new Float32Array(codes.length);
  for (let o = 0; o < scale.length; o++) {
    const factor = folded[o] || 1;
    for (let i = o * row; i < (o + 1) * row; i++) weights[i] = (codes[i] * scale[o]) / factor;
  }
  return weights;
}

function floatTensor(tensor: Tensor): FileTensor {
  if (tensor.dtype === 'float32') return tensor as FileTensor;
  return { dtype: 'float32', dims: [...tensor.dims], data: toFloat32(tensor as FileTensor) };
}
